from collections import Counter
from itertools import pairwise

import pytest
from support.clock import settle
from support.outbox import REFUSED_503, World, channel, run, subscribe
from weft.kube.store import RunKey
from weft.notify.deliver import Outcome, Result
from weft.notify.ledger import State


async def test_each_event_goes_once_to_each_channel_that_asked() -> None:
    world = await World().started()
    both = [subscribe("ops", "Started", "Failed"), subscribe("chat", "Failed")]

    for update in (run(), run(), run("Failed", failed=["price"]), run("Failed", failed=["price"])):
        world.observe(update, both)
        await settle()

    assert Counter(item[:2] for item in world.sent) == {
        ("ops", "run.started"): 1,
        ("ops", "run.failed"): 1,
        ("chat", "run.failed"): 1,
    }
    assert world.ledger.states() == [State.Delivered] * 3
    assert world.results() == {"Delivered": 3}
    assert [delivery.channel for delivery in world.tried] == ["ops", "chat", "ops"]


async def test_a_run_that_names_no_channel_costs_nothing() -> None:
    world = await World().started()

    world.observe(run("Failed", failed=["price"]), [])
    await settle()

    assert world.sent == []
    assert world.ledger.kept == {}


async def test_observing_only_notes_and_never_waits_for_a_receiver() -> None:
    world = await World().started()

    world.observe(run("Failed"), [subscribe()])

    assert world.sent == []
    await settle()
    assert world.types() == ["run.started", "run.failed"]


async def test_tries_are_repeated_under_the_same_id_with_growing_waits() -> None:
    world = await World(*[REFUSED_503] * 3).started()

    world.observe(run(), [subscribe()])
    await world.clock.advance(1000)

    times = [at for *_, at in world.sent]
    shares = [(later - earlier) / base for (earlier, later), base in zip(pairwise(times), (5, 30, 120), strict=True)]
    assert len({message_id for _, _, message_id, _ in world.sent}) == 1
    assert shares == pytest.approx([1] * 3, abs=0.2)
    assert world.results() == {"Retried": 3, "Delivered": 1}
    assert [delivery.attempts for delivery in world.ledger.kept.values()] == [4]


async def test_retry_after_is_honoured() -> None:
    world = await World(Outcome(result=Result.Retry, error="the receiver answered 429", retry_after=600)).started()

    world.observe(run(), [subscribe()])
    await world.clock.advance(599)
    assert len(world.sent) == 1
    await world.clock.advance(2)
    assert len(world.sent) == 2


async def test_given_up_when_the_channels_time_is_over() -> None:
    world = await World(*[REFUSED_503] * 99).started()
    world.channels["ops"] = channel(retryForSeconds=300)

    world.observe(run(), [subscribe()])
    await world.clock.advance(1_000_000)

    assert len(world.sent) == 4  # 0, 5, 35 and 155 s; the next would come after 755 s
    [failed] = world.ledger.kept.values()
    assert (failed.state, failed.error, failed.event) == (State.Failed, "the receiver answered 503", None)
    assert [one.state for one in world.tried] == [State.Pending] * 3 + [State.Failed]
    assert world.tried[-1] == failed
    assert world.results()["Failed"] == 1


async def test_a_refused_address_is_not_tried_again() -> None:
    world = await World(Outcome(result=Result.Refused, error="AddressRefused: ::1 is loopback")).started()

    world.observe(run(), [subscribe()])
    await world.clock.advance(1_000_000)

    assert len(world.sent) == 1
    assert [delivery.error for delivery in world.tried] == ["AddressRefused: ::1 is loopback"]


async def test_a_receiver_that_is_gone_is_left_alone_until_its_channel_is_edited() -> None:
    world = await World(Outcome(result=Result.Gone, error="the receiver answered 410 Gone")).started()

    world.observe(run(), [subscribe()])
    await settle()
    world.observe(run("Failed"), [subscribe()])
    await settle()
    assert world.types() == ["run.started"]
    assert world.ledger.states() == [State.Failed] * 2

    world.channels["ops"] = channel(generation=2)
    world.observe(run("Succeeded", rerunGeneration=1), [subscribe("ops", "Succeeded")])
    await settle()
    assert world.types() == ["run.started", "run.succeeded"]


async def test_a_channel_may_come_later_than_the_first_event() -> None:
    world = await World().started()
    late = world.channels.pop("ops")

    world.observe(run(), [subscribe()])
    await settle()
    [waiting] = world.ledger.kept.values()
    assert waiting.error == "there is no NotificationChannel ops; create it"
    world.channels["ops"] = late
    await world.clock.advance(10)

    assert world.types() == ["run.started"]


ABSENT = "run-u1: channel ops: there is no NotificationChannel ops; create it"


async def test_a_channel_that_is_not_there_is_told_once_on_the_run_however_many_events_wait_for_it() -> None:
    world = await World().started()
    del world.channels["ops"]

    world.observe(run("Failed", failed=["a", "b"]), [subscribe()])
    await world.clock.advance(1000)
    assert world.troubles == [ABSENT]

    await world.restarted()
    world.observe(run("Failed", failed=["a", "b", "c"]), [subscribe()])
    await world.clock.advance(1000)
    assert world.troubles == [ABSENT]
    world.observe(run("Failed", uid="u2"), [subscribe()])
    await world.clock.advance(1000)
    assert world.troubles == [ABSENT, ABSENT.replace("u1", "u2")]


async def test_what_is_given_up_is_told_once_on_the_run_for_each_channel() -> None:
    world = await World(*[REFUSED_503] * 99).started()
    world.channels = {name: channel(name, retryForSeconds=300) for name in ("ops", "chat")}

    world.observe(run("Failed"), [subscribe("ops"), subscribe("chat", "Failed")])
    await world.clock.advance(100)
    assert world.troubles == []
    await world.clock.advance(1000)

    given_up = "Failed was given up after 4 attempts: the receiver answered 503"
    told = [text for text in world.troubles if "chat" in text]
    assert told == [f"run-u1: channel chat: {given_up}"]
    assert len(world.troubles) == 2

    await world.restarted()
    world.observe(run("Failed", failed=["price"]), [subscribe("ops"), subscribe("chat", "Failed")])
    await world.clock.advance(1000)
    assert len(world.troubles) == 2


async def test_nobody_is_told_on_a_run_that_is_gone() -> None:
    world = await World().started()
    del world.channels["ops"]
    world.observe(run("Failed"), [subscribe()])
    world.outbox.forget(RunKey("shop", "u1"))
    await world.clock.advance(1000)
    assert world.troubles == []


async def test_a_channel_takes_only_the_events_it_wants_and_gets_no_old_ones_later() -> None:
    world = await World().started()
    world.channels["ops"] = channel(events=["Failed"])
    world.observe(run("Failed", failed=["price"]), [subscribe()])
    await settle()
    assert world.types() == ["run.failed"]
    assert Counter(world.ledger.states()) == {State.Filtered: 2, State.Delivered: 1}

    world.channels["ops"] = channel(generation=2)
    await world.restarted()
    world.observe(run("Failed", failed=["price"]), [subscribe()])
    await settle()
    assert world.types() == ["run.failed"]


async def test_a_deleted_run_still_gets_what_is_on_its_way() -> None:
    world = await World(REFUSED_503).started()
    world.observe(run("Failed"), [subscribe("ops", "Failed")])
    await settle()

    world.outbox.forget(RunKey("shop", "u1"))
    await world.clock.advance(60)

    assert world.types() == ["run.failed", "run.failed"]
