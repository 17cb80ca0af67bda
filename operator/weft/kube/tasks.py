"""The tasks of something that may have to end at once: all that it started, and nothing of it goes on.

One that fails does so by a bug, and unseen, for nobody awaits it: what it did would never be done again.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from weft.kube.clock import Spawn

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Tasks:
    """A `Spawn` that remembers what it started, for as long as it runs."""

    def __init__(self, spawn: Spawn, *, on_broken: Callable[[], None]) -> None:
        """Take what really starts tasks, and whom to tell when one of them has failed."""
        self._spawn = spawn
        self._on_broken = on_broken
        self._running: set[asyncio.Task[Any]] = set()

    def __call__(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Start the work and give its task."""
        task = self._spawn(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.critical("%s has failed, which nothing but a bug can do", task.get_name(), exc_info=task.exception())
            self._on_broken()

    async def end(self) -> None:
        """Cancel whatever runs, and what that starts at its end, and return when none is left."""
        while self._running:
            running = list(self._running)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
