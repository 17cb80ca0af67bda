"""Where an attempt stands in a state: is its result on record, or is it still to come?

After a crash the cluster may be ahead of the last written status: Jobs exist of attempts that the
state has not started yet. Their Pods must not be let go before the engine has caught up.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from weft.api.paths import segment_name
from weft.engine import compensation
from weft.engine.state import ACTIVE, COMPENSATE, ENDED, STOPPING, TERMINAL, AttemptId, Frame, NodeState, RunState, Unit

_UNDOES = f".{COMPENSATE}"
_SEGMENT = re.compile(r"(?P<name>[^/\[]+)(?:\[(?P<position>\d+)\])?")


class _Place(NamedTuple):
    """Where the way along an attempt's path ends: at its own node, or above it where no graph is in hand."""

    frame: Frame
    node: NodeState | None  # None: the graph has no such node
    position: int | None  # the item, else the iteration
    undoes: bool  # what the node's compensation does is meant
    unit: Unit | None  # in that iteration; None: not begun, or not known any more
    own: bool


def settled(state: RunState, id_: AttemptId) -> bool:
    """True when the engine has had its say on the attempt: nothing about it is awaited any more."""
    if id_ in state.active:
        return False
    if state.finished:
        return True
    place = _find(state, id_)
    if place is None:
        return False
    node, position = place.node, place.position
    if node is None:
        return True
    if place.undoes:
        return _undo_settled(state, place.frame, node, position, id_)
    if place.own:
        return _unit_settled(node, place.unit, id_)
    if place.unit is not None:
        return place.unit.stage == ENDED
    looping = _original(node, position)
    return looping is not None and looping.iteration is not None and (position or 0) < looping.iteration


def reckon(state: RunState, id_: AttemptId) -> None:
    """Count an attempt that was made before a crash and is not wanted any more: a rerun's first comes after it."""
    place = _find(state, id_)
    if place is None or place.node is None:
        return
    node, unit = place.node, _original(place.node, place.position)
    if place.undoes:
        if unit is not None and id_.attempt > max(unit.undone, unit.undoing):
            unit.undoing = id_.attempt
            _changed(state, unit)
        return
    if unit is None:  # it was not to begin after all
        index = None if node.node.for_each is None else place.position
        unit = node.units[index or 0] = Unit(place.frame, node.node, node, index)
        unit.stage, unit.phase, unit.reason, unit.end = ENDED, node.phase, node.reason, node.end
    if id_.attempt > unit.high:
        unit.high = id_.attempt
        if place.own and unit.iteration == id_.iteration:
            unit.attempt = id_.attempt
        _changed(state, unit)


def _changed(state: RunState, unit: Unit) -> None:
    unit.entry = unit.owner.entry = None
    state.dirty = True


def _find(state: RunState, id_: AttemptId) -> _Place | None:
    """Follow the attempt's path; None: the graph it is in has not begun."""
    *outer, last = id_.path.split("/")
    frame = _top(state, (outer or [last])[0])
    for segment in outer:
        if frame is None:
            return None
        node, position = _node(frame, segment)
        undoes = segment.endswith(_UNDOES)
        unit = None
        if node is not None:
            unit = _in_hand(state, node, position) if undoes else _in_round(node, position)
        if unit is None or unit.child is None:
            return _Place(frame, node, position, undoes, unit, own=False)
        frame = unit.child
    if frame is None:
        return None
    node, _ = _node(frame, last)
    position = id_.iteration if id_.index is None else id_.index
    unit = None if node is None else node.units.get(id_.index or 0)
    return _Place(frame, node, position, id_.role == COMPENSATE, unit, own=True)


def _original(node: NodeState, position: int | None) -> Unit | None:
    """The node's unit of that item; a node without items has one, whichever iteration is asked for."""
    return node.units.get(position if node.node.for_each is not None and position is not None else 0)


def _in_round(node: NodeState, position: int | None) -> Unit | None:
    """The same in one iteration; None: that is to come, or nothing of it is known any more."""
    unit = _original(node, position)
    if unit is None or unit.iteration is None or position is None or position == unit.iteration:
        return unit
    return unit.rounds.get(position)


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
    unit = _original(node, position)
    if unit is None:
        return node.phase in TERMINAL
    if id_.attempt <= max(unit.undone, frame.base):
        return True  # of a round before a rerun
    if state.stage == "Main":
        return False
    iteration = position if node.node.for_each is None else None
    return not state.compensations or all(left != iteration for left, _, _ in compensation.to_undo(unit))


def _in_hand(state: RunState, node: NodeState, position: int | None) -> Unit | None:
    """The compensation that is being made, if it is that of the node at this position."""
    undo = state.compensating
    if undo is None or undo.owner is not node:
        return None
    return undo if position == (undo.iteration if undo.index is None else undo.index) else None


def _top(state: RunState, segment: str) -> Frame | None:
    name = _name(segment)
    return state.main if name in state.main.graph.by_name else state.final


def _node(frame: Frame, segment: str) -> tuple[NodeState | None, int | None]:
    found = _SEGMENT.match(segment)
    index = frame.graph.by_name.get(_name(segment))
    position = found["position"] if found else None
    return (None if index is None else frame.nodes[index]), (None if position is None else int(position))


def _name(segment: str) -> str:
    return segment_name(segment).removesuffix(_UNDOES)
