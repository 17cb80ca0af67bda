import asyncio

import pytest
from support.clock import START, VirtualClock
from weft.kube.clock import spawn, within


async def test_sleepers_wake_in_the_order_of_their_times_not_of_their_calls():
    clock, woken = VirtualClock(), []

    async def sleeper(seconds):
        await clock.sleep(seconds)
        woken.append((seconds, clock.monotonic()))

    await clock.run(_all(sleeper(3), sleeper(1), sleeper(2)))
    assert woken == [(1, 1), (2, 2), (3, 3)]
    assert clock.now() == START + 3


async def test_advance_stops_at_its_time():
    clock = VirtualClock()
    task = spawn(clock.sleep(5), name="sleeper")
    await clock.advance(4.9)
    assert not task.done()
    await clock.advance(0.1)
    assert task.done()


async def test_a_deadlock_is_reported_instead_of_hanging():
    with pytest.raises(AssertionError, match="deadlock"):
        await VirtualClock().run(asyncio.Event().wait())


async def test_within_gives_the_result_in_time_and_cancels_what_is_late():
    clock = VirtualClock()

    async def answer_after(seconds):
        await clock.sleep(seconds)
        return "answer"

    assert await clock.run(within(2, answer_after(1), clock=clock, spawn=spawn, name="call")) == "answer"
    with pytest.raises(TimeoutError, match="call: not done within 2 s"):
        await clock.run(within(2, answer_after(3), clock=clock, spawn=spawn, name="call"))
    assert clock.monotonic() == 1 + 2


async def test_within_passes_the_works_own_failure_on():
    clock = VirtualClock()

    async def fail():
        raise LookupError("its own")

    with pytest.raises(LookupError, match="its own"):
        await clock.run(within(2, fail(), clock=clock, spawn=spawn, name="call"))


async def _all(*work):
    await asyncio.gather(*work)
