"""The run loop: which runs are in memory, and what becomes of a key from the work queue.

    key from the work queue
      -> the run from the cache, its state from memory (or restored from the status: `loader`)
      -> one pass: observe, advance, perform, write                          (passes)
      -> the key comes back at once, or later; or the run is over and is forgotten

One worker works on a run at a time, so nothing here needs a lock. Whatever fails raises: the work
queue comes back for the key, and everything that was not done is still on its list.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from weft.api.conditions import run_conditions
from weft.api.objects import Key, Obj, key_of, uid_of
from weft.api.times import milli_timestamp
from weft.controllers import gather
from weft.controllers.child_controls import ChildControls
from weft.controllers.compiler import Compiling
from weft.controllers.hooks import Hooks
from weft.controllers.jobs import Jobs
from weft.controllers.live import LiveRun
from weft.controllers.loader import BUDGET, Loader, Refusal, controls_of
from weft.controllers.passes import Passes, count_ended
from weft.controllers.record import Record
from weft.controllers.refused import all_cancelled
from weft.controllers.run_facts import at_rest, deleted, identity, rerun_asked, rerun_wanted
from weft.controllers.seen import catching_up
from weft.controllers.writer import Superseded, merge_patch
from weft.engine import advance
from weft.kube.client import Client
from weft.kube.clock import Clock
from weft.kube.errors import NotFound
from weft.kube.resources import WORKFLOW_RUNS
from weft.kube.store import ChildStore, RunKey
from weft.kube.workqueue import WorkQueue
from weft.metrics import Metrics

_log = logging.getLogger(__name__)


class RunController:
    """Carries out WorkflowRuns. `queue` calls `reconcile`; informers call `touch`."""

    def __init__(
        self,
        client: Client,
        store: ChildStore,
        *,
        find_run: Callable[[str, str], Obj | None],
        loader: Loader,
        jobs: Jobs,
        controls: ChildControls,
        record: Record,
        passes: Passes,
        hooks: Hooks,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._client = client
        self._store = store
        self._find_run = find_run
        self._loader = loader
        self._jobs = jobs
        self._controls = controls
        self._record = record
        self._passes = passes
        self._hooks = hooks
        self._clock = clock
        self._metrics = metrics
        metrics.active.add(self)
        self._live: dict[RunKey, LiveRun] = {}
        self._uids: dict[Key, str] = {}
        self.queue: WorkQueue[Key] | None = None

    def live(self, run: RunKey) -> LiveRun | None:
        """The run, if it is in memory."""
        return self._live.get(run)

    def touch(self, run: RunKey, kind: str, name: str, gone: Obj | None, *, ended: bool) -> bool:
        """Note that a Job or Pod of the run has changed; False when the run is not in memory."""
        live = self._live.get(run)
        if live is None:
            return False
        live.look_at(kind, name, gone)
        if ended and live.ended_at is None:
            live.ended_at = self._clock.monotonic()
        self._again(live.key, first=ended)
        return True

    async def reconcile(self, key: Key) -> None:
        """One pass over a run."""
        run = self._find_run(*key)
        uid = self._uids.get(key)
        if uid is not None and (run is None or uid_of(run) != uid or deleted(run)):
            self._forget(key, uid)
        if run is None or deleted(run):
            self._loader.forget(key)
            return
        live = self._live.get(identity(run))
        try:
            if live is None:
                run = await self._controls.with_its_parents(run)
                live = await self._load(run)
            elif not await self._still_there(live, run):
                return
            if live is not None:
                await self._work_on(live, run)
        except Compiling as error:  # the worker is free for others meanwhile
            error.done.add_done_callback(lambda _: self._again(key))
        except Superseded as error:
            _log.info("run %s is read anew: %s", key, error)
            await self._ask_for(run)  # first: one that has ended gives its keys back when it is forgotten
            self._forget(key, uid_of(run))
            self._again(key)

    async def _work_on(self, live: LiveRun, run: Obj) -> None:
        following = await self._passes.make(live, run)
        if following is None:
            await self._finish(live)
        elif self.queue is not None:
            if following.at_once:
                self.queue.add(live.key)
            self.queue.add_after(live.key, following.at)
            if following.failure is not None:  # the queue comes back for it, or sooner for what is due before
                raise following.failure

    async def _still_there(self, live: LiveRun, run: Obj) -> bool:
        """Ask for the run when a Job of it has gone: it may have gone with its run, and nobody told us so (yet).

        Else its work would begin again, for a run that somebody has deleted. Where the run stands, the Job's Pods are
        asked for: one of them may have ended.
        """
        jobs = (job for (kind, _), job in live.touched.items() if kind == "Job" and job is not None)
        gone = [job for job in jobs if uid_of(job) not in live.surplus]
        if not gone or live.state.finished:
            return True
        found = await self._ask_for(run)
        there = found is not None and uid_of(found) == live.ref.uid and not deleted(found)
        if there:
            await self._jobs.find_pods(live, gone)
        else:
            self._forget(live.key, live.ref.uid)
        return there

    async def _ask_for(self, run: Obj) -> Obj | None:
        """The run as the API server has it now, None when it has gone; the others are told."""
        try:
            found = await self._client.get(WORKFLOW_RUNS, key_of(run).name, namespace=key_of(run).namespace)
        except NotFound:
            self._hooks.vanished(run)
            return None
        self._hooks.refresh(found)
        return found

    def _forget(self, key: Key, uid: str) -> None:
        live = self._live.pop(RunKey(key.namespace, uid), None)
        self._uids.pop(key, None)
        if live is not None:
            for id_ in list(live.tasks):
                live.forget(id_)
        self._hooks.forgotten(key, uid)

    def drop(self) -> None:
        """Forget every run at once: somebody else works on them now."""
        self._live.clear()
        self._uids.clear()

    def active(self) -> tuple[int, int]:
        """Give the numbers of runs in memory, and of their nodes that are running or waiting."""
        return len(self), sum(len(live.state.active) for live in self._live.values())

    def __len__(self) -> int:
        """Give the number of runs in memory."""
        return len(self._live)

    async def _load(self, run: Obj) -> LiveRun | None:
        key = key_of(run)
        if at_rest(run):
            await self._catch_up(run)
            return None
        loaded = await self._loader.load(run)
        if isinstance(loaded, Refusal):
            await self._refuse(run, loaded)
            return None
        live = loaded.live
        if (loaded.result is None or live.state.finished) and not self._hooks.begins(run):
            self._again(key)
            return None
        self._live[live.run_key] = live
        self._uids[key] = live.ref.uid
        result = loaded.result
        if result is None:
            # What the run starts with is on record before anything is created.
            live.scanned = True
            result = advance.enter(live.state, self._clock.now(), controls=controls_of(run), budget=BUDGET)
            live.pending.extend(result.actions)
            try:
                await self._record.announce(live)
            except BaseException:
                self._forget(key, live.ref.uid)  # begun anew, or as what was written after all
                raise
            live.controlled = live.generation
        else:
            live.pending.extend(result.actions)
            gather.touch_all(live, self._store)
            self._hooks.restored(live)
        count_ended(self._metrics, result)
        return live

    async def _refuse(self, run: Obj, refusal: Refusal) -> None:
        """The run does not begin, or does not go on: say so in its status."""
        now = self._clock.now()
        old = run.get("status") or {}
        status: dict[str, Any] = {
            "observedGeneration": run["metadata"].get("generation", 1),
            "phase": str(refusal.phase),
            "conditions": run_conditions(
                phase=refusal.phase, reason=refusal.reason, message=refusal.message,
                previous=old.get("conditions") or (), now=now,
                generation=run["metadata"].get("generation", 1),
            ),
            "queuedTime": old.get("queuedTime") or milli_timestamp(now),
        }  # fmt: skip
        if refusal.phase.ended:
            status |= all_cancelled(old, refusal.reason, now)
            status["completionTime"] = milli_timestamp(now)
            status["rerunGeneration"] = rerun_asked(run) or None
        patch = merge_patch({k: v for k, v in old.items() if k in status}, status)
        namespace, name = key_of(run)
        if patch:
            run = await self._told(run, patch)
        if refusal.again_at is not None and self.queue is not None:
            self.queue.add_after(Key(namespace, name), refusal.again_at)
        if refusal.phase.ended:
            self._loader.forget(Key(namespace, name))
            self._hooks.refused(run, str(refusal.phase), refusal.message)
            self._metrics.run_ended(outcome=str(refusal.phase), seconds=None)

    async def _catch_up(self, run: Obj) -> None:
        """The run is over: what somebody has changed of its controls since is taken note of."""
        patch = catching_up(run)
        if patch is not None:
            with suppress(NotFound):  # just deleted
                await self._told(run, patch)

    async def _told(self, run: Obj, patch: dict[str, Any]) -> Obj:
        """Change the status of a run that is not in memory, if it still is as it was; gives the run as it is then."""
        body = {"metadata": {"resourceVersion": run["metadata"]["resourceVersion"]}, "status": patch}
        key = key_of(run)
        run = await self._client.patch_status(WORKFLOW_RUNS, key.name, body, namespace=key.namespace)
        self._hooks.refresh(run)
        return run

    async def _finish(self, live: LiveRun) -> None:
        """The run is over: its end is written at once, its children are let go, others are told."""
        if live.state.dirty:
            await self._record.write(live)
        await self._record.release(live)
        seconds = (live.state.ended_at or 0.0) - live.state.start
        self._metrics.run_ended(outcome=live.state.outcome or "Failed", seconds=seconds)
        self._forget(live.key, live.ref.uid)
        run = self._find_run(*live.key)
        if run is not None and rerun_wanted(run):  # since before it ended: nothing will tell of it again
            self._again(live.key)

    def _again(self, key: Key, *, first: bool = False) -> None:
        if self.queue is not None:
            self.queue.add(key, first=first)
