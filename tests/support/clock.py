"""A clock for tests: time stands still until the test moves it, or until nothing else is left to do.

    clock = VirtualClock()
    await clock.run(something())        # jumps to the next sleeper whenever everything else is idle
    await clock.advance(5)              # moves five seconds on, waking sleepers in order

Only for code whose waiting goes through the clock: with real sockets or threads, "idle" would be a guess.
"""

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

START = 1_700_000_000.0
BUSY_TURNS = 10_000
"""Turns of the event loop in one instant, after which nobody believes that it will ever end."""


class BusyLoop(AssertionError):
    """Somebody does things over and over again without letting time pass."""


async def at_once(work: Callable[[], T]) -> T:
    """Implements `weft.kube.clock.Aside`: long work takes no time at all."""
    return work()


class VirtualClock:
    """Implements `weft.kube.clock.Clock`. `slept` lists every sleep that was asked for."""

    def __init__(self, start: float = START):
        self._start = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self.slept: list[float] = []

    def now(self) -> float:
        return self._start + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        alarm = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, len(self.slept), alarm))
        await alarm

    def set_wall(self, now: float) -> None:
        """Set the wall clock, as an administrator would; monotonic time is not moved."""
        self._start = now - self._elapsed

    async def advance(self, seconds: float) -> None:
        """Move on by that much, letting everything that wakes up on the way run until it waits again."""
        until = self._elapsed + seconds
        await settle()
        while (at := self._next()) is not None and at <= until:
            self._wake_next()
            await settle()
        self._elapsed = until

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Give the work's result, moving time on whenever nothing but sleeping is left to do."""
        task = asyncio.ensure_future(work)
        try:
            while True:
                await settle()
                if task.done():
                    return task.result()
                if self._next() is None:
                    raise AssertionError("deadlock: the work waits, and nobody sleeps")
                self._wake_next()
        finally:
            task.cancel()
            await settle()

    def _next(self) -> float | None:
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def _wake_next(self) -> None:
        at, _, alarm = heapq.heappop(self._sleepers)
        self._elapsed = max(self._elapsed, at)
        alarm.set_result(None)


async def settle() -> None:
    """Return when every other task waits for something that is not yet there."""
    loop: Any = asyncio.get_running_loop()
    for _ in range(BUSY_TURNS):
        await asyncio.sleep(0)
        if not loop._ready:
            return
    raise BusyLoop(f"time stands still: {BUSY_TURNS} turns of the event loop in one instant")
