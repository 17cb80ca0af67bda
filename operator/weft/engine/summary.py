"""Why is it waiting? One sentence for the run's condition, from what its nodes are doing now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from weft.api.conditions import Reason, message_for
from weft.api.times import timestamp
from weft.engine.deadlines import due
from weft.engine.pending import node_phase_told
from weft.engine.state import BACKOFF, ENDED, PENDING, RUNNING, TERMINAL, WAITING, Frame, NodeState, RunState, Unit
from weft.engine.step import unfinished_frames

MAX_NAMED = 3


def top_nodes(state: RunState) -> list[NodeState]:
    """The nodes that count for the progress: those of the main graph and of finally."""
    return [*state.main.nodes, *(state.final.nodes if state.final is not None else ())]


def counts(state: RunState) -> dict[str, int]:
    """How many of the top nodes stand where, in the words of `status.counts`."""
    found = Counter(node_phase_told(node) for node in top_nodes(state))
    if state.final is None and state.workflow.final is not None:
        found[PENDING] += len(state.workflow.final.nodes)
    names = ("Pending", "Running", "Waiting", "Succeeded", "Failed", "Skipped", "Cancelled", "Compensated")
    shown = {name.lower(): found[name] for name in names}
    return {name: number for name, number in shown.items() if number or name in ALWAYS_SHOWN}


ALWAYS_SHOWN = frozenset({"pending", "running", "succeeded", "failed", "skipped"})


def progress(found: dict[str, int]) -> tuple[int, int]:
    """Nodes that have ended, and all nodes, of these counts."""
    total = sum(found.values())
    return total - found["pending"] - found["running"] - found.get("waiting", 0), total


def explain(state: RunState, *, done: int, total: int) -> tuple[str, str]:
    """The reason and the message of an active run's condition."""
    if state.stop is not None and state.stage == "Main":
        left = sum(1 for _ in _busy(state))
        return Reason.Stopping, message_for(Reason.Stopping, stop=state.stop, left=left)
    if state.suspended:
        return Reason.Suspended, f"{message_for(Reason.Suspended)}; {done} of {total} nodes done"
    if state.stage == "Compensating":
        left = len(state.compensations) + (state.compensating is not None)
        return Reason.Compensating, message_for(Reason.Compensating, left=left, message=state.message)
    text = message_for(Reason.Running, done=done, total=total)
    if state.stage == "Finally":
        text += f"; running finally, outcome {state.outcome}"
    waits = [f"{path} {why}" for path, why in _waits(state)]
    if waits:
        text += "; " + "; ".join(waits[:MAX_NAMED])
        if len(waits) > MAX_NAMED:
            text += f"; and {len(waits) - MAX_NAMED} more wait"
    return (Reason.RunningFinally if state.stage == "Finally" else Reason.Running), text


def _busy(state: RunState) -> Iterator[tuple[Frame, NodeState]]:
    for frame in unfinished_frames(state):
        for node in frame.nodes:
            if node.begun and node.phase not in TERMINAL:
                yield frame, node


def _waits(state: RunState) -> Iterator[tuple[str, str]]:
    no_place = without_place(state)
    for frame, node in _busy(state):
        path = frame.prefix + node.node.name
        if node.reason == Reason.AwaitingApproval:
            yield path, _approval(node)
        elif node.phase == WAITING and node.reason == Reason.BackOff:
            yield path, f"waits for its next attempt{_time(state, 'backoff', node.units[0], 'at')} ({node.message})"
        elif node.phase == WAITING and node.reason == Reason.WaitingForTime:
            yield path, f"waits{_time(state, 'wait', node.units[0], 'until') or ' for its time'}"
        elif node.reason == Reason.WaitingForConcurrency:
            yield path, node.message
        elif node.phase == PENDING and any(map(_waits_for_key, node.units.values())):
            key = next(unit.lock for unit in node.units.values() if _waits_for_key(unit))  # the first item that does
            yield path, message_for(Reason.WaitingForConcurrency, key=key)
        elif node.phase == PENDING and no_place:
            yield path, no_place
        elif node.reason == Reason.WaitingForPod:
            yield path, f"waits for its Pod: {node.message}"
        elif node.reason == Reason.MainEnded:
            yield path, f"cannot end yet: {node.message}"
        elif node.phase == RUNNING and node.reason is None and (why := _running(state, node)):
            yield path, why
        elif node.phase == RUNNING and node.reason not in (None, Reason.Stopping):
            yield path, f"cannot start: {node.reason}: {node.message}"


def _waits_for_key(unit: Unit) -> bool:
    return unit.lock is not None and unit.reason == Reason.WaitingForConcurrency


def without_place(state: RunState) -> str:
    """What a Pod waits for that could start were it not for `parallelism`; "" while there is room."""
    limit = state.workflow.parallelism
    if limit is None or state.pods < limit:
        return ""
    return f"waits for {'the running Pod' if limit == 1 else f'one of {limit} running Pods'} to end"


def _running(state: RunState, node: NodeState) -> str:
    """What a node waits for that runs already; "" for most."""
    if node.node.for_each is not None:
        return _items(state, node)
    if node.node.service:
        return "" if node.ready else "is not Ready yet"
    if node.node.body.kind == "resource":
        return f"waits for its object: {node.message or 'successWhen is not true yet'}"
    return ""


def _items(state: RunState, node: NodeState) -> str:
    """What the items of a forEach wait for; "" while one of them does not wait."""
    left = [unit for unit in node.units.values() if unit.stage != ENDED]
    later = [unit for unit in left if unit.stage == BACKOFF]
    if not later or len(later) < len(left):
        return ""
    first = min(later, key=lambda unit: unit.due or 0.0)
    number = "item waits for its" if len(later) == 1 else "items wait for their"
    at = _time(state, "backoff", first, "at")
    return f"has {len(later)} {number} next attempt, the first{at} (item {first.index}: {first.message})"


def _time(state: RunState, kind: str, unit: Unit, word: str) -> str:
    """When that clock of the unit has run down; "" while it stands still."""
    at = due(state, kind, unit)
    return "" if at is None else f" {word} {timestamp(at)}"


def _approval(node: NodeState) -> str:
    unit = node.units[0]
    approval = unit.node.body.approval
    assert approval is not None
    missing = approval.quorum - len(unit.decisions)
    people = "1 person" if missing == 1 else f"{missing} people"
    return f"waits for approval by {people}"
