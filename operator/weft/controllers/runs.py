"""The run loop: observe, advance, perform, write.

    key from the work queue
      -> the run from the cache, its state from memory (or restored from the status)
      -> what its children, its approvals, its spec and its tasks tell       (gather)
      -> one pure step                                                       (engine.advance)
      -> actions, bounded and concurrent                                     (perform)
      -> one status write, progress coalesced, an end at once                (writer)
      -> what the written status has recorded is let go                      (jobs.release)

One worker works on a run at a time, so nothing here needs a lock. Whatever fails raises: the work
queue comes back for the key, and everything that was not done is still on its list.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from weft.api.conditions import Reason, run_conditions
from weft.controllers import gather, leftovers
from weft.controllers.jobs import Jobs
from weft.controllers.live import LiveRun
from weft.controllers.loader import Loader, Refusal, controls_of
from weft.controllers.outside import Outside
from weft.controllers.perform import Performer
from weft.controllers.run_facts import finished, rerun_asked, rerun_wanted
from weft.controllers.writer import StatusWriter, Superseded, merge_patch
from weft.engine import advance, judge
from weft.engine.actions import Start
from weft.engine.observation import AttemptEnded, AttemptPending, Observation
from weft.engine.snapshot import stamp
from weft.engine.state import AttemptId
from weft.kube.client import Client
from weft.kube.clock import Clock
from weft.kube.errors import NotFound
from weft.kube.objects import Key, Obj, key_of, uid_of
from weft.kube.resources import WORKFLOW_RUNS
from weft.kube.store import ChildStore
from weft.kube.workqueue import WorkQueue
from weft.metrics import Metrics

_log = logging.getLogger(__name__)

BUDGET = 200
"""Units started in one pass: a wide graph shares the loop with its own first results."""


@dataclass(slots=True)
class Hooks:
    """What others are told (each status written, a fresher copy of a run), and what they know."""

    begins: Callable[[Obj], bool]
    idle: Callable[[LiveRun, list[AttemptId]], None]
    restored: Callable[[LiveRun], None]
    forgotten: Callable[[Key, str], None]
    written: Callable[[LiveRun, Obj], None]
    refresh: Callable[[Obj], None]
    vanished: Callable[[Obj], None]
    decisions: Callable[[LiveRun], list[Observation]]
    children: Callable[[LiveRun], list[Obj]]
    jobs_to_delete: Callable[[LiveRun], set[str]]


class RunController:
    """Carries out WorkflowRuns. `queue` calls `reconcile`; informers call `touch`."""

    def __init__(
        self,
        client: Client,
        store: ChildStore,
        *,
        find_run: Callable[[str, str], Obj | None],
        loader: Loader,
        performer: Performer,
        jobs: Jobs,
        outside: Outside,
        writer: StatusWriter,
        hooks: Hooks,
        clock: Clock,
        metrics: Metrics,
        resync: float,
    ) -> None:
        self._client = client
        self._store = store
        self._find_run = find_run
        self._loader = loader
        self._performer = performer
        self._jobs = jobs
        self._outside = outside
        self._writer = writer
        self._hooks = hooks
        self._clock = clock
        self._metrics = metrics
        metrics.active.add(self)
        self._resync = resync
        self._live: dict[str, LiveRun] = {}
        self._uids: dict[Key, str] = {}
        self.queue: WorkQueue[Key] | None = None

    def live(self, uid: str) -> LiveRun | None:
        """The run in memory with that UID."""
        return self._live.get(uid)

    def touch(self, uid: str, kind: str, name: str, gone: Obj | None, *, ended: bool) -> bool:
        """Note that a Job or Pod of the run has changed; False when the run is not in memory."""
        live = self._live.get(uid)
        if live is None:
            return False
        live.look_at(kind, name, gone)
        if ended and live.ended_at is None:
            live.ended_at = self._clock.monotonic()
        self._again(live.key)
        return True

    async def reconcile(self, key: Key) -> None:
        """One pass over a run."""
        run = self._find_run(*key)
        uid = self._uids.get(key)
        if uid is not None and (run is None or uid_of(run) != uid or run["metadata"].get("deletionTimestamp")):
            self._forget(key, uid)
        if run is None or run["metadata"].get("deletionTimestamp"):
            return
        live = self._live.get(uid_of(run))
        try:
            if live is None:
                run = await self._outside.with_its_parents(run)
                live = await self._load(run)
            elif not await self._still_there(live, run):
                return
            if live is not None:
                await self._pass(live, run)
        except Superseded as error:
            _log.info("run %s is read anew: %s", key, error)
            await self._ask_for(run)  # first: one that has ended gives its keys back when it is forgotten
            self._forget(key, uid_of(run))
            self._again(key)

    async def _still_there(self, live: LiveRun, run: Obj) -> bool:
        """Ask for the run when a Job of it has gone: it may have gone with its run, and nobody told us so (yet).

        Else its work would begin again, for a run that somebody has deleted. Where the run stands, the Job's Pods are
        asked for: one of them may have ended.
        """
        gone = [job for (kind, _), job in live.touched.items() if kind == "Job" and job is not None]
        if not gone or live.state.finished:
            return True
        found = await self._ask_for(run)
        there = found is not None and uid_of(found) == live.ref.uid and not found["metadata"].get("deletionTimestamp")
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
        live = self._live.pop(uid, None)
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
        return len(self._live), sum(len(live.state.active) for live in self._live.values())

    async def _load(self, run: Obj) -> LiveRun | None:
        key = key_of(run)
        if finished(run) and not rerun_wanted(run):
            return None
        loaded = await self._loader.load(run)
        if isinstance(loaded, Refusal):
            await self._refuse(run, loaded)
            return None
        live = loaded.live
        if (loaded.result is None or live.state.finished) and not self._hooks.begins(run):
            self._again(key)
            return None
        self._live[live.ref.uid] = live
        self._uids[key] = live.ref.uid
        result = loaded.result
        if result is None:
            # What the run starts with is on record before anything is created.
            live.scanned = True
            result = advance.enter(live.state, self._clock.now(), controls=controls_of(run), budget=BUDGET)
            live.pending.extend(result.actions)
            try:
                await self._announce(live)
            except BaseException:
                self._forget(key, live.ref.uid)  # begun anew, or as what was written after all
                raise
            live.controlled = live.generation
        else:
            live.pending.extend(result.actions)
            gather.touch_all(live, self._store)
            self._hooks.restored(live)
        self._count(result)
        return live

    async def _refuse(self, run: Obj, refusal: Refusal) -> None:
        """The run does not begin: say so in its status."""
        now = self._clock.now()
        old = run.get("status") or {}
        status: dict[str, Any] = {
            "observedGeneration": run["metadata"].get("generation", 1),
            "phase": str(refusal.phase),
            "conditions": run_conditions(
                phase=refusal.phase, reason=refusal.reason, message=refusal.message,
                previous=old.get("conditions") or (), now=datetime.fromtimestamp(now, UTC),
                generation=run["metadata"].get("generation", 1),
            ),
            "queuedTime": old.get("queuedTime") or stamp(now),
        }  # fmt: skip
        if refusal.phase.ended:
            status["completionTime"] = stamp(now)
            status["rerunGeneration"] = (run["spec"].get("rerun") or {}).get("generation")
        patch = merge_patch({k: v for k, v in old.items() if k in status}, status)
        namespace, name = key_of(run)
        if patch:
            body = {"metadata": {"resourceVersion": run["metadata"]["resourceVersion"]}, "status": patch}
            self._hooks.refresh(await self._client.patch_status(WORKFLOW_RUNS, name, body, namespace=namespace))
        if refusal.again_at is not None and self.queue is not None:
            self.queue.add_after(Key(namespace, name), refusal.again_at)
        if refusal.phase.ended:
            self._metrics.run_ended(outcome=str(refusal.phase), seconds=0.0)

    async def _pass(self, live: LiveRun, run: Obj) -> None:
        now = self._clock.now()
        if live.state.finished:
            self._rerun(live, run, now)
        observations = self._observations(live, run, now)
        live.state.dirty = live.state.dirty or now >= live.refresh_at
        result = advance.advance(live.state, observations, now, budget=BUDGET)
        live.pending.extend(result.actions)
        self._count(result)
        self._retry_held(live, now)
        if not live.announced and (live.podless or any(isinstance(action, Start) for action in live.pending)):
            await self._announce(live)
        await self._performer.perform(live)
        await self._make_pods(live, now)
        live.ended_at = None
        gather.catch_up(live)
        self._hooks.idle(live, leftovers.idle(live, self._store))
        await self._control_children(live)
        strays = await self._stop_strays(live)
        again = result.more or bool(live.inbox or live.touched)
        if live.state.finished and not again and not strays:
            await self._finish(live)
            return
        if not live.state.finished and not any(isinstance(seen, AttemptPending | AttemptEnded) for seen in live.inbox):
            await self._progress(live)  # else the next pass: what tells of an attempt tells what came of it
        self._schedule(live, result.wake_at, again=again)

    def _count(self, result: advance.Result) -> None:
        for node in result.ended:
            end = node.end or 0.0
            seconds = end - (node.start if node.start is not None else end)
            self._metrics.node_ended(phase=node.phase, reason=str(node.reason or ""), seconds=seconds)

    def _observations(self, live: LiveRun, run: Obj, now: float) -> list[Observation]:
        seen: list[Observation] = []
        generation = run["metadata"].get("generation", 1)
        if generation != live.controlled:
            live.controlled = live.generation = generation
            live.state.dirty = True
            seen.append(controls_of(run))
        seen += live.inbox
        live.inbox = []
        live.touched.pop(("Approval", ""), None)
        seen += self._hooks.decisions(live)
        seen += gather.children_seen(live, self._store, now=now)
        if not live.scanned:
            live.scanned = True
            leftovers.drop_started(live, self._store)
            seen += gather.missing_jobs(live, self._store)
        for id_, unit in list(live.state.active.items()):
            if id_.attempt and unit.node.body.kind == "workflow":
                known = id_ in live.objects and id_ not in live.held
                live.objects.setdefault(id_, None)
                ended = self._outside.child_seen(live, id_, known=known)
                if ended is not None:
                    live.forget(id_)
                    seen.append(ended)
        seen += self._resources_seen(live, now)
        return seen

    def _resources_seen(self, live: LiveRun, now: float) -> list[Observation]:
        seen: list[Observation] = []
        for id_ in list(live.tasks):
            unit, obj = live.state.active.get(id_), live.objects.get(id_)
            if unit is None:
                live.forget(id_)
            elif obj is not None and unit.node.body.kind == "resource":
                verdict = judge.judge_resource(live.state, unit, obj, now)
                if verdict is not None:
                    live.forget(id_)
                    seen.append(verdict)
        return seen

    def _rerun(self, live: LiveRun, run: Obj, now: float) -> None:
        generation = rerun_asked(run)
        if generation > live.state.generation:  # by the state: the rerun may have ended before any status told of it
            rerun = run["spec"]["rerun"]
            try:
                result = advance.restart(
                    live.state, generation=generation, mode=rerun.get("from", "Failed"),
                    nodes=rerun.get("nodes") or (), now=now,
                )  # fmt: skip
            except ValueError as error:  # it stays as it ended, and says why
                live.state.generation, live.state.dirty = generation, True
                live.state.message = f"rerun {generation} is refused: {error}"
                return
            live.pending.extend(result.actions)
            live.controlled = -1

    def _retry_held(self, live: LiveRun, now: float) -> None:
        for id_, (action, at) in list(live.held.items()):
            if at <= now or action.after is not None:
                del live.held[id_]
                live.pending.append(action)

    async def _make_pods(self, live: LiveRun, now: float) -> None:
        """Make the Pods that Jobs still lack: after a crash between the two, or once a quota has room."""
        due = [id_ for id_, at in live.podless.items() if at <= now]
        calls = []
        for id_ in due:
            job = gather.job_of(live, self._store, id_)
            if job is None or id_ not in live.state.active or id_ in live.held:
                del live.podless[id_]  # what is held back is started later, Job or not
            elif not gather.overtaken(live, self._store, id_, now=now):
                calls.append(self._jobs.make_pod(live, id_, job))
        await asyncio.gather(*calls)

    async def _control_children(self, live: LiveRun) -> None:
        for child in self._hooks.children(live):
            if not finished(child) and not leftovers.is_stray(live, child):
                spec: dict[str, Any] = {"suspend": live.state.suspended and live.state.stop is None}
                if live.state.stop == "Drain":  # anything harder reaches it as the stop of its attempt
                    spec["stop"] = "Drain"
                await self._outside.control(child, spec)

    async def _stop_strays(self, live: LiveRun) -> bool:
        """Stop what nobody wants any more; True while any of it runs, for the run does not end before."""
        for id_, told in list(live.strays.items()):
            if not told:
                await self._jobs.stop(live, id_, Reason.Stopped)
                live.strays[id_] = True
        strays = [
            child for child in self._hooks.children(live) if not finished(child) and leftovers.is_stray(live, child)
        ]
        for child in strays:
            await self._outside.stop_child(live, child)
        return bool(live.strays or strays)

    async def _progress(self, live: LiveRun) -> None:
        if live.state.dirty and (live.urgent or self._until_due(live) <= 0):
            await self._write(live)
        elif not live.state.dirty:
            await self._release(live)

    async def _announce(self, live: LiveRun) -> None:
        """Put on record what is about to be begun, before it is: at a run's start, and first of all after a restart.

        From then on nothing is accepted any more of what a process that has died may have written in its last moment:
        it would be based on an older version.
        """
        ids = [*(action.id for action in live.pending if isinstance(action, Start)), *live.podless]
        starting = [live.state.active[id_] for id_ in ids if id_ in live.state.active]
        for unit in starting:
            unit.unmade = True
        try:
            await self._write(live)
        finally:
            for unit in starting:
                unit.unmade = False
        live.announced = True
        live.state.dirty = live.state.dirty or bool(starting)  # that they have been made is told soon, too

    async def _write(self, live: LiveRun) -> None:
        releases, live.releases = live.releases, []
        try:
            stored = await self._writer.write(live)
        finally:
            live.releases = releases + live.releases
        self._hooks.written(live, stored)
        await self._release(live)

    async def _release(self, live: LiveRun) -> None:
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

    async def _finish(self, live: LiveRun) -> None:
        """The run is over: its end is written at once, its children are let go, others are told."""
        if live.state.dirty:
            await self._write(live)
        await self._release(live)
        seconds = (live.state.ended_at or 0.0) - live.state.start
        self._metrics.run_ended(outcome=live.state.outcome or "Failed", seconds=seconds)
        self._forget(live.key, live.ref.uid)
        run = self._find_run(*live.key)
        if run is not None and rerun_wanted(run):  # since before it ended: nothing will tell of it again
            self._again(live.key)

    def _schedule(self, live: LiveRun, wake_at: float | None, *, again: bool) -> None:
        queue = self.queue
        assert queue is not None
        if again:
            queue.add(live.key)
        now = self._clock.now()
        times = [at for _, at in live.held.values()] + list(live.podless.values())
        if wake_at is not None:
            times.append(wake_at)
        if not live.state.finished:  # then its end is written when nothing of it runs any more
            # A write that is due refreshes by itself: asking for both would spin until the interval has passed.
            times.append(now + self._until_due(live) if live.state.dirty else live.refresh_at)
        queue.add_after(live.key, min([now + self._resync, *times]))

    def _until_due(self, live: LiveRun) -> float:
        """Seconds until the next progress may be written; what is less than a millisecond off is due."""
        seconds = self._writer.due_at(live) - self._clock.monotonic()
        return seconds if seconds > 0.001 else 0.0

    def _again(self, key: Key) -> None:
        if self.queue is not None:
            self.queue.add(key)
