"""An operator that dies at any step goes on as if nothing had happened: state rebuilt from the written status.

A world that, after steps chosen at random, throws the engine's state away and rebuilds it from the status as the API
server would have stored it (JSON, nulls pruned). The report must be that of a world that never did so.
"""

import random
from functools import partial
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.workflows import Case, Chooser, random_case
from weft.engine import advance, restore, status
from weft.engine.actions import Acquire, Action, LookUp, Start
from weft.engine.snapshot import moment
from weft.engine.observation import Observation
from weft.engine.state import AttemptId
from weft.simulate.agenda import NEWS
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
    stored |= pruned(orjson.loads(orjson.dumps(written.status)))
    nodes = status.read_nodes(stored, orjson.loads(orjson.dumps(chunks)))
    found = restore.restore(state.workflow, state.context, stored, nodes, start=moment(stored["startTime"]) or 0.0)
    return found, restore.resume(found, now)


class DyingWorld(World):
    """A world whose operator dies after one step in `every`."""

    def __init__(self, *args: Any, rng: random.Random, every: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self._rng = rng
        self._every = every
        self._chunks: dict[int, dict[str, Any]] = {}
        self._stored: dict[int, dict[str, Any]] = {}
        self._looked_up: dict[tuple[int, AttemptId], Any] = {}
        self._repeats = False
        self.deaths = 0

    def _carry_out(self, run: Any, result: Any) -> None:
        super()._carry_out(run, result)
        if self._rng.randrange(self._every):
            return
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
            if not self._repeats or (run.number, action.id) not in self._looked_up:
                found = self._cache.look_up(_scope(run, action), max_age=action.max_age, now=self._agenda.now)
                self._looked_up[run.number, action.id] = found
            self._answer(run, advance.CacheAnswer(action.id, self._looked_up[run.number, action.id]))
        else:
            super()._perform(run, action)

    def _answer(self, run: Any, seen: Observation) -> None:
        self._agenda.put(self._agenda.now, NEWS, partial(self._see, run, seen))

    def _acquire(self, run: Any, action: Acquire) -> None:
        keys = self._locks._keys.get(action.key)
        holder = (run.number, action.id)
        if keys is not None and holder in keys.holders:
            self._answer(run, advance.LockAnswer(action.id, True))
        elif keys is None or all(waiting != holder for waiting, _ in keys.queue):
            super()._acquire(run, action)


def load(case: Case) -> tuple[Program, Scenario]:
    program, problems = load_program(Document(document) for document in case.documents)
    assert program is not None, problems
    scenario, problems = parse_scenario(case.scenario)
    assert scenario is not None, problems
    return program, scenario


def told(report: dict[str, Any]) -> dict[str, Any]:
    """The report; a run that is stuck has no end, and the clock stops at whatever alarm was the last."""
    return {**report, "makespanSeconds": None} if report["reason"] == "Stuck" else report


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**9))
def test_a_restart_at_any_step_changes_nothing(seed: int) -> None:
    case = random_case(Chooser(random.Random(seed).randrange))
    program, scenario = load(case)
    alive = World(program.workflows, scenario, seed=1).run(program.main, program.check({})[0])
    dying = DyingWorld(program.workflows, scenario, seed=1, rng=random.Random(seed), every=2)
    died = dying.run(program.main, program.check({})[0])
    assert told(json_report(died)) == told(json_report(alive))
