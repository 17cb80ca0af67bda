"""State to status and back: what survives a restart of the operator.

Each node is one entry of `status.nodes`: first what a person wants to know, then, only as long as it
is needed, what the engine has to remember (budgets used, when a back-off ends, who has decided).
What can be computed again (edge counters, items, parameters of subgraphs) is not stored. A subgraph's
nodes follow as entries of their own, named by their path; a forEach keeps its items in its entry.
Run-wide memory stands in `status.state`. Times are RFC 3339 with milliseconds. The API server takes
nulls out of what is patched, so values that hold nulls are kept once more as JSON text.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from weft.engine.state import PENDING, TERMINAL, Frame, NodeState, RunState, Unit

Entry = dict[str, Any]


def stamp(moment: float) -> str:
    """Epoch seconds as RFC 3339 with milliseconds."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def moment(text: str | None) -> float | None:
    """Epoch seconds (to the millisecond) of an RFC 3339 time; None for None."""
    return None if text is None else round(datetime.fromisoformat(text).timestamp(), 3)


def as_text(value: Any) -> str:
    """A value as JSON text, which nobody prunes."""
    return orjson.dumps(value).decode()


def entries(state: RunState) -> Iterator[Entry]:
    """The entries of `status.nodes`: the main graph, then finally, each node followed by its subgraph."""
    yield from _frame_entries(state.main)
    if state.compensating is not None and state.compensating.child is not None:
        yield from _frame_entries(state.compensating.child)
    if state.final is not None:
        yield from _frame_entries(state.final)
    elif state.workflow.final is not None:
        yield from ({"name": node.name, "phase": PENDING} for node in state.workflow.final.nodes)


def _frame_entries(frame: Frame) -> Iterator[Entry]:
    for node in frame.nodes:
        yield node_entry(frame, node)
        for unit in node.units.values():
            if unit.child is not None:
                yield from _frame_entries(unit.child)


def node_entry(frame: Frame, node: NodeState) -> Entry:
    """One node as it stands in the status; cached once the node has ended."""
    if node.entry is not None and (node.chunk is None or "outputsIn" in node.entry):
        cached: Entry = node.entry
        return cached
    entry: Entry = {"name": frame.prefix + node.node.name, "phase": node.phase}
    if node.reason:
        entry["reason"] = str(node.reason)
    if node.message:
        entry["message"] = node.message
    if attempts := node.attempts:
        entry["attempts"] = attempts
    if node.start is not None and node.phase != PENDING:
        entry["startTime"] = stamp(node.start)
    if node.end is not None:
        entry["completionTime"] = stamp(node.end)
    if node.ready:
        entry["ready"] = True
    if node.node.for_each is not None and (node.begun or node.units):
        if node.begun and node.phase == PENDING:
            entry["begun"] = True
        entry["itemCount"] = len(node.items) if node.items is not None else len(node.units)
        entry["items"] = [_unit_entry(unit, alone=False) for unit in node.units.values() if not _untouched(unit)]
        if node.blocked:
            entry["blocked"] = str(node.blocked)
    else:
        _put_outputs(entry, node)
        for unit in node.units.values():
            entry.update(_unit_entry(unit, alone=True))
    if node.exit_code is not None:
        entry["exitCode"] = node.exit_code
    if node.phase in TERMINAL:
        node.entry = entry
    return entry


def _put_outputs(entry: Entry, holder: NodeState | Unit) -> None:
    if holder.chunk is not None:
        entry["outputsIn"] = holder.chunk
    elif holder.outputs is not None:
        entry["outputs"] = holder.outputs
        text = orjson.dumps(holder.outputs)
        if b"null" in text:
            entry["outputsText"] = text.decode()


def _untouched(unit: Unit) -> bool:
    return unit.start is None and unit.phase not in TERMINAL and unit.base == unit.undone == 0


def _unit_entry(unit: Unit, *, alone: bool) -> Entry:
    entry: Entry = {}
    if not alone:
        entry["index"] = unit.index
        entry["phase"] = unit.phase if unit.start is not None or unit.phase in TERMINAL else PENDING
        if unit.reason:
            entry["reason"] = str(unit.reason)
        if unit.message:
            entry["message"] = unit.message
        if unit.attempts:
            entry["attempts"] = unit.attempts
        if unit.phase in TERMINAL:
            _put_outputs(entry, unit)
    if unit.exit_code is not None:
        entry["exitCode"] = unit.exit_code
    if unit.start is not None and (not alone or unit.owner.phase == PENDING or unit.start != unit.owner.start):
        entry["startTime" if not alone else "unitStartTime"] = stamp(unit.start)
    if unit.end is not None and not alone:
        entry["completionTime"] = stamp(unit.end)
    for key, value, default in (
        ("iteration", unit.iteration, None), ("spent", unit.spent, 0), ("base", unit.base, 0),
        ("undone", unit.undone, 0), ("undoing", unit.undoing, 0), ("high", unit.high, unit.attempt), ("lost", unit.lost, False),
    ):  # fmt: skip
        if value != default:
            entry[key] = value
    if unit.child is not None and unit.child.base != unit.base:
        entry["childBase"] = unit.child.base
    if unit.done:
        entry["done"] = [[iteration, stamp(end), as_text(outputs)] for iteration, end, outputs in unit.done]
    if unit.phase not in TERMINAL and unit.start is not None:
        entry.update(_memory(unit))
    return entry


def _memory(unit: Unit) -> Entry:
    """What the engine has to remember of a unit that has not ended."""
    entry: Entry = {"stage": unit.stage}
    for key, value in (
        ("failures", unit.failures), ("disruptions", unit.disruptions), ("memory", unit.memory), ("level", unit.level),
        ("lock", unit.lock), ("cacheKey", unit.cache_key), ("previous", unit.previous and as_text(unit.previous)),
        ("pending", unit.pending and str(unit.pending)), ("stopReason", unit.stop_reason and str(unit.stop_reason)),
    ):  # fmt: skip
        if value:
            entry[key] = value
    for key, when in (
        ("attemptStartTime", unit.attempt_start), ("nextTime", unit.due), ("levelStartTime", unit.level_start),
        ("pendingSince", unit.pending_since),
    ):  # fmt: skip
        if when is not None:
            entry[key] = stamp(when)
    if unit.seconds is not None:
        entry["waitSeconds"] = unit.seconds
    if unit.decisions:
        entry["decisions"] = [{"by": by, "decision": word, "at": stamp(at)} for by, word, at in unit.decisions]
    if unit.outputs is not None:
        entry["attemptOutputs"] = as_text(unit.outputs)
    if unit.child is not None and unit.child.closing is not None:
        entry["closing"] = _closing(unit.child)
    return entry


def _closing(frame: Frame) -> list[str]:
    return [str(frame.closing), frame.how]


def run_memory(state: RunState) -> Entry:
    """What the engine has to remember of the run as a whole: `status.state`."""
    memory: Entry = {"stage": state.stage, "clockStartTime": stamp(state.clock_start)}
    for key, value in (
        ("stop", state.stop), ("timedOut", state.timed_out), ("generation", state.generation),
        ("outcome", state.outcome), ("reason", state.reason and str(state.reason)), ("message", state.message),
        ("chunks", state.chunks), ("failures", state.failures), ("finally", state.final is not None),
    ):  # fmt: skip
        if value:
            memory[key] = value
    outputs = orjson.dumps(state.outputs)
    if b"null" in outputs:
        memory["outputsText"] = outputs.decode()
    for key, frame in (("closing", state.main), ("finallyClosing", state.final)):
        if frame is not None and frame.closing is not None:
            memory[key] = _closing(frame)
    if state.final_start is not None:
        memory["finalStartTime"] = stamp(state.final_start)
    if state.suspensions:
        memory["suspensions"] = [[stamp(a)] if b is None else [stamp(a), stamp(b)] for a, b in state.suspensions]
    undo = state.compensating
    if undo is not None and undo.phase not in TERMINAL and undo.start is not None:
        memory["compensation"] = {"node": undo.path, **_unit_entry(undo, alone=False)}
    return memory


