"""Attempts that run in this process itself: their tasks, and how an end that no Pod tells of comes to its run.

What a task saw goes into the run's inbox and wakes its loop. A task that fails by a bug of ours ends its attempt.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from weft.api.conditions import Reason
from weft.api.objects import Key
from weft.controllers.live import LiveRun
from weft.engine.observation import AttemptEnded
from weft.engine.state import AttemptId
from weft.kube.clock import Clock, Spawn

_log = logging.getLogger(__name__)

Wake = Callable[[Key], None]


class Attempts:
    """Begins tasks, and tells their runs of the end."""

    def __init__(self, *, wake: Wake, clock: Clock, spawn: Spawn) -> None:
        self._wake = wake
        self._clock = clock
        self._spawn = spawn

    def begin(self, live: LiveRun, id_: AttemptId, work: Awaitable[None]) -> None:
        """Have the attempt's work done in a task, which `LiveRun.forget` cancels."""
        live.tasks[id_] = self._spawn(self._guarded(live, id_, work), name=f"{live.key.name}:{id_.path}")

    def end(self, live: LiveRun, id_: AttemptId, *, succeeded: bool, **told: Any) -> None:
        """Tell the run that the attempt has ended, and how: what `AttemptEnded` takes; all else of it is dropped."""
        live.tasks.pop(id_, None)  # it may be the one that tells: it is not to be cancelled
        live.forget(id_)
        live.inbox.append(AttemptEnded(id_, self._clock.now(), succeeded=succeeded, **told))
        live.urgent = True
        self._wake(live.key)

    async def _guarded(self, live: LiveRun, id_: AttemptId, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:
            _log.exception("%s %s failed", live.key, id_.path)
            self.end(live, id_, succeeded=False, reason=Reason.Error, message=f"{type(error).__name__}: {error}")
