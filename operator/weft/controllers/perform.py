"""From actions to API calls: what the engine asks for is carried out, many at a time.

An action that fails for a reason that may pass stays in `live.pending` and is told of by the pass, so that the
work queue comes back for it with a growing pause; none is ever lost, and each may be done twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from weft.api.conditions import Reason, message_for
from weft.api.objects import Key
from weft.controllers.jobs import Jobs
from weft.controllers.leftovers import outlived
from weft.controllers.live import LiveRun, Unkept
from weft.controllers.locks import Answer, Holder, Locks
from weft.controllers.outside import Outside
from weft.controllers.patience import hold, refusal
from weft.engine.actions import Acquire, Action, AskApproval, LookUp, Note, Release, Remember, Start, Stop
from weft.engine.observation import CacheAnswer, LockAnswer
from weft.engine.state import AttemptId
from weft.kube.clock import Clock
from weft.kube.errors import ApiError
from weft.kube.store import ChildStore

Call = Start | Stop | LookUp | Remember
"""Actions that are carried out by others, and take their time."""

KEY_SECONDS = 2.0
"""How often is looked whether an attempt has the key by now that it should have had."""

KEEP_TRIES = 4
"""So often the end of a run waits for a result to be kept, tries before its end counted; then it is written without."""
LONGEST_KEEP_PAUSE = 300.0
"""Between tries while the run is active. Its end tries once more in any case."""


class Results(Protocol):
    """Outputs of earlier successes."""

    async def look_up(self, key: Key, workflow: str, node: str, cache_key: str, max_age: float | None) -> object:
        """Outputs, or None."""
        ...

    async def remember(
        self, key: Key, workflow: str, node: str, cache_key: str, outputs: object, *, last: bool = False
    ) -> None:
        """Keep outputs; at the last try nothing is raised."""
        ...


class Says(Protocol):
    """Writes Kubernetes events about a run."""

    def __call__(self, live: LiveRun, type_: str, reason: str, message: str) -> None:
        """Say it; never waits."""
        ...


class Performer:
    """Carries out a run's pending actions."""

    def __init__(
        self,
        store: ChildStore,
        jobs: Jobs,
        outside: Outside,
        locks: Locks,
        results: Results,
        say: Says,
        *,
        clock: Clock,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._outside = outside
        self._locks = locks
        self._results = results
        self._say = say
        self._clock = clock

    async def perform(self, live: LiveRun) -> None:
        """Carry out everything pending; raises a failure after all have been tried, before all one that is a bug."""
        actions = list(live.pending)
        live.pending.clear()
        for action in actions:
            if isinstance(action, Acquire | Release | Note | AskApproval):
                self._at_once(live, action)
        calls = [action for action in actions if not isinstance(action, Acquire | Release | Note | AskApproval)]
        if not live.state.finished:
            calls = self._due(live, calls)
        kept = [action for action in calls if isinstance(action, Remember)]
        if kept:  # first: the next item of a loop looks for it in the same pass; nobody else waits for either
            looks = [action for action in calls if isinstance(action, LookUp)]
            others = [action for action in calls if not isinstance(action, Remember | LookUp)]
            done = await asyncio.gather(self._in_turn(live, kept, looks), self._stops_last(live, others))
            failures = [failure for part in done for failure in part]
        else:
            failures = await self._stops_last(live, calls)
        if failures:
            raise next((failure for failure in failures if not isinstance(failure, ApiError)), failures[0])

    def _due(self, live: LiveRun, calls: Sequence[Call]) -> list[Call]:
        """All but the results that could not be kept and are to be tried later: those stay pending."""
        now = self._clock.now()
        later = {id_ for id_, unkept in live.unkept.items() if unkept.at > now}

        def waits(action: Call) -> bool:
            return isinstance(action, Remember) and action.id in later

        live.pending.extend(action for action in calls if waits(action))
        return [action for action in calls if not waits(action)]

    async def _stops_last(self, live: LiveRun, calls: Sequence[Call]) -> list[BaseException]:
        """A stop comes after the starts: it has to find what it is to stop."""
        stops = [action for action in calls if isinstance(action, Stop)]
        return await self._in_turn(live, [action for action in calls if not isinstance(action, Stop)], stops)

    async def _in_turn(self, live: LiveRun, first: Sequence[Call], then: Sequence[Call]) -> list[BaseException]:
        """Carry out all of the first, whatever becomes of them, before the others."""
        return await self._carry_out(live, first) + await self._carry_out(live, then)

    async def _carry_out(self, live: LiveRun, calls: Sequence[Call]) -> list[BaseException]:
        """Carry out calls at once; what fails is pending again, and is given."""
        done = await asyncio.gather(*(self._call(live, action) for action in calls), return_exceptions=True)
        failures = []
        for action, result in zip(calls, done, strict=True):
            if isinstance(result, BaseException):
                live.pending.append(action)
                failures.append(result)
                if isinstance(action, Stop) and isinstance(result, ApiError):
                    told = f"{action.id.path} cannot be stopped, and is tried again: {result.message}"
                    self._say(live, "Warning", refusal(result, otherwise=Reason.ApiServerError), told)
        return failures

    def _at_once(self, live: LiveRun, action: Acquire | Release | Note | AskApproval) -> None:
        match action:
            case Acquire():
                live.pending = deque(other for other in live.pending if not _gives_back(other, action.id))
                namespace, holder = live.key.namespace, Holder(live.run_key, action.id)
                answer = self._locks.acquire(
                    namespace, action.key, limit=action.limit, policy=action.policy, holder=holder
                )
                if answer is not Answer.Queued:
                    live.inbox.append(LockAnswer(action.id, answer is Answer.Granted))
            case Release() if outlived(live, self._store, action.id):
                live.pending.append(action)
            case Release():
                self._locks.release(Holder(live.run_key, action.id), live.key.namespace, action.key)
            case Note():
                self._say(live, action.type, action.reason, action.message)
            case AskApproval():
                live.look_at("Approval", "")  # decisions may have come before they were asked for

    async def _call(self, live: LiveRun, action: Call) -> None:
        workflow = live.ref.workflow or live.revision
        match action:
            case Start() if action.id not in live.state.active:
                return
            case Start() if (key := self._key_it_lacks(live, action.id)) is not None:
                message = message_for(Reason.WaitingForConcurrency, key=key)
                now = self._clock.now()
                hold(live, action, Reason.WaitingForConcurrency, message, now=now, seconds=KEY_SECONDS)
            case Start(kind="job"):
                await self._jobs.start(live, action)
            case Start():
                await self._outside.start(live, action)
            case Stop(kind="job"):
                await self._jobs.stop(live, action.id, action.reason)
            case Stop():
                await self._outside.stop(live, action.id, action.kind)
            case LookUp():
                found = await self._results.look_up(live.key, workflow, action.id.path, action.key, action.max_age)
                live.inbox.append(CacheAnswer(action.id, found))
            case Remember():
                await self._keep(live, workflow, action)

    async def _keep(self, live: LiveRun, workflow: str, action: Remember) -> None:
        """Keep a result; a run that has ended does so a few times, one that goes on ever more rarely."""
        tries = live.unkept[action.id].tries + 1 if action.id in live.unkept else 1
        last = live.state.finished and tries >= KEEP_TRIES
        path = action.id.path
        try:
            await self._results.remember(live.key, workflow, path, action.key, action.outputs, last=last)
        except ApiError:
            pause = min(LONGEST_KEEP_PAUSE, 2.0 ** min(tries, 10))
            live.unkept[action.id] = Unkept(tries, self._clock.now() + pause)
            raise
        live.unkept.pop(action.id, None)

    def _key_it_lacks(self, live: LiveRun, id_: AttemptId) -> str | None:
        """Give the concurrency key that the attempt needs and has not, and ask for it.

        The status says that it has it. But the last write of an operator that has died may have said so, when another
        run had been given the key already.
        """
        unit, namespace = live.state.active[id_], live.key.namespace
        holder = Holder(live.run_key, unit.gate)
        if unit.lock is None or self._locks.has(holder, namespace, unit.lock):
            return None
        limit = unit.node.concurrency_limit
        answer = self._locks.acquire(namespace, unit.lock, limit=limit, policy="Queue", holder=holder)
        return None if answer is Answer.Granted else unit.lock


def _gives_back(action: Action, gate: AttemptId) -> bool:
    return isinstance(action, Release) and action.id.unit == gate.unit
