"""The run as a whole: its controls, its clocks, and what comes after the graph.

Main -> (Compensating: failed, or stopped by Drain or Cancel) -> (Finally: not after Terminate) -> Finished
"""

from __future__ import annotations

from weft.api.conditions import Reason, message_for
from weft.engine import compensation
from weft.engine.observation import Controls
from weft.engine.outputs import OutputsError, plain
from weft.engine.state import CANCELLED, FAILED, Frame, RunState
from weft.engine.step import RINGS, Step, unfinished_units
from weft.engine.subgraphs import failed_nodes, failure_message, outputs_of
from weft.engine.units import stop_attempt, took_longer
from weft.expr.cel import ExpressionError

STOPS = {None: 0, "Drain": 1, "Cancel": 2, "Terminate": 3}

MAX_CHILD_DEPTH = 8
"""How deep child runs may nest, as graphs may: a Workflow that starts itself has to come to an end."""


def control(step: Step, wish: Controls) -> None:
    """Take up what the user wants now: suspend or resume, stop (which may only grow)."""
    state = step.state
    if state.finished:
        return
    state.dirty = True
    pause = wish.suspend and wish.stop is None and state.stop is None  # a stop beats it: clocks go on, too
    if pause and not state.suspended:
        state.suspensions.append((step.now, None))
    elif not pause and state.suspended:
        begin, _ = state.suspensions[-1]
        state.suspensions[-1] = (begin, step.now)
        rearm(step)
    if STOPS[wish.stop] > STOPS[state.stop]:
        state.stop = wish.stop
        step.note("Normal", Reason.Stopping, f"stop: {wish.stop}")
        _stop(step)


def child_stop(stop: str | None, stage: str) -> str | None:
    """How child runs are to stop with a run that is stopped so, beside what the stop of their attempts asks of them.

    Cancel comes as the stop of an attempt, and what comes after the graph is not drained.
    """
    return stop if stop == "Terminate" or (stop == "Drain" and stage == "Main") else None


def stopped_child(outcome: str | None, state: RunState) -> str | None:
    """Give the reason for which an attempt was stopped whose child run ended so; None where that is its own affair.

    A child that was drained with its run has not failed, as a graph has not.
    """
    return Reason.Stopped if outcome == CANCELLED and child_stop(state.stop, state.stage) else None


def nested_too_deep(name: str) -> str:
    """Give the words for a node that would start a run of that Workflow below `MAX_CHILD_DEPTH`."""
    return f"child runs nest deeper than {MAX_CHILD_DEPTH}; does {name!r} start itself?"


def _stop(step: Step) -> None:
    state = step.state
    if state.stage == "Main":
        step.close(state.main, Reason.Stopped, "Quiet" if state.stop == "Drain" else "End")
    elif state.stop == "Terminate":
        state.outcome, state.reason = CANCELLED, Reason.Stopped
        state.message = message_for(Reason.Stopped, stop=state.stop)
        _abandon(step, Reason.Stopped)


def _abandon(step: Step, why: str) -> None:
    """Stop what comes after the graph."""
    state = step.state
    state.compensations = []
    if state.compensating is not None:
        stop_attempt(step, state.compensating, why)
    if state.stage == "Finally" and state.final is not None:  # a rerun has one before it is entered
        step.close(state.final, why, "End")


def rearm(step: Step) -> None:
    """Arm every timer anew: after a suspension, or when the state was rebuilt."""
    step.state.timers = []
    step.arm("run")
    step.arm("final")
    for unit in unfinished_units(step.state):
        for kind in RINGS.keys() - {"run", "final"}:
            step.arm(kind, unit)


def timed_out(step: Step) -> None:
    """The run's own timeout: everything stops, and the run fails."""
    state = step.state
    state.timed_out = True
    step.note("Warning", Reason.DeadlineExceeded, _late(state))
    step.close(state.main, Reason.DeadlineExceeded, "End")


def _late(state: RunState) -> str:
    return f"the run {took_longer('timeoutSeconds', state.workflow.timeout)}"


def final_timed_out(step: Step) -> None:
    """What comes after the graph took too long: it stops, and the run fails."""
    state = step.state
    message = f"compensation and finally {took_longer('finallyTimeoutSeconds', state.workflow.final_timeout)}"
    if state.outcome != CANCELLED:
        state.outcome, state.reason, state.message = FAILED, Reason.DeadlineExceeded, message
    step.note("Warning", Reason.DeadlineExceeded, message)
    _abandon(step, Reason.DeadlineExceeded)


def frame_ended(step: Step, frame: Frame) -> None:
    """The main graph or the finally graph is over."""
    state = step.state
    if frame is state.main:
        _judge(step)
        state.final_start = step.now
        if state.outcome != "Succeeded" and state.stop != "Terminate":
            state.stage = "Compensating"
            state.compensations = compensation.due_compensations(state)
            if state.compensations:
                step.arm("final")
        compensated(step)
        return
    if frame.failing and state.outcome == "Succeeded":
        state.outcome, state.reason = FAILED, Reason.FinallyFailed
        state.message = failure_message(frame)
    _finished(step)


def _judge(step: Step) -> None:
    state = step.state
    state.failures = failures(state.main)
    if state.stop is not None:
        state.outcome, state.reason = CANCELLED, Reason.Stopped
        state.message = message_for(Reason.Stopped, stop=state.stop)
    elif state.timed_out:
        state.outcome, state.reason, state.message = FAILED, Reason.DeadlineExceeded, _late(state)
    elif state.main.failing:
        state.outcome, state.reason, state.message = FAILED, Reason.NodeFailed, failure_message(state.main)
    else:
        state.outcome, state.reason, state.message = "Succeeded", Reason.Succeeded, ""
        try:
            state.outputs = plain(outputs_of(state, state.main))
        except ExpressionError as error:
            state.outcome, state.reason, state.message = FAILED, Reason.ExpressionError, str(error)
        except OutputsError as error:
            state.outcome, state.reason, state.message = FAILED, error.reason, f"of the run: {error}"


def failures(frame: Frame) -> list[dict[str, object]]:
    """What `run.failures` shows: the first MAX_FAILURES uncaught failures of the graph, in the order they came."""
    return [
        {"node": n.node.name, "reason": str(n.reason or ""), "message": n.message}
        | ({} if n.exit_code is None else {"exitCode": n.exit_code})
        for n in failed_nodes(frame)[:MAX_FAILURES]
    ]


MAX_FAILURES = 100
"""So many can be handed to a Job; `status.nodes` has the rest."""


def compensated(step: Step) -> None:
    """Go on with the next compensation, or with finally."""
    state = step.state
    if state.stage == "Compensating" and compensation.next_one(step):
        return
    final = state.workflow.final
    if state.stage == "Finished":
        return
    if final is None or not final.nodes:
        _finished(step)
        return
    state.stage = "Finally"
    if state.final is None:
        state.final = Frame(final, state.context.params, parent=None, prefix="", order=(), stage="Finally")
        state.size += len(final.nodes)
    if state.stop == "Terminate":  # it is closed before it is entered: all that is in it is skipped
        step.close(state.final, Reason.Stopped, "End")
    else:
        step.arm("final")
    step.begun.append(state.final)


def _finished(step: Step) -> None:
    state: RunState = step.state
    state.stage = "Finished"
    state.ended_at = step.now
    if state.suspended:
        begin, _ = state.suspensions[-1]
        state.suspensions[-1] = (begin, step.now)
    kind = "Normal" if state.outcome == "Succeeded" else "Warning"
    step.note(kind, f"Run{state.outcome}", state.message or "the run succeeded")
