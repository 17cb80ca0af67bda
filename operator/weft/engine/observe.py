"""What each thing that was seen does to the run's state; what follows from it is left in the step.

What tells of an attempt or a gate that is not in hand any more came late or twice, and does nothing.
"""

from __future__ import annotations

from weft.api.conditions import Reason, message_for
from weft.engine import approvals, judge, pending, run
from weft.engine.cascade import edge_changed
from weft.engine.deadlines import due
from weft.engine.edges import MET
from weft.engine.observation import (
    AttemptEnded,
    AttemptPending,
    AttemptReady,
    CacheAnswer,
    Controls,
    Decision,
    LockAnswer,
    LockLost,
    Observation,
)  # fmt: skip
from weft.engine.outputs import OutputsError, cached
from weft.engine.state import ACTIVE, GATED, RUNNING, SKIPPED, STOPPING, SUCCEEDED, Unit
from weft.engine.step import Step
from weft.engine.units import (
    before_its_stop,
    enqueue,
    finish,
    prepare,
    show,
    stop_attempt,
    stopped,
    stopped_before,
    tell,
)  # fmt: skip


def observe(step: Step, seen: Observation) -> None:
    """Take up one thing that was seen."""
    state = step.state
    if isinstance(seen, Controls):
        run.control(step, seen)
        return
    if isinstance(seen, LockLost):
        holder = state.locks.get(seen.id)
        if holder is not None:
            stop_attempt(step, holder, Reason.ConcurrencyCancelled)
        return
    unit = state.active.get(seen.id)
    if unit is None:
        return  # late or repeated: that attempt is over
    if isinstance(seen, AttemptPending):
        pending.changed(step, unit, seen)
        return
    if isinstance(seen, AttemptReady):
        _ready(step, unit)
        return
    state.dirty = True
    if isinstance(seen, AttemptEnded):
        if unit.stage == ACTIVE and seen.stopped is not None:
            seen = stopped_before(state, unit, seen)
        if seen.succeeded:
            before_its_stop(unit)
        if unit.stage == STOPPING:
            stopped(step, unit)
        elif unit.stage == ACTIVE:
            judge.ended(step, unit, seen)
    elif isinstance(seen, Decision):
        if unit.stage == ACTIVE and unit.node.body.approval is not None:
            late = due(state, "approval", unit)
            if late is not None and late <= step.now and late < seen.at:
                approvals.timed_out(step, unit)  # whoever may decide since then is asked, and told of, anew
            else:
                approvals.decided(step, unit, seen.by, seen.decision, seen.at)
    elif unit.stage == GATED and isinstance(seen, LockAnswer) == (unit.lock is not None):
        state.active.pop(seen.id, None)
        if isinstance(seen, CacheAnswer):
            _cache_answer(step, unit, seen)
        else:
            _lock_answer(step, unit, seen)


def _ready(step: Step, unit: Unit) -> None:
    node = unit.owner
    if node.node.service and not node.ready and unit.stage == ACTIVE:
        step.state.dirty = True  # only of a service anybody wants to know
        node.ready = True
        for edge in node.node.outgoing:
            if edge.outcome == "Ready":
                edge_changed(step, unit.frame, edge.target, MET)


def _cache_answer(step: Step, unit: Unit, seen: CacheAnswer) -> None:
    try:
        outputs = None if seen.outputs is None else cached(seen.outputs)
    except OutputsError:  # somebody else wrote it, or an older version: as good as nothing
        outputs = None
    if outputs is None:
        prepare(step, unit)
        return
    unit.cache_key = None  # nothing new to remember
    unit.outputs = outputs
    if unit.owner.start is None:
        unit.owner.start = step.now
    if unit.start is None:
        unit.start = step.now
    show(unit, RUNNING, None, "")  # of a loop more may follow: the node has begun
    finish(step, unit, SUCCEEDED, Reason.Cached, message_for(Reason.Cached))


def _lock_answer(step: Step, unit: Unit, seen: LockAnswer) -> None:
    tell(unit, None, "")
    if seen.granted:
        step.state.locks[unit.gate] = unit
        enqueue(step, unit)
    else:
        message = message_for(Reason.ConcurrencySkipped, key=unit.lock)
        unit.lock = None
        finish(step, unit, SKIPPED, Reason.ConcurrencySkipped, message)
