"""How what ran outside has ended: a container by its exit and outputs, an answer or an object by its conditions."""

from __future__ import annotations

from typing import Any

from weft.api.conditions import Reason
from weft.engine.observation import AttemptEnded
from weft.engine.outputs import OutputsError, parse_outputs, plain
from weft.engine.rendering import body_scope
from weft.engine.state import ACTIVE, MAX_MESSAGE, RunState, Unit
from weft.engine.step import Step
from weft.engine.units import SUCCESS_WHEN, fail, succeed, tell
from weft.expr.access import NO_KEY
from weft.expr.cel import ExpressionError


def ended(step: Step, unit: Unit, seen: AttemptEnded) -> None:
    """Judge the end of an attempt that ran outside."""
    unit.exit_code = seen.exit_code
    outputs: Any = None
    try:
        outputs = plain(seen.outputs) if seen.text is None else parse_outputs(seen.text)
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
    """An answer came: `successWhen` judges it, or a status from 200 to 299 is a success.

    The headers are for `successWhen` alone: they may hold cookies and tokens, and everybody may read a status.
    """
    status = outputs["status"]
    when = unit.node.body.success_when
    if when is None:
        good = 200 <= status < 300
        why = f"the server answered {status}"
    else:
        good = when.evaluate_bool(body_scope(step.state, unit, (when,), response=outputs, **_http_names(outputs)))
        why = f"the server answered {status}; successWhen is false"
    kept = {key: value for key, value in outputs.items() if key != "headers"}
    if good:
        succeed(step, unit, kept)
    else:
        unit.outputs = kept
        fail(step, unit, seen.reason or Reason.RequestFailed, why, disruption=seen.disruption)


def _http_names(outputs: dict[str, Any]) -> dict[str, Any]:
    return {"status": outputs.get("status"), "body": outputs.get("body"), "headers": outputs.get("headers", {})}


def judge_resource(state: RunState, unit: Unit, obj: dict[str, Any], now: float) -> AttemptEnded | None:
    """What the object of a resource node says: failed by `failWhen`, succeeded by `successWhen`, or not yet.

    Without `successWhen` it has succeeded as soon as it exists. What the object does not have is not there yet, as
    controllers write a status later than people make an object; the node tells of it.
    """
    body = unit.node.body
    metadata = obj["metadata"]
    outputs = {"name": metadata["name"], "kind": obj.get("kind"), "status": obj.get("status") or {}}
    lacks = ""
    for field, condition in (("failWhen", body.fail_when), ("successWhen", body.success_when)):
        try:
            if condition is None or not condition.evaluate_bool(body_scope(state, unit, (condition,), object=obj)):
                continue
        except ExpressionError as error:
            told = f"{field}: {error}"
            if not error.detail.startswith(NO_KEY):
                return AttemptEnded(
                    unit.id, now, succeeded=False, reason=Reason.ExpressionError, message=told, fatal=True
                )
            lacks = f"{SUCCESS_WHEN}{error}" if field == "successWhen" else ""
            continue
        if field == "successWhen":
            return AttemptEnded(unit.id, now, succeeded=True, outputs=outputs)
        message = f"failWhen is true: {condition.text}"
        return AttemptEnded(unit.id, now, succeeded=False, reason=Reason.ResourceFailed, message=message)
    if body.success_when is None:
        return AttemptEnded(unit.id, now, succeeded=True, outputs=outputs)
    _tell(state, unit, lacks)
    return None


def _tell(state: RunState, unit: Unit, lacks: str) -> None:
    """Let the node say what its object lacks, unless it has something else to say."""
    if unit.stage == ACTIVE and unit.reason is None and unit.message != lacks[:MAX_MESSAGE]:
        tell(unit, None, lacks)
        state.dirty = True
