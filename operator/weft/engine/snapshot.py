"""State to status and back: what survives a restart of the operator.

Each node is one entry of `status.nodes`: first what a person wants to know, then, only as long as it
is needed, what the engine has to remember (budgets used, when a back-off ends, who has decided).
What can be computed again (edge counters, items, parameters of subgraphs) is not stored, but for how those nodes looked
that it was computed from and that had not ended, and what work was given that may have to be undone: after a rerun it
would be something else. A subgraph's nodes follow as entries of their own, named by their path; a forEach keeps its
items in its entry.
Run-wide memory stands in `status.state`. Times are RFC 3339 with milliseconds. Outputs that the API server
would not give back as they are are kept once more as JSON text (see `exact`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from weft.api.times import milli_timestamp
from weft.engine.exact import exact_text
from weft.engine.pending import node_phase_told, phase_told
from weft.engine.state import GATED, PENDING, QUEUED, SKIPPED, SUCCEEDED, TERMINAL, Frame, NodeState, RunState, Unit
from weft.engine.step import frames
from weft.engine.summary import without_place
from weft.render.names import RunRef, job_name

Entry = dict[str, Any]


def as_text(value: Any) -> str:
    """A value as JSON text, which nobody prunes."""
    return orjson.dumps(value).decode()


MAX_WITH_JOBS = 500
"""Entries up to which every node names its latest Job; beyond, only those that have not simply succeeded do."""


def entries(state: RunState) -> Iterator[Entry]:
    """The entries of `status.nodes`: the main graph, then finally, each node followed by its subgraph.

    What has ended is made once and kept, so that a large run's status costs what is still going on.
    """
    undo = state.compensating.child if state.compensating is not None else None
    tops = [top for top in (state.main, undo, state.final) if top is not None]
    few = sum(len(frame.nodes) for top in tops for frame in frames(top)) <= MAX_WITH_JOBS
    ref, no_place = _ref(state), without_place(state) if few else ""
    for top in tops:
        for frame, node in _in_order(top):
            entry = _node_entry(frame, node, ref, few=few, no_place=no_place) if node.entry is None else node.entry
            if node.phase in TERMINAL:
                node.entry = entry
            yield entry
    if state.final is None and state.workflow.final is not None:
        yield from ({"name": node.name, "phase": PENDING} for node in state.workflow.final.nodes)


def _ref(state: RunState) -> RunRef:
    context = state.context
    return RunRef(context.namespace, context.name, context.uid, state.workflow.name)


def _in_order(frame: Frame) -> Iterator[tuple[Frame, NodeState]]:
    for node in frame.nodes:
        yield frame, node
        if node.node.body.graph is not None:
            for unit in node.units.values():
                for child in unit.children:
                    yield from _in_order(child)


def _node_entry(frame: Frame, node: NodeState, ref: RunRef, *, few: bool, no_place: str) -> Entry:
    entry: Entry = {"name": frame.prefix + node.node.name, "phase": node_phase_told(node)}
    if node.phase == PENDING and not node.units:
        return entry
    if node.reason:
        entry["reason"] = str(node.reason)
    if node.message:
        entry["message"] = node.message
    elif node.phase == PENDING:
        _put_wait(entry, node, no_place)
    if attempts := node.attempts:
        entry["attempts"] = attempts
    if node.start is not None and node.phase != PENDING:
        entry["startTime"] = milli_timestamp(node.start)
    if node.end is not None:
        entry["completionTime"] = milli_timestamp(node.end)
    if node.ready:
        entry["ready"] = True
    if node.begun and node.phase == PENDING:
        # Not `begun` for all: a version that knows it of a forEach alone would wait for ever, after a roll-back.
        entry["begun" if node.node.for_each is not None else "asked"] = True
    if node.node.for_each is not None and (node.begun or node.units):
        if node.then:
            entry["then"] = node.then
        if not node.begun and node.start is not None:  # it failed before it could begin, with items of an earlier run
            entry["begun"] = False
        entry["itemCount"] = len(node.items) if node.items is not None else len(node.units)
        few = few and len(node.units) <= MAX_WITH_JOBS
        entry["items"] = [_item_entry(unit, ref, few=few) for unit in node.units.values() if not unit.untouched]
        if node.blocked:
            entry["blocked"] = str(node.blocked)
    else:
        put_outputs(entry, node)
        for unit in node.units.values():
            _put_own_times(entry, unit)
            _put_made(entry, unit, ref, few=few)
            _put_unit(entry, unit)
    if node.exit_code is not None:
        entry["exitCode"] = node.exit_code
    return entry


def _put_wait(entry: Entry, node: NodeState, no_place: str) -> None:
    """What a node waits for that has been let run; of many items the first one speaks."""
    unit = next(iter(node.units.values()))
    if unit.stage == GATED and unit.reason:
        entry["reason"], entry["message"] = str(unit.reason), unit.message
    elif unit.stage == QUEUED and unit.node.body.kind == "job" and no_place:
        entry["message"] = no_place


def put_outputs(entry: Entry, holder: NodeState | Unit) -> None:
    """Put the outputs of a node or an item into its entry, or where they are stored."""
    if holder.chunk is not None:
        holder.weight = 0
        entry.pop("outputs", None)
        entry.pop("outputsText", None)
        entry["outputsIn"] = holder.chunk
    elif holder.outputs is not None:
        entry["outputs"] = holder.outputs
        text = orjson.dumps(holder.outputs)
        holder.weight = len(text)
        if (exact := exact_text(holder.outputs, text)) is not None:
            entry["outputsText"] = exact


def _item_entry(unit: Unit, ref: RunRef, *, few: bool) -> Entry:
    entry: Entry = _new_item_entry(unit, ref, few=few) if unit.entry is None else unit.entry
    if unit.phase in TERMINAL:
        unit.entry = entry
    return entry


def _new_item_entry(unit: Unit, ref: RunRef, *, few: bool) -> Entry:
    shown = phase_told(unit) if unit.start is not None or unit.phase in TERMINAL else PENDING
    entry: Entry = {"index": unit.index, "phase": shown}
    if unit.reason:
        entry["reason"] = str(unit.reason)
    if unit.message:
        entry["message"] = unit.message
    if unit.attempts:
        entry["attempts"] = unit.attempts
    if unit.start is not None:
        entry["startTime"] = milli_timestamp(unit.start)
    if unit.end is not None:
        entry["completionTime"] = milli_timestamp(unit.end)
    if unit.phase in TERMINAL:
        put_outputs(entry, unit)
    _put_made(entry, unit, ref, few=few)
    _put_unit(entry, unit)
    return entry


def _put_own_times(entry: Entry, unit: Unit) -> None:
    """What a node's only unit does not share with the node."""
    node = unit.owner
    if unit.start is not None and (node.phase == PENDING or unit.start != node.start):
        entry["unitStartTime"] = milli_timestamp(unit.start)
    if unit.phase in TERMINAL and unit.reason != node.reason:  # its compensation speaks for the node
        entry["unitReason"] = str(unit.reason or "")


def _put_made(entry: Entry, unit: Unit, ref: RunRef, *, few: bool) -> None:
    field = _MADE.get(unit.node.body.kind)
    if field is not None and unit.attempt > 0 and (few or unit.phase not in (SUCCEEDED, SKIPPED)):
        entry[field] = job_name(ref, unit.id)


_MADE = {"job": "job", "workflow": "run"}
"""What an attempt makes that a person looks for by name: the field that names it, by the kind of body."""


def _put_unit(entry: Entry, unit: Unit) -> None:
    """What is remembered of a unit whether it has ended or not; and, as long as it has not, all the rest."""
    if unit.exit_code is not None:
        entry["exitCode"] = unit.exit_code
    for key, value, default in (
        ("iteration", unit.iteration, None), ("spent", unit.spent, 0), ("base", unit.base, 0),
        ("undone", unit.undone, 0), ("undoing", unit.undoing, 0), ("high", unit.high, unit.attempt),
        ("lost", list(unit.lost), []), ("then", unit.then, {}),
        ("parked", unit.parked, False),
    ):  # fmt: skip
        if value != default:
            entry[key] = value
    if unit.child is not None and unit.child.base != unit.base:
        entry["childBase"] = unit.child.base
    if unit.done:
        entry["done"] = [[n, milli_timestamp(end), as_text(outputs)] for n, (end, outputs) in unit.done.items()]
    if unit.decisions:
        entry["decisions"] = [
            {"by": by, "decision": word, "at": milli_timestamp(at)} for by, word, at in unit.decisions
        ]
    _put_given(entry, unit)
    if unit.phase not in TERMINAL and unit.start is not None:
        entry.update(_memory(unit))
    elif unit.has_key or unit.parked:  # it has no place yet, but is through its gates, or through one
        if unit.has_key:
            entry |= {"stage": unit.stage, "lock": unit.lock}
        if unit.cache_key is not None:
            entry["cacheKey"] = unit.cache_key


MAX_GIVEN = 4096
"""Characters of JSON that are kept of what a unit was given; what is larger is computed again."""


def _put_given(entry: Entry, unit: Unit) -> None:
    """What the unit and its subgraph were given, if something of them may have to be undone."""
    if unit.index is not None and unit.phase == SUCCEEDED and unit.owner.node.compensate is not None:
        _put_text(entry, "value", unit.value)
    graph = unit.node.body.graph
    if graph is None or not graph.undoable or not graph.parameters or unit.frame.stage != "Main":
        return
    if unit.child is not None:
        _put_text(entry, "parameters", unit.child.params)
    texts = [(n, as_text(past.child.params)) for n, past in unit.rounds.items() if past.child is not None]
    if rounds := [[n, text] for n, text in texts if len(text) <= MAX_GIVEN]:
        entry["rounds"] = rounds


def _put_text(entry: Entry, key: str, value: Any) -> None:
    text = as_text(value)
    if len(text) <= MAX_GIVEN:
        entry[key] = text


def _memory(unit: Unit) -> Entry:
    """What the engine has to remember of a unit that has not ended."""
    entry: Entry = {"stage": unit.stage}
    for key, value in (
        ("unmade", unit.unmade), ("failures", unit.failures), ("disruptions", unit.disruptions),
        ("memoryRaises", unit.raises), ("level", unit.level),
        ("lock", unit.lock), ("cacheKey", unit.cache_key), ("previous", unit.previous and as_text(unit.previous)),
        ("pending", unit.pending and str(unit.pending)), ("stopReason", unit.stop_reason and str(unit.stop_reason)),
        ("pendingText", unit.pending_text),
    ):  # fmt: skip
        if value:
            entry[key] = value
    for key, when in (
        ("attemptStartTime", unit.attempt_start), ("nextTime", unit.due), ("levelStartTime", unit.level_start),
        ("pendingSince", unit.pending_since),
    ):  # fmt: skip
        if when is not None:
            entry[key] = milli_timestamp(when)
    if unit.seconds is not None:
        entry["waitSeconds"] = unit.seconds
    if unit.outputs is not None:
        entry["attemptOutputs"] = as_text(unit.outputs)
    if unit.child is not None and unit.child.closing is not None:
        entry["closing"] = _closing(unit.child)
    return entry


def _closing(frame: Frame) -> list[str]:
    return [str(frame.closing), frame.how]


def run_memory(state: RunState) -> Entry:
    """What the engine has to remember of the run as a whole: `status.state`.

    What a compensation was given is found again in the nodes; its failures are not, where messages have to be cut.
    """
    memory: Entry = {"stage": state.stage, "clockStartTime": milli_timestamp(state.clock_start)}
    for key, value in (
        ("stop", state.stop), ("timedOut", state.timed_out), ("generation", state.generation),
        ("outcome", state.outcome), ("reason", state.reason and str(state.reason)), ("message", state.message),
        ("chunks", state.chunks), ("restarts", state.restarts), ("finally", state.final is not None),
    ):  # fmt: skip
        if value:
            memory[key] = value
    if (exact := exact_text(state.outputs, orjson.dumps(state.outputs))) is not None:
        memory["outputsText"] = exact
    for key, frame in (("closing", state.main), ("finallyClosing", state.final)):
        if frame is not None and frame.closing is not None:
            memory[key] = _closing(frame)
    if state.final_start is not None:
        memory["finalStartTime"] = milli_timestamp(state.final_start)
    if state.suspensions:
        memory["suspensions"] = [[milli_timestamp(at) for at in pair if at is not None] for pair in state.suspensions]
    if state.failures and not state.finished:
        memory["failures"] = state.failures
    undo = state.compensating
    if undo is not None and undo.phase not in TERMINAL and undo.start is not None:
        entry = {"node": undo.path, **_new_item_entry(undo, _ref(state), few=True)}
        memory["compensation"] = {key: entry[key] for key in entry.keys() - {"attemptOutputs", "previous"}}
    return memory
