"""What stands in the cluster from before a crash, beside what the engine knows of: Pods above all.

The status that a run is restored from may be behind: attempts were begun that it does not tell of (`live.ahead`), and
some of these the engine decides otherwise about (`live.strays`). Until it has caught up, no limit may be exceeded
because of them, and no key may be free that one of their Pods still uses.
"""

from __future__ import annotations

from collections import deque

from weft.api.objects import Obj
from weft.controllers.gather import attempt_of
from weft.controllers.live import LiveRun
from weft.controllers.locks import Holder, Locks
from weft.engine.actions import Start
from weft.engine.lookup import settled
from weft.engine.state import AttemptId
from weft.kube.store import ChildStore
from weft.render.observe import pod_fact


def idle(live: LiveRun, store: ChildStore) -> list[AttemptId]:
    """Attempts that are still to start and of which nothing runs, while another of the run waits for a key.

    They have run before a crash and need no key before it is their turn again. One that asks for it keeps it.
    """
    if not live.ahead:
        return []
    keyed = (id_ for id_, unit in live.state.active.items() if unit.lock is not None)
    asking = {id_.unit for id_ in keyed}
    if not asking:
        return []
    return [
        id_
        for id_, children in live.ahead.items()
        if id_.unit not in asking and not any(_runs(live, store, *child) for child in children)
    ]


def outlived(live: LiveRun, store: ChildStore, gate: AttemptId) -> bool:
    """Whether a Pod of that unit, from before a crash, still runs: then the unit's key is not free yet."""
    if any(id_.unit == gate.unit for id_ in live.strays):
        return True
    ahead = (children for id_, children in live.ahead.items() if id_.unit == gate.unit)
    return any(_runs(live, store, *child) for children in ahead for child in children)


def overbooked(live: LiveRun, store: ChildStore, locks: Locks, id_: AttemptId) -> bool:
    """Whether so many others use the attempt's key that its Pod would be one too many.

    That comes only of a restart, where a key is given to all who had it by their statuses and by their Jobs. Those
    whose Pods run go first, then the others in the order in which they hold it.
    """
    unit = live.state.active.get(id_)
    if unit is None or unit.lock is None:
        return False
    holders = [each.unit for each in locks.holders(live.key.namespace, unit.lock)]
    limit = unit.node.concurrency_limit
    if len(holders) <= limit:
        return False
    ours = Holder(live.run_key, unit.gate).unit
    place = holders.index(ours) if ours in holders else len(holders)
    others = (each for each in holders if each != ours)
    return sum(at < place or _uses(store, each) for at, each in enumerate(others)) >= limit


def _uses(store: ChildStore, holder: Holder) -> bool:
    alive = (pod for pod in store.children(*holder.run).pods if not pod_fact(pod).ended)
    ids = (attempt_of(pod, holder.run.uid) for pod in alive)
    return any(id_ is not None and id_.unit == holder.gate for id_ in ids)


def crowded(live: LiveRun, store: ChildStore) -> bool:
    """Whether one more Pod would be too many, with those from before a crash that the engine does not count."""
    limit = live.state.workflow.parallelism
    if limit is None or not (live.ahead or live.strays):
        return False
    unknown = (children for id_, children in live.ahead.items() if id_ not in live.state.active)
    ahead = sum(any(_runs(live, store, *child) for child in children) for children in unknown)
    held = sum(each.action.node.body.kind == "job" for each in live.held.values())
    return live.state.pods - held + ahead + len(live.strays) > limit


def _runs(live: LiveRun, store: ChildStore, kind: str, name: str) -> bool:
    if kind == "Pod":
        pod = store.pods.get(live.key.namespace, name)
        return pod is not None and not pod_fact(pod).ended
    job = store.jobs.get(live.key.namespace, name)
    return job is not None and any(not pod_fact(pod).ended for pod in store.pods_of(job))


def is_stray(live: LiveRun, child: Obj) -> bool:
    """Whether a child run was begun before a crash, and the engine has decided otherwise since."""
    id_ = attempt_of(child, live.ref.uid)
    return id_ is not None and settled(live.state, id_)


def drop_started(live: LiveRun, store: ChildStore) -> None:
    """Begin nothing whose Pod stands: it was made before a crash, and its end will tell.

    Else a quota, say, could refuse the Job that is there already, and a stop would believe that there is none.
    """
    pods = store.children(*live.run_key).pods
    standing = {attempt_of(pod, live.ref.uid) for pod in pods}
    live.pending = deque(action for action in live.pending if not (isinstance(action, Start) and action.id in standing))
