"""The life of a unit: gates, the queue, attempts, retries, the end.

    New -> (Gated: cache, concurrency key) -> Queued -> Active -> Ended
                                                ^         |  \\-> Stopping -> Ended
                                                +- Backoff+

Bodies (see `bodies`) start attempts and judge their ends; everything between is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from weft.api.conditions import Reason, message_for
from weft.engine import retry
from weft.engine.actions import Acquire, LookUp, Release, Remember, Stop
from weft.engine.observation import AttemptEnded
from weft.engine.outputs import MAX_TOGETHER, OutputsError, plain, size_of
from weft.engine.scope import variables
from weft.engine.state import (
    ACTIVE,
    BACKOFF,
    CANCELLED,
    ENDED,
    FAILED,
    GATED,
    MAIN,
    MAX_MESSAGE,
    NEW,
    QUEUED,
    RUNNING,
    STOPPING,
    SUCCEEDED,
    WAITING,
    AttemptId,
    RunState,
    Unit,
)  # fmt: skip
from weft.engine.step import Step
from weft.expr.cel import TOGETHER, ExpressionError
from weft.expr.frame import Variables
from weft.expr.template import to_text
from weft.graph.compiled import NEVER_RETRIED

IN_FLIGHT = frozenset({"job", "http", "resource", "workflow"})
"""Bodies whose attempts run outside the engine and have to be stopped there."""

PODLESS = "Pod"
"""Put before the reason for which an attempt is pending when its Job was made and only the Pod was refused."""

SUCCESS_WHEN = "successWhen: "
"""Put before what the object of a resource node lacks so that it could succeed."""


def prepare(step: Step, unit: Unit) -> None:
    """Take a new unit through its gates: the cache, then the concurrency key, then the queue.

    A suspended run asks for nothing: a key would be kept from others, or taken from them. The unit waits for the
    resume. Whether a key is free is asked once where that decides (Skip): what goes round already waits for it.
    """
    node, state = unit.node, step.state
    waits = unit.parked or (step.held and not step.again)
    if waits and (node.cache_key is not None or node.concurrency_key is not None):
        unit.parked = True
        state.parked.append(unit)
        return
    try:
        if node.cache_key is not None and unit.cache_key is None:
            programs = node.cache_key.programs
            found = variables(state, unit.frame, programs, index=node.index, unit=unit)
            unit.cache_key = to_text(node.cache_key.render(found))
            unit.stage = GATED
            state.active[unit.gate] = unit
            step.act(LookUp(unit.gate, unit.cache_key, node.cache_max_age))
            return
        if node.concurrency_key is not None and unit.lock is None:
            programs = node.concurrency_key.programs
            found = variables(state, unit.frame, programs, index=node.index, unit=unit)
            unit.lock = to_text(node.concurrency_key.render(found))
            unit.stage = GATED
            tell(unit, Reason.WaitingForConcurrency, message_for(Reason.WaitingForConcurrency, key=unit.lock))
            state.active[unit.gate] = unit
            policy = node.concurrency_policy
            if policy == "Skip" and unit.start is not None:
                policy = "Queue"
            step.act(Acquire(unit.gate, unit.lock, node.concurrency_limit, policy))
            return
    except ExpressionError as error:
        finish(step, unit, FAILED, Reason.ExpressionError, str(error))
        return
    enqueue(step, unit)


def enqueue(step: Step, unit: Unit) -> None:
    """The unit may start as soon as there is room."""
    unit.stage = QUEUED
    step.enqueue(unit, pod=unit.node.body.kind == "job")


def begin_attempt(step: Step, unit: Unit) -> None:
    """Number the next attempt and start its clocks."""
    state, now = step.state, step.now
    unit.attempt += 1
    unit.high = max(unit.high, unit.attempt)
    unit.attempt_start = now
    if unit.start is None:
        unit.start = now
    unit.stage, unit.phase, unit.reason, unit.message = ACTIVE, RUNNING, None, ""
    unit.exit_code = unit.due = unit.outputs = None
    if unit.role == MAIN:
        if unit.owner.start is None:
            unit.owner.start = now
        show(unit, RUNNING, None, "")
    if unit.node.deadline is not None:
        step.arm("deadline", unit)
    if unit.node.timeout is not None:
        step.arm("attempt", unit)
    if unit.node.body.kind == "job":
        state.pods += 1
    if unit.node.body.kind in IN_FLIGHT:
        state.active[unit.id] = unit


def attempt_over(state: RunState, unit: Unit) -> None:
    """The attempt is no longer in flight: its place is free."""
    in_flight = state.active.pop(unit.id, None) is not None and unit.stage in (ACTIVE, STOPPING)
    if in_flight and unit.node.body.kind == "job":
        state.pods -= 1
    if unit.pending is not None and unit.role == MAIN and unit.owner.node.for_each is not None:
        let_another_speak(unit)
    unit.pending = unit.pending_since = None
    unit.pending_text = ""


def succeed(step: Step, unit: Unit, outputs: Any) -> None:
    """The body succeeded with these outputs."""
    attempt_over(step.state, unit)
    if unit.node.body.results:
        given = {"outputs": {} if outputs is None else outputs, "params": unit.params or {}}
        scope = Variables(given, step.state.meter, TOGETHER)
        try:
            outputs = {name: program.evaluate(scope) for name, program in unit.node.body.results}
        except ExpressionError as error:
            fail(step, unit, Reason.ExpressionError, str(error), fatal=True)
            return
    if unit.node.body.kind != "job" or unit.node.body.results:
        try:
            outputs = plain(outputs)
        except OutputsError as error:
            fail(step, unit, error.reason, str(error), fatal=True)
            return
    if unit.role == MAIN and unit.owner.node.for_each is not None:
        together = unit.owner.given + size_of(outputs)
        if together > MAX_TOGETHER:
            told = f"the outputs of all items are more than {MAX_TOGETHER} bytes of JSON; hand on their addresses"
            fail(step, unit, Reason.OutputsTooLarge, told, fatal=True)
            return
        unit.owner.given = together
    unit.outputs = outputs
    if unit.cache_key is not None:
        step.act(Remember(unit.gate, unit.cache_key, {} if outputs is None else outputs))
    finish(step, unit, SUCCEEDED, None, "")


def fail(step: Step, unit: Unit, reason: str, message: str, *, disruption: bool = False, fatal: bool = False) -> None:
    """An attempt failed: try again after a back-off, or end the unit."""
    state, policy = step.state, unit.node.retry
    attempt_over(state, unit)
    if unit.stop_reason is not None:  # it had ended before its stop came, and badly
        finish(step, unit, CANCELLED, unit.stop_reason, "")
        return
    fatal = fatal or unit.node.body.kind in NEVER_RETRIED
    wanted = True
    if policy.when is not None and not disruption and not fatal:
        extra = {
            "exitCode": unit.exit_code, "reason": reason, "message": message, "attempt": unit.attempt,
            "outputs": {} if unit.outputs is None else unit.outputs,
        }  # fmt: skip
        try:
            found = variables(state, unit.frame, (policy.when,), index=unit.owner.node.index, unit=unit, extra=extra)
            wanted = policy.when.evaluate_bool(found)
        except ExpressionError as error:
            told = f"{Reason.ExpressionError} in retry.when: {error}"
            fatal, message = True, f"{message[: MAX_MESSAGE - len(told) - 2]}; {told}" if message else told
    verdict = retry.decide(
        policy, disruption=disruption, fatal=fatal, wanted=wanted, failures=unit.failures,
        disruptions=unit.disruptions, entropy=_entropy(state, unit),
    )  # fmt: skip
    if not verdict.again:
        finish(step, unit, FAILED, reason, message)
        return
    if verdict.counts == "disruptions":
        unit.disruptions += 1
    else:
        unit.failures += 1
    if reason == Reason.OOMKilled:
        unit.raises += retry.raises_memory(policy, declared_memory(unit), unit.raises)
    if unit.frame.closing and not may_retry(state, unit):
        finish(step, unit, CANCELLED, unit.frame.closing, f"not retried after {reason}: the run is stopped")
        return
    ended = f"attempt {unit.attempt} ended with {reason}"
    step.note("Warning", Reason.BackOff, f"{unit.place}: {ended}; next in {verdict.delay:.3g} s")
    unit.stage, unit.phase = BACKOFF, WAITING
    unit.reason, unit.message = Reason.BackOff, f"{ended}: {message}"[:MAX_MESSAGE]
    unit.due = round(step.now + verdict.delay, 3)
    if unit.owner.node.for_each is None:
        show(unit, WAITING, unit.reason, unit.message)
    step.arm("backoff", unit)
    step.arm("deadline", unit)  # off while the attempt was being stopped


def pending_reason(unit: Unit) -> str | None:
    """Why the attempt does not run yet, whether it is its Job or its Pod that is missing; None when it does."""
    return None if unit.pending is None else unit.pending.removeprefix(PODLESS)


def declared_memory(unit: Unit) -> Mapping[str, int]:
    """The memory that the body of the unit declares, in bytes: requests and limits."""
    return unit.node.body.job.memory if unit.node.body.job is not None else {}


def granted_memory(unit: Unit) -> dict[str, int] | None:
    """The memory of the unit's attempts since an OOM kill has raised it, in bytes: requests and limits, as declared."""
    return retry.raised_memory(unit.node.retry, declared_memory(unit), unit.raises) if unit.raises else None


def tell(unit: Unit, reason: str | None, message: str) -> None:
    """Say why the unit has not started: of its node, too, where there is no other unit."""
    unit.reason, unit.message = reason, message[:MAX_MESSAGE]
    if unit.role == MAIN and unit.owner.node.for_each is None:
        unit.owner.reason, unit.owner.message = reason, unit.message


def show(unit: Unit, phase: str, reason: str | None, message: str) -> None:
    """Let the node show what its unit does; a compensation keeps what the node has achieved.

    Of a forEach, the reason is left to the items that cannot start: one that does speaks for itself alone.
    """
    unit.phase, unit.reason, unit.message = phase, reason, message[:MAX_MESSAGE]
    if unit.role == MAIN:
        unit.owner.phase = phase
        if unit.owner.node.for_each is None:
            unit.owner.reason, unit.owner.message = reason, unit.message


def let_another_speak(unit: Unit) -> None:
    """An item of a forEach has no trouble with its start any more: its node tells of another that has, if any."""
    node = unit.owner
    others = (other for other in node.units.values() if other is not unit and other.stage == ACTIVE)
    troubled = next((other for other in others if other.reason is not None), None)
    node.reason, node.message = (None, "") if troubled is None else (troubled.reason, troubled.message)


def may_retry(state: RunState, unit: Unit) -> bool:
    """A failing graph lets running nodes go on with their retries; a stopped run does not."""
    return state.stop is None or unit.frame.stage == "Finally" or unit.role != "main"


def _entropy(state: RunState, unit: Unit) -> str | None:
    seed = state.context.entropy
    return None if seed is None else f"{seed}/{state.generation}/{unit.place}/{unit.iteration}/{unit.role}"


def finish(step: Step, unit: Unit, phase: str, reason: str | None, message: str) -> None:
    """End the unit and tell its node."""
    attempt_over(step.state, unit)
    step.state.active.pop(unit.id, None)
    _release(step, unit)
    unit.stage, unit.phase, unit.reason, unit.message = ENDED, phase, reason, message[:MAX_MESSAGE]
    unit.end = step.now
    unit.payload = unit.due = None
    unit.parked = False
    step.units.append(unit)


def _release(step: Step, unit: Unit) -> None:
    state = step.state
    state.active.pop(unit.gate, None)
    state.locks.pop(unit.gate, None)
    if unit.lock is not None:
        step.act(Release(unit.gate, unit.lock))
        unit.lock = None


def stop_attempt(step: Step, unit: Unit, why: str) -> None:
    """End what the unit is doing; `why` is judged at once, or when the end of its attempt is seen.

    `why` is Timeout, Deadline, Pending, Service, or the reason of a cancellation.
    """
    if unit.stage == STOPPING and why not in (TIMEOUT, PENDING_TIMEOUT, SERVICE_DONE):
        unit.stop_reason = why  # a cancellation overrules a timeout that would be retried
    if unit.stage in (STOPPING, ENDED):
        return
    unit.stop_reason = why
    kind = unit.node.body.kind
    if unit.stage == ACTIVE and kind in IN_FLIGHT:
        unit.stage, unit.reason = STOPPING, Reason.Stopping
        step.act(Stop(unit.id, kind, why))
    elif unit.stage == ACTIVE and unit.child is not None:
        unit.stage, unit.reason = STOPPING, Reason.Stopping
        step.close(unit.child, Reason.DeadlineExceeded if why in OVERDUE else why, "End")
    else:
        stopped(step, unit)


TIMEOUT, DEADLINE, PENDING_TIMEOUT, SERVICE_DONE = "Timeout", "Deadline", "Pending", "Service"
OVERDUE = frozenset({TIMEOUT, DEADLINE, PENDING_TIMEOUT})
"""Reasons to stop an attempt that has taken too long."""
_FINAL_STOPS = OVERDUE | {SERVICE_DONE, Reason.ConcurrencyCancelled}
"""Reasons that do not depend on what becomes of the run."""


def stopped_before(state: RunState, unit: Unit, seen: AttemptEnded) -> AttemptEnded:
    """Take up a stop that was carried out by an operator which died before any status told of it; gives what is left.

    What has nothing to do with how the run goes on (a time that is over, a key that was lost) holds as it was. A graph
    that is not being closed any more needs the attempt again: that stop was a disruption, unless the work had been done
    before it came.
    """
    why = seen.stopped
    if why in _FINAL_STOPS or unit.frame.closing is not None or state.stop is not None:
        unit.stage, unit.stop_reason = STOPPING, why
        return seen
    if seen.succeeded and not unit.node.service:
        return seen
    message = "stopped by an operator that did not live to say why"
    return replace(seen, succeeded=False, reason=Reason.PodDeleted, message=message, disruption=True)


def before_its_stop(unit: Unit) -> None:
    """Let an attempt count that had done its work before it could be stopped: that work is neither lost nor done again.

    One that was only late goes on as if nothing had been. After any other nothing may follow: `stop_reason` stays.
    A service has no work to be done with.
    """
    if unit.stage != STOPPING or unit.stop_reason == SERVICE_DONE:
        return
    unit.stage = ACTIVE
    if unit.stop_reason in OVERDUE:
        unit.stop_reason = None


def stopped(step: Step, unit: Unit) -> None:
    """What the engine stopped has ended: say why. How it ended by itself no longer matters."""
    why = unit.stop_reason or Reason.Stopped
    unit.stop_reason = None
    if why == TIMEOUT:
        text = f"attempt {unit.attempt} {took_longer('timeoutSeconds', unit.node.timeout)}"
        fail(step, unit, Reason.DeadlineExceeded, text + _not_started(unit, "it") + _lacking(unit))
    elif why == DEADLINE:
        text = f"{took_longer('deadlineSeconds', unit.node.deadline)} in all"
        text += _not_started(unit, f"attempt {unit.attempt}") + _lacking(unit)
        fail(step, unit, Reason.DeadlineExceeded, text, fatal=True)
    elif why == PENDING_TIMEOUT:
        limit = f"{unit.node.pending_timeout:g}"
        text = message_for(Reason.PendingTimeout, seconds=limit, message=unit.message or unit.pending_text)
        reason = pending_reason(unit) or Reason.WaitingForPod
        reason = Reason.PendingTimeout if reason == Reason.WaitingForPod else reason
        fail(step, unit, reason, text.removesuffix(": "))
    elif why == SERVICE_DONE:
        succeed(step, unit, unit.outputs)
    else:
        finish(step, unit, CANCELLED, why, "")


def _not_started(unit: Unit, attempt: str) -> str:
    """What an attempt that never ran has waited for to the end: with its Pod goes all that could still tell of it."""
    reason = pending_reason(unit)
    if reason is None:
        return ""
    words = [] if reason == Reason.WaitingForPod else [str(reason)]
    if told := unit.message or unit.pending_text:
        words.append(told)
    return ": ".join([f"; {attempt} had not started", *words])


def _lacking(unit: Unit) -> str:
    """What the object of a resource node has lacked to the end (`judge.judge_resource`)."""
    lacks = unit.node.body.kind == "resource" and unit.message.startswith(SUCCESS_WHEN)
    return f"; {Reason.ExpressionError} in {unit.message}" if lacks else ""


def took_longer(field: str, seconds: float | None) -> str:
    """The message of a limit in time that was passed."""
    return message_for(Reason.DeadlineExceeded, field=field, seconds=f"{seconds:g}")


def previous_attempt(unit: Unit) -> AttemptId | None:
    """The attempt whose Pod must be gone or terminal before the next one starts."""
    return unit.id._replace(attempt=unit.attempt - 1) if unit.attempt > 1 else None


def fresh(unit: Unit) -> bool:
    """True while the unit has not started anything (it can be held back)."""
    return unit.stage in (NEW, GATED, QUEUED) and unit.start is None


def unqueue(step: Step, unit: Unit) -> None:
    """Take a fresh unit back: it gives up its place and its key."""
    _release(step, unit)
    unit.cache_key = None
    unit.stage, unit.parked = NEW, False
    tell(unit, None, "")
