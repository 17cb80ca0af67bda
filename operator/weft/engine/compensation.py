"""Compensation: after a failed or stopped run, succeeded work is undone, last done first.

Every unit that succeeded (per item and iteration) on a node with `compensate` is undone by a unit
of its own, one after the other, in reverse order of completion; units that ended at the same
instant are undone in reverse graph order, which a restart finds again; a graph before what is in it.
A compensation that fails is reported and the next one goes on; it is tried again after a rerun.
"""

from __future__ import annotations

from math import inf
from typing import Any

from weft.api.conditions import Reason
from weft.engine import size
from weft.engine.loops import highest_attempt
from weft.engine.state import COMPENSATE, COMPENSATED, FAILED, SUCCEEDED, Frame, NodeState, RunState, Unit
from weft.engine.step import Step, frames
from weft.engine.units import prepare

Key = tuple[float, tuple[float, ...]]


def due_compensations(state: RunState) -> list[Unit]:
    """Units that undo what succeeded, the first to run last in the list."""
    found: list[tuple[Key, Unit]] = []
    for frame in frames(state.main):
        for node in frame.nodes:
            if node.node.compensate is None:
                continue
            for unit in node.units.values():
                found.extend(_of_unit(frame, node, unit))
    found.sort(key=lambda entry: entry[0])
    return [unit for _, unit in found]


def _of_unit(frame: Frame, node: NodeState, unit: Unit) -> list[tuple[Key, Unit]]:
    compensation = node.node.compensate
    assert compensation is not None
    made = []
    for iteration, end, outputs in to_undo(unit):
        undo = Unit(frame, compensation, node, unit.index, COMPENSATE)
        undo.iteration, undo.value, undo.outputs = iteration, unit.value, outputs
        undo.previous = outputs
        undo.attempt = undo.base = undo.high = max(unit.undone, frame.base)
        made.append(((end, _order(unit, iteration)), undo))
    return made


def _order(unit: Unit, iteration: int | None) -> tuple[float, ...]:
    """Where a unit ended in an instant: after all that is in its subgraph, whose order begins as its own does."""
    position = unit.index if unit.index is not None else iteration
    return (*unit.frame.order, unit.owner.node.rank, -1 if position is None else position, inf)


def to_undo(unit: Unit) -> list[tuple[int | None, float, Any]]:
    """What the unit has done that is not undone yet: (iteration, when it ended, its outputs)."""
    if unit.iteration is not None:
        return [(iteration, *done) for iteration, done in unit.done.items() if iteration not in unit.lost]
    return [(None, unit.end or 0.0, unit.outputs)] if unit.phase == SUCCEEDED and not unit.lost else []


def is_undone(unit: Unit) -> bool:
    """Whether the unit has been compensated, or one of its iterations: it succeeded, but its work is gone."""
    rounds = 0 if unit.iteration is None or unit.phase != SUCCEEDED else unit.iteration + 1
    all_done = all(iteration in unit.done for iteration in range(rounds))
    return unit.phase == COMPENSATED or (unit.node.compensate is not None and not all_done)


def next_one(step: Step) -> bool:
    """Start the next compensation; False when none is left."""
    state = step.state
    if not state.compensations:
        state.compensating = None
        return False
    unit = state.compensations.pop()
    state.compensating = unit
    prepare(step, unit)
    return True


def unit_ended(step: Step, unit: Unit) -> None:
    """A compensation has ended: mark what it undid."""
    node = unit.owner
    original = node.units[unit.index or 0]
    original.undoing = max(original.undoing, highest_attempt(unit))
    if unit.child is not None:
        step.state.size -= size.of_frame(unit.child)
        unit.child = None
    node.entry = original.entry = None
    if unit.phase == SUCCEEDED:
        if unit.iteration is not None:
            original.done.pop(unit.iteration, None)
        if not original.done and not original.lost and original.phase == SUCCEEDED:
            original.phase = COMPENSATED
        if node.phase == SUCCEEDED and all(other.phase != SUCCEEDED for other in node.units.values()):
            node.phase, node.reason = COMPENSATED, Reason.Compensated
    elif unit.phase == FAILED:
        original.lost.append(unit.iteration or 0)
        if node.phase == SUCCEEDED:  # any other has to say why it did not, to `run.failures` and to a rerun
            node.reason = Reason.CompensationFailed
            node.message = f"compensation failed with {unit.reason}: {unit.message}"
        step.note("Warning", Reason.CompensationFailed, f"{unit.place}: {unit.reason}: {unit.message}")
