"""Status to state: a run goes on where the last written status left it.

What the status holds is taken over, what can be computed is computed again, and `resume` asks once
more for everything that may have been lost with the old process: requests in flight, stops,
approvals. Jobs are not asked for again: they exist, or their absence is an observation. Only those that
were on record before they could be made are.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson

from weft.api.conditions import Reason
from weft.api.times import moment
from weft.engine import approvals, compensation, loops, older, rendering, run, size, subgraphs
from weft.engine.actions import Start, Stop
from weft.engine.advance import Result, finish_step
from weft.engine.exact import exact_value, outputs_of_run
from weft.engine.outputs import size_of
from weft.engine.rerun import recount
from weft.engine.snapshot import Entry
from weft.engine.state import (
    ACTIVE,
    ENDED,
    FAILED,
    GATED,
    NEW,
    PENDING,
    QUEUED,
    RUNNING,
    SKIPPED,
    STOPPING,
    SUCCEEDED,
    TERMINAL,
    Frame,
    NodeState,
    RunContext,
    RunState,
    Unit,
)  # fmt: skip
from weft.engine.step import AT_WORK, Step, unfinished_frames
from weft.engine.units import IN_FLIGHT, enqueue, fail, granted_memory, prepare, previous_attempt
from weft.expr.cel import ExpressionError
from weft.graph.compiled import CompiledWorkflow, Graph

RESEND = frozenset(
    {"PreviousPodRunning", "NameTaken", "QuotaExceeded", "Forbidden", "ApiServerError", "WaitingForConcurrency"}
)
"""Why a Job may not have been created yet although its attempt was numbered."""


def restore(
    workflow: CompiledWorkflow, context: RunContext, status: Mapping[str, Any], nodes: list[Entry], *, start: float
) -> RunState:
    """The state that `status` tells of. `nodes` are its entries, unpacked (see `engine/budget`)."""
    memory: Entry = status.get("state") or {}
    state = RunState(workflow, context, start=start)
    state.clock_start = moment(memory.get("clockStartTime")) or start
    state.stage = memory.get("stage", "Main")
    state.stop = memory.get("stop")
    state.timed_out = memory.get("timedOut", False)
    state.generation, state.chunks = memory.get("generation", 0), memory.get("chunks", 0)
    state.restarts = memory.get("restarts", 0)
    state.outcome, state.reason = memory.get("outcome"), memory.get("reason")
    state.message = memory.get("message", "")
    state.final_start = moment(memory.get("finalStartTime"))
    state.suspensions = [
        (moment(pair[0]) or 0.0, moment(pair[1]) if len(pair) > 1 else None) for pair in memory.get("suspensions", ())
    ]
    state.outputs = outputs_of_run(status)
    if state.finished:
        state.ended_at = moment(status.get("completionTime"))
    known = {entry["name"]: entry for entry in nodes}
    if memory.get("finally") and workflow.final is not None:
        state.final = Frame(workflow.final, context.params, parent=None, prefix="", order=(), stage="Finally")
    _fill_frame(state, state.main, known, memory.get("closing"))
    if state.stage != "Main":
        state.failures = memory["failures"] if "failures" in memory else run.failures(state.main)
    if state.final is not None:
        _fill_frame(state, state.final, known, memory.get("finallyClosing"))
    if state.stage == "Compensating":
        _restore_compensation(state, memory.get("compensation"), known)
    state.size = size.of_run(state)
    return state


def _fill_frame(state: RunState, frame: Frame, known: Mapping[str, Entry], closing: list[str] | None) -> None:
    for position in frame.graph.by_rank:  # upstream first: expressions need their outputs
        node = frame.nodes[position]
        entry = known.get(frame.prefix + node.node.name)
        if entry is not None:
            _fill_node(state, frame, node, entry, known)
    recount(frame)
    if closing is not None:
        frame.closing, frame.how = closing
    if frame.ended == len(frame.nodes) and not _is_at_work(state, frame):
        frame.end = max((node.end or 0.0 for node in frame.nodes), default=0.0)


def _is_at_work(state: RunState, frame: Frame) -> bool:
    """Whether nobody has been told yet how the graph ended: a step may have left that to the next one."""
    return frame.stage == state.stage if frame.parent is None else frame.parent.stage in AT_WORK


def _fill_node(state: RunState, frame: Frame, node: NodeState, entry: Entry, known: Mapping[str, Entry]) -> None:
    node.phase = _phase(entry)
    node.reason, node.message = entry.get("reason"), entry.get("message", "")
    node.start, node.end = moment(entry.get("startTime")), moment(entry.get("completionTime"))
    node.outputs = _outputs(entry)
    if node.phase in TERMINAL or node.node.for_each is not None:  # else it is its unit's, which goes on
        node.exit_code = entry.get("exitCode")
    node.chunk = entry.get("outputsIn")
    node.ready = entry.get("ready", False)
    itemless = node.node.for_each is not None and "items" not in entry  # it has failed before it could begin
    begun: bool = entry.get("begun", node.phase != PENDING and node.start is not None and not itemless)
    node.begun = entry.get("asked", begun)
    if node.node.body.kind == "switch" and isinstance(node.outputs, dict):
        node.chosen = node.outputs.get("case")
    if "items" in entry:
        _fill_items(state, frame, node, entry, known)
    elif not itemless and (
        node.phase not in (PENDING, SKIPPED)
        or not entry.keys().isdisjoint(("attempts", "base", "undone", "high", "begun", "asked"))
    ):
        unit = node.units[0] = Unit(frame, node.node, node)
        _fill_unit(state, unit, {**entry, "startTime": entry.get("unitStartTime", entry.get("startTime"))}, known)
        unit.outputs = exact_value(entry, "attemptOutputs", node.outputs)
    if node.phase == PENDING:
        node.reason, node.message = None, ""


def _phase(entry: Entry) -> str:
    """The phase of who has the entry: what is kept from starting may be told as Pending (`pending.phase_told`)."""
    phase: str = entry.get("phase", PENDING)
    return RUNNING if phase == PENDING and "pending" in entry else phase


def _outputs(entry: Entry) -> Any:
    return exact_value(entry, "outputsText", entry.get("outputs"))


def _fill_items(state: RunState, frame: Frame, node: NodeState, entry: Entry, known: Mapping[str, Entry]) -> None:
    loop = node.node.for_each
    assert loop is not None
    node.blocked, node.then = entry.get("blocked"), entry.get("then", {})
    if not node.begun:
        node.items = None
    elif node.phase in TERMINAL and not node.node.undoable:
        node.items = range(entry["itemCount"])
    else:
        try:
            node.items = loops.items_of(state, frame, node)
        except (ExpressionError, loops.TooManyItems):
            node.items = range(entry["itemCount"])
        count = entry["itemCount"]
        if node.phase in TERMINAL and len(node.items) != count:  # a rerun has changed what the list is made of
            node.items = [*node.items, *[None] * count][:count]
    for item in entry["items"]:
        index = item["index"]
        unit = node.units[index] = Unit(frame, node.node, node, index)
        now = node.items[index] if node.items is not None and index < len(node.items) else None
        unit.value = exact_value(item, "value", now)
        _fill_unit(state, unit, item, known)
        unit.chunk = item.get("outputsIn")
        unit.outputs = exact_value(item, "attemptOutputs", _outputs(item))
        started = unit.start is not None and unit.phase not in TERMINAL
        node.running_items += started
        node.failed_items += unit.phase == FAILED
        if node.phase not in TERMINAL and unit.phase == SUCCEEDED:
            node.given += size_of(unit.outputs)
    node.outputs = loops.item_outputs(node) if node.phase in TERMINAL and node.items is not None else None


def _fill_unit(state: RunState, unit: Unit, entry: Entry, known: Mapping[str, Entry]) -> None:
    unit.phase = _phase(entry)
    unit.reason, unit.message = entry.get("unitReason", entry.get("reason")) or None, entry.get("message", "")
    unit.spent, unit.base = entry.get("spent", 0), entry.get("base", 0)
    unit.attempt = entry.get("attempts", 0) - unit.spent
    unit.high, unit.undone = entry.get("high", unit.attempt), entry.get("undone", 0)
    unit.undoing, unit.then = entry.get("undoing", 0), entry.get("then", {})
    unit.parked = entry.get("parked", False)
    unit.iteration = entry.get("iteration", unit.iteration)
    unit.start, unit.end = moment(entry.get("startTime")), moment(entry.get("completionTime"))
    unit.exit_code = entry.get("exitCode")
    unit.done = {round_: (moment(end) or 0.0, orjson.loads(text)) for round_, end, text in entry.get("done", ())}
    unit.lost = older.lost_rounds(unit, entry)
    unit.decisions = [(d["by"], d["decision"], moment(d["at"]) or 0.0) for d in entry.get("decisions", ())]
    if unit.phase in TERMINAL:
        unit.stage = ENDED
    elif unit.start is None or unit.phase == PENDING:
        unit.stage, unit.phase, unit.start = NEW, PENDING, None
        if entry.get("stage", QUEUED) == QUEUED:
            _fill_key(state, unit, entry)
    else:
        _fill_memory(state, unit, entry)
    graph = unit.node.body.graph
    if graph is None:
        return
    if graph.undoable and unit.node.loop is not None:
        _fill_rounds(state, unit, graph, known, dict(entry.get("rounds", ())))
    if _is_known(unit, graph, known):
        unit.child = _child(state, unit, entry.get("parameters"))
        unit.child.base = entry.get("childBase", unit.base)
        _fill_frame(state, unit.child, known, entry.get("closing"))


def _is_known(unit: Unit, graph: Graph, known: Mapping[str, Entry]) -> bool:
    return subgraphs.child_prefix(unit) + graph.nodes[0].name in known


def _child(state: RunState, unit: Unit, given: str | None) -> Frame:
    """The unit's subgraph with the parameters that it was given; computed anew where the status does not tell them."""
    child = subgraphs.child_frame(state, unit)
    if given is not None:
        child.params = orjson.loads(given)
    return child


def _fill_rounds(
    state: RunState, unit: Unit, graph: Graph, known: Mapping[str, Entry], given: Mapping[int, str]
) -> None:
    """The earlier rounds whose subgraph is still known, each with the outputs of the one before it."""
    previous = None
    for iteration in range(unit.iteration or 0):
        past = loops.past_round(unit, iteration)
        past.previous = previous
        if not _is_known(past, graph, known):
            del unit.rounds[iteration]
            continue
        past.child = _child(state, past, given.get(iteration))
        _fill_frame(state, past.child, known, None)
        with suppress(ExpressionError):
            previous = subgraphs.outputs_of(state, past.child)
    if unit.previous is None:
        unit.previous = previous


def _fill_memory(state: RunState, unit: Unit, entry: Entry) -> None:
    unit.stage = entry.get("stage", ACTIVE)
    if unit.stage == GATED:  # what it asked for is asked for again
        entry = {key: value for key, value in entry.items() if key not in ("lock", "cacheKey")}
        unit.stage = NEW
    unit.unmade = entry.get("unmade", False)
    unit.failures, unit.disruptions = entry.get("failures", 0), entry.get("disruptions", 0)
    unit.raises, unit.level = older.memory_raises(unit, entry), entry.get("level", 0)
    unit.seconds = entry.get("waitSeconds")
    unit.previous, unit.pending = exact_value(entry, "previous", None), entry.get("pending")
    unit.stop_reason, unit.pending_text = entry.get("stopReason"), entry.get("pendingText", "")
    unit.attempt_start, unit.due = moment(entry.get("attemptStartTime")), moment(entry.get("nextTime"))
    unit.level_start, unit.pending_since = moment(entry.get("levelStartTime")), moment(entry.get("pendingSince"))
    unit.outputs = exact_value(entry, "attemptOutputs", None)
    with suppress(ExpressionError):  # reported when the attempt is asked for again
        rendering.restore_inputs(state, unit)
    _fill_key(state, unit, entry)
    if unit.stage in (ACTIVE, STOPPING) and (unit.node.body.kind in IN_FLIGHT or unit.node.body.approval is not None):
        state.active[unit.id] = unit
        state.pods += unit.node.body.kind == "job"


def _fill_key(state: RunState, unit: Unit, entry: Entry) -> None:
    """What it has been answered at its gates."""
    unit.lock, unit.cache_key = entry.get("lock"), entry.get("cacheKey")
    if unit.lock is not None:
        state.locks[unit.gate] = unit


def _restore_compensation(state: RunState, entry: Entry | None, known: Mapping[str, Entry]) -> None:
    left = compensation.due_compensations(state)
    if entry is not None:
        wanted = (entry["node"], entry.get("index"), entry.get("iteration"))
        unit = next(unit for unit in left if (unit.path, unit.index, unit.iteration) == wanted)
        left.remove(unit)
        _fill_unit(state, unit, {**entry, "previous": orjson.dumps(unit.previous)}, known)
        state.compensating = unit
    state.compensations = [] if state.stop == "Terminate" else left


def resume(state: RunState, now: float, *, budget: int | None = None) -> Result:
    """Go on with a restored state: what to do first. Everything asked for again may be done twice.

    The budget is as in `advance`.
    """
    step = Step(state, round(now, 3), limited=budget is not None)
    if state.finished:
        return finish_step(step)
    run.rearm(step)
    step.again = True
    for frame in list(unfinished_frames(state)):
        _resume_frame(step, frame)
    step.again = False
    if state.compensating is not None:
        _resume_unit(step, state.compensating)
    elif state.stage == "Compensating":
        run.compensated(step)
    return finish_step(step, budget)


def _resume_frame(step: Step, frame: Frame) -> None:
    for node in frame.nodes:
        if node.begun and node.phase not in TERMINAL:
            for unit in list(node.units.values()):
                _resume_unit(step, unit)
            if node.items is not None:
                loops.go_on(step, frame, node)
    step.begun.append(frame)


def _resume_unit(step: Step, unit: Unit) -> None:
    if unit.stage == QUEUED:
        enqueue(step, unit)
    elif unit.stage == NEW and (unit.start is not None or unit.owner.items is None):  # at its gates
        prepare(step, unit)
    kind = unit.node.body.kind
    try:
        if unit.stage == STOPPING and kind in IN_FLIGHT:
            step.act(Stop(unit.id, kind, unit.stop_reason or ""))
        elif unit.stage == ACTIVE and kind in IN_FLIGHT and (kind != "job" or unit.unmade or unit.pending in RESEND):
            unit.unmade, payload = False, rendering.payload(step.state, unit)
            step.act(Start(unit.id, kind, unit.node, payload, granted_memory(unit), previous_attempt(unit)))
        elif unit.stage == ACTIVE and unit.node.body.approval is not None:
            approvals.ask_again(step, unit)
    except ExpressionError as error:  # outputs that it needs have been lost with their ConfigMap
        fail(step, unit, Reason.ExpressionError, str(error), fatal=True)
