"""The one step: observations in, actions and the time of the next wake-up out.

    advance(state, observations, now) -> Step result

What has been seen is applied first (`observe`), then the clocks that have run out (`timers`), then everything that
follows from it (`cascade`), and as many units start as there is room for. The cost is what changed, not the size of
the graph: counters on each node stand for its edges, heaps for what is ready and what is due.

The state is changed in place; nothing else is. The same state, observations and time always give
the same result.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from weft.engine import bodies, failure, rerun, run, timers
from weft.engine.actions import Action
from weft.engine.cascade import cascade, unit_ended
from weft.engine.observation import Controls, Observation
from weft.engine.observe import observe
from weft.engine.state import QUEUED, NodeState, RunContext, RunState, Unit
from weft.engine.step import Step
from weft.engine.units import prepare
from weft.graph.compiled import CompiledWorkflow


@dataclass(slots=True)
class Result:
    """What a step asks for.

    `wake_at` (epoch seconds) is when to call again if nothing is seen before; `more` says that further
    units are ready now but the step's budget was used up. `ended` are the nodes that ended. `stale`: the status lacks
    something that nobody waits for (else the state is dirty).
    """

    actions: list[Action] = field(default_factory=list)
    wake_at: float | None = None
    more: bool = False
    ended: list[NodeState] = field(default_factory=list)
    stale: bool = False


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
    timers.end_waits(step)
    waiting = deque([*state.unseen, *observations])
    while waiting and not step.full:  # first what has happened, then what follows: work that is done is not stopped
        seen = waiting.popleft()
        if isinstance(seen, Controls):
            cascade(step)
        observe(step, seen)
        while step.units and step.units[-1].owner.node.loop is not None:  # it may cost an expression, as this did
            unit_ended(step, step.units.pop())
    state.unseen = list(waiting)
    cascade(step)
    if not state.unseen:
        timers.ring_due(step)
    return finish_step(step, budget)


def finish_step(step: Step, budget: int | None = None) -> Result:
    """Carry everything through that is left in the step."""
    cascade(step)
    if step.state.parked and not step.held:
        _unpark(step)
    more = _drain(step, budget)
    if not more:
        failure.hold_back(step)
        cascade(step)
    more = more or step.full or bool(step.later)
    step.state.later, step.state.unsettled = step.later, step.quiet
    if step.actions:
        step.state.dirty = True
    return Result(step.actions, timers.wake_at(step.state), more, step.finished, step.stale)


def _unpark(step: Step) -> None:
    """Take what came to its gates while the run was suspended through them, as far as it is still wanted."""
    parked, step.state.parked = step.state.parked, []
    for unit in parked:
        if unit.parked:
            unit.parked = False
            prepare(step, unit)
    cascade(step)


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
        cascade(step)
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
