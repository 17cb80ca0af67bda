"""The bodies: how each kind of work starts, and how its end is judged.

Bodies that run outside (job, http, resource, workflow) render their request and ask the shell;
the others are decided here at once or wait for a clock or a person. Adding a body is one function
in STARTERS, its fields in `api/node`, and its check in `graph/validate`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from weft.api.conditions import Reason
from weft.api.parameters import check_parameters
from weft.engine.actions import AskApproval, Start
from weft.engine.observation import AttemptEnded
from weft.engine.outputs import OutputsError, parse_outputs
from weft.engine.rerun import FROM_FAILED, reset_frame
from weft.engine.scope import variables
from weft.engine.state import COMPENSATE, MAIN, WAITING, Frame, NodeState, RunState, Unit
from weft.engine.step import Step
from weft.engine.units import begin_attempt, fail, previous_attempt, show, succeed
from weft.expr.cel import ExpressionError, Program
from weft.expr.template import Structure


def start(step: Step, unit: Unit) -> None:
    """Start an attempt of the unit's body. A bad expression fails the unit, never the engine."""
    begin_attempt(step, unit)
    try:
        if problems := restore_inputs(step.state, unit):
            message = f"NodeType {unit.node.body.node_type}: " + "; ".join(problems)
            fail(step, unit, Reason.InvalidParameters, message, fatal=True)
            return
        STARTERS[unit.node.body.kind](step, unit)
    except ExpressionError as error:
        fail(step, unit, Reason.ExpressionError, f"{error.path}: {error}".lstrip(".: "), fatal=True)


def restore_inputs(state: RunState, unit: Unit) -> list[str]:
    """Compute the inputs of a NodeType (`unit.params`); gives what is wrong with them."""
    body = unit.node.body
    if body.inputs is None:
        return []
    given = body.inputs.render(_scope(state, unit, body.inputs.programs, outer=True))
    unit.params, problems = check_parameters(body.declared, given)
    return problems


def _scope(
    state: RunState, unit: Unit, programs: tuple[Program, ...], *, outer: bool = False, **extra: Any
) -> dict[str, Any]:
    if unit.params is not None and not outer:  # inside a NodeType only its own inputs exist
        extra["params"] = unit.params
    return variables(state, unit.frame, programs, index=unit.owner.node.index, unit=unit, extra=extra)


def _render(state: RunState, unit: Unit, structure: Structure | None) -> Any:
    return {} if structure is None else structure.render(_scope(state, unit, structure.programs))


def payload(state: RunState, unit: Unit) -> Any:
    """The rendered body of an attempt that runs outside; see `actions.Start`. Raises ExpressionError."""
    body = unit.node.body
    if body.kind == "job":
        return _render(state, unit, body.job.values if body.job else None)
    if body.kind == "workflow":
        return {"name": body.name, "parameters": _render(state, unit, body.parameters)}
    return _render(state, unit, body.request)


def _ask(step: Step, unit: Unit) -> None:
    unit.payload = payload(step.state, unit)
    step.act(Start(unit.id, unit.node.body.kind, unit.node, unit.payload, unit.memory, previous_attempt(unit)))


def _graph(step: Step, unit: Unit) -> None:
    if unit.child is None:
        unit.child = child_frame(step.state, unit)
    else:  # another attempt, or a rerun: what has succeeded in it is kept
        reset_frame(unit.child, FROM_FAILED)
    graph = unit.child.graph
    values, problems = check_parameters(graph.parameters, _render(step.state, unit, unit.node.body.parameters))
    if problems:
        fail(step, unit, Reason.InvalidParameters, f"graph {graph.name}: " + "; ".join(problems), fatal=True)
        return
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
        frame.params, _ = check_parameters(graph.parameters, _render(state, unit, unit.node.body.parameters))
    return frame


def _switch(step: Step, unit: Unit) -> None:
    body = unit.node.body
    chosen = body.default
    for name, when in body.cases:
        if when.evaluate_bool(_scope(step.state, unit, (when,))):
            chosen = name
            break
    unit.owner.chosen = chosen
    succeed(step, unit, {"case": chosen})


def _expr(step: Step, unit: Unit) -> None:
    programs = tuple(program for _, program in unit.node.body.values)
    scope = _scope(step.state, unit, programs)
    succeed(step, unit, {name: program.evaluate(scope) for name, program in unit.node.body.values})


def _wait(step: Step, unit: Unit) -> None:
    body = unit.node.body
    if body.seconds is not None:
        seconds = _render(step.state, unit, body.seconds)
        if isinstance(seconds, str):
            seconds = _number(seconds)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_WAIT:
            detail = f"gave {seconds!r}; a number of seconds from 0 to {MAX_WAIT} was expected"
            raise ExpressionError(detail, text="wait.seconds")
        unit.seconds = float(seconds)
    else:
        unit.due = parse_time(_render(step.state, unit, body.until))
    show(unit, WAITING, Reason.WaitingForTime, "")
    step.arm("wait", unit)


MAX_WAIT = 10 * 366 * 86400
"""Longest wait in seconds: ten years."""


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def parse_time(value: Any) -> float:
    """Epoch seconds of an RFC 3339 time. Raises ExpressionError for anything else."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        detail = f"gave {value!r}; a time such as 2026-12-24T18:00:00Z was expected"
        raise ExpressionError(detail, text="wait.until") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _approval(step: Step, unit: Unit) -> None:
    unit.level, unit.level_start, unit.decisions = 0, step.now, []
    step.state.active[unit.id] = unit
    ask(step, unit)


def ask(step: Step, unit: Unit) -> None:
    """Ask the approvers of the unit's level. Raises ExpressionError for a bad message."""
    approval = unit.node.body.approval
    assert approval is not None
    message = approval.message
    text = message if isinstance(message, str) else str(message.render(_scope(step.state, unit, message.programs)))
    asked = approval.levels[unit.level]
    show(unit, WAITING, Reason.AwaitingApproval, text)
    step.act(AskApproval(unit.id, text, asked.users, asked.groups))
    step.arm("approval", unit)


STARTERS: dict[str, Callable[[Step, Unit], None]] = {
    "job": _ask, "http": _ask, "resource": _ask, "workflow": _ask, "graph": _graph,
    "switch": _switch, "expr": _expr, "wait": _wait, "approval": _approval,
}  # fmt: skip


def decided(step: Step, unit: Unit, by: str, decision: str, at: float) -> None:
    """Somebody decided: one rejection ends the approval, `quorum` approvals do, one per person."""
    approval = unit.node.body.approval
    if approval is None or any(previous == by for previous, _, _ in unit.decisions):
        return
    unit.decisions.append((by, decision, at))
    if decision == "Reject":
        unit.outputs = _decision(unit, "Reject", at)
        fail(step, unit, Reason.Rejected, f"rejected by {by}")
    elif sum(1 for _, word, _ in unit.decisions if word == "Approve") >= approval.quorum:
        succeed(step, unit, _decision(unit, "Approve", at))
    else:
        count = len(unit.decisions)
        unit.owner.message = f"{count} of {approval.quorum} approvals: " + ", ".join(by for by, _, _ in unit.decisions)


def approval_timeout(step: Step, unit: Unit) -> None:
    """The time of the approvers asked is over: approve, ask the next group, or fail."""
    approval = unit.node.body.approval
    assert approval is not None
    if approval.on_timeout == "Escalate" and unit.level + 1 < len(approval.levels):
        unit.level, unit.level_start = unit.level + 1, step.now
        try:
            ask(step, unit)
        except ExpressionError as error:
            fail(step, unit, Reason.ExpressionError, str(error))
    elif approval.on_timeout == "Approve":
        succeed(step, unit, _decision(unit, "Approve", step.now))
    else:
        unit.outputs = _decision(unit, "Reject", step.now)
        fail(step, unit, Reason.ApprovalTimeout, f"nobody decided in time; {approval.quorum} approvals were needed")


def _decision(unit: Unit, decision: str, at: float) -> dict[str, Any]:
    names = [by for by, word, _ in unit.decisions if word == decision]
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"decision": decision, "by": names, "at": moment}


def ended(step: Step, unit: Unit, seen: AttemptEnded) -> None:
    """Judge the end of an attempt that ran outside."""
    unit.exit_code = seen.exit_code
    outputs: Any = seen.outputs
    if seen.text is not None:
        try:
            outputs = parse_outputs(seen.text)
        except OutputsError as error:
            if seen.succeeded:
                unit.outputs = None
                fail(step, unit, error.reason, str(error))
                return
    body = unit.node.body
    try:
        if body.kind == "http" and isinstance(outputs, dict) and "status" in outputs:
            _http_ended(step, unit, seen, outputs)
            return
    except ExpressionError as error:
        fail(step, unit, Reason.ExpressionError, f"successWhen: {error}", fatal=True)
        return
    if seen.succeeded:
        succeed(step, unit, outputs)
    else:
        unit.outputs = outputs
        fail(step, unit, seen.reason or Reason.Error, seen.message, disruption=seen.disruption, fatal=seen.fatal)


def _http_ended(step: Step, unit: Unit, seen: AttemptEnded, outputs: dict[str, Any]) -> None:
    """An answer came: `successWhen` judges it, or a status from 200 to 299 is a success."""
    status = outputs["status"]
    when = unit.node.body.success_when
    if when is None:
        good = 200 <= status < 300
        why = f"the server answered {status}"
    else:
        good = when.evaluate_bool(_scope(step.state, unit, (when,), response=outputs, **_http_names(outputs)))
        why = f"the server answered {status}; successWhen is false"
    if good:
        succeed(step, unit, outputs)
    else:
        unit.outputs = outputs
        fail(step, unit, seen.reason or Reason.RequestFailed, why, disruption=seen.disruption)


def _http_names(outputs: dict[str, Any]) -> dict[str, Any]:
    return {"status": outputs.get("status"), "body": outputs.get("body"), "headers": outputs.get("headers", {})}


def judge_resource(state: RunState, unit: Unit, obj: dict[str, Any], now: float) -> AttemptEnded | None:
    """What the object of a resource node says: failed by `failWhen`, succeeded by `successWhen`, or not yet.

    Without `successWhen` it has succeeded as soon as it exists.
    """
    body = unit.node.body
    metadata = obj["metadata"]
    outputs = {"name": metadata["name"], "kind": obj.get("kind"), "status": obj.get("status") or {}}
    try:
        if body.fail_when is not None and _holds(state, unit, body.fail_when, obj):
            message = f"failWhen is true: {body.fail_when.text}"
            return AttemptEnded(unit.id, now, succeeded=False, reason=Reason.ResourceFailed, message=message)
        if body.success_when is None or _holds(state, unit, body.success_when, obj):
            return AttemptEnded(unit.id, now, succeeded=True, outputs=outputs)
    except ExpressionError as error:
        return AttemptEnded(
            unit.id, now, succeeded=False, reason=Reason.ExpressionError, message=str(error), fatal=True
        )
    return None


def _holds(state: RunState, unit: Unit, condition: Program, obj: dict[str, Any]) -> bool:
    return condition.evaluate_bool(_scope(state, unit, (condition,), object=obj))


def graph_succeeded(step: Step, unit: Unit, frame: Frame) -> None:
    """Every node of the subgraph has ended well: its outputs are the unit's."""
    programs = tuple(program for _, program in frame.graph.outputs)
    try:
        found = variables(step.state, frame, programs)
        outputs = {name: program.evaluate(found) for name, program in frame.graph.outputs}
    except ExpressionError as error:
        fail(step, unit, Reason.ExpressionError, f"outputs of graph {frame.graph.name}: {error}", fatal=True)
        return
    succeed(step, unit, outputs or None)


def graph_failed(step: Step, unit: Unit, frame: Frame) -> None:
    """The subgraph failed: so does the unit, with the first failures as its message."""
    first = failed_nodes(frame)[0]
    unit.exit_code = first.exit_code
    fail(step, unit, Reason.GraphFailed, failure_message(frame))


def failed_nodes(frame: Frame) -> list[NodeState]:
    """The nodes whose failure nobody caught, in the order they failed."""
    return sorted((frame.nodes[index] for index in frame.failures), key=lambda n: (n.end or 0.0, n.node.rank))


def failure_message(frame: Frame) -> str:
    """The first failures of the graph in one line."""
    failed = failed_nodes(frame)
    shown = [f"{n.node.name} failed ({n.reason}: {n.message})" for n in failed[:3]]
    more = len(failed) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")
