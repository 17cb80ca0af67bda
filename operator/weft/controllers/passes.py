"""One pass over a run in memory: observe, advance, perform, write.

what its children, its approvals, its spec and its tasks tell          (gather)
  -> one pure step                                                     (engine.advance)
  -> what is about to be begun goes on record, after a restart         (record)
  -> actions, bounded and concurrent                                   (perform)
  -> one status write, progress coalesced                              (record)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import NamedTuple, TypeVar

from weft.api.conditions import Reason
from weft.api.objects import Obj
from weft.controllers import gather, leftovers
from weft.controllers.child_controls import ChildControls
from weft.controllers.child_runs import ChildRuns
from weft.controllers.hooks import Hooks
from weft.controllers.jobs import Jobs
from weft.controllers.live import LiveRun
from weft.controllers.loader import BUDGET, controls_of
from weft.controllers.perform import Performer
from weft.controllers.record import Record
from weft.controllers.run_facts import deleted, finished, rerun_asked
from weft.controllers.slow_starts import SlowStarts
from weft.engine import advance, judge
from weft.engine.actions import Start
from weft.engine.observation import AttemptEnded, AttemptPending, LockAnswer, Observation
from weft.engine.run import child_stop
from weft.kube.clock import Clock
from weft.kube.errors import ApiError
from weft.kube.store import ChildStore
from weft.metrics import Metrics

T = TypeVar("T")

_HEARD = AttemptPending | AttemptEnded | LockAnswer
"""What a pass may have heard while it acted: the next one takes it up at once, and writes what has come of it."""


class Next(NamedTuple):
    """When the run is looked at once more: at once, or else at that time (epoch seconds) at the latest.

    `failure` is the first thing that the API server refused, or could not do, in this pass.
    """

    at_once: bool
    at: float
    failure: ApiError | None = None


class Passes:
    """Makes them; knows nothing of a run but what the `LiveRun` holds."""

    def __init__(
        self,
        store: ChildStore,
        *,
        performer: Performer,
        jobs: Jobs,
        child_runs: ChildRuns,
        controls: ChildControls,
        slow_starts: SlowStarts,
        record: Record,
        hooks: Hooks,
        clock: Clock,
        metrics: Metrics,
        resync: float,
    ) -> None:
        self._store = store
        self._performer = performer
        self._jobs = jobs
        self._child_runs = child_runs
        self._controls = controls
        self._slow_starts = slow_starts
        self._record = record
        self._hooks = hooks
        self._clock = clock
        self._metrics = metrics
        self._resync = resync

    async def make(self, live: LiveRun, run: Obj) -> Next | None:
        """Look at everything that is new and do what follows from it; None: the run is over, and nothing of it runs.

        Its end is to be written then. What the API server refuses is still on the run's lists, and holds up nothing
        else: the status tells of all the others. Raises what no later pass can make good.
        """
        now = self._clock.now()
        if live.state.finished:
            self._rerun(live, run, now)
        observations = self._observations(live, run, now)
        live.state.dirty = live.state.dirty or now >= live.refresh_at
        result = advance.advance(live.state, observations, now, budget=BUDGET)
        live.pending.extend(result.actions)
        if result.stale:
            self._record.note_stale(live)
        count_ended(self._metrics, result)
        self._retry_held(live, now)
        self._slow_starts.take_over(live, now=now)
        if not live.announced and (live.podless or any(isinstance(action, Start) for action in live.pending)):
            await self._record.announce(live)
        failures: list[ApiError] = []
        await _tried(self._performer.perform(live), failures)
        await _tried(self._make_pods(live, now), failures)
        live.ended_at = None
        gather.catch_up(live)
        self._hooks.idle(live, leftovers.idle(live, self._store))
        await _tried(self._control_children(live), failures)
        strays = await _tried(self._stop_strays(live), failures)
        again = result.more or bool(live.inbox or live.touched)
        if live.state.finished and not (again or strays or failures):
            return None
        if not live.state.finished and not any(isinstance(seen, _HEARD) for seen in live.inbox):
            await _tried(self._record.progress(live), failures)
        at = self._next_look(live, result.wake_at, failed=bool(failures))
        return Next(again, at, failures[0] if failures else None)

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
        seen += gather.silent(live, self._store, now=now)
        if not live.scanned:
            live.scanned = True
            leftovers.drop_started(live, self._store)
            seen += gather.missing_jobs(live, self._store)
        for id_, unit in list(live.state.active.items()):
            if id_.attempt and unit.node.body.kind == "workflow":
                known = id_ in live.objects and id_ not in live.held
                live.objects.setdefault(id_, None)
                # While another run has its name, what that one tells is not about this one.
                ended = None if id_ in live.held else self._child_runs.seen(live, id_, known=known)
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
                    nodes=rerun.get("nodes") or (), now=now, budget=BUDGET,
                )  # fmt: skip
            except ValueError as error:  # it stays as it ended, and says why
                live.state.generation, live.state.dirty = generation, True
                live.state.message = f"rerun {generation} is refused: {error}"
                return
            live.pending.extend(result.actions)
            live.controlled = -1

    def _retry_held(self, live: LiveRun, now: float) -> None:
        """Begin what was held back and is due, and what waits for the attempt before: that may just have ended."""
        for id_, (action, at, reason) in list(live.held.items()):
            follows = action.after is not None and reason == Reason.PreviousPodRunning
            if at <= now or follows:
                del live.held[id_]
                live.pending.append(action)

    async def _make_pods(self, live: LiveRun, now: float) -> None:
        """Make the Pods that Jobs still lack: after a crash between the two, or once a quota has room.

        Raises the first failure after all have been tried.
        """
        due = [id_ for id_, at in live.podless.items() if at <= now]
        ids, calls = [], []
        for id_ in due:
            job = gather.job_of(live, self._store, id_)
            if job is None or id_ not in live.state.active or id_ in live.held:
                del live.podless[id_]  # what is held back is started later, Job or not
            elif not gather.overtaken(live, self._store, id_, now=now):
                ids.append(id_)
                calls.append(self._jobs.make_pod(live, id_, job))
        done = await asyncio.gather(*calls, return_exceptions=True)
        failed = {id_: result for id_, result in zip(ids, done, strict=True) if isinstance(result, BaseException)}
        for id_ in failed:  # the next pass makes them; else nothing would tell that they are missing
            live.podless.setdefault(id_, now)
        for error in failed.values():
            raise error

    async def _control_children(self, live: LiveRun) -> None:
        for child in self._standing_children(live):
            if not leftovers.is_stray(live, child):
                stop = child_stop(live.state.stop, live.state.stage)
                suspend = live.state.suspended and live.state.stop is None
                await self._controls.control(child, suspend=suspend, stop=stop)

    def _standing_children(self, live: LiveRun) -> list[Obj]:
        """The child runs that somebody still works on; one that is deleted ends by itself."""
        return [child for child in self._hooks.children(live) if not (finished(child) or deleted(child))]

    async def _stop_strays(self, live: LiveRun) -> bool:
        """Stop what nobody wants any more; True while any of it runs, for the run does not end before."""
        for id_, told in list(live.strays.items()):
            if not told:
                await self._jobs.stop(live, id_, Reason.Stopped)
                live.strays[id_] = True
        strays = [child for child in self._standing_children(live) if leftovers.is_stray(live, child)]
        for child in strays:
            await self._controls.stop(live, child)
        return bool(live.strays or strays)

    def _next_look(self, live: LiveRun, wake_at: float | None, *, failed: bool) -> float:
        now = self._clock.now()
        times = [each.at for each in live.held.values()] + list(live.podless.values())
        times += [each.at for each in live.unkept.values()]
        times += [gather.silent_until(live), gather.slow_start_at(live)]
        if wake_at is not None:
            times.append(wake_at)
        if not live.state.finished:  # then its end is written when nothing of it runs any more
            # A write that is due refreshes by itself: asking for both would spin until the interval has passed.
            times.append(now + self._record.until_due(live) if live.state.dirty else live.refresh_at)
        # What is due now has just failed: the queue comes back for it, with a growing pause.
        return min([now + self._resync, *(at for at in times if not failed or at > now)])


async def _tried(work: Awaitable[T], failures: list[ApiError]) -> T | None:
    """Do it; what the API server refuses is noted."""
    try:
        return await work
    except ApiError as error:
        failures.append(error)
        return None


def count_ended(metrics: Metrics, result: advance.Result) -> None:
    """Count the nodes that a step has brought to their end."""
    for node in result.ended:
        end = node.end or 0.0
        seconds = end - (node.start if node.start is not None else end)
        metrics.node_ended(phase=node.phase, reason=str(node.reason or ""), seconds=seconds)
