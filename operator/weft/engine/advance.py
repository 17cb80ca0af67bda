"""The one step: observations in, actions and the time of the next wake-up out.

    advance(state, observations, now) -> Step result

What has been seen is applied first, then the clocks that have run out, then everything that
follows from it: units end, nodes end, edges change, joins let nodes run, and as many units start as
there is room for. The cost is what changed, not the size of the graph: counters on each node stand
for its edges, heaps for what is ready and what is due.

The state is changed in place; nothing else is. The same state, observations and time always give
the same result.
"""

from __future__ import annotations

import heapq
import re
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from weft.api.conditions import Reason, message_for
from weft.engine import approvals, bodies, compensation, failure, judge, loops, rerun, run, subgraphs
from weft.engine.actions import Action
from weft.engine.deadlines import SLOW_SECONDS, due
from weft.engine.edges import BROKEN, MET, OPEN, edge_value
from weft.engine.join import RUN, WAIT, decide
from weft.engine.observation import (
    AttemptEnded,
    AttemptPending,
    AttemptReady,
    CacheAnswer,
    Controls,
    Decision,
    LockAnswer,
    LockLost,
    Observation,
)  # fmt: skip
from weft.engine.outputs import OutputsError, cached
from weft.engine.state import (
    ACTIVE,
    CANCELLED,
    COMPENSATE,
    ENDED,
    FAILED,
    GATED,
    MAIN,
    MAX_MESSAGE,
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
from weft.engine.step import Step, push_timer
from weft.engine.units import (
    DEADLINE,
    PENDING_TIMEOUT,
    PODLESS,
    TIMEOUT,
    before_its_stop,
    enqueue,
    finish,
    let_another_speak,
    prepare,
    show,
    stop_attempt,
    stopped,
    stopped_before,
    succeed,
    tell,
)  # fmt: skip
from weft.graph.compiled import CompiledWorkflow


@dataclass(slots=True)
class Result:
    """What a step asks for.

    `wake_at` (epoch seconds) is when to call again if nothing is seen before; `more` says that further
    units are ready now but the step's budget was used up. `ended` are the nodes that ended.
    """

    actions: list[Action] = field(default_factory=list)
    wake_at: float | None = None
    more: bool = False
    ended: list[NodeState] = field(default_factory=list)


def begin(
    workflow: CompiledWorkflow,
    context: RunContext,
    now: float,
    *,
    controls: Controls | None = None,
    budget: int | None = None,
) -> tuple[RunState, Result]:
    """Start a run: its state, and what to do first. `context.params` have been checked."""
    state = RunState(workflow, context, start=round(now, 3))  # to the millisecond, as the status keeps times
    return state, enter(state, now, controls=controls, budget=budget)


def enter(state: RunState, now: float, *, controls: Controls | None = None, budget: int | None = None) -> Result:
    """Take the first step of a new state: the nodes that wait for nothing start, unless the controls forbid it."""
    step = Step(state, round(now, 3), limited=budget is not None)
    step.arm("run")
    step.begun.append(state.main)
    if controls is not None:
        run.control(step, controls)
    return finish_step(step, budget)


def restart(
    state: RunState, *, generation: int, mode: str, nodes: Collection[str], now: float, budget: int | None = None
) -> Result:
    """Rerun a finished run. Takes what `rerun.reset` takes; raises ValueError as it does."""
    now = round(now, 3)
    rerun.reset(state, generation=generation, mode=mode, nodes=nodes, now=now)
    step = Step(state, now, limited=budget is not None)
    step.arm("run")
    step.begun.append(state.main)
    return finish_step(step, budget)


def advance(state: RunState, observations: Iterable[Observation], now: float, *, budget: int | None = None) -> Result:
    """Take what was seen, and the time, into account.

    At most `budget` units are started in one step, so that a wide graph does not keep its own first
    results waiting. With a budget a step ends, too, once its expressions have taken long (see `Step.full`): what it
    has not come to stays in the state, for the next one.
    """
    step = Step(state, round(now, 3), limited=budget is not None)
    _end_waits(step)
    waiting = deque([*state.unseen, *observations])
    while waiting and not step.full:  # first what has happened, then what follows: work that is done is not stopped
        seen = waiting.popleft()
        if isinstance(seen, Controls):
            _cascade(step)
        _observe(step, seen)
        while step.units and step.units[-1].owner.node.loop is not None:  # it may cost an expression, as this did
            _unit_ended(step, step.units.pop())
    state.unseen = list(waiting)
    _cascade(step)
    if not state.unseen:
        _timers(step)
    return finish_step(step, budget)


def finish_step(step: Step, budget: int | None = None) -> Result:
    """Carry everything through that is left in the step."""
    _cascade(step)
    if step.state.parked and not step.held:
        _unpark(step)
    more = _drain(step, budget)
    if not more:
        failure.hold_back(step)
        _cascade(step)
    more = more or step.full or bool(step.later)
    step.state.later, step.state.unsettled = step.later, step.quiet
    if step.actions:
        step.state.dirty = True
    return Result(step.actions, _wake_at(step.state), more, step.finished)


def _observe(step: Step, seen: Observation) -> None:
    state = step.state
    if isinstance(seen, Controls):
        run.control(step, seen)
        return
    if isinstance(seen, LockLost):
        holder = state.locks.get(seen.id)
        if holder is not None:
            stop_attempt(step, holder, Reason.ConcurrencyCancelled)
        return
    unit = state.active.get(seen.id)
    if unit is None:
        return  # late or repeated: that attempt is over
    if isinstance(seen, AttemptPending):
        _pending(step, unit, seen)
        return
    if isinstance(seen, AttemptReady):
        _ready(step, unit)
        return
    state.dirty = True
    if isinstance(seen, AttemptEnded):
        if unit.stage == ACTIVE and seen.stopped is not None:
            seen = stopped_before(state, unit, seen)
        if seen.succeeded:
            before_its_stop(unit)
        if unit.stage == STOPPING:
            stopped(step, unit)
        elif unit.stage == ACTIVE:
            judge.ended(step, unit, seen)
    elif isinstance(seen, Decision):
        if unit.stage == ACTIVE and unit.node.body.approval is not None:
            late = due(state, "approval", unit)
            if late is not None and late <= step.now and late < seen.at:
                approvals.timed_out(step, unit)  # whoever may decide since then is asked, and told of, anew
            else:
                approvals.decided(step, unit, seen.by, seen.decision, seen.at)
    elif unit.stage == GATED and isinstance(seen, LockAnswer) == (unit.lock is not None):
        state.active.pop(seen.id, None)
        if isinstance(seen, CacheAnswer):
            _cache_answer(step, unit, seen)
        else:
            _lock_answer(step, unit, seen)


def _pending(step: Step, unit: Unit, seen: AttemptPending) -> None:
    if unit.stage != ACTIVE:
        return
    told = f"{PODLESS}{seen.reason}" if seen.podless else seen.reason
    if seen.reason is None:
        unit.pending = unit.pending_since = None
    elif unit.pending != told:
        if unit.pending_since is None:
            unit.pending_since = seen.at
        unit.pending = told
        step.arm("pending", unit)
        step.arm("slow", unit)
    text = seen.message[:MAX_MESSAGE]
    starting = seen.reason in (None, Reason.WaitingForPod)  # a Pod that is merely starting is no news, for a while
    unit.pending_text = text if starting else ""
    slow = unit.pending_since is not None and step.now >= unit.pending_since + SLOW_SECONDS
    _show_pending(step, unit, *((None, "") if starting and not slow else (seen.reason, text)))


def _show_pending(step: Step, unit: Unit, shown: str | None, message: str) -> None:
    if shown == unit.reason and (message == unit.message or _BACK_OFF in message):
        return
    if shown != unit.reason or _wording(message) != _wording(unit.message):
        step.state.dirty = True
    unit.reason, unit.message = shown, message
    if unit.role == MAIN:
        if shown is not None or unit.owner.node.for_each is None:
            unit.owner.reason, unit.owner.message = shown, message
        else:
            let_another_speak(unit)


_BACK_OFF = "BackOff: "
"""In what the kubelet tells between two tries; what was wrong it has told before."""


def _wording(message: str) -> str:
    """A message without its numbers: new ones alone, which may come every second, are no cause to write a status."""
    return re.sub(r"[0-9]+", "", message)


def _ready(step: Step, unit: Unit) -> None:
    node = unit.owner
    if node.node.service and not node.ready and unit.stage == ACTIVE:
        step.state.dirty = True  # only of a service anybody wants to know
        node.ready = True
        for edge in node.node.outgoing:
            if edge.outcome == "Ready":
                _edge_changed(step, unit.frame, edge.target, MET)


def _cache_answer(step: Step, unit: Unit, seen: CacheAnswer) -> None:
    try:
        outputs = None if seen.outputs is None else cached(seen.outputs)
    except OutputsError:  # somebody else wrote it, or an older version: as good as nothing
        outputs = None
    if outputs is None:
        prepare(step, unit)
        return
    unit.cache_key = None  # nothing new to remember
    unit.outputs = outputs
    if unit.owner.start is None:
        unit.owner.start = step.now
    if unit.start is None:
        unit.start = step.now
    show(unit, RUNNING, None, "")  # of a loop more may follow: the node has begun
    finish(step, unit, SUCCEEDED, Reason.Cached, message_for(Reason.Cached))


def _lock_answer(step: Step, unit: Unit, seen: LockAnswer) -> None:
    tell(unit, None, "")
    if seen.granted:
        step.state.locks[unit.gate] = unit
        enqueue(step, unit)
    else:
        message = message_for(Reason.ConcurrencySkipped, key=unit.lock)
        unit.lock = None
        finish(step, unit, SKIPPED, Reason.ConcurrencySkipped, message)


def _end_waits(step: Step) -> None:
    """End the waits that are over: nothing that is seen now comes before that, and work that is done is not stopped."""
    state, others = step.state, []
    while state.timers and state.timers[0][0] <= step.now:
        timer = heapq.heappop(state.timers)
        *_, kind, unit = timer
        when = due(state, kind, unit) if kind == "wait" else None
        if when is not None and when <= step.now and not step.full:
            state.dirty = True
            _ring(step, kind, unit)
        else:
            others.append(timer)
    for timer in others:
        heapq.heappush(state.timers, timer)


def _timers(step: Step) -> None:
    state = step.state
    while state.timers and state.timers[0][0] <= step.now and not step.full:
        *_, kind, unit = heapq.heappop(state.timers)
        when = due(state, kind, unit)
        if when is None:
            continue  # off, or its clock stands still: `run.control` arms it again
        if when > step.now:
            step.arm(kind, unit)
            continue
        state.dirty = True
        _ring(step, kind, unit)
        _cascade(step)


def _ring(step: Step, kind: str, unit: Unit | None) -> None:
    if kind == "run":
        run.timed_out(step)
    elif kind == "final":
        run.final_timed_out(step)
    elif unit is None:
        return
    elif kind == "backoff":
        enqueue(step, unit)
    elif kind == "slow":
        _show_pending(step, unit, Reason.WaitingForPod, unit.pending_text)
    elif kind == "wait":
        succeed(step, unit, None)
    elif kind == "approval":
        approvals.timed_out(step, unit)
    else:
        stop_attempt(step, unit, {"attempt": TIMEOUT, "deadline": DEADLINE, "pending": PENDING_TIMEOUT}[kind])


def _wake_at(state: RunState) -> float | None:
    while state.timers:
        when, *_, kind, unit = state.timers[0]
        current = due(state, kind, unit)
        if current is not None and current <= when:
            return float(current)
        heapq.heappop(state.timers)
        if current is not None:
            push_timer(state, current, kind, unit)
    return None


def _cascade(step: Step) -> None:
    """Hand the work that policies left for each other on, until there is none."""
    while True:
        if step.closes:
            failure.close(step, *step.closes.popleft())
        elif step.units:
            _unit_ended(step, step.units.popleft())
        elif step.ended:
            _node_ended(step, *step.ended.popleft())
        elif step.joins:
            ready, step.joins = step.joins, deque()
            for frame, index in ready:  # all of them, before one that fails at once has its say
                _join(step, frame, index)
        elif step.begun:
            _enter(step, step.begun.popleft())
        elif step.quiet and not step.full:
            _, frame = step.quiet.popitem()
            _settle(step, frame)
        else:
            return


def _unit_ended(step: Step, unit: Unit) -> None:
    if unit.role == COMPENSATE:
        compensation.unit_ended(step, unit)
        run.compensated(step)
    else:
        loops.unit_ended(step, unit)


def _node_ended(step: Step, frame: Frame, node: NodeState) -> None:
    step.finished.append(node)
    if node.phase == FAILED:
        step.note("Warning", "NodeFailed", f"{frame.prefix}{node.node.name}: {node.reason}: {node.message}")
    compiled = node.node
    for edge in compiled.outgoing:
        target = frame.nodes[edge.target]
        if target.phase in TERMINAL:
            continue
        value = edge_value(
            edge.outcome, phase=node.phase, reason=node.reason, chosen=node.chosen, ready=node.ready,
            allow_failure=compiled.allow_failure,
        )  # fmt: skip
        if edge.outcome == "Ready" and node.ready:
            if value == MET:
                continue  # as it has been since it was ready
            target.met, target.open = target.met - 1, target.open + 1
        _edge_changed(step, frame, edge.target, value)
    failure.node_ended(step, frame, node)
    step.settle(frame)


def _edge_changed(step: Step, frame: Frame, target: int, value: str) -> None:
    node = frame.nodes[target]
    if value == OPEN:
        return
    node.open -= 1
    if value == MET:
        node.met += 1
    elif value == BROKEN:
        node.broken += 1
    step.joins.append((frame, target))


def _join(step: Step, frame: Frame, index: int) -> None:
    node = frame.nodes[index]
    if node.phase in TERMINAL:
        return
    if node.begun:
        if node.items is not None:
            loops.go_on(step, frame, node)  # with what a step before has left
        return
    compiled = node.node
    verdict = decide(
        join_any=compiled.join_any, open=node.open, met=node.met, broken=node.broken, total=len(compiled.incoming)
    )
    if verdict == WAIT:
        return
    if verdict != RUN:
        loops.end_node(step, frame, node, SKIPPED, verdict, "")
    elif failure.may_begin(frame, node) and step.full:
        step.later[node] = frame
    elif failure.may_begin(frame, node):
        loops.begin(step, frame, node)
        if compiled.service:
            step.settle(frame)  # it may have nobody to serve
    else:
        node.held = True
        step.settle(frame)


def _enter(step: Step, frame: Frame) -> None:
    """Look at every node of a graph that was entered (or entered again) once."""
    for index in frame.graph.by_rank:
        if not frame.nodes[index].open or frame.nodes[index].node.join_any:
            _join(step, frame, index)
    step.settle(frame)


def _settle(step: Step, frame: Frame) -> None:
    failure.settle(step, frame)
    if frame.ended < len(frame.nodes) or frame.end is not None or step.ended:
        return
    frame.end = step.now
    if frame.parent is None:
        run.frame_ended(step, frame)
    else:
        _graph_ended(step, frame, frame.parent)


def _graph_ended(step: Step, frame: Frame, unit: Unit) -> None:
    """A subgraph is over: its unit succeeds with the graph's outputs, fails, or was stopped."""
    if unit.child is not frame or unit.stage == ENDED:
        return
    cut_short = _cut_short(frame)
    if not frame.failing and not cut_short:
        before_its_stop(unit)
    if unit.stage == STOPPING:
        stopped(step, unit)
    elif frame.failing:
        subgraphs.failed(step, unit, frame)
    elif cut_short:
        finish(step, unit, CANCELLED, frame.closing, "")
    else:
        subgraphs.succeeded(step, unit, frame)


def _cut_short(frame: Frame) -> bool:
    """Whether the graph was closed, and that took something away."""
    return frame.closing is not None and any(
        node.phase in (CANCELLED, SKIPPED) and node.reason == frame.closing for node in frame.nodes
    )


def _unpark(step: Step) -> None:
    """Take what came to its gates while the run was suspended through them, as far as it is still wanted."""
    parked, step.state.parked = step.state.parked, []
    for unit in parked:
        if unit.parked:
            unit.parked = False
            prepare(step, unit)
    _cascade(step)


def _drain(step: Step, budget: int | None) -> bool:
    """Start what is ready, in order, as far as there is room; True when the budget ran out first."""
    started = 0
    while not step.held and step.state.stage != "Finished":
        if step.full or (budget is not None and started >= budget):
            return True
        unit = _next(step)
        if unit is None:
            return False
        started += 1
        bodies.start(step, unit)
        _cascade(step)
    return False


def _next(step: Step) -> Unit | None:
    state = step.state
    room = state.workflow.parallelism is None or state.pods < state.workflow.parallelism
    for heap in (state.waiting, state.queue) if room else (state.waiting,):
        while heap:
            unit: Unit = heapq.heappop(heap)[-1]
            if unit.stage == QUEUED:
                return unit
    return None
