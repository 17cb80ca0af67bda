"""The body `graph`: a frame of its own for every unit, and how its end becomes the unit's."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from weft.api.conditions import Reason
from weft.api.parameters import check_parameters
from weft.engine import size
from weft.engine.rendering import render
from weft.engine.rerun import FROM_FAILED, reset_frame
from weft.engine.scope import variables
from weft.engine.state import COMPENSATE, FAILED, MAIN, Frame, NodeState, RunState, Unit
from weft.engine.step import Step
from weft.engine.units import fail, succeed
from weft.expr.cel import ExpressionError
from weft.graph.compiled import Graph


def enter(step: Step, unit: Unit) -> None:
    """Start an attempt: a new frame, or the one of the attempt before with what succeeded in it kept."""
    graph = unit.node.body.graph
    assert graph is not None
    values, problems = _parameters(step.state, unit, graph)
    if problems:
        fail(step, unit, Reason.InvalidParameters, f"graph {graph.name}: " + "; ".join(problems), fatal=True)
        return
    if unit.child is None:
        try:
            size.claim(step.state, unit.place, size.of_child(unit))
        except size.RunTooLarge as error:
            fail(step, unit, Reason.RunTooLarge, str(error), fatal=True)
            return
        unit.child = child_frame(step.state, unit)
    else:  # another attempt, or a rerun: what has succeeded in it is kept
        step.state.size -= size.of_frame(unit.child)
        reset_frame(unit.child, FROM_FAILED)
        step.state.size += size.of_frame(unit.child)
    unit.child.params = values
    step.begun.append(unit.child)


def child_prefix(unit: Unit) -> str:
    """What the paths of the unit's subgraph begin with."""
    return f"{unit.place}/" if unit.role == MAIN else f"{unit.place}.{COMPENSATE}/"


def child_frame(state: RunState, unit: Unit) -> Frame:
    """A frame for the unit's subgraph, with its parameters as far as they can be computed."""
    graph = unit.node.body.graph
    assert graph is not None
    position = unit.index if unit.index is not None else (unit.iteration if unit.iteration is not None else -1)
    order = (*unit.frame.order, unit.owner.node.rank, position)
    frame = Frame(
        graph, {}, parent=unit, prefix=child_prefix(unit), order=order, stage=unit.frame.stage, base=unit.base
    )
    with suppress(ExpressionError):  # reported when the attempt starts
        frame.params, _ = _parameters(state, unit, graph)
    return frame


def _parameters(state: RunState, unit: Unit, graph: Graph) -> tuple[dict[str, Any], list[str]]:
    """What the graph is given by its unit, and what is wrong with it. Raises ExpressionError."""
    return check_parameters(graph.parameters, render(state, unit, unit.node.body.parameters, then=unit.then))


def succeeded(step: Step, unit: Unit, frame: Frame) -> None:
    """Every node of the subgraph has ended well: its outputs are the unit's."""
    try:
        outputs = outputs_of(step.state, frame)
    except ExpressionError as error:
        fail(step, unit, Reason.ExpressionError, f"graph {frame.graph.name}: {error}", fatal=True)
        return
    succeed(step, unit, outputs or None)


def outputs_of(state: RunState, frame: Frame) -> dict[str, Any]:
    """What the outputs of the frame's graph come to. Raises ExpressionError that names the output."""
    found = variables(state, frame, tuple(program for _, program in frame.graph.outputs))
    outputs = {}
    for index, (name, program) in enumerate(frame.graph.outputs):
        try:
            outputs[name] = program.evaluate(found)
        except ExpressionError as error:
            detail = f"outputs[{index}] {name}: {error.detail}"
            raise ExpressionError(detail, text=error.text, position=error.position) from None
    return outputs


def failed(step: Step, unit: Unit, frame: Frame) -> None:
    """The subgraph failed: so does the unit, with the first failures as its message."""
    first = failed_nodes(frame)[0]
    unit.exit_code = first.exit_code
    fail(step, unit, Reason.GraphFailed, failure_message(frame))


def failed_nodes(frame: Frame) -> list[NodeState]:
    """The nodes whose failure nobody caught, in the order they failed."""
    return sorted((frame.nodes[index] for index in frame.failures), key=lambda n: (n.end or 0.0, n.node.rank))


def failure_message(frame: Frame) -> str:
    """The first failures of the graph in one line."""
    nodes = failed_nodes(frame)
    shown = [_failure(node) for node in nodes[:3]]
    more = len(nodes) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def _failure(node: NodeState) -> str:
    if node.phase == FAILED:
        return f"{node.node.name} failed ({node.reason}: {node.message})"
    return f"{node.node.name} was cancelled ({node.reason})"
