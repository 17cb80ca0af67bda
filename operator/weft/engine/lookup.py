"""Where an attempt stands in a state: is its result on record, or is it still to come?

After a crash the cluster may be ahead of the last written status: Jobs exist of attempts that the
state has not started yet. Their Pods must not be let go before the engine has caught up.
"""

from __future__ import annotations

import re

from weft.engine import compensation
from weft.engine.state import ACTIVE, COMPENSATE, ENDED, STOPPING, TERMINAL, AttemptId, Frame, NodeState, RunState, Unit

_UNDOES = f".{COMPENSATE}"
_SEGMENT = re.compile(r"(?P<name>[^/\[]+)(?:\[(?P<position>\d+)\])?")


def settled(state: RunState, id_: AttemptId) -> bool:
    """True when the engine has had its say on the attempt: nothing about it is awaited any more."""
    if id_ in state.active:
        return False
    if state.finished:
        return True
    *outer, last = id_.path.split("/")
    frame: Frame | None = _top(state, (outer or [last])[0])
    for segment in outer:
        if frame is None:
            return False
        node, position = _node(frame, segment)
        if node is None:
            return True
        if segment.endswith(_UNDOES):
            undo = _in_hand(state, node, position)
            if undo is None or undo.child is None:
                return _undo_settled(state, frame, node, position, id_)
            frame = undo.child
            continue
        unit = node.units.get(position if node.node.for_each is not None and position is not None else 0)
        if unit is None:
            return False
        if unit.iteration is not None and position is not None and position != unit.iteration:
            if position not in unit.rounds:
                return position < unit.iteration
            unit = unit.rounds[position]
        if unit.child is None:
            return unit.stage == ENDED
        frame = unit.child
    if frame is None:
        return False
    node, _ = _node(frame, last)
    if node is not None and id_.role == COMPENSATE:
        return _undo_settled(state, frame, node, id_.iteration if id_.index is None else id_.index, id_)
    return node is None or _unit_settled(node, node.units.get(id_.index or 0), id_)


def reckon(state: RunState, id_: AttemptId) -> None:
    """Count an attempt that was made before a crash and is not wanted any more: a rerun's first comes after it."""
    *outer, last = id_.path.split("/")
    frame: Frame | None = _top(state, (outer or [last])[0])
    for segment in outer:
        node, position = _node(frame, segment) if frame is not None else (None, None)
        unit = node.units.get((position or 0) if node.node.for_each is not None else 0) if node is not None else None
        if unit is not None and segment.endswith(_UNDOES):
            undo = _in_hand(state, unit.owner, position)
            if undo is None:
                _reckon_undo(state, unit, id_.attempt)
                return
            unit = undo
        frame = unit.child if unit is not None else None
    node, _ = _node(frame, last) if frame is not None else (None, None)
    if frame is None or node is None:
        return
    index = id_.index or 0
    unit = node.units.get(index)
    if id_.role == COMPENSATE:
        if unit is not None:
            _reckon_undo(state, unit, id_.attempt)
        return
    if unit is None:
        unit = node.units[index] = Unit(frame, node.node, node, id_.index)
        unit.stage, unit.phase, unit.reason, unit.end = ENDED, node.phase, node.reason, node.end
    if unit.attempt < id_.attempt and unit.iteration == id_.iteration:
        unit.attempt, unit.high = id_.attempt, max(unit.high, id_.attempt)
        unit.entry = node.entry = None
        state.dirty = True


def _unit_settled(node: NodeState, unit: Unit | None, id_: AttemptId) -> bool:
    if unit is None:
        return node.phase in TERMINAL
    if unit.iteration is not None and id_.iteration is not None and id_.iteration != unit.iteration:
        return id_.iteration < unit.iteration
    if unit.attempt == id_.attempt:
        return unit.stage not in (ACTIVE, STOPPING)
    return unit.attempt > id_.attempt or node.phase in TERMINAL


def _undo_settled(state: RunState, frame: Frame, node: NodeState, position: int | None, id_: AttemptId) -> bool:
    """The same for an attempt of a compensation, or in its graph when that has not begun."""
    undo = _in_hand(state, node, position)
    if undo is not None and id_.role == COMPENSATE and id_.attempt == undo.attempt:
        return undo.stage not in (ACTIVE, STOPPING)
    if undo is not None:
        return id_.attempt <= (undo.attempt if id_.role == COMPENSATE else undo.base)
    looped = node.node.for_each is None
    unit = node.units.get(0 if looped or position is None else position)
    if unit is None:
        return node.phase in TERMINAL
    if id_.attempt <= max(unit.undone, frame.base):
        return True  # of a round before a rerun
    if state.stage == "Main":
        return False
    iteration = position if looped else None
    return not state.compensations or all(left != iteration for left, _, _ in compensation.to_undo(unit))


def _in_hand(state: RunState, node: NodeState, position: int | None) -> Unit | None:
    """The compensation that is being made, if it is that of the node at this position."""
    undo = state.compensating
    if undo is None or undo.owner is not node:
        return None
    return undo if position == (undo.iteration if undo.index is None else undo.index) else None


def _reckon_undo(state: RunState, original: Unit, attempt: int) -> None:
    in_hand = state.compensating is not None and state.compensating.owner is original.owner
    if not in_hand and attempt > max(original.undone, original.undoing):
        original.undoing = attempt
        original.entry = original.owner.entry = None
        state.dirty = True


def _top(state: RunState, segment: str) -> Frame | None:
    name = _name(segment)
    return state.main if name in state.main.graph.by_name else state.final


def _node(frame: Frame, segment: str) -> tuple[NodeState | None, int | None]:
    found = _SEGMENT.match(segment)
    index = frame.graph.by_name.get(_name(segment))
    position = found["position"] if found else None
    return (None if index is None else frame.nodes[index]), (None if position is None else int(position))


def _name(segment: str) -> str:
    return segment.partition("[")[0].removesuffix(_UNDOES)
