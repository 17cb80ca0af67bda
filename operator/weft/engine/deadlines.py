"""When time runs out, and which clocks stand still while a run is suspended.

The attempt timeouts of what runs outside the engine, back-offs, pending timeouts and absolute times go on during a
suspension; the clocks of the run, of deadlines, approvals and waits stand still, and so do the attempt timeouts of
nodes that a suspension stops: approvals, waits, graphs and child runs. An attempt whose container main has ended is
late no more, however long the others take to stop. A due time is always computed from when its clock started and from
the suspensions since, so nothing has to be rewritten when a run is resumed or an operator restarted.
"""

from __future__ import annotations

from collections.abc import Sequence

from weft.api.conditions import Reason
from weft.engine.state import ACTIVE, BACKOFF, ENDED, STOPPING, RunState, Unit

Suspensions = Sequence[tuple[float, float | None]]

SLOW_SECONDS = 30.0
"""A Pod that is merely starting is worth telling of after that: most have run by then; without its volume none does."""

RUN_ON = frozenset({"job", "http", "resource"})
"""Bodies whose attempts go on during a suspension, and their timeouts with them."""


def due_after(start: float, seconds: float, suspensions: Suspensions) -> float | None:
    """When a pausable clock started at `start` reaches `seconds`; None while it stands still."""
    due = start + seconds
    for begin, finish in suspensions:
        if begin >= due:
            break
        if finish is None:
            return None
        if finish > start:
            due += finish - max(begin, start)
    return due


def due(state: RunState, kind: str, unit: Unit | None) -> float | None:
    """The due time of a timer now; None when it is off or its clock stands still.

    To the millisecond, as steps are: woken at a time between two, a step would find nothing due yet, again and again.
    """
    found = _due(state, kind, unit)
    return None if found is None else round(found, 3)


def _due(state: RunState, kind: str, unit: Unit | None) -> float | None:
    if kind == "run":
        limit = state.workflow.timeout
        if limit is None or state.stage != "Main" or state.timed_out:
            return None
        return due_after(state.clock_start, limit, state.suspensions)
    if kind == "final":
        if state.stage not in ("Compensating", "Finally") or state.final_start is None:
            return None
        return due_after(state.final_start, state.workflow.final_timeout, state.suspensions)
    if unit is None or unit.stage == ENDED:
        return None
    if unit.pending == Reason.MainEnded:
        return None
    if kind == "backoff":
        return unit.due if unit.stage == BACKOFF else None
    if kind == "deadline":
        if unit.node.deadline is None or unit.start is None or unit.stage == STOPPING:
            return None
        return due_after(unit.start, unit.node.deadline, state.suspensions)
    if unit.stage != ACTIVE or unit.attempt_start is None:
        return None
    if kind == "attempt":
        limit = unit.node.timeout
        if limit is None or unit.node.service:
            return None
        return due_after(unit.attempt_start, limit, () if unit.node.body.kind in RUN_ON else state.suspensions)
    if kind == "pending":
        limit = unit.node.pending_timeout
        return None if limit is None or unit.pending_since is None else unit.pending_since + limit
    if kind == "slow":
        if unit.pending != Reason.WaitingForPod or unit.reason is not None or unit.pending_since is None:
            return None
        return unit.pending_since + SLOW_SECONDS
    if kind == "wait":
        if unit.node.body.kind != "wait":
            return None
        return due_after(unit.attempt_start, unit.seconds, state.suspensions) if unit.seconds is not None else unit.due
    approval = unit.node.body.approval  # kind == "approval"
    limit = approval.levels[unit.level].timeout if approval else None
    start = unit.level_start if unit.level_start is not None else unit.attempt_start
    return None if limit is None else due_after(start, limit, state.suspensions)
