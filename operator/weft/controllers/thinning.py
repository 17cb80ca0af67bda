"""Lets the oldest ended Jobs of a run go while it goes on: a loop of a hundred thousand rounds would fill etcd.

What `jobs.keep` lets go of when a run has ended goes before, but for the newest: those are what somebody looks at. They
are looked for only when many have ended since, so that the looking costs little for each; and only where the written
status tells of their ends, since a Job that is gone tells nothing after a restart. Nothing is remembered beyond what is
about to go: what was not deleted is found again, the next time or by the run's clean-up.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import islice

from weft.api.objects import Obj, key_of, uid_of
from weft.controllers.gather import attempt_by
from weft.controllers.live import LiveRun
from weft.controllers.removal import Removal, may_go
from weft.controllers.retention import jobs_to_delete, kept_jobs
from weft.engine.lookup import settled
from weft.kube.clock import Clock
from weft.kube.errors import ApiError
from weft.kube.store import ChildStore, JobFamily
from weft.render.observe import JobState, job_fact

_log = logging.getLogger(__name__)

KEPT_JOBS = 1000
"""Ended Jobs, the newest, that stay with a run as long as it is active."""
MORE_JOBS = 500
"""So many more have to have ended before the oldest are looked for; a quarter of what stays, where that is more."""
AT_ONCE, MOST_AT_ONCE = 4, 32
"""Deletions under way; one for each 32 that wait, between these: they are to keep pace, and crowd out no live run."""
PAUSE_SECONDS = 1.0
"""After a deletion that has failed."""


class Thinning:
    """Deletes surplus Jobs of active runs, from `run`, a few at once: no live run is to wait for it."""

    def __init__(self, store: ChildStore, removal: Removal, *, clock: Clock) -> None:
        """Take who knows the Jobs, and who deletes them."""
        self._store = store
        self._removal = removal
        self._clock = clock
        self._surplus: dict[str, Obj] = {}  # by UID
        self._filled = asyncio.Event()

    def look(self, live: LiveRun) -> None:
        """Find the surplus of a run whose status tells all that the engine knows."""
        ended = self._store.job_count(*live.run_key) - live.state.pods
        stayed = max(KEPT_JOBS, live.ended_jobs)
        if ended < stayed + max(MORE_JOBS, stayed // 4):
            return
        over = [family for family in self._store.children(*live.run_key).jobs if self._is_over(live, family)]
        going = sorted(jobs_to_delete(kept_jobs(live.frozen), over), key=_age)
        going = going[: max(0, len(going) - KEPT_JOBS)]
        live.ended_jobs = ended - len(going)
        surplus = {uid_of(job): job for job in going}
        live.surplus = frozenset(surplus)
        self._surplus |= surplus
        if surplus:
            self._filled.set()

    async def run(self) -> None:
        """Delete until cancelled."""
        while True:
            if not self._surplus:
                self._filled.clear()
                await self._filled.wait()
            at_once = min(MOST_AT_ONCE, max(AT_ONCE, len(self._surplus) // 32))
            some = [self._surplus.pop(uid) for uid in tuple(islice(self._surplus, at_once))]
            if not all(await asyncio.gather(*map(self._remove, some))):
                await self._clock.sleep(PAUSE_SECONDS)

    async def _remove(self, job: Obj) -> bool:
        try:
            await self._removal.remove(job)
        except ApiError as error:
            _log.warning("cannot delete the ended Job %s/%s: %s", *key_of(job), error)
            return False
        except Exception:  # of a single one; the others go
            _log.exception("cannot delete the ended Job %s/%s", *key_of(job))
            return False
        return True

    def _is_over(self, live: LiveRun, family: JobFamily) -> bool:
        """Whether a Job has its final status, nothing of it runs or waits to be recorded, and nobody awaits its end."""
        if job_fact(family.job).state not in (JobState.Succeeded, JobState.Failed) or not all(map(may_go, family.pods)):
            return False
        id_ = attempt_by(live, self._store, family.job)
        return id_ is not None and settled(live.state, id_)


def _age(job: Obj) -> tuple[str, str]:
    return job["metadata"].get("creationTimestamp") or "", job["metadata"]["name"]
