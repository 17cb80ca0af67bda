"""A run's record: its status is written, and then what the written status has recorded is let go.

Progress is coalesced, an end is written at once, and what a process begins first is on record before it is begun.
"""

from __future__ import annotations

import asyncio

from weft.controllers.hooks import Hooks
from weft.controllers.jobs import Jobs
from weft.controllers.live import LiveRun
from weft.controllers.thinning import Thinning
from weft.controllers.writer import StatusWriter
from weft.engine.actions import Start
from weft.kube.clock import Clock

MADE_IS_TOLD_SECONDS = 1.0
"""After that (later, where many runs are active) a status tells that what was announced is made, unless one was due
anyway; short runs are spared it.

Until then its Job and Pod alone tell it: should both be deleted while no operator is there, it is made again.
"""


class Record:
    """Writes statuses, and lets the Pods and Jobs go that they tell of."""

    def __init__(self, writer: StatusWriter, jobs: Jobs, thinning: Thinning, *, hooks: Hooks, clock: Clock) -> None:
        self._writer = writer
        self._jobs = jobs
        self._thinning = thinning
        self._hooks = hooks
        self._clock = clock

    async def progress(self, live: LiveRun) -> None:
        """Write what is due, or let go what needs no writing."""
        if live.state.dirty and (live.urgent or self.until_due(live) <= 0):
            await self.write(live)
        elif not live.state.dirty:
            await self.release(live)

    def note_stale(self, live: LiveRun) -> None:
        """Have what has changed told of with the next status, or soon by one of its own: nobody waits for it."""
        self._writer.refresh_within(live, 0.0)

    async def announce(self, live: LiveRun) -> None:
        """Put on record what is about to be begun, before it is: at a run's start, and first of all after a restart.

        From then on nothing is accepted any more of what a process that has died may have written in its last moment:
        it would be based on an older version. (`restarts` has it differ from what is there.)
        """
        await self.write(live)
        live.announced = True

    async def write(self, live: LiveRun) -> None:
        """Write the status, whenever the last one was; raises `Superseded` when somebody else has.

        What is still to be started is told of as unmade: only because of that it is begun after a restart, and not
        taken for something that somebody has deleted. A Job that stands and only lacks its Pod is not told of so:
        should somebody delete it, it is not made again.
        """
        starts = (action.id for action in live.pending if isinstance(action, Start))
        starting = [live.state.active[id_] for id_ in starts if id_ in live.state.active]
        releases, live.releases = live.releases, []
        for unit in starting:
            unit.unmade = True
        try:
            stored = await self._writer.write(live)
        finally:
            live.releases = releases + live.releases
            for unit in starting:
                unit.unmade = False
        if starting:
            self._writer.refresh_within(live, MADE_IS_TOLD_SECONDS)
        self._hooks.written(live, stored)
        await self.release(live)

    async def release(self, live: LiveRun) -> None:
        """Let go what the written status tells of; what fails stays on the list, and raises."""
        releases, live.releases = live.releases, []
        goes = self._hooks.jobs_to_delete(live) if live.state.finished else set()
        calls = [
            self._jobs.release(live, r, job_goes=r.job is not None and r.job["metadata"]["name"] in goes)
            for r in releases
        ]
        done = await asyncio.gather(*calls, return_exceptions=True)
        for release, result in zip(releases, done, strict=True):
            if isinstance(result, BaseException):
                live.releases.append(release)
        if live.releases:
            raise next(result for result in done if isinstance(result, BaseException))
        if not live.state.finished:
            self._thinning.look(live)

    def until_due(self, live: LiveRun) -> float:
        """Seconds until the next progress may be written; what is less than a millisecond off is due."""
        seconds = self._writer.due_at(live) - self._clock.monotonic()
        return seconds if seconds > 0.001 else 0.0
