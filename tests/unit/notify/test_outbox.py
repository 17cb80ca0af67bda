import asyncio
import base64
import hashlib
import random
import time
from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_network
from itertools import pairwise
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook
from support.clock import VirtualClock, settle
from weft.api.notificationchannel import NotificationChannel
from weft.api.workflow import Notification
from weft.kube.clock import spawn
from weft.kube.errors import QuotaExceeded
from weft.kube.store import RunKey
from weft.metrics import Metrics
from weft.notify.addresses import AddressPolicy
from weft.notify.deliver import Outcome, Result, Sender
from weft.notify.events import EventKind, events_between
from weft.notify.guarded_http import GuardedHttp
from weft.notify.ledger import Delivery, NotifiedRun, State
from weft.notify.outbox import (
    IN_FLIGHT_PER_CHANNEL,
    IN_FLIGHT_PER_NAMESPACE,
    MAX_NODE_DELIVERIES,
    WORKERS,
    NoChannel,
    Outbox,
    Send,
)

START, END = "2026-11-20T10:00:00Z", "2026-11-20T10:02:30Z"
DELIVERED = Outcome(result=Result.Delivered)
REFUSED_503 = Outcome(result=Result.Retry, error="the receiver answered 503")
ALL_EVENTS = ["Started", "Succeeded", "Failed", "Cancelled", "NodeFailed", "ApprovalRequested"]


def run(
    phase: str = "Running", *, failed: Sequence[str] = (), uid: str = "u1", namespace: str = "shop", **status: Any
) -> dict[str, Any]:
    nodes = [{"name": name, "phase": "Failed", "completionTime": END} for name in failed]
    ended = {} if phase == "Running" else {"completionTime": END}
    return {
        "metadata": {"namespace": namespace, "name": f"run-{uid}", "uid": uid},
        "spec": {"workflowRef": {"name": "listing"}},
        "status": {"phase": phase, "startTime": START, "nodes": nodes, **ended, **status},
    }


def subscribe(channel: str = "ops", *events: str) -> Notification:
    return Notification.model_validate({"channel": channel, "events": list(events) or ALL_EVENTS})


def channel(
    name: str = "ops", *, generation: int = 1, url: str = "http://receiver.example/", **spec: Any
) -> NotificationChannel:
    return NotificationChannel.model_validate(
        {
            "metadata": {"namespace": "shop", "name": name, "uid": f"uid-{name}", "generation": generation},
            "apiVersion": "weft.dev/v1alpha1",
            "kind": "NotificationChannel",
            "spec": {
                "type": "Webhook",
                "webhook": {"url": url, "signingSecretRef": {"name": "hook", "key": "signing"}},
                **spec,
            },
        }
    )


class MemoryLedger:
    """Keeps deliveries; `failures` saves raise `failure` first."""

    def __init__(self) -> None:
        self.kept: dict[str, Delivery] = {}
        self.failures = 0
        self.failure: Exception = ConnectionError("the API server is away")
        self.saved: asyncio.Queue[Delivery] = asyncio.Queue()

    async def load(self) -> Sequence[Delivery]:
        return list(self.kept.values())

    async def save(self, delivery: Delivery) -> None:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise self.failure
        self.kept[delivery.key] = delivery
        self.saved.put_nowait(delivery)

    def states(self) -> list[State]:
        return [delivery.state for delivery in self.kept.values()]


class World:
    """An outbox among fakes: receivers that answer from a list, then accept; a ledger that outlives the outbox."""

    def __init__(self, *answers: Outcome, send: Send | None = None, start: float = 1_700_000_000.0) -> None:
        self.clock = VirtualClock(start)
        self.ledger = MemoryLedger()
        self.channels = {"ops": channel("ops"), "chat": channel("chat")}
        self.answers = list(answers)
        self.sent: list[tuple[str, str, str, float]] = []
        self.tried: list[Delivery] = []
        self.troubles: list[str] = []
        self.runs: dict[RunKey, dict[str, Any]] = {}
        self.metrics = Metrics()
        self.send = send or self.accept
        self.outbox = self.new_outbox()

    def new_outbox(self) -> Outbox:
        return Outbox(
            ledger=self.ledger,
            find_channel=self.find_channel,
            find_run=self.runs.get,
            send=self.send,
            on_tried=self.tried.append,
            on_trouble=lambda run, text: self.troubles.append(f"{run.name}: {text}"),
            clock=self.clock,
            rng=random.Random(7),
            spawn=spawn,
            metrics=self.metrics,
        )

    def find_channel(self, namespace: str, name: str) -> NotificationChannel | NoChannel:
        return self.channels.get(name, NoChannel.Absent)

    def know(self, update: dict[str, Any]) -> None:
        """Keep a run as it is now."""
        self.runs[RunKey(update["metadata"]["namespace"], update["metadata"]["uid"])] = update

    def observe(self, update: dict[str, Any], notifications: Sequence[Notification]) -> None:
        """Keep a run as it is now and let the outbox see it."""
        self.know(update)
        self.outbox.observe(update, notifications)

    async def accept(self, to: NotificationChannel, message_id: str, body: bytes) -> Outcome:
        event_type = orjson.loads(body)["type"].removeprefix("dev.weft.")
        self.sent.append((to.metadata.name, event_type, message_id, self.clock.monotonic()))
        await asyncio.sleep(0)
        return self.answers.pop(0) if self.answers else DELIVERED

    async def started(self) -> "World":
        await self.outbox.restore()
        return self

    async def restarted(self) -> None:
        """Replace the operator: the old outbox is never asked again, the ledger stays."""
        await self.outbox.shutdown()
        self.outbox = self.new_outbox()
        await self.outbox.restore()

    def types(self) -> list[str]:
        return [event_type for _, event_type, _, _ in self.sent]

    def results(self) -> dict[str, float]:
        samples = next(iter(self.metrics.notifications.collect())).samples
        counted = {sample.labels["result"]: sample.value for sample in samples if sample.name.endswith("_total")}
        return {result: value for result, value in counted.items() if value}


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


async def test_after_a_restart_only_what_was_not_delivered_comes_again_and_with_its_id() -> None:
    world = await World(DELIVERED, REFUSED_503).started()
    world.observe(run("Failed"), [subscribe()])
    await settle()
    assert world.types() == ["run.started", "run.failed"]

    await world.restarted()
    world.observe(run("Failed"), [subscribe()])
    await world.clock.advance(60)

    assert world.types() == ["run.started", "run.failed", "run.failed"]
    assert world.sent[1][2] == world.sent[2][2]
    assert [delivery.attempts for delivery in world.ledger.kept.values()] == [1, 2]


async def test_what_happened_while_no_operator_ran_is_told_after_its_start() -> None:
    world = await World().started()
    world.observe(run(), [subscribe()])
    await settle()

    await world.restarted()
    world.observe(run("Failed", failed=["price"]), [subscribe()])
    await settle()

    assert sorted(world.types()) == ["node.failed", "run.failed", "run.started"]


async def test_a_crash_between_delivery_and_record_delivers_again_with_the_same_id() -> None:
    world = await World().started()
    world.ledger.failures = 1
    world.observe(run(), [subscribe()])
    await settle()

    await world.restarted()
    world.observe(run(), [subscribe()])
    await settle()

    assert [message_id for _, _, message_id, _ in world.sent] == [world.sent[0][2]] * 2


@pytest.mark.parametrize("state", [State.Delivered, State.Pending])
async def test_what_an_older_version_has_told_under_an_id_of_its_own_is_not_told_again(state: State) -> None:
    """It marked what happens to nodes by the rerun, too, and not by when it was."""
    world, failed = World(), run(failed=["price"], rerunGeneration=2)
    former = hashlib.sha256(b"\0".join([b"u1", b"NodeFailed", b"2", b"price"])).hexdigest()[:32]
    [event] = events_between({}, failed["status"] | {"startTime": None}, failed)
    kept = Delivery(
        run=NotifiedRun("shop", "run-u1", "u1"), channel="ops", kind=EventKind.NodeFailed, event_id=former,
        event=event.cloud_event() | {"id": former}, since=0.0, due=0.0, state=state,
    )  # fmt: skip
    world.ledger.kept[kept.key] = kept
    world.know(failed)
    await world.started()
    wanted = [subscribe("ops", "NodeFailed")]
    world.observe(failed, wanted)
    await settle()
    assert [message_id for _, _, message_id, _ in world.sent] == ([former] if state is State.Pending else [])

    world.observe(run(failed=["price", "publish"], rerunGeneration=2), wanted)
    await settle()
    assert len(world.sent) == (2 if state is State.Pending else 1), "what is new is told"


async def test_a_rerun_does_not_lose_the_failure_that_could_not_be_told() -> None:
    world = await World(REFUSED_503).started()
    world.observe(run("Failed"), [subscribe("ops", "Failed")])
    await settle()

    world.know(run(rerunGeneration=1))
    await world.restarted()
    world.observe(run(rerunGeneration=1), [subscribe("ops", "Failed")])
    await world.clock.advance(60)

    assert world.types() == ["run.failed", "run.failed"]
    assert world.ledger.states() == [State.Delivered]


async def test_while_the_ledger_is_away_nothing_is_delivered_twice() -> None:
    world = await World().started()
    world.ledger.failures = 5

    world.observe(run(), [subscribe()])
    await world.clock.advance(600)

    assert world.types() == ["run.started"]
    assert world.ledger.states() == [State.Delivered]


async def test_while_the_ledger_is_away_a_failed_try_is_not_repeated_early() -> None:
    world = await World(REFUSED_503).started()
    world.ledger.failures = 3

    world.observe(run(), [subscribe()])
    await world.clock.advance(3.9)
    assert len(world.sent) == 1
    assert world.ledger.states() == [State.Pending]
    await world.clock.advance(3)
    assert len(world.sent) == 2


async def test_what_a_full_quota_does_not_let_the_ledger_keep_is_said_in_a_line_and_rarely(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = await World().started()
    world.ledger.failure, world.ledger.failures = QuotaExceeded("exceeded quota: few-config-maps", code=403), 10_000

    world.observe(run(), [subscribe()])
    await world.clock.advance(3600)

    assert world.types() == ["run.started"]
    assert 15 < 10_000 - world.ledger.failures < 35
    assert caplog.messages[-1].startswith("notification of Started of run shop/run-u1 to channel ops: ")
    assert caplog.messages[-1].endswith(": exceeded quota: few-config-maps")
    assert not any(record.exc_info for record in caplog.records)

    world.ledger.failures = 0
    await world.clock.advance(300)
    assert world.ledger.states() == [State.Delivered]
    assert world.types() == ["run.started"]


async def test_a_full_quota_delays_no_further_try() -> None:
    world = await World(Outcome(result=Result.Retry, error="busy", retry_after=100)).started()
    world.ledger.failure, world.ledger.failures = QuotaExceeded("exceeded quota: few-config-maps", code=403), 10_000

    world.observe(run(), [subscribe()])
    await world.clock.advance(3600)

    first, second = (at for *_, at in world.sent)
    assert second - first == pytest.approx(100, abs=1)


async def test_a_deleted_run_still_gets_what_is_on_its_way() -> None:
    world = await World(REFUSED_503).started()
    world.observe(run("Failed"), [subscribe("ops", "Failed")])
    await settle()

    world.outbox.forget(RunKey("shop", "u1"))
    await world.clock.advance(60)

    assert world.types() == ["run.failed", "run.failed"]


async def test_of_thousands_of_failed_nodes_a_hundred_are_told_and_the_end_always() -> None:
    world = await World().started()
    failed = [f"n{number}" for number in range(1000)]

    world.observe(run(failed=failed), [subscribe()])
    world.observe(run("Failed", failed=failed), [subscribe()])
    await settle()

    assert Counter(world.types()) == {"run.started": 1, "node.failed": MAX_NODE_DELIVERIES, "run.failed": 1}
    assert world.results()["Dropped"] == 1000 - MAX_NODE_DELIVERIES


async def test_a_slow_receiver_holds_up_only_itself() -> None:
    patience, sent = asyncio.Event(), Counter[str]()

    async def send(to: NotificationChannel, message_id: str, body: bytes) -> Outcome:
        sent[to.metadata.name] += 1
        if to.metadata.name == "ops":
            await patience.wait()
        return DELIVERED

    world = await World(send=send).started()
    for number in range(100):
        world.observe(run(uid=f"u{number}"), [subscribe("ops"), subscribe("chat")])
    await settle()
    assert sent == {"ops": IN_FLIGHT_PER_CHANNEL, "chat": 100}

    patience.set()
    await settle()
    assert sent == {"ops": 100, "chat": 100}


async def test_one_namespace_holds_up_only_itself_however_many_slow_receivers_it_has() -> None:
    patience, sent = asyncio.Event(), Counter[str]()

    async def send(to: NotificationChannel, message_id: str, body: bytes) -> Outcome:
        sent[orjson.loads(body)["data"]["namespace"]] += 1
        if to.metadata.name != "ops":
            await patience.wait()
        return DELIVERED

    world = await World(send=send).started()
    slow = [f"slow-{number}" for number in range(WORKERS)]
    world.channels |= {name: channel(name) for name in slow}
    for number in range(10):
        busy = run(uid=f"u{number}", namespace="attacker")
        world.observe(busy, [subscribe(name, "Started") for name in slow])
    await settle()
    assert sent == {"attacker": IN_FLIGHT_PER_NAMESPACE}
    world.observe(run(), [subscribe("ops", "Started")])
    await settle()
    assert sent == {"attacker": IN_FLIGHT_PER_NAMESPACE, "shop": 1}

    patience.set()
    await settle()
    assert sent == {"attacker": 10 * WORKERS, "shop": 1}


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


async def test_a_real_receiver_that_refuses_twice_gets_the_signed_event_at_the_third_try_even_over_a_restart() -> None:
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
    received: list[dict[str, Any]] = []

    async def hook(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        event = Webhook(secret).verify(await request.read(), headers)
        received.append({"id": headers["webhook-id"], "event": event})
        return web.Response(status=503 if len(received) <= 2 else 204)

    async def read_secret(namespace: str, ref: object) -> str:
        return secret

    app = web.Application()
    app.router.add_post("/hook", hook)
    server = TestServer(app)
    await server.start_server()
    http = GuardedHttp(AddressPolicy(allowed=(ip_network("127.0.0.1/32"),)))
    world = World(start=time.time())
    world.send = Sender(http, read_secret=read_secret, clock=world.clock).send
    world.channels["ops"] = channel(url=f"http://127.0.0.1:{server.port}/hook")
    await world.restarted()

    world.observe(run("Failed"), [subscribe("ops", "Failed")])
    await world.ledger.saved.get()
    await settle()
    await world.clock.advance(10)
    await world.ledger.saved.get()
    await world.restarted()
    world.observe(run("Failed"), [subscribe("ops", "Failed")])
    await world.clock.advance(60)
    last = await world.ledger.saved.get()

    await http.close()
    await server.close()
    assert (last.state, last.attempts) == (State.Delivered, 3)
    assert received == [received[0]] * 3
    assert received[0]["event"]["id"] == received[0]["id"] == last.event_id
    assert received[0]["event"]["type"] == "dev.weft.run.failed"
