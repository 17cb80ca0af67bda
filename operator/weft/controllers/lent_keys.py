"""Concurrency keys by what stands in the cluster: after a restart, and when a run has gone before its Pods.

Statuses say who holds a key, and may be behind; a Job or Pod that was made with a key bears its name. Each is lent its
key before any run is worked on, so that nobody else gets it meanwhile. What was lent for nothing is given back when the
run has been read: its attempt is over, or nothing stands of it any more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from weft.api.objects import Obj, annotation
from weft.controllers.gather import attempt_of
from weft.controllers.jobs import LOCK_ANNOTATION
from weft.controllers.live import LiveRun
from weft.controllers.locks import Holder, Locks, held_keys
from weft.controllers.run_facts import finished, identity
from weft.engine.actions import Release
from weft.engine.lookup import settled
from weft.engine.state import AttemptId
from weft.kube.resources import PODS
from weft.kube.store import ChildStore, RunKey, run_key_of
from weft.render.observe import pod_fact


class LentKeys:
    """Lends keys to what stands at the start, and takes back what nobody needs."""

    def __init__(self, locks: Locks, store: ChildStore, *, is_active: Callable[[RunKey], bool]) -> None:
        """Take the table, the Jobs and Pods, and who knows whether a run has not ended."""
        self._locks = locks
        self._store = store
        self._is_active = is_active
        self._lent: defaultdict[RunKey, list[_KeyHad]] = defaultdict(list)  # by run, for its Jobs and Pods

    def restore(self, runs: Iterable[Obj]) -> None:
        """Lend every key to those who had it, by the statuses, and by Jobs and Pods that no status may tell of yet.

        A Job whose Pod has ended counts, too: its node is still to be told that it had the key, and would else wait for
        a later node of its own run. A Pod counts by itself: somebody may have deleted its Job.
        """
        for run in runs:
            if not finished(run):
                run_key = identity(run)
                for key, gate in held_keys(run.get("status") or {}):
                    self._locks.restore(run_key.namespace, key, Holder(run_key, gate))
        for child in (*self._store.jobs, *self._store.pods):
            run_key = run_key_of(child)
            held = _key_had(child, run_key.uid)
            if held is None:
                continue
            active = self._is_active(run_key)
            if active or _runs(child):
                self._locks.restore(run_key.namespace, held.key, Holder(run_key, held.attempt.gate))
                if active:
                    self._lent[run_key].append(held)

    def give_back(self, live: LiveRun) -> None:
        """The run has been read: give back what was lent for attempts that are over, or of which nothing stands.

        No end of theirs will do it. It is not free before their Pods have ended, where these run on.
        """
        children = self._store.children(*live.run_key)
        standing = (*(family.job for family in children.jobs), *children.orphans)
        had = [held for child in standing if (held := _key_had(child, live.ref.uid)) is not None]
        for gate, unit in live.state.locks.items():
            if unit.lock is not None:
                limit = unit.node.concurrency_limit
                self._locks.learn(live.key.namespace, unit.lock, Holder(live.run_key, gate), limit)
        wanted = {gate.unit for gate in live.state.locks}
        wanted |= {held.attempt.unit for held in had if not settled(live.state, held.attempt)}
        for key, gate in dict.fromkeys(
            (held.key, held.attempt.gate) for held in (*self._lent.pop(live.run_key, ()), *had)
        ):
            if gate.unit not in wanted:
                live.pending.appendleft(Release(gate, key))

    def take_back(self, live: LiveRun, idle: list[AttemptId]) -> None:
        """Take keys back from attempts that have run before a crash and come to their turn later."""
        for attempt in idle:
            self._locks.give_back(Holder(live.run_key, attempt.gate))

    def forget(self, run: RunKey) -> None:
        """The run is over, or was deleted: its keys are free but for those of Pods that still run.

        Call it again when one of these has ended: a Pod that is deleted with its run takes its time to end.
        """
        self._lent.pop(run, None)
        if not self._locks.knows(run):
            return  # the children of a large run are not gone through for every Pod that ends
        children = self._store.children(run.namespace, run.uid)
        had = (_key_had(pod, run.uid) for pod in children.pods if _runs(pod))
        used = {Holder(run, held.attempt.gate).unit for held in had if held is not None}
        self._locks.forget(run, used=used)


class _KeyHad(NamedTuple):
    key: str
    attempt: AttemptId


def _runs(child: Obj) -> bool:
    return child["kind"] == PODS.kind and not pod_fact(child).ended


def _key_had(child: Obj, uid: str) -> _KeyHad | None:
    """The concurrency key that a Job or Pod of the run was made for."""
    key = annotation(child, LOCK_ANNOTATION)
    attempt = attempt_of(child, uid) if key else None
    return _KeyHad(key, attempt) if key and attempt is not None else None
