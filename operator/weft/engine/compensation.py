"""Compensation: after a failed or stopped run, succeeded work is undone, last done first.

Every unit that succeeded (per item and iteration) on a node with `compensate` is undone by a unit
of its own, one after the other, in reverse order of completion; units that ended at the same
instant are undone in reverse graph order, which a restart finds again. A compensation that fails
is reported and the next one goes on.
"""

from __future__ import annotations

from typing import Any

from weft.api.conditions import Reason
from weft.engine.loops import highest_attempt
from weft.engine.state import COMPENSATE, COMPENSATED, FAILED, SUCCEEDED, Frame, NodeState, RunState, Unit
from weft.engine.step import Step, frames
from weft.engine.units import prepare

Key = tuple[float, tuple[int, ...]]


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
        made.append(((end, (*unit.position, iteration if iteration is not None else -1)), undo))
    return made


def to_undo(unit: Unit) -> list[tuple[int | None, float, Any]]:
    """What the unit has done that is not undone yet: (iteration, when it ended, its outputs)."""
    if unit.iteration is not None:
        return list(unit.done)
    return [(None, unit.end or 0.0, unit.outputs)] if unit.phase == SUCCEEDED and not unit.lost else []


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
    original.done = [entry for entry in original.done if entry[0] != unit.iteration]
    node.entry = original.entry = None
    if unit.phase == SUCCEEDED:
        if not original.done and not original.lost and original.phase == SUCCEEDED:
            original.phase = COMPENSATED
        if node.phase == SUCCEEDED and all(other.phase != SUCCEEDED for other in node.units.values()):
            node.phase, node.reason = COMPENSATED, Reason.Compensated
    elif unit.phase == FAILED:
        original.lost = True
        node.reason = Reason.CompensationFailed
        node.message = f"compensation failed with {unit.reason}: {unit.message}"
        step.note("Warning", Reason.CompensationFailed, f"{unit.place}: {unit.reason}: {unit.message}")
