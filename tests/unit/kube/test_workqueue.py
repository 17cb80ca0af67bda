import asyncio
import random
from itertools import pairwise

import pytest
from support.clock import VirtualClock, settle
from weft.kube.clock import spawn
from weft.kube.workqueue import WorkQueue
from weft.metrics import Metrics


class World:
    """A queue whose handler notes (time, key) and then does what `act` says for that key."""

    def __init__(self, workers=1, *, started=True):
        self.clock = VirtualClock()
        self.metrics = Metrics()
        self.passes = []
        self.at_once = 0
        self.most_at_once = 0
        self.act = {}
        self.queue = WorkQueue(
            "runs",
            self.handle,
            workers=workers,
            clock=self.clock,
            rng=random.Random(1),
            spawn=spawn,
            metrics=self.metrics,
        )
        if started:
            self.queue.start()

    async def handle(self, key):
        self.passes.append((round(self.clock.monotonic(), 3), key))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if key in self.act:
                await self.act[key]()
        finally:
            self.at_once -= 1

    def busy_for(self, key, seconds):
        self.act[key] = lambda: self.clock.sleep(seconds)

    def add(self, *keys):
        for key in keys:
            self.queue.add(key)

    def sample(self, name, **labels):
        return self.metrics.registry.get_sample_value(name, {"queue": "runs"} | labels)

    @property
    def order(self):
        return "".join(key for _, key in self.passes)


@pytest.fixture
async def world():
    made = []

    def make(**options):
        made.append(World(**options))
        return made[-1]

    yield make
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await settle()


async def test_a_key_that_is_added_many_times_has_one_turn(world):
    one = world()
    one.add("a", "a", "b", "a")
    await settle()
    assert one.order == "ab"


async def test_news_that_somebody_waits_for_overtakes_but_of_four_turns_one_is_for_the_others(world):
    one = world()
    one.add(*"abcd")
    for key in "12345":
        one.queue.add(key, first=True)
    await settle()
    assert one.order == "123a45bcd"


async def test_a_key_that_waits_is_brought_forward_and_has_one_turn(world):
    one = world()
    one.add(*"abc")
    one.queue.add("c", first=True)
    one.add("c")
    await settle()
    assert one.order == "cab"
    one.add(*"abc")
    await settle()
    assert one.order == "cab" + "abc", "it overtakes once"


async def test_a_key_that_is_worked_on_overtakes_when_it_comes_back(world):
    one = world()
    one.busy_for("a", 1)
    one.add("a")
    await settle()
    one.add("a", "b", "c")
    one.queue.add("a", first=True)
    one.act.pop("a")
    await one.clock.advance(1)
    assert one.order == "aabc"
    assert (one.sample("weft_queue_depth"), len(one.queue)) == (0.0, 0)


async def test_what_is_added_before_the_start_is_not_kept(world):
    """A replica that stands by for weeks hears of everything that the leader does."""
    one = world(started=False)
    one.add("a")
    one.queue.add_after("b", one.clock.now() + 1)
    await one.clock.advance(5)
    assert (one.sample("weft_queue_depth"), len(one.queue)) == (0.0, 0)
    one.queue.start()
    await settle()
    assert one.passes == []
    one.add("c")
    await settle()
    assert one.order == "c"


async def test_keys_take_turns_in_the_order_of_their_adding(world):
    one = world()
    one.busy_for("a", 1)
    one.add("a", "b", "c")
    await settle()
    one.add("a", "d")
    await one.clock.advance(5)
    assert one.order == "abcda"


async def test_a_key_is_never_worked_on_twice_at_once_and_gets_another_turn_after(world):
    one = world(workers=4)
    one.busy_for("a", 1)
    one.add("a")
    await settle()
    one.add("a", "a")
    await one.clock.advance(10)
    assert one.passes == [(0, "a"), (1, "a")]
    assert one.most_at_once == 1


async def test_as_many_keys_as_workers_are_worked_on_at_once(world):
    one = world(workers=2)
    for key in "abcd":
        one.busy_for(key, 1)
    one.add(*"abcd")
    await one.clock.advance(10)
    assert one.passes == [(0, "a"), (0, "b"), (1, "c"), (1, "d")]
    assert one.most_at_once == 2


async def test_a_wake_up_comes_at_its_time(world):
    one = world()
    one.queue.add_after("a", one.clock.now() + 5)
    await one.clock.advance(4.9)
    assert one.passes == []
    await one.clock.advance(0.1)
    assert one.passes == [(5, "a")]


@pytest.mark.parametrize("times", [(5, 2, 9), (2, 5, 9), (9, 5, 2)])
async def test_of_several_wake_ups_the_earliest_counts(world, times):
    one = world()
    for seconds in times:
        one.queue.add_after("a", one.clock.now() + seconds)
    await one.clock.advance(20)
    assert one.passes == [(2, "a")]


async def test_wake_ups_of_many_keys_come_in_the_order_of_their_times(world):
    one = world()
    for seconds, key in ((3, "c"), (1, "a"), (2, "b")):
        one.queue.add_after(key, one.clock.now() + seconds)
    await one.clock.advance(10)
    assert one.passes == [(1, "a"), (2, "b"), (3, "c")]


async def test_a_wake_up_in_the_past_comes_at_once(world):
    one = world()
    one.queue.add_after("a", one.clock.now() - 100)
    await settle()
    assert one.passes == [(0, "a")]


async def test_a_wall_clock_that_is_set_forward_delays_no_wake_up_by_more_than_half_a_minute(world):
    one = world()
    one.queue.add_after("a", one.clock.now() + 86400)
    await one.clock.advance(1)
    one.clock.set_wall(one.clock.now() + 86400)
    await one.clock.advance(30)
    assert one.order == "a"


async def test_wake_ups_that_are_overtaken_again_and_again_are_swept_away(world):
    one = world()
    a_year = one.clock.now() + 365 * 86400
    for _ in range(1000):
        one.queue.add_after("a", a_year)
        one.queue.add_after("a", one.clock.now() + 0.2)
        await one.clock.advance(0.25)
    assert len(one.passes) == 1000
    assert len(one.queue._heap) < 100


@pytest.mark.parametrize("count", [50, 1000])
async def test_what_is_forgotten_does_not_wake_and_leaves_nothing(world, count):
    one = world()

    async def fail():
        raise ValueError("no")

    one.act["b"] = fail
    one.add("b")
    for number in range(count):
        one.queue.add_after(number, one.clock.now() + 365 * 86400)
    one.queue.add_after("a", one.clock.now() + 20)
    await one.clock.advance(10)
    for key in ("b", *range(count)):
        one.queue.forget(key)
    assert len(one.queue._heap) < 100
    before = len(one.passes)
    await one.clock.advance(1000)
    assert one.passes[before:] == [(20.0, "a")]
    assert (one.queue._wakes, one.queue._heap, one.queue._failures) == ({}, [], {})
    assert one.queue._timer.done()


async def test_what_is_forgotten_may_come_again(world):
    one = world()
    one.queue.add_after("a", one.clock.now() + 5)
    one.queue.forget("a")
    one.queue.add_after("a", one.clock.now() + 8)
    await one.clock.advance(20)
    assert one.passes == [(8.0, "a")]


async def test_a_key_that_fails_comes_back_with_growing_pauses_and_is_forgiven_after_success(world, caplog):
    one = world()
    failures = iter([True] * 4 + [False, True, False])

    async def fail_sometimes():
        if next(failures):
            raise ValueError("not today")

    one.act["a"] = fail_sometimes
    one.add("a")
    await one.clock.advance(60)
    times = [at for at, _ in one.passes]
    pauses = [after - before for before, after in pairwise(times)]
    assert len(pauses) == 4
    assert all(base / 2 <= pause <= base for base, pause in zip((0.1, 0.2, 0.4, 0.8), pauses, strict=True))
    assert "runs: a failed (4 in a row)" in caplog.text
    assert "not today" in caplog.text
    one.add("a")
    await one.clock.advance(60)
    assert one.passes[-1][0] - one.passes[-2][0] <= 0.1
    assert one.sample("weft_reconciles_total", result="error") == 5
    assert one.sample("weft_reconciles_total", result="success") == 2


async def test_news_about_a_failing_key_does_not_wait_for_its_pause(world):
    one = world()
    outcomes = iter([ValueError(), None, None])

    async def act():
        if (error := next(outcomes)) is not None:
            raise error

    one.act["a"] = act
    one.add("a")
    await settle()
    one.add("a")
    await settle()
    assert [at for at, _ in one.passes] == [0, 0]


async def test_one_failing_key_holds_up_no_other(world):
    one = world()

    async def fail():
        raise ValueError

    one.act["a"] = fail
    one.add("a", "b")
    await settle()
    assert one.order == "ab"


async def test_a_handler_that_dies_of_a_cancelled_task_of_its_own_does_not_take_the_worker_along(world):
    one = world()
    lost = asyncio.get_running_loop().create_future()
    lost.cancel()

    async def wait_for_the_lost():
        await lost

    one.act["a"] = wait_for_the_lost
    one.add("a", "b")
    await settle()
    assert one.order == "ab"


async def test_shutdown_finishes_what_is_due_and_in_hand_and_takes_no_more(world):
    one = world(workers=2)
    for key in "abc":
        one.busy_for(key, 1)
    one.add("a", "b", "c")
    one.queue.add_after("later", one.clock.now() + 1)
    await settle()
    one.add("a")
    ended = spawn(one.queue.shutdown(), name="shutdown")
    await settle()
    one.add("too late")
    one.queue.add_after("too late", one.clock.now())
    assert not ended.done()
    await one.clock.advance(10)
    assert ended.done()
    assert one.passes == [(0, "a"), (0, "b"), (1, "c"), (1, "a")]


async def test_shutdown_of_an_idle_queue_is_immediate(world):
    one = world(workers=3)
    await settle()
    await one.queue.shutdown()
    assert one.passes == []


async def test_depth_latency_and_duration_are_measured(world):
    one = world()
    one.busy_for("a", 2)
    one.add("a")
    await settle()
    one.add("b", "c")
    assert len(one.queue) == 2
    assert one.sample("weft_queue_depth") == 2
    await one.clock.advance(10)
    assert one.sample("weft_queue_depth") == 0
    assert one.sample("weft_queue_latency_seconds_sum") == 0 + 2 + 2
    assert one.sample("weft_reconcile_duration_seconds_sum") == 2
    assert one.sample("weft_reconciles_total", result="success") == 3
