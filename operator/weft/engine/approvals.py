"""The body `approval`: people are asked, one group after the other; a quorum or one rejection decides."""

from __future__ import annotations

from typing import Any

from weft.api.conditions import Reason, message_for, shortened
from weft.api.times import timestamp
from weft.engine.actions import AskApproval
from weft.engine.rendering import body_scope
from weft.engine.state import MAX_MESSAGE, WAITING, Unit
from weft.engine.step import Step
from weft.engine.units import fail, show, succeed
from weft.expr.cel import ExpressionError
from weft.expr.template import to_text
from weft.graph.compiled import Approval


def begin(step: Step, unit: Unit) -> None:
    """Start an approval: its first group is asked."""
    unit.level, unit.level_start, unit.decisions = 0, step.now, []
    step.state.active[unit.id] = unit
    ask(step, unit)


def ask(step: Step, unit: Unit) -> None:
    """Ask the approvers of the unit's level. Raises ExpressionError for a bad message."""
    approval = unit.node.body.approval
    assert approval is not None
    message = approval.message
    given = message if isinstance(message, str) else message.render(body_scope(step.state, unit, message.programs))
    _put(step, unit, approval, to_text(given))


def ask_again(step: Step, unit: Unit) -> None:
    """Ask after a restart: in the words of before, unless the status had no room for them. Raises ExpressionError."""
    approval = unit.node.body.approval
    assert approval is not None
    if not unit.message:
        ask(step, unit)
        return
    tally = _tally(unit, approval)
    text = unit.message.removesuffix(f" ({tally})") if unit.message != tally else ""
    _put(step, unit, approval, text)


def _put(step: Step, unit: Unit, approval: Approval, question: str) -> None:
    unit.payload = question
    _show(unit, approval)
    step.act(AskApproval(unit.id))
    step.arm("approval", unit)


def _tally(unit: Unit, approval: Approval) -> str:
    if not unit.decisions:
        return ""
    names = ", ".join(by for by, _, _ in unit.decisions)
    return f"{len(unit.decisions)} of {approval.quorum} approvals: {names}"


def _show(unit: Unit, approval: Approval) -> None:
    """Let the node show what is asked, and who has approved already."""
    text: str = unit.payload
    if tally := _tally(unit, approval):
        room = max(1, MAX_MESSAGE - len(tally) - len(" ()"))
        text = f"{shortened(text, room)} ({tally})" if text else tally
    show(unit, WAITING, Reason.AwaitingApproval, text)


def decided(step: Step, unit: Unit, by: str, decision: str, at: float) -> None:
    """Somebody decided: one rejection ends the approval, `quorum` approvals do, one per person."""
    approval = unit.node.body.approval
    if approval is None or any(previous == by for previous, _, _ in unit.decisions):
        return
    unit.decisions.append((by, decision, at))
    if decision == "Reject":
        unit.outputs = _decision(unit, "Reject", at)
        fail(step, unit, Reason.Rejected, message_for(Reason.Rejected, by=by))
    elif sum(1 for _, word, _ in unit.decisions if word == "Approve") >= approval.quorum:
        succeed(step, unit, _decision(unit, "Approve", at))
    else:
        _show(unit, approval)


def timed_out(step: Step, unit: Unit) -> None:
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
        fail(step, unit, Reason.ApprovalTimeout, message_for(Reason.ApprovalTimeout, quorum=approval.quorum))


def _decision(unit: Unit, decision: str, at: float) -> dict[str, Any]:
    names = [by for by, word, _ in unit.decisions if word == decision]
    return {"decision": decision, "by": names, "at": timestamp(at)}
