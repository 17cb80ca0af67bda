"""A world whose operator dies, and the comparison of what becomes of a run in it with what would have become of it.

    check(case, one_in(2, seed))
    check(case, at(100.0), form="packed")

After steps chosen at random the engine's state is thrown away and rebuilt from the status as the API server would have
stored it (JSON, nulls pruned, whole doubles as integers). Nothing that anybody sees may tell the two worlds apart: not
the report, nor how a node has ended, nor what any attempt was given, nor what `run.failures` says.
"""

import random
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any
from unittest.mock import patch

import orjson
from support.numbers import through_go
from support.workflows import Case
from weft.api.times import moment
from weft.engine import advance, budget, restore, status
from weft.engine.actions import Acquire, Action, LookUp, Release, Start
from weft.engine.observation import CacheAnswer, LockLost, Observation
from weft.engine.state import TERMINAL, AttemptId
from weft.engine.step import frames
from weft.simulate.agenda import NEWS
from weft.simulate.history import History
from weft.simulate.program import Document, Program, load_program
from weft.simulate.report import json_report
from weft.simulate.scenario import Scenario, parse_scenario
from weft.simulate.world import World, _scope


def pruned(value: Any) -> Any:
    """What a merge patch leaves of a value: no nulls in objects."""
    if isinstance(value, dict):
        return {key: pruned(item) for key, item in value.items() if item is not None}
    return [pruned(item) for item in value] if isinstance(value, list) else value


def reborn(state: Any, now: float, *, chunks: dict[str, Any], stored: dict[str, Any]) -> tuple[Any, Any]:
    """The state that a new operator finds, and what it does first."""
    written = status.make(state, previous=stored, generation=1, now=now)
    chunks |= written.chunks
    stored.clear()
    stored |= pruned(through_go(orjson.loads(orjson.dumps(written.status))))
    nodes = budget.read_nodes(stored, orjson.loads(orjson.dumps(chunks)))
    found = restore.restore(state.workflow, state.context, stored, nodes, start=moment(stored["startTime"]) or 0.0)
    return found, restore.resume(found, now)


MAX_DEATHS = 4
"""In one instant: an operator that dies before it hears any answer gets nowhere."""


class WatchedWorld(World):
    """A world that keeps what every attempt was given."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.given: dict[tuple[int, AttemptId], Any] = {}

    def _perform(self, run: Any, action: Action) -> None:
        if isinstance(action, Start):
            self.given[run.number, action.id] = action.kind, action.payload, action.memory, action.after
        super()._perform(run, action)


class DyingWorld(WatchedWorld):
    """A world whose operator dies after every step of which `dies` says so; it is asked at which second that was."""

    def __init__(self, *args: Any, dies: Callable[[float], bool], **options: Any) -> None:
        super().__init__(*args, **options)
        self._dies = dies
        self._chunks: dict[int, dict[str, Any]] = {}
        self._stored: dict[int, dict[str, Any]] = {}
        self._looked_up: dict[tuple[int, int, AttemptId], Any] = {}
        self._died_at: Counter[tuple[int, float]] = Counter()
        self._pressed: set[tuple[int, AttemptId]] = set()
        self._repeats = False
        self.deaths = 0

    def _carry_out(self, run: Any, result: Any) -> None:
        super()._carry_out(run, result)
        moment_of_run = (run.number, self._agenda.now)
        if not self._dies(self._agenda.now) or self._died_at[moment_of_run] == MAX_DEATHS:
            return
        self._died_at[moment_of_run] += 1
        self.deaths += 1
        chunks, stored = self._chunks.setdefault(run.number, {}), self._stored.setdefault(run.number, {})
        run.state, again = reborn(run.state, self._epoch, chunks=chunks, stored=stored)
        run.alarm = None
        known = {(attempt.run.number, attempt.id) for attempt in self._cluster.attempts}
        actions = [
            action for action in again.actions if not (isinstance(action, Start) and (run.number, action.id) in known)
        ]
        self._repeats = True
        super()._carry_out(run, advance.Result(actions, again.wake_at))
        self._repeats = False

    def _perform(self, run: Any, action: Action) -> None:
        """What is asked for once more gets the same answer: the world has not changed, and knows who asked before."""
        if isinstance(action, LookUp):
            asked = (run.number, run.state.generation, action.id)
            if not self._repeats or asked not in self._looked_up:
                found = self._cache.look_up(_scope(run, action), max_age=action.max_age, now=self._agenda.now)
                self._looked_up[asked] = found
            self._answer(run, CacheAnswer(action.id, self._looked_up[asked]))
        else:
            if isinstance(action, Release):
                self._pressed.discard((run.number, action.id))
            super()._perform(run, action)

    def _answer(self, run: Any, seen: Observation) -> None:
        self._agenda.put(self._agenda.now, NEWS, partial(self._see, run, seen))

    def _pass_on(self, change: Any) -> None:
        self._pressed |= {holder for _, holder in change.lost}
        super()._pass_on(change)

    def _acquire(self, run: Any, action: Acquire) -> None:
        super()._acquire(run, action)
        if self._repeats and (run.number, action.id) in self._pressed:
            self._answer(run, LockLost(action.id))


def load(case: Case) -> tuple[Program, Scenario]:
    program, problems = load_program(Document(document) for document in case.documents)
    assert program is not None, problems
    scenario, problems = parse_scenario(case.scenario)
    assert scenario is not None, problems
    return program, scenario


def told(report: dict[str, Any]) -> dict[str, Any]:
    """The report, without what a restart may change: in which order things of one instant are named."""
    jobs = sorted(report["jobs"], key=lambda job: orjson.dumps(job))
    stuck = {"makespanSeconds": None, "message": None} if report["reason"] == "Stuck" else {}
    return {**report, "jobs": jobs, **stuck}


FORMS = {
    "readable": {},
    "outputs stored": {"MAX_INLINE_OUTPUTS": 0},
    "packed": {"MAX_INLINE_OUTPUTS": 0, "MAX_ENTRIES": 0},
    "all stored": {"MAX_INLINE_OUTPUTS": 0, "MAX_STATUS": 0},
}
"""How a run's status may be written; see `engine/budget`."""


def one_in(every: int, seed: int) -> Callable[[float], bool]:
    """Deaths by chance."""
    rng = random.Random(seed)
    return lambda _: rng.randrange(every) == 0


def at(*seconds: float) -> Callable[[float], bool]:
    """One death after the first step at or after each of these times."""
    left = sorted(seconds, reverse=True)
    return lambda now: bool(left) and now >= left[-1] and left.pop() is not None


def check(case: Case, dies: Callable[[float], bool], *, form: str = "readable") -> None:
    """Hold the run of a case in a dying world against the same run undisturbed."""
    program, scenario = load(case)
    params, _ = program.check({})
    alive = WatchedWorld(program.workflows, scenario, seed=1)
    dying = DyingWorld(program.workflows, scenario, seed=1, dies=dies)
    lived = alive.run(program.main, params)
    with patch.multiple(budget, **FORMS[form]) if FORMS[form] else nullcontext():
        died = dying.run(program.main, params)
    assert told(json_report(died)) == told(json_report(lived))
    assert dying.given == alive.given
    assert ends(died) == ends(lived)
    assert died.run.state.failures == lived.run.state.failures


def ends(history: History) -> dict[str, Any]:
    """What everybody may read of each node that has ended, and the report has not.

    One that has not is of an item that a rerun no longer has: whether it had begun before depends on the steps.
    """
    state = history.run.state
    tops = [top for top in (state.main, state.final) if top is not None]
    nodes = ((frame.prefix, node) for top in tops for frame in frames(top) for node in frame.nodes)
    ended = ((prefix, node) for prefix, node in nodes if node.phase in TERMINAL)
    return {prefix + node.node.name: (node.reason, node.message, node.exit_code) for prefix, node in ended}
