"""What follows from what: units end, nodes end, edges change, joins let nodes run, graphs end, until all is calm.

Policies leave work for each other in the queues of the `Step`; here it is handed on, in an order that is always the
same. An end is told to the node's dependents by counting: each node knows how many of its edges are open, met and
broken, so that a join is decided without looking at its neighbours.
"""

from __future__ import annotations

import heapq

from weft.engine import compensation, failure, loops, run, subgraphs
from weft.engine.edges import BROKEN, MET, OPEN, edge_value
from weft.engine.join import RUN, WAIT, decide
from weft.engine.state import (
    CANCELLED,
    COMPENSATE,
    ENDED,
    FAILED,
    SKIPPED,
    STOPPING,
    TERMINAL,
    Frame,
    NodeState,
    Unit,
)  # fmt: skip
from weft.engine.step import Step
from weft.engine.units import before_its_stop, finish, stopped


def cascade(step: Step) -> None:
    """Hand the work that policies left for each other on, until there is none."""
    while True:
        if step.units:
            unit_ended(step, step.units.popleft())
        elif step.ended:
            _node_ended(step, *step.ended.popleft())
        elif step.joins:
            _join(step, *step.joins.popleft())
        elif step.closes and (step.full or step.closes[0][0] <= -max(step.over, default=0)):
            *_, frame, why, how = heapq.heappop(step.closes)
            failure.close(step, frame, why, how)
        elif step.over and not step.full:  # before a graph around it is closed: what is over is not stopped
            _settle(step, step.over.pop(max(step.over)))
        elif step.begun:
            _enter(step, step.begun.popleft())
        elif step.ready and (step.full or max(step.ready) >= _depth(step.quiet)):
            # Skips, and what has ended within, are known by now: they may let nothing new start.
            _begin_all(step, step.ready.pop(max(step.ready)))
        elif step.quiet and not step.full:
            depth = _depth(step.quiet)
            _settle(step, [frame for frame in step.quiet.values() if frame.depth == depth])
        else:
            return


def _depth(quiet: dict[int, Frame]) -> int:
    """How deep the innermost of these graphs is."""
    return max((frame.depth for frame in quiet.values()), default=0)


def unit_ended(step: Step, unit: Unit) -> None:
    """Tell the unit's node, or the run of what it has undone, that the unit has ended."""
    if unit.role == COMPENSATE:
        compensation.unit_ended(step, unit)
        run.compensated(step)
    else:
        loops.unit_ended(step, unit)


def _node_ended(step: Step, frame: Frame, node: NodeState) -> None:
    step.finished.append(node)
    if node.phase == FAILED:
        step.note("Warning", "NodeFailed", f"{frame.prefix}{node.node.name}: {node.reason}: {node.message}")
    compiled = node.node
    for edge in compiled.outgoing:
        target = frame.nodes[edge.target]
        if target.phase in TERMINAL:
            continue
        value = edge_value(
            edge.outcome, phase=node.phase, reason=node.reason, chosen=node.chosen, ready=node.ready,
            allow_failure=compiled.allow_failure,
        )  # fmt: skip
        if edge.outcome == "Ready" and node.ready:
            if value == MET:
                continue  # as it has been since it was ready
            target.met, target.open = target.met - 1, target.open + 1
        edge_changed(step, frame, edge.target, value)
    failure.node_ended(step, frame, node)
    step.settle(frame)
    if frame.ended == len(frame.nodes) and frame.parent is not None:
        step.over.setdefault(frame.depth, []).append(frame)


def edge_changed(step: Step, frame: Frame, target: int, value: str) -> None:
    """Count an edge that is worth something now, and have its target's join decided."""
    node = frame.nodes[target]
    if value == OPEN:
        return
    node.open -= 1
    if value == MET:
        node.met += 1
    elif value == BROKEN:
        node.broken += 1
    step.joins.append((frame, target))


def _join(step: Step, frame: Frame, index: int) -> None:
    node = frame.nodes[index]
    if node.phase in TERMINAL:
        return
    if node.begun:
        if node.items is not None:
            loops.go_on(step, frame, node)  # with what a step before has left
        return
    verdict = _verdict(node)
    if verdict == RUN:
        step.ready.setdefault(frame.depth, []).append((frame, index))
    elif verdict != WAIT:
        loops.end_node(step, frame, node, SKIPPED, verdict, "")


def _verdict(node: NodeState) -> str:
    compiled = node.node
    return decide(
        join_any=compiled.join_any, open=node.open, met=node.met, broken=node.broken, total=len(compiled.incoming)
    )


def _begin_all(step: Step, ready: list[tuple[Frame, int]]) -> None:
    """Let nodes run whose joins said so: all of them, before one that fails at once has its say."""
    for frame, index in ready:
        _begin(step, frame, index)


def _begin(step: Step, frame: Frame, index: int) -> None:
    """Let a node run whose join said so, unless something has come between."""
    node = frame.nodes[index]
    if node.begun or node.phase in TERMINAL or _verdict(node) != RUN:
        return
    if not failure.may_begin(frame, node):
        node.held = True
        step.settle(frame)
    elif step.full:
        step.later[node] = frame
    else:
        loops.begin(step, frame, node)
        if node.node.service:
            step.settle(frame)  # it may have nobody to serve


def _enter(step: Step, frame: Frame) -> None:
    """Look at every node of a graph that was entered (or entered again) once."""
    for index in frame.graph.by_rank:
        if not frame.nodes[index].open or frame.nodes[index].node.join_any:
            _join(step, frame, index)
    step.settle(frame)


def _settle(step: Step, frames: list[Frame]) -> None:
    """End those of these graphs that are over: each, before the failure of one can stop another that is over, too."""
    for frame in frames:
        step.quiet.pop(id(frame), None)
        failure.settle(step, frame)
    for frame in frames:
        if step.full or step.ended:  # what has been skipped is told first
            step.settle(frame)
        elif frame.ended == len(frame.nodes) and frame.end is None:
            frame.end = step.now
            if frame.parent is None:
                run.frame_ended(step, frame)
            else:
                _graph_ended(step, frame, frame.parent)


def _graph_ended(step: Step, frame: Frame, unit: Unit) -> None:
    """A subgraph is over: its unit succeeds with the graph's outputs, fails, or was stopped."""
    if unit.child is not frame or unit.stage == ENDED:
        return
    cut_short = _cut_short(frame)
    if not frame.failing and not cut_short:
        before_its_stop(unit)
    if unit.stage == STOPPING:
        stopped(step, unit)
    elif frame.failing:
        subgraphs.failed(step, unit, frame)
    elif cut_short:
        finish(step, unit, CANCELLED, frame.closing, "")
    else:
        subgraphs.succeeded(step, unit, frame)


def _cut_short(frame: Frame) -> bool:
    """Whether the graph was closed, and that took something away."""
    return frame.closing is not None and any(
        node.phase in (CANCELLED, SKIPPED) and node.reason == frame.closing for node in frame.nodes
    )
