"""The tasks of something that may have to end at once: all that it started, and nothing of it goes on."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from weft.kube.clock import Spawn

T = TypeVar("T")


class Tasks:
    """A `Spawn` that remembers what it started, for as long as it runs."""

    def __init__(self, spawn: Spawn) -> None:
        """Take what really starts tasks."""
        self._spawn = spawn
        self._running: set[asyncio.Task[Any]] = set()

    def __call__(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Start the work and give its task."""
        task = self._spawn(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def end(self) -> None:
        """Cancel whatever runs, and what that starts at its end, and return when none is left."""
        while self._running:
            running = list(self._running)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
