"""Failures: caught or not, who asked for them, and what a closing graph still does.

A failure is caught by `allowFailure` or by the success of a node with a `:Failed` edge from it.
A node that lost its concurrency key to a newcomer has not done its work either: for its graph that is a failure like
any other, though no `:Failed` edge is met by it. An uncaught failure closes its graph as the failure policy says.
Four ways to close, mildest first:

    Hold    policy Drain: nothing new, except what asked for the failure
    Cancel  policy Cancel: and what runs is stopped, except what asked for the failure
    Quiet   the run is drained: nothing new, nothing waits, running attempts end by themselves
    End     the run or the graph's own node is stopped: everything stops
"""

from __future__ import annotations

from collections.abc import Collection

from weft.api.conditions import Reason
from weft.engine import size
from weft.engine.loops import block, end_node, taken_up
from weft.engine.state import (
    ACTIVE,
    CANCELLED,
    COMPENSATED,
    ENDED,
    FAILED,
    PENDING,
    SKIPPED,
    SUCCEEDED,
    TERMINAL,
    Frame,
    NodeState,
    Unit,
)
from weft.engine.step import Step
from weft.engine.units import IN_FLIGHT, SERVICE_DONE, fresh, stop_attempt, unqueue
from weft.graph.compiled import DONE, READY
from weft.graph.compiled import FAILED as FAILED_EDGE

OPEN, CAUGHT, UNCAUGHT = "Open", "Caught", "Uncaught"

SEVERITY = {"Hold": 1, "Cancel": 2, "Quiet": 3, "End": 4}


def node_ended(step: Step, frame: Frame, node: NodeState) -> None:
    """Judge the failure of this node, and those whose handler it was."""
    if failed(node):
        # One that was held back, and is to follow from this failure now, may have all it waited for already.
        step.joins.extend((frame, index) for index in exempt(frame, node))
        _judge(step, frame, node)
    for edge in node.node.incoming:
        source = frame.nodes[edge.source]
        if edge.outcome == FAILED_EDGE:
            source.handlers -= 1
            if source.verdict == OPEN:
                _judge(step, frame, source)
        elif edge.outcome == READY:
            release_service(step, frame, source)


def failed(node: NodeState) -> bool:
    """Whether the node ended without having done its work, by its own fault or because another took its key."""
    return node.phase == FAILED or (node.phase == CANCELLED and node.reason == Reason.ConcurrencyCancelled)


def _judge(step: Step, frame: Frame, node: NodeState) -> None:
    judge_again(frame, node)
    if node.verdict == UNCAUGHT and frame.graph.failure_policy != "Continue":
        how = "Cancel" if frame.graph.failure_policy == "Cancel" else "Hold"
        step.close(frame, Reason.RunFailed, how)


def judge_again(frame: Frame, node: NodeState) -> None:
    """Say whether the failure of this node is caught; an uncaught one fails the graph."""
    handlers = [frame.nodes[edge.target] for edge in node.node.outgoing if edge.outcome == FAILED_EDGE]
    if node.node.allow_failure or any(handler.phase in (SUCCEEDED, COMPENSATED) for handler in handlers):
        node.verdict = CAUGHT
    elif node.handlers > 0:
        node.verdict = OPEN
    else:
        node.verdict = UNCAUGHT
        frame.failing = True
        frame.failures.append(node.node.index)


def exempt(frame: Frame, node: NodeState) -> list[int]:
    """Mark what asked for this failure, and what follows from that: it is never held back. Gives what is marked now.

    Neither are the services that it waits for: it would run without them, or not at all.
    """
    marked: list[int] = []
    stack = [edge.target for edge in node.node.outgoing if edge.outcome in (FAILED_EDGE, DONE)]
    while stack:
        current = frame.nodes[stack.pop()]
        if not current.exempt:
            current.exempt = True
            marked.append(current.node.index)
            stack.extend(edge.target for edge in current.node.outgoing)
    needed = services_of(frame, marked)
    for index in needed:
        frame.nodes[index].needed = True
    return [*marked, *needed]


def services_of(frame: Frame, nodes: Collection[int]) -> set[int]:
    """The services that these nodes wait for, and those that these services wait for."""
    found: set[int] = set()
    stack = list(nodes)
    while stack:
        for edge in frame.nodes[stack.pop()].node.incoming:
            if edge.outcome == READY and edge.source not in found and not is_off(frame.nodes[edge.source]):
                found.add(edge.source)
                stack.append(edge.source)
    return found


def is_off(node: NodeState) -> bool:
    """Whether the node was skipped by its own condition."""
    return node.phase == SKIPPED and node.reason == Reason.ConditionFalse


def may_begin(frame: Frame, node: NodeState) -> bool:
    """Whether a node that its join lets run may start, as its graph stands."""
    if frame.closing is None:
        return True
    return (node.exempt or node.needed) and SEVERITY[frame.how] < SEVERITY["Quiet"]


def close(step: Step, frame: Frame, why: str, how: str) -> None:
    """Close the graph. Closing again more severely adds to it; more mildly changes nothing.

    What was ready in the instant of the failure has started in that instant, as far as there was room: see `hold_back`.
    """
    if frame.closing is not None and SEVERITY[how] <= SEVERITY[frame.how]:
        return
    frame.closing, frame.how = why, how
    for node in frame.nodes:
        if node.phase in TERMINAL or may_begin(frame, node):
            continue
        if node.begun and _has_started_nothing(node):
            if how != "Hold" or node not in step.entered:
                hold(step, frame, node)
        elif node.begun and how != "Hold":
            _stop_node(step, node, why, how)
    step.settle(frame)


def hold_back(step: Step) -> None:
    """Take back what was let run in this step, found no place in it, and must not start in a closed graph."""
    for node, frame in step.entered.items():
        closed = node.begun and node.phase not in TERMINAL and not may_begin(frame, node)
        if closed and _has_started_nothing(node):
            hold(step, frame, node)
            step.settle(frame)


def _has_started_nothing(node: NodeState) -> bool:
    """Whether nothing of the node has started yet, but for items that a rerun has kept."""
    return node.start is None and all(fresh(unit) or unit.stage == ENDED for unit in node.units.values())


def hold(step: Step, frame: Frame, node: NodeState) -> None:
    """Take a node that has not started anything back to waiting."""
    for unit in node.units.values():
        if unit.stage != ENDED:
            unqueue(step, unit)
    if node.begun and not node.node.service:
        frame.active -= 1
    node.begun, node.held = False, True
    counted = size.of_items(node)
    if node.items is not None:
        node.units = {index: unit for index, unit in node.units.items() if not unit.untouched}
    node.items, node.next_item, node.running_items = None, 0, 0
    step.state.size += size.of_items(node) - counted
    node.phase, node.reason, node.message = PENDING, None, ""


def _stop_node(step: Step, node: NodeState, why: str, how: str) -> None:
    if node.items is not None and node.blocked is None:
        if how == "Quiet":
            node.blocked = why
            _quiet_units(step, node, why)
        else:
            block(step, node, why)
    elif how == "Quiet":
        _quiet_units(step, node, why)
    else:
        for unit in list(node.units.values()):
            stop_attempt(step, unit, why)


def _quiet_units(step: Step, node: NodeState, why: str) -> None:
    for unit in taken_up(node):
        if unit.stage == ACTIVE and unit.child is not None:
            step.close(unit.child, why, "Quiet")
        elif not running(unit):
            stop_attempt(step, unit, why)


def running(unit: Unit) -> bool:
    """True for an attempt in flight; approvals, waits and back-offs are not running."""
    return unit.stage == ACTIVE and unit.node.body.kind in IN_FLIGHT


def settle(step: Step, frame: Frame) -> None:
    """Nothing runs in the graph any more: skip what is held back, stop what is no longer needed."""
    if frame.active:
        return
    if frame.closing is not None:
        reason = Reason.RunFailed if SEVERITY[frame.how] < SEVERITY["Quiet"] else frame.closing
        swept = [n for n in frame.nodes if n.phase == PENDING and not n.begun and not may_begin(frame, n)]
        for node in swept:
            end_node(step, frame, node, SKIPPED, reason, "")
    for node in frame.nodes:
        if node.node.service and node.begun and node.phase not in TERMINAL:
            release_service(step, frame, node)


def release_service(step: Step, frame: Frame, node: NodeState) -> None:
    """Stop a service that nobody needs any more: its `:Ready` dependents have ended.

    A service without such dependents is stopped when nothing else in its graph runs.
    """
    if not node.begun or node.phase in TERMINAL or not node.node.service:
        return
    users = [frame.nodes[edge.target] for edge in node.node.outgoing if edge.outcome == READY]
    if any(user.phase not in TERMINAL for user in users) or (not users and frame.active):
        return
    for unit in list(node.units.values()):
        stop_attempt(step, unit, SERVICE_DONE)
