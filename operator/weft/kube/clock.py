"""Time and tasks, as the shell asks for them.

Nothing in Weft calls `time.time()`, `asyncio.sleep()` or `asyncio.create_task()` by itself: it is handed a `Clock`, a
`Spawn` and an `Aside`, so that the whole operator can run in virtual time on a simulated API server. Two clocks stand
behind one protocol because they answer different questions: `now()` is the wall clock that people and statuses speak
(epoch seconds), `monotonic()` is the one that measures durations and never jumps.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Tells the time and waits for it."""

    def now(self) -> float:
        """Give the wall clock's time in seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Give seconds from an arbitrary start; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds; at least one turn of the event loop passes."""
        ...


class Spawn(Protocol):
    """Starts a coroutine as a task of its own."""

    def __call__(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Start the work and give its task; the caller keeps the reference."""
        ...


class Aside(Protocol):
    """Does work that takes long and touches nothing, while the event loop goes on."""

    def __call__(self, work: Callable[[], T]) -> Awaitable[T]:
        """Give what the work gives, or raise what it raises."""
        ...


class SystemClock:
    """The real clocks of this machine."""

    def now(self) -> float:
        """Give the wall clock's time in seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Give seconds from an arbitrary start; never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        await asyncio.sleep(max(0.0, seconds))


def spawn(work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Start the work on the running event loop: the `Spawn` of a real process."""
    return asyncio.get_running_loop().create_task(work, name=name)


async def within(seconds: float, work: Coroutine[Any, Any, T], *, clock: Clock, spawn: Spawn, name: str) -> T:
    """Give the work's result, or raise TimeoutError (the work cancelled) when the clock says that time is up.

    `asyncio.timeout` would ask the event loop's own clock, which a simulation does not move.
    """
    task = spawn(work, name=name)
    alarm = spawn(clock.sleep(seconds), name=f"{name}.alarm")
    try:
        await asyncio.wait({task, alarm}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise TimeoutError(f"{name}: not done within {seconds:g} s")
    finally:
        task.cancel()
        alarm.cancel()
        await asyncio.gather(task, alarm, return_exceptions=True)
