"""Rerun: a finished run goes on, with new attempts for some of its nodes.

    Failed  every node that is not Succeeded or skipped by its condition (of a forEach only the items
            that did not succeed), the handlers of those nodes (whole, if they Succeeded) and the
            handlers of these, all compensations, and finally
    Nodes   the nodes named and all that depend on them, and finally
    All     everything

With a node the services that it waits for are reset, too: one that has Succeeded was stopped, and serves nobody any
more. Attempt numbers go on, retry budgets start anew, and what is not reset keeps its outputs. A retry of a graph node
resets the subgraph the same way as `Failed`: what succeeded is not done twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from weft.api.conditions import Reason
from weft.api.paths import segment_name
from weft.engine import size
from weft.engine.compensation import is_undone
from weft.engine.edges import BROKEN, MET, OPEN, edge_value
from weft.engine.failure import exempt, failed, is_off, judge_again, services_of
from weft.engine.loops import highest_attempt
from weft.engine.state import COMPENSATED, SUCCEEDED, TERMINAL, Frame, NodeState, RunState, Unit
from weft.engine.step import frames
from weft.graph.compiled import Graph

FROM_FAILED, FROM_ALL, FROM_NODES = "Failed", "All", "Nodes"


def reset(state: RunState, *, generation: int, mode: str, nodes: Collection[str], now: float) -> None:
    """Reset a finished run in place; `advance.restart` then goes on with it.

    Takes the rerun generation, the mode (Failed | All | Nodes) and, for Nodes, node paths such as
    `price` or `publish/upload`. Raises ValueError when the run is active or a node does not exist.
    """
    if not state.finished:
        raise ValueError("a run can be rerun only after it has ended; stop it first")
    named = _found(state, nodes) if mode == FROM_NODES else []
    state.generation = generation
    state.stage, state.outcome, state.reason, state.message = "Main", None, None, ""
    state.stop, state.timed_out, state.ended_at, state.final_start = None, False, None, None
    state.failures, state.outputs, state.compensations, state.compensating = [], {}, [], None
    state.active, state.timers, state.queue, state.waiting, state.parked, state.pods = {}, [], [], [], [], 0
    state.unseen, state.later, state.unsettled = [], {}, {}
    state.clock_start = now
    state.dirty = True
    _renew_compensations(state.main)
    if mode == FROM_NODES:
        _reset_named(state.main, named)
    else:
        reset_frame(state.main, mode)
    if state.final is not None:
        reset_frame(state.final, FROM_ALL)
    state.size = size.of_run(state)


def _renew_compensations(top: Frame) -> None:
    """Compensations that are made once more go on with their numbers, too; those that failed may be tried again."""
    for frame in frames(top):
        for node in frame.nodes:
            if node.reason == Reason.CompensationFailed:
                node.reason, node.message = None, ""
            for unit in node.units.values():
                if unit.undoing:
                    unit.undone, unit.undoing, unit.lost = max(unit.undone, unit.undoing), 0, []
                    unit.entry = node.entry = None


def _found(state: RunState, nodes: Collection[str]) -> list[tuple[str, ...]]:
    """Give the paths in the main graph; those in `finally` are done again as ever. Raises ValueError for the rest."""
    main, final = state.workflow.main, state.workflow.final
    paths = [tuple(path.split("/")) for path in nodes]
    for path in paths:
        if not _is_in(main, path) and not _is_in(final, path):
            named = "/".join(path)
            raise ValueError(f"rerun.nodes: there is no node {named!r}; paths read like price or publish/upload")
    return [path for path in paths if _is_in(main, path)]


def _is_in(graph: Graph | None, path: tuple[str, ...]) -> bool:
    for part in path:
        name = segment_name(part)
        if graph is None or name not in graph.by_name:
            return False
        graph = graph.nodes[graph.by_name[name]].body.graph
    return True


def reset_frame(frame: Frame, mode: str) -> None:
    """Reset a graph's nodes as the mode says, and count everything anew."""
    chosen = {n.node.index for n in frame.nodes if mode == FROM_ALL or _unfinished(n)}
    # A handler of what is done again has nothing to handle any more. One that had done all of it has all of it to do
    # should the failure come back: what it did was for another one.
    whole = _reached(frame, chosen, chosen, by="Failed") - chosen
    chosen |= whole
    for index in chosen | services_of(frame, chosen):
        _reset_node(frame, frame.nodes[index], FROM_ALL if index in whole else mode)
    recount(frame)


def _reached(frame: Frame, start: Iterable[int], known: Collection[int], *, by: str | None = None) -> set[int]:
    """Those known, and all that come after the start: by any edge, or by edges that ask for one outcome alone."""
    found, stack = set(known), list(start)
    while stack:
        for edge in frame.nodes[stack.pop()].node.outgoing:
            if by in (None, edge.outcome) and edge.target not in found:
                found.add(edge.target)
                stack.append(edge.target)
    return found


def _unfinished(node: NodeState) -> bool:
    if node.phase == SUCCEEDED:
        return any(is_undone(unit) or _undone_below(unit) for unit in node.units.values())
    return not is_off(node)


def _undone_below(unit: Unit) -> bool:
    """Whether something in the unit's subgraph has been compensated: it succeeded, but its work is gone."""
    below = (node for child in unit.children for frame in frames(child) for node in frame.nodes)
    return any(
        node.phase == COMPENSATED or any(other.phase == COMPENSATED for other in node.units.values()) for node in below
    )


def _reset_named(frame: Frame, paths: list[tuple[str, ...]]) -> None:
    whole = {frame.graph.by_name[segment_name(p[0])] for p in paths if len(p) == 1}
    inside: dict[int, list[tuple[str, ...]]] = {}
    for path in paths:
        if len(path) > 1:
            inside.setdefault(frame.graph.by_name[segment_name(path[0])], []).append(path[1:])
    chosen = _reached(frame, [*whole, *inside], whole)
    for index in chosen | services_of(frame, chosen | inside.keys()):
        _reset_node(frame, frame.nodes[index], FROM_ALL)
    for index in inside.keys() - chosen:
        node = frame.nodes[index]
        _reset_node(frame, node, FROM_FAILED, keep_children=True)
        for unit in node.units.values():
            if unit.child is not None:  # a `while` begins anew
                _reset_named(unit.child, inside[index])
    recount(frame)


def _reset_node(frame: Frame, node: NodeState, mode: str, *, keep_children: bool = False) -> None:
    units = node.units
    node.reset()
    for index, unit in units.items():
        succeeded = unit.phase == SUCCEEDED and not is_undone(unit) and not _undone_below(unit)
        if mode == FROM_FAILED and not keep_children and unit.index is not None and succeeded:
            node.units[index] = unit
            continue
        child = unit.child if node.node.loop is None else None
        again = _again(frame, node, unit, child)
        if mode == FROM_FAILED:
            again.done, again.lost = unit.done, unit.lost  # rounds that nobody has undone
        if unit.index is None or not again.untouched:
            node.units[index] = again
        if child is not None and not keep_children:
            reset_frame(child, FROM_ALL if unit.phase == COMPENSATED else mode)


def _again(frame: Frame, node: NodeState, unit: Unit, child: Frame | None) -> Unit:
    """A new unit in the place of the old one: attempt numbers go on, all else starts anew."""
    fresh = Unit(frame, node.node, node, unit.index)
    fresh.base = fresh.attempt = fresh.high = highest_attempt(unit)
    fresh.spent = unit.attempts - fresh.attempt
    fresh.undone = unit.undone
    if child is not None:
        fresh.child, child.parent = child, fresh
    return fresh


def recount(frame: Frame) -> None:
    """Compute everything that a graph counts from the phases of its nodes alone.

    This is the full computation that the incremental one in `advance` has to equal.
    """
    frame.ended = sum(node.phase in TERMINAL for node in frame.nodes)
    frame.active = sum(node.begun and node.phase not in TERMINAL and not node.node.service for node in frame.nodes)
    frame.failing, frame.failures, frame.closing, frame.how, frame.end = False, [], None, "", None
    for node in frame.nodes:
        node.open = node.met = node.broken = node.handlers = 0
        node.exempt = node.needed = False
        for edge in node.node.incoming:
            value = value_of(frame.nodes[edge.source], edge.outcome)
            node.open += value == OPEN
            node.met += value == MET
            node.broken += value == BROKEN
    for node in frame.nodes:
        if node.phase not in TERMINAL:
            for edge in node.node.incoming:
                if edge.outcome == "Failed":
                    frame.nodes[edge.source].handlers += 1
    for node in frame.nodes:
        if failed(node):
            exempt(frame, node)
            judge_again(frame, node)


def value_of(source: NodeState, outcome: str) -> str:
    """What an edge from this node is worth now."""
    return edge_value(
        outcome, phase=source.phase, reason=source.reason, chosen=source.chosen, ready=source.ready,
        allow_failure=source.node.allow_failure,
    )  # fmt: skip
