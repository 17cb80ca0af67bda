"""The bodies: how each kind of work starts.

Bodies that run outside (job, http, resource, workflow) render their request and ask the shell (their ends: `judge`);
the others are decided here at once, or wait for a clock, for people (`approvals`) or for a graph (`subgraphs`). Adding
a body is one function in STARTERS, its fields in `api/node`, and its check in `graph/validate`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from weft.api.bodies import MAX_WAIT
from weft.api.conditions import Reason
from weft.api.times import LAST_MOMENT
from weft.engine import approvals, subgraphs
from weft.engine.actions import Start
from weft.engine.rendering import body_scope, payload, remember_unfinished, render, restore_inputs
from weft.engine.state import WAITING, Unit
from weft.engine.step import Step
from weft.engine.units import begin_attempt, fail, granted_memory, previous_attempt, show, succeed
from weft.expr.cel import ExpressionError


def start(step: Step, unit: Unit) -> None:
    """Start an attempt of the unit's body. A bad expression fails the unit, never the engine."""
    begin_attempt(step, unit)
    remember_unfinished(step.state, unit)
    try:
        if problems := restore_inputs(step.state, unit):
            message = f"NodeType {unit.node.body.node_type}: " + "; ".join(problems)
            fail(step, unit, Reason.InvalidParameters, message, fatal=True)
            return
        STARTERS[unit.node.body.kind](step, unit)
    except ExpressionError as error:
        fail(step, unit, Reason.ExpressionError, f"{error.path}: {error}".lstrip(".: "), fatal=True)


def _ask(step: Step, unit: Unit) -> None:
    unit.payload = payload(step.state, unit)
    step.act(Start(unit.id, unit.node.body.kind, unit.node, unit.payload, granted_memory(unit), previous_attempt(unit)))


def _switch(step: Step, unit: Unit) -> None:
    body = unit.node.body
    chosen = body.default
    scope = body_scope(step.state, unit, tuple(when for _, when in body.cases))
    for name, when in body.cases:
        if when.evaluate_bool(scope):
            chosen = name
            break
    unit.owner.chosen = chosen
    succeed(step, unit, {"case": chosen})


def _expr(step: Step, unit: Unit) -> None:
    programs = tuple(program for _, program in unit.node.body.values)
    scope = body_scope(step.state, unit, programs)
    succeed(step, unit, {name: program.evaluate(scope) for name, program in unit.node.body.values})


def _wait(step: Step, unit: Unit) -> None:
    body = unit.node.body
    if body.seconds is not None:
        seconds = render(step.state, unit, body.seconds)
        if isinstance(seconds, str):
            seconds = _number(seconds)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_WAIT:
            detail = f"gave {seconds!r}; a number of seconds from 0 to {MAX_WAIT} was expected"
            raise ExpressionError(detail, text="wait.seconds")
        unit.seconds = float(seconds)
    else:
        unit.due = parse_time(render(step.state, unit, body.until))
    show(unit, WAITING, Reason.WaitingForTime, "")
    step.arm("wait", unit)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def parse_time(value: Any) -> float:
    """Epoch seconds of an RFC 3339 time, 0 for one before. Raises ExpressionError for anything else."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        detail = f"gave {value!r}; a time such as 2026-12-24T18:00:00Z was expected"
        raise ExpressionError(detail, text="wait.until") from None
    at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return min(max(at, 0.0), LAST_MOMENT)


STARTERS: dict[str, Callable[[Step, Unit], None]] = {
    "job": _ask, "http": _ask, "resource": _ask, "workflow": _ask, "graph": subgraphs.enter,
    "switch": _switch, "expr": _expr, "wait": _wait, "approval": approvals.begin,
}  # fmt: skip
