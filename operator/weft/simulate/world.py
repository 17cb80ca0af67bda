"""The world of a simulation: it answers every action of the engine as a scenario says, on a virtual clock.

    engine actions -> world -> agenda (what happens when) -> observations -> engine

Everything of one instant is told to the engine together. Child runs live on the same clock. The same workflow, scenario
and seed give the same history. Engine times are epoch seconds, so a run starts at START; everything the world shows is
in seconds from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from weft.api.conditions import Reason
from weft.api.numbers import as_stored
from weft.api.parameters import check_parameters
from weft.api.paths import plain_path
from weft.engine import advance as engine
from weft.engine.actions import Acquire, Action, AskApproval, LookUp, Release, Remember, Start, Stop
from weft.engine.child_failure import child_failure
from weft.engine.keys import Answer, Change, Keys
from weft.engine.observation import AttemptEnded, CacheAnswer, Controls, LockAnswer, LockLost, Observation
from weft.engine.observation import Decision as Decided
from weft.engine.run import MAX_CHILD_DEPTH, STOPS, child_stop, nested_too_deep, stopped_child
from weft.engine.snapshot import entries
from weft.engine.state import AttemptId, RunContext
from weft.graph.compiled import CompiledWorkflow
from weft.simulate.agenda import CONTROLS, DECISIONS, NEWS, WAKES, Agenda
from weft.simulate.answers import no_answers
from weft.simulate.cache import Cache
from weft.simulate.cluster import Cluster
from weft.simulate.decisions import Approvals
from weft.simulate.history import START, Attempt, History, Run
from weft.simulate.place import TOP, Place, place_of
from weft.simulate.program import Program
from weft.simulate.scenario import Action as UserAction
from weft.simulate.scenario import Decision, Rerun, Scenario
from weft.simulate.stuck import why_stuck

MAX_ROUNDS = 200_000
"""Rounds of one instant after which the workflow is taken to turn for ever."""

Holder = tuple[int, AttemptId]
"""Who holds a concurrency key: a run's number, and the engine's name for what holds it there."""


class ScenarioError(ValueError):
    """The scenario asks for something that cannot be done to this workflow; the message names the path."""


class World:
    """The clock, the cluster, the people and the user, for one simulation."""

    def __init__(
        self, workflows: Mapping[str, CompiledWorkflow], scenario: Scenario, *, seed: int | None = None
    ) -> None:
        """Take the workflows that `workflow` nodes may name, and the scenario; `seed` turns jitter on."""
        self._workflows = workflows
        self._scenario = scenario
        self._entropy = None if seed is None else str(seed)
        self._agenda = Agenda()
        self._cluster = Cluster(scenario, self._agenda, self._see)
        self._approvals = Approvals()
        self._keys: Keys[str, Holder] = Keys()
        self._cache = Cache()
        self._runs: dict[int, Run] = {}
        self._touched: dict[int, Run] = {}
        self._reruns_to_come = sum(action.rerun is not None for action in scenario.actions)
        self._reruns_due: list[tuple[int, Rerun]] = []

    def run(self, workflow: CompiledWorkflow, params: dict[str, Any]) -> History:
        """Carry a workflow out to its end, or until nothing more can happen. `params` have been checked.

        Raises ScenarioError.
        """
        for problem in no_answers(self._scenario, Program(workflow, self._workflows)):
            raise ScenarioError(str(problem))
        root = self._open(workflow, params, TOP, None, self._wish_at_the_start())
        self._tell()
        for decision in self._scenario.approvals:
            self._agenda.put(decision.at, DECISIONS, partial(self._decide, root, decision))
        for number, action in enumerate(self._scenario.actions):
            self._agenda.put(action.at, CONTROLS, partial(self._user, root, number, action))
        moment, rounds = -1.0, 0
        while self._agenda and not (root.state.finished and not self._reruns_to_come):
            for deed in self._agenda.next_moment():
                deed()
            rounds = rounds + 1 if self._agenda.now == moment else 0
            moment = self._agenda.now
            if rounds > MAX_ROUNDS:
                raise ScenarioError(f"the workflow turns for ever at {moment:g} s; give its loop a duration")
            self._tell()
            self._rerun(root)
        stuck = None if root.state.finished else why_stuck(root, self._runs.values())
        elapsed = self._agenda.now if root.state.ended_at is None else _seconds(root.state.ended_at)
        return History(root, self._cluster.attempts, elapsed, stuck)

    # Runs and their steps

    def _open(
        self, workflow: CompiledWorkflow, params: dict[str, Any], place: Place, parent: Attempt | None, wish: Controls
    ) -> Run:
        number = len(self._runs) + 1
        name = workflow.name if parent is None else f"{workflow.name}-{number}"
        uid = f"00000000-0000-0000-0000-{number:012d}"
        context = RunContext(name=name, uid=uid, params=params, entropy=self._entropy)
        depth = 0 if parent is None else parent.run.depth + 1
        run = Run(number, context, place, parent, depth, suspend=wish.suspend, stop=wish.stop)
        self._runs[number] = run
        run.state, result = engine.begin(workflow, context, self._epoch, controls=wish)
        self._carry_out(run, result)
        return run

    @property
    def _epoch(self) -> float:
        return START + self._agenda.now

    def _see(self, run: Run, seen: Observation) -> None:
        run.inbox.append(seen)
        self._touched[run.number] = run

    def _soon(self, run: Run, seen: Observation) -> None:
        self._agenda.put(self._agenda.now, NEWS, partial(self._see, run, seen))

    def _tell(self) -> None:
        """Let every run that something happened to take its step, child runs before those that wait for them."""
        while self._touched:
            self._step(self._touched[max(self._touched)])

    def _step(self, run: Run) -> None:
        del self._touched[run.number]
        seen, run.inbox = run.inbox, []
        self._carry_out(run, engine.advance(run.state, seen, self._epoch))

    def _carry_out(self, run: Run, result: engine.Result) -> None:
        for action in result.actions:
            self._perform(run, action)
        if result.wake_at is not None:
            at = _seconds(result.wake_at)
            if run.alarm is None or at < run.alarm:
                run.alarm = at
                self._agenda.put(at, WAKES, partial(self._ring, run, at))
        if run.state.finished and run.parent is not None and run.parent.end is None:
            self._child_ended(run, run.parent)

    def _ring(self, run: Run, at: float) -> None:
        if run.alarm == at:
            run.alarm = None
            self._touched[run.number] = run

    def _perform(self, run: Run, action: Action) -> None:
        match action:
            case Start():
                attempt = self._cluster.start(run, action, generation=_generation(run))
                if action.kind == "workflow":
                    self._start_child(attempt, action.payload)
            case Stop():
                self._stop(run, action.id)
            case AskApproval():
                self._ask(run, action.id)
            case Acquire():
                self._acquire(run, action)
            case Release():
                self._pass_on(self._keys.release([(action.key, (run.number, action.id))]))
            case LookUp():
                found = self._cache.look_up(_scope(run, action), max_age=action.max_age, now=self._agenda.now)
                self._soon(run, CacheAnswer(action.id, found))
            case Remember():
                self._cache.remember(_scope(run, action), action.outputs, now=self._agenda.now)

    def _acquire(self, run: Run, action: Acquire) -> None:
        holder = (run.number, action.id)
        answer, change = self._keys.acquire(action.key, holder, limit=action.limit, policy=action.policy)
        if answer is not Answer.Queued:
            self._soon(run, LockAnswer(action.id, granted=answer is Answer.Granted))
        self._pass_on(change)

    def _pass_on(self, change: Change[str, Holder]) -> None:
        """Tell who has a key now, and who has to give one back."""
        for _, (number, gate) in change.granted:
            self._soon(self._runs[number], LockAnswer(gate, granted=True))
        for _, (number, gate) in change.lost:
            self._soon(self._runs[number], LockLost(gate))

    # Child runs

    def _start_child(self, attempt: Attempt, payload: Mapping[str, Any]) -> None:
        run, name = attempt.run, payload["name"]
        workflow = self._workflows.get(name)
        if workflow is None:
            known = ", ".join(sorted(self._workflows))
            message = f"no Workflow {name!r} in the file (there are: {known}); add it as a document or correct the name"
            self._cluster.end_soon(attempt, reason=Reason.WorkflowNotFound, message=message, fatal=True)
            return
        params, problems = check_parameters(workflow.main.parameters, as_stored(payload["parameters"]))
        if problems:
            self._cluster.end_soon(attempt, reason=Reason.InvalidParameters, message="; ".join(problems), fatal=True)
        elif run.depth >= MAX_CHILD_DEPTH:
            message = nested_too_deep(name)
            self._cluster.end_soon(attempt, reason=Reason.InvalidWorkflow, message=message, fatal=True)
        else:
            run.children[attempt.id] = self._open(workflow, params, attempt.place, attempt, Controls())

    def _stop(self, run: Run, id_: AttemptId) -> None:
        child = run.children.get(id_)
        if child is None or child.state.finished:
            self._cluster.stop(run, id_)
        else:  # its end comes when it has cleaned up
            self._control(child, suspend=child.suspend, stop="Terminate" if run.stop == "Terminate" else "Cancel")

    def _child_ended(self, child: Run, attempt: Attempt) -> None:
        state = child.state
        seen = AttemptEnded(attempt.id, self._epoch, succeeded=True, outputs=state.outputs)
        if state.outcome != "Succeeded":
            reason, fatal = child_failure(state.reason, entries(state), started=True)
            message = f"run {child.context.name} ended {state.outcome}: {state.message}"
            stopped = stopped_child(state.outcome, attempt.run.state)
            seen = replace(seen, succeeded=False, reason=reason, message=message, fatal=fatal, stopped=stopped)
        self._cluster.end(attempt, seen)

    # People and the user

    def _ask(self, run: Run, id_: AttemptId) -> None:
        unit = run.state.active.get(id_)
        if unit is None:
            return  # cancelled in the step that asked
        for decision in self._approvals.ask(run, id_, place_of(unit, run.place), generation=_generation(run)):
            self._soon(run, Decided(id_, decision.by, decision.decision, self._epoch))

    def _decide(self, root: Run, decision: Decision) -> None:
        for run, id_ in self._approvals.decide(decision, generation=root.state.generation):
            self._see(run, Decided(id_, decision.by, decision.decision, self._epoch))

    def _wish_at_the_start(self) -> Controls:
        """What a run created like that would say: actions at 0 come before its first node starts."""
        suspend, stop = False, None
        for action in self._scenario.actions:
            if action.at == 0:
                suspend = suspend if action.suspend is None else action.suspend
                stop = action.stop or stop
        return Controls(suspend=suspend, stop=stop)

    def _user(self, root: Run, number: int, action: UserAction) -> None:
        if action.rerun is not None:
            self._reruns_due.append((number, action.rerun))
        elif action.suspend is not None:
            self._control(root, suspend=action.suspend, stop=root.stop)
        elif not root.state.finished:
            self._control(root, suspend=root.suspend, stop=action.stop)

    def _control(self, run: Run, *, suspend: bool, stop: str | None) -> None:
        """Tell a run what is wanted of it; its child runs are suspended with it, drained with it and terminated.

        As in the cluster, it takes its own step first: a child run that ends for being stopped has not failed then, and
        one that was suspended is stopped before it could go on.
        """
        run.suspend, run.stop = suspend, stop
        self._see(run, Controls(suspend=suspend, stop=stop))
        self._step(run)
        for id_, child in run.children.items():
            if id_ in run.state.active and not child.state.finished:
                harder = max(child.stop, child_stop(stop, run.state.stage), key=lambda wish: STOPS[wish])
                self._control(child, suspend=suspend and stop is None, stop=harder)

    def _rerun(self, root: Run) -> None:
        """Carry out the reruns whose time has come, once the run has ended and is not suspended."""
        while root.state.finished and self._reruns_due and not root.suspend:
            number, rerun = self._reruns_due.pop(0)
            self._reruns_to_come -= 1
            root.stop = None
            generation = root.state.generation + 1
            try:
                result = engine.restart(
                    root.state, generation=generation, mode=rerun.from_, nodes=rerun.nodes, now=self._epoch
                )
            except ValueError as error:
                raise ScenarioError(f"actions[{number}]: {error}") from None
            self._carry_out(root, result)
            self._tell()


def _generation(run: Run) -> int:
    """The rerun generation: that of the outermost run, for people know no other."""
    while run.parent is not None:
        run = run.parent.run
    return run.state.generation


def _scope(run: Run, action: LookUp | Remember) -> tuple[str, ...]:
    """What a cached success belongs to: the Workflow, its node, and the key."""
    return run.state.workflow.name, plain_path(action.id.path), action.key


def _seconds(epoch: float) -> float:
    return round(epoch - START, 3)
