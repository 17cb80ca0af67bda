import random
import re

import pytest
from support.clock import VirtualClock, settle
from support.transport import ScriptedTransport, ok, status
from weft.kube.client import Client
from weft.kube.clock import spawn
from weft.kube.events import LONGEST_QUEUE, LONGEST_URGENT, Recorder
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

    def say(self, obj=None, *, reason="Started", message="it began", urgent=False):
        self.recorder.record(obj or run(), "Normal", reason, message, urgent=urgent)

    def say_of_many_runs(self, count):
        """What fills the queue: similar Events of one run would not."""
        for number in range(count):
            self.say(run(f"run-{number}"))

    @property
    def stored(self):
        """What `kubectl describe` shows: message and count of each Event, in the order they were made."""
        shown = {}
        for request in self.transport.requests:
            name = request.path.rpartition("/")[2] if request.method == "PATCH" else request.body["metadata"]["name"]
            shown[name] = shown.get(name, {}) | request.body
        return [(event["reason"], event["message"], event["count"]) for event in shown.values()]

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
    await world.clock.advance(10)
    world.say()
    await world.clock.advance(10)
    world.say()
    await world.clock.advance(10)
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


async def test_one_that_cannot_be_sent_is_counted_and_the_next_is_sent(world):
    world.answer(RuntimeError("a bug"), ok(code=201))
    world.say()
    world.say(reason="Ended")
    await world.clock.advance(1)
    assert len(world.sent) == 2
    assert world.dropped("failed") == 1


async def test_a_full_queue_drops_and_counts_instead_of_waiting(world):
    world.say_of_many_runs(LONGEST_QUEUE + 3)
    assert world.dropped("queue_full") == 3


async def test_writing_is_bounded_to_25_in_a_second(world):
    world.answer(*[ok(code=201)] * 100)
    world.say_of_many_runs(100)
    await world.clock.advance(1)
    assert 20 <= len(world.sent) <= 26


COMBINED = "(combined from similar events): "


async def test_what_happens_to_thousands_of_items_is_ten_events(world):
    world.answer(*[ok(code=201)] * 100)
    for number in range(3000):
        world.say(reason="BackOff", message=f"price[{number}]: attempt 1 ended with Error")
    world.say(reason="NodeFailed", message="price: TooManyFailedItems")
    await world.clock.advance(1)
    assert [event for event in world.stored if event[0] == "NodeFailed"] == [
        ("NodeFailed", "price: TooManyFailedItems", 1)
    ], "others of the run do not wait behind them"
    back_offs = [event for event in world.stored if event[0] == "BackOff"]
    assert back_offs == [
        *(("BackOff", f"price[{number}]: attempt 1 ended with Error", 1) for number in range(9)),
        ("BackOff", f"{COMBINED}price[2999]: attempt 1 ended with Error", 2991),
    ]
    assert world.dropped("queue_full") is None


async def test_a_series_that_goes_on_is_rarely_written_and_ends_with_the_whole_count(world):
    world.answer(*[ok(code=201)] * 100)
    for number in range(600):
        world.say(reason="BackOff", message=f"price[{number}]: attempt 1 ended with Error")
        await world.clock.advance(0.1)
    await world.clock.advance(10)
    assert len(world.stored) == 10
    assert world.stored[-1] == ("BackOff", f"{COMBINED}price[599]: attempt 1 ended with Error", 591)
    assert len(world.sent) <= 10 + 60 / 5 + 1


async def test_the_same_said_again_and_again_is_rarely_written(world):
    world.answer(*[ok(code=201)] * 100)
    for _ in range(100):
        world.say()
        await world.clock.advance(0.1)
    await world.clock.advance(10)
    assert world.stored == [("Started", "it began", 100)]
    assert len(world.sent) <= 4


async def test_after_ten_quiet_minutes_similar_events_are_told_one_by_one_again(world):
    world.answer(*[ok(code=201)] * 100)
    for number in range(20):
        world.say(message=f"message {number}")
    await world.clock.advance(601)
    world.say(message="message 21")
    await world.clock.advance(1)
    assert world.stored[-1] == ("Started", "message 21", 1)


@pytest.mark.parametrize("other", [{"reason": "Ended"}, {"obj": run("listing-2")}], ids=["reason", "object"])
async def test_events_of_another_reason_or_object_are_not_similar(world, other):
    world.answer(*[ok(code=201)] * 100)
    for number in range(20):
        world.say(message=f"message {number}")
    world.say(message="its own", **other)
    await world.clock.advance(1)
    assert world.stored[-1][1] == "its own"


async def test_what_is_urgent_overtakes_and_finds_room_in_a_full_queue(world):
    world.answer(*[ok(code=201)] * 10)
    world.say_of_many_runs(LONGEST_QUEUE + 1)
    world.say(run("last"), reason="RunFailed", message="price failed", urgent=True)
    await world.clock.advance(0.1)
    assert world.stored[0] == ("RunFailed", "price failed", 1)
    assert world.dropped("queue_full") == 1


async def test_memory_is_bounded_whatever_is_urgent(world):
    for number in range(LONGEST_URGENT + 2):
        world.say(run(f"run-{number}"), reason="RunFailed", urgent=True)
    assert world.dropped("queue_full") == 2


async def test_what_is_urgent_does_not_rest(world):
    world.answer(*[ok(code=201)] * 10)
    for _ in range(2):
        world.say(reason="RunFailed", message="price failed", urgent=True)
        await world.clock.advance(0.1)
    assert world.stored == [("RunFailed", "price failed", 2)]


async def test_long_names_and_messages_are_shortened_to_what_the_server_takes(world):
    world.answer(ok(code=201))
    world.say(run("n" * 250), message="m" * 5000)
    await world.clock.advance(1)
    ((_, event),) = world.sent
    assert len(event["metadata"]["name"]) == 253
    assert len(event["message"]) == 1024
    assert event["message"].endswith("m...")


async def test_a_combined_message_is_shortened_too(world):
    world.answer(*[ok(code=201)] * 20)
    for letter in "abcdefghijkl":
        world.say(message=letter * 5000)
    await world.clock.advance(1)
    assert len(world.stored[-1][1]) == 1024
    assert world.stored[-1][1].startswith(f"{COMBINED}lll")


SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@pytest.mark.parametrize("end", [".", "-"])
async def test_a_long_name_is_cut_to_one_that_the_server_takes(world, end):
    world.answer(ok(code=201))
    world.say(run("n" * 235 + end + "m" * 10))
    await world.clock.advance(1)
    ((_, event),) = world.sent
    assert SUBDOMAIN.fullmatch(event["metadata"]["name"])
    assert len(event["metadata"]["name"]) <= 253
