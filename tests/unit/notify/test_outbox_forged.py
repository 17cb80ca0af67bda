"""The ledger is an object of the namespace, which others may write: it takes no word from a run."""

from collections import Counter
from typing import Any

import orjson
import pytest
from support.clock import settle
from support.outbox import DELIVERED, REFUSED_503, World, run, subscribe
from weft.api.notificationchannel import NotificationChannel
from weft.notify.deliver import Outcome
from weft.notify.events import EventKind, events_between
from weft.notify.ledger import Delivery, NotifiedRun, State


def kept(update: dict[str, Any], happened: str, **changes: Any) -> Delivery:
    """A delivery as the ledger keeps it of an event that the run tells of, with changes."""
    metadata = update["metadata"]
    event = next(event for event in events_between({}, update["status"], update) if event.kind == happened)
    ref = NotifiedRun(metadata["namespace"], metadata["name"], metadata["uid"])
    known: dict[str, Any] = {
        "run": ref, "channel": "ops", "kind": event.kind, "event_id": event.id, "event": event.cloud_event(),
        "since": 1_700_000_000.0, "due": 1_700_000_000.0,
    }  # fmt: skip
    return Delivery(**known | changes)


def forgery(delivery: Delivery) -> dict[str, Any]:
    """The event of a delivery with another message."""
    assert delivery.event is not None
    event = dict(delivery.event)
    return event | {"data": event["data"] | {"message": "forged"}}


async def with_ledger(world: World, *deliveries: Delivery) -> list[bytes]:
    """Start over an outbox that finds these in its ledger; gives the list of bodies that it sends."""
    bodies: list[bytes] = []

    async def send(to: NotificationChannel, message_id: str, body: bytes) -> Outcome:
        bodies.append(body)
        return DELIVERED

    world.send = send
    world.ledger.kept |= {str(number): delivery for number, delivery in enumerate(deliveries)}
    await world.restarted()
    await world.clock.advance(60)
    return bodies


async def test_after_a_restart_a_run_tells_itself_what_happened_and_not_what_was_kept_of_it() -> None:
    world = World()
    failed = run("Failed")
    world.know(failed)
    honest = kept(failed, "Failed")

    bodies = await with_ledger(world, kept(failed, "Failed", event=forgery(honest), kind=EventKind.NodeFailed))

    assert [orjson.loads(body) for body in bodies] == [honest.event]
    assert [delivery.kind for delivery in world.tried] == [EventKind.Failed]


@pytest.mark.parametrize("phase", ["Running", "Failed"])
async def test_what_a_run_would_have_to_tell_of_and_does_not_is_forged(
    phase: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    world.know(run(phase))

    assert await with_ledger(world, kept(run("Succeeded"), "Succeeded")) == []
    assert "run shop/run-u1: Succeeded for channel ops stands in its ledger, but never happened" in caplog.text
    world.observe(run("Succeeded"), [subscribe("ops", "Succeeded")])
    await settle()
    assert world.ledger.saved.get_nowait().state is State.Delivered


async def test_what_happened_before_a_rerun_that_was_asked_for_may_be_told_no_more_by_the_run() -> None:
    for later in (run("Queued"), run(rerunGeneration=1)):
        world = World()
        later["spec"]["rerun"] = {"generation": 1}
        world.know(later)
        assert len(await with_ledger(world, kept(run("Failed"), "Failed"))) == 1


async def test_a_question_that_was_answered_is_still_told_of() -> None:
    asking = {"name": "review", "phase": "Waiting", "reason": "AwaitingApproval", "message": "Publish?"}
    world = World()
    world.know(run())

    assert len(await with_ledger(world, kept(run(nodes=[asking]), "ApprovalRequested"))) == 1


@pytest.mark.parametrize("state", [State.Pending, State.Delivered])
async def test_a_ledger_of_another_namespace_takes_no_news_away(state: State) -> None:
    """Nor does one that says to be of a run of its own, with the events of another's."""
    world = World()
    victim, own = run("Failed"), run(uid="u2", namespace="attacker")
    world.know(victim)
    world.know(own)
    there, here = NotifiedRun("attacker", "run-u1", "u1"), NotifiedRun("attacker", "run-u2", "u2")
    forged = [kept(victim, "Failed", run=ref, state=state, kind=EventKind.NodeFailed) for ref in (there, here)]
    await with_ledger(world, *forged)

    world.observe(victim, [subscribe("ops", "Failed")])
    await settle()

    sent = [delivery for delivery in world.tried if delivery.run.namespace == "shop"]
    assert [delivery.state for delivery in sent] == [State.Delivered]


async def test_a_delivery_of_another_namespace_under_way_does_not_stand_for_ones_own() -> None:
    """Both have the same key: that of the event, which somebody else may have read."""
    world = World(*[REFUSED_503] * 2)
    victim, own = run("Failed"), run(uid="u2", namespace="attacker")
    world.know(own)
    ref = NotifiedRun("attacker", "run-u2", "u2")
    world.ledger.kept["x"] = kept(victim, "Failed", run=ref, kind=EventKind.NodeFailed, due=1_700_000_001.0)
    await world.started()
    world.observe(victim, [subscribe("ops", "Failed")])
    await world.clock.advance(3)
    assert {delivery.run.namespace for delivery in world.tried} == {"shop", "attacker"}
    await world.clock.advance(60)

    delivered = [delivery.run.namespace for delivery in world.tried if delivery.state is State.Delivered]
    assert sorted(delivered) == ["attacker", "shop"]


async def test_of_a_run_that_is_gone_the_ledger_is_about_to_go_too() -> None:
    world = World()
    namesake = run("Failed", uid="u2")
    namesake["metadata"]["name"] = "run-u1"
    world.know(namesake)

    assert await with_ledger(world, kept(run("Failed"), "Failed"), kept(run("Failed", uid="u2"), "Failed")) == []
    assert "u1" not in str(vars(world.outbox)["_runs"])


@pytest.mark.parametrize(
    "spoiled",
    [{"error": ["x"]}, {"channel": ["x"]}, {"kind": ["x"]}, {"due": "soon"}, {"state": None}, {"event_id": 7}],
    ids=str,
)
async def test_whatever_the_ledger_gives_the_others_are_told(spoiled: dict[str, Any]) -> None:
    world = World()
    for uid in ("u0", "u1", "u2"):
        world.know(run("Failed", uid=uid))
    bad = kept(run("Failed"), "Failed", **spoiled)
    good = [kept(run("Failed", uid=uid), "Failed") for uid in ("u0", "u2")]

    bodies = await with_ledger(world, good[0], bad, good[1])

    told = [orjson.loads(body)["data"]["uid"] for body in bodies]
    assert {"u0", "u2"} <= set(told)
    assert Counter(told) == dict.fromkeys(told, 1)
