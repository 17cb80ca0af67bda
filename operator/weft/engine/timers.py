"""The clocks: what happens when one has run out, and when the next one will.

A timer in the heap is a reminder and no more: what it is due at is computed again when it rings (`deadlines`), and one
that is off by then is dropped, one that is later armed again.
"""

from __future__ import annotations

import heapq

from weft.api.conditions import Reason
from weft.engine import approvals, pending, run
from weft.engine.cascade import cascade
from weft.engine.deadlines import due
from weft.engine.state import RunState, Unit
from weft.engine.step import Step, push_timer
from weft.engine.units import DEADLINE, PENDING_TIMEOUT, TIMEOUT, enqueue, stop_attempt, succeed

_LIMITS = {"attempt": TIMEOUT, "deadline": DEADLINE, "pending": PENDING_TIMEOUT}
"""Why a unit is stopped whose timer has rung."""


def end_waits(step: Step) -> None:
    """End the waits that are over: nothing that is seen now comes before that, and work that is done is not stopped."""
    state, others = step.state, []
    while state.timers and state.timers[0][0] <= step.now:
        timer = heapq.heappop(state.timers)
        *_, kind, unit = timer
        when = due(state, kind, unit) if kind == "wait" else None
        if when is not None and when <= step.now and not step.full:
            _ring(step, kind, unit)
        else:
            others.append(timer)
    for timer in others:
        heapq.heappush(state.timers, timer)


def ring_due(step: Step) -> None:
    """Ring the timers that are due, each once all that follows from those before has been done.

    Limits that are passed in one instant ring together: none of what is late is stopped because another is late, too.
    """
    state = step.state
    rung: tuple[float, str] | None = None
    while state.timers and state.timers[0][0] <= step.now and not step.full:
        *_, kind, unit = state.timers[0]
        when = due(state, kind, unit)
        if rung is not None and when is not None and rung != (when, _sort(kind)):
            cascade(step)
            rung = None
            continue  # what is next may be another now
        heapq.heappop(state.timers)
        if when is None:
            continue  # off, or its clock stands still: `run.control` arms it again
        if when > step.now:
            step.arm(kind, unit)
            continue
        _ring(step, kind, unit)
        rung = when, _sort(kind)
    if rung is not None:
        cascade(step)


def _sort(kind: str) -> str:
    """What timers ring together with one of this kind."""
    return "limit" if kind in _LIMITS else kind


def _ring(step: Step, kind: str, unit: Unit | None) -> None:
    if kind == "slow" and unit is not None:
        pending.show(step, unit, Reason.WaitingForPod, unit.pending_text)
        return
    step.state.dirty = True
    if kind == "run":
        run.timed_out(step)
    elif kind == "final":
        run.final_timed_out(step)
    elif unit is None:
        return
    elif kind == "backoff":
        enqueue(step, unit)
    elif kind == "wait":
        succeed(step, unit, None)
    elif kind == "approval":
        approvals.timed_out(step, unit)
    else:
        stop_attempt(step, unit, _LIMITS[kind])


def wake_at(state: RunState) -> float | None:
    """When the next timer rings; None when none will."""
    while state.timers:
        when, *_, kind, unit = state.timers[0]
        current = due(state, kind, unit)
        if current is not None and current <= when:
            return float(current)
        heapq.heappop(state.timers)
        if current is not None:
            push_timer(state, current, kind, unit)
    return None
