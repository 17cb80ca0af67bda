import random

import pytest
from support.clock import VirtualClock, settle
from support.transport import ScriptedTransport, ok, status
from weft.kube.client import Client
from weft.kube.clock import spawn
from weft.kube.events import LONGEST_QUEUE, Recorder
from weft.kube.limiter import Limiter
from weft.metrics import Metrics


def run(name="listing-1"):
    return {
        "apiVersion": "weft.dev/v1alpha1",
        "kind": "WorkflowRun",
        "metadata": {"namespace": "ns", "name": name, "uid": f"uid-{name}", "resourceVersion": "5"},
    }


class World:
    def __init__(self):
        self.clock = VirtualClock()
        self.metrics = Metrics()
        self.transport = ScriptedTransport([])
        rng = random.Random(1)
        client = Client(
            self.transport,
            clock=self.clock,
            rng=rng,
            metrics=self.metrics,
            limiter=Limiter(maximum=1, metrics=self.metrics),
            attempts=1,
        )
        self.recorder = Recorder(client, clock=self.clock, rng=rng, metrics=self.metrics, instance="weft-0")
        self.task = spawn(self.recorder.run(), name="events")

    def answer(self, *answers):
        self.transport.answers += answers

    def say(self, obj=None, *, reason="Started", message="it began"):
        self.recorder.record(obj or run(), "Normal", reason, message)

    @property
    def sent(self):
        return [(request.method, request.body) for request in self.transport.requests]

    def dropped(self, reason):
        return self.metrics.registry.get_sample_value("weft_events_dropped_total", {"reason": reason})


@pytest.fixture
async def world():
    made = World()
    yield made
    made.task.cancel()
    await settle()


async def test_an_event_reads_well_in_describe(world):
    world.answer(ok(code=201))
    world.recorder.record(run(), "Warning", "NodeFailed", "price failed: exit code 2")
    await world.clock.advance(1)
    ((method, event),) = world.sent
    assert method == "POST"
    assert world.transport.requests[0].path == "/api/v1/namespaces/ns/events"
    assert event["metadata"]["name"].startswith("listing-1.")
    del event["metadata"]["name"]
    assert event == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "ns"},
        "involvedObject": {
            "apiVersion": "weft.dev/v1alpha1",
            "kind": "WorkflowRun",
            "namespace": "ns",
            "name": "listing-1",
            "uid": "uid-listing-1",
        },
        "type": "Warning",
        "reason": "NodeFailed",
        "message": "price failed: exit code 2",
        "count": 1,
        "firstTimestamp": "2023-11-14T22:13:20Z",
        "lastTimestamp": "2023-11-14T22:13:20Z",
        "source": {"component": "weft"},
        "reportingComponent": "weft",
        "reportingInstance": "weft-0",
    }


async def test_the_same_said_again_raises_the_count(world):
    world.answer(ok(code=201), ok())
    world.say()
    await world.clock.advance(60)
    world.say()
    await world.clock.advance(1)
    (_, (method, body)) = world.sent
    assert method == "PATCH"
    assert body == {"count": 2, "lastTimestamp": "2023-11-14T22:14:20Z"}


async def test_what_is_said_many_times_before_it_is_sent_is_sent_once(world):
    world.answer(ok(code=201))
    for _ in range(50):
        world.say()
    await world.clock.advance(10)
    ((_, event),) = world.sent
    assert event["count"] == 50


@pytest.mark.parametrize(
    "other",
    [{"reason": "Ended"}, {"message": "it ended"}, {"obj": run("listing-2")}],
    ids=lambda other: next(iter(other)),
)
async def test_another_object_reason_or_message_is_another_event(world, other):
    world.answer(ok(code=201), ok(code=201))
    world.say()
    world.say(**other)
    await world.clock.advance(1)
    assert [method for method, _ in world.sent] == ["POST", "POST"]


async def test_the_same_said_after_ten_minutes_is_another_event(world):
    world.answer(ok(code=201), ok(code=201))
    world.say()
    await world.clock.advance(601)
    world.say()
    await world.clock.advance(1)
    assert [(method, body["count"]) for method, body in world.sent] == [("POST", 1), ("POST", 1)]


async def test_an_event_the_server_has_forgotten_is_said_anew(world):
    world.answer(ok(code=201), status(404, "NotFound"), ok(code=201), ok())
    world.say()
    await world.clock.advance(1)
    world.say()
    await world.clock.advance(1)
    world.say()
    await world.clock.advance(1)
    assert [(method, body["count"]) for method, body in world.sent] == [
        ("POST", 1), ("PATCH", 2), ("POST", 2), ("PATCH", 3),
    ]  # fmt: skip


async def test_a_refusal_is_counted_and_the_next_event_is_sent(world):
    world.answer(status(403, "Forbidden"), ok(code=201))
    world.say()
    world.say(reason="Ended")
    await world.clock.advance(1)
    assert len(world.sent) == 2
    assert world.dropped("refused") == 1


async def test_a_full_queue_drops_and_counts_instead_of_waiting(world):
    for number in range(LONGEST_QUEUE + 3):
        world.say(message=f"message {number}")
    assert world.dropped("queue_full") == 3


async def test_writing_is_bounded_to_25_in_a_second(world):
    world.answer(*[ok(code=201)] * 100)
    for number in range(100):
        world.say(message=f"message {number}")
    await world.clock.advance(1)
    assert 20 <= len(world.sent) <= 26


async def test_long_names_and_messages_are_shortened_to_what_the_server_takes(world):
    world.answer(ok(code=201))
    world.say(run("n" * 250), message="m" * 5000)
    await world.clock.advance(1)
    ((_, event),) = world.sent
    assert len(event["metadata"]["name"]) == 253
    assert len(event["message"]) == 1024
    assert event["message"].endswith("m...")
