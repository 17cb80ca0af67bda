"""How large a run may become: what all its nodes and items take together, subgraphs within subgraphs counted.

Graphs may call each other eight deep, with a forEach on each level: a few lines ask for a hundred million items, and
the memory that they take is that of every other run. Counted is what there is, and of an item the nodes of its own
graph from the start, so that a forEach that is too large is refused before its first item and not after thousands.
"""

from __future__ import annotations

from weft.api.conditions import Reason, message_for
from weft.engine.state import MAIN, Frame, NodeState, RunState, Unit
from weft.engine.step import frames

MAX_SIZE = 200_000
"""Nodes and items of one run. Measured: up to 2.7 kB each, the making of the status included; all of them 520 MiB."""
SPARE = 10_000
"""So many more for compensations and finally: a run that has come to its bound must still be able to clean up."""


class RunTooLarge(ValueError):
    """What is asked for would be more than a run may have."""


def claim(state: RunState, path: str, more: int) -> None:
    """Make room for so many more nodes and items, which the node at `path` asks for. Raises RunTooLarge."""
    most = MAX_SIZE + (0 if state.stage == "Main" else SPARE)
    if state.size + more > most:
        raise RunTooLarge(message_for(Reason.RunTooLarge, path=path, more=more, count=state.size + more, limit=most))
    state.size += more


def of_items(node: NodeState) -> int:
    """Give what the items of a forEach count: those to come, too, and those that a rerun no longer has."""
    if node.node.for_each is None:
        return 0
    graph = node.node.body.graph
    each = 1 if graph is None else 1 + len(graph.nodes)
    return each * max(len(node.items or ()), len(node.units))


def of_child(unit: Unit) -> int:
    """Give what the unit's own graph counts beside the unit: that of an item is counted with it."""
    graph = unit.node.body.graph
    return 0 if graph is None or (unit.index is not None and unit.role == MAIN) else len(graph.nodes)


def of_frame(top: Frame) -> int:
    """Count a graph and all that is below it anew."""
    size = 0
    for frame in frames(top):
        size += len(frame.nodes) if frame.parent is None else of_child(frame.parent)
        size += sum(map(of_items, frame.nodes))
    return size


def of_run(state: RunState) -> int:
    """Count the whole run anew: what `RunState.size` has to be."""
    undo = state.compensating.child if state.compensating is not None else None
    return sum(of_frame(top) for top in (state.main, state.final, undo) if top is not None)
