"""An operator that dies at any step goes on as if nothing had happened: state rebuilt from the written status.

A world that, after steps chosen at random, throws the engine's state away and rebuilds it from the status as the API
server would have stored it (JSON, nulls pruned). The report must be that of a world that never did so.
"""

import random
from collections import Counter
from contextlib import nullcontext
from functools import partial
from typing import Any
from unittest.mock import patch

import orjson
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.workflows import PARAMETERS_PER_ROUND, Case, Chooser, in_rounds, random_case, rerun_on_other_lists
from weft.api.times import moment
from weft.engine import advance, budget, restore, status
from weft.engine.actions import Acquire, Action, LookUp, Release, Start
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
    nodes = budget.read_nodes(stored, orjson.loads(orjson.dumps(chunks)))
    found = restore.restore(state.workflow, state.context, stored, nodes, start=moment(stored["startTime"]) or 0.0)
    return found, restore.resume(found, now)


MAX_DEATHS = 4
"""In one instant: an operator that dies before it hears any answer gets nowhere."""


class DyingWorld(World):
    """A world whose operator dies after one step in `every`."""

    def __init__(self, *args: Any, rng: random.Random, every: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self._rng = rng
        self._every = every
        self._chunks: dict[int, dict[str, Any]] = {}
        self._stored: dict[int, dict[str, Any]] = {}
        self._looked_up: dict[tuple[int, AttemptId], Any] = {}
        self._died_at: Counter[tuple[int, float]] = Counter()
        self._pressed: set[tuple[int, AttemptId]] = set()
        self._repeats = False
        self.deaths = 0

    def _carry_out(self, run: Any, result: Any) -> None:
        super()._carry_out(run, result)
        moment_of_run = (run.number, self._agenda.now)
        if self._rng.randrange(self._every) or self._died_at[moment_of_run] == MAX_DEATHS:
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
            if not self._repeats or (run.number, action.id) not in self._looked_up:
                found = self._cache.look_up(_scope(run, action), max_age=action.max_age, now=self._agenda.now)
                self._looked_up[run.number, action.id] = found
            self._answer(run, advance.CacheAnswer(action.id, self._looked_up[run.number, action.id]))
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
            self._answer(run, advance.LockLost(action.id))


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


def case_of(seed: int) -> Case:
    """A random case; keys queue up, for whom CancelRunning cancels depends on the order of one instant, too."""
    case = random_case(Chooser(random.Random(seed).randrange))
    text = orjson.dumps(case.documents).replace(b"CancelRunning", b"Queue")
    first, *others = orjson.loads(text)
    return Case(first["spec"], others, case.scenario, case.approvals)


FORMS = {
    "readable": {},
    "outputs stored": {"MAX_INLINE_OUTPUTS": 0},
    "packed": {"MAX_INLINE_OUTPUTS": 0, "MAX_ENTRIES": 0},
    "all stored": {"MAX_INLINE_OUTPUTS": 0, "MAX_STATUS": 0},
}
"""How a run's status may be written; see `engine/budget`."""


def check(seed: int, *, every: int, form: str = "readable", case: Case | None = None) -> None:
    program, scenario = load(case_of(seed) if case is None else case)
    params, _ = program.check({})
    alive = World(program.workflows, scenario, seed=1).run(program.main, params)
    with patch.multiple(budget, **FORMS[form]) if FORMS[form] else nullcontext():
        dying = DyingWorld(program.workflows, scenario, seed=1, rng=random.Random(seed), every=every)
        died = dying.run(program.main, params)
    assert told(json_report(died)) == told(json_report(alive))


examples = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@examples
@given(seed=st.integers(0, 10**9), every=st.sampled_from([1, 2, 5]))
def test_a_restart_at_any_step_changes_nothing(seed: int, every: int) -> None:
    check(seed, every=every)


@pytest.mark.parametrize("form", [form for form in FORMS if form != "readable"])
def test_whatever_the_form_of_the_status(form: str) -> None:
    for seed in range(60):
        check(seed, every=2, form=form)


@examples
@given(seed=st.integers(0, 10**9), every=st.sampled_from([1, 2, 5]))
def test_nor_where_earlier_rounds_are_undone(seed: int, every: int) -> None:
    check(seed, every=every, case=in_rounds(case_of(seed)))


@examples
@given(seed=st.integers(0, 10**9), every=st.sampled_from([1, 2, 5]))
def test_nor_where_reruns_find_other_lists(seed: int, every: int) -> None:
    check(seed, every=every, case=rerun_on_other_lists(case_of(seed)))


@pytest.mark.parametrize("seed", [82904638, 63805023])
def test_what_was_found_with_other_lists_stays_mended(seed: int) -> None:
    check(seed, every=1, case=rerun_on_other_lists(case_of(seed)))


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_every_round_of_a_subgraph_is_undone_with_its_own_parameters(seed: int, every: int) -> None:
    actions = [{"at": 100, "rerun": "Failed"}, {"at": 200, "rerun": "All"}]
    scenario = {"events": [{"node": "bad", "exitCode": 1}], "actions": actions[: seed % 3]}
    check(seed, every=every, case=Case(yaml.safe_load(PARAMETERS_PER_ROUND), [], scenario))


ANY = """
nodes:
- {name: slow, job: J}
- {name: quick, job: J}
- name: n
  dependsOn: [slow, quick]
  join: Any
"""
EARLY = {
    "a list": ANY
    + """
  forEach: {items: "nodes.slow.phase == 'Succeeded' ? ['x'] : nodes.quick.outputs.l", maxParallel: 1}
  job: J
  compensate: {job: J}
- {name: bad, dependsOn: [n], job: J}
""",
    "the parameters of a graph": ANY
    + """
  graph: {name: g, parameters: {slow: "${{ nodes.slow.phase }}"}}
outputs: [{name: slow, value: nodes.n.outputs.slow}]
graphs:
- name: g
  parameters: [{name: slow, type: string}]
  nodes: [{name: a, job: J}, {name: b, dependsOn: [a], expr: {slow: params.slow}}]
  outputs: [{name: slow, value: nodes.b.outputs.slow}]
""",
    "a condition": """
parallelism: 1
nodes:
- {name: quick, job: J}
- {name: slow, dependsOn: [quick], job: J}
- {name: n, dependsOn: [quick, "slow:Done"], join: Any, when: "nodes.slow.phase == 'Pending'", job: J}
""",
}
"""Expressions about a node that has not ended when they are asked, and ends before what they decided does."""


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("what", EARLY)
def test_what_was_found_of_a_node_that_had_not_ended_stays_found(what: str, every: int) -> None:
    spec = yaml.safe_load(EARLY[what].replace("job: J", "job: {image: i}"))
    events = [
        {"node": "slow", "durationSeconds": 2.5}, {"node": "quick", "outputs": {"l": ["p", "q", "r", "s"]}},
        {"node": "bad", "exitCode": 1}, {"node": "n/a", "durationSeconds": 3},
    ]  # fmt: skip
    for seed in range(5):
        check(seed, every=every, case=Case(spec, [], {"events": events}))


FOUND = [
    *((seed, 1) for seed in (1028, 1061, 1079, 1303, 2013, 2236, 2439, 20341, 40589, 41486)),
    *((seed, 2) for seed in (21, 33, 66, 69, 86, 97, 141, 143, 164, 194, 200, 208, 215, 227, 253, 261, 265, 298)),
    *((seed, 2) for seed in (418, 465, 561, 887, 31292, 33368)),
    *((seed, 3) for seed in (5838, 5855)),
    *((seed, 5) for seed in (4638, 4817, 53006, 53694)),
]
"""Seeds that once found something."""


@pytest.mark.parametrize(("seed", "every"), FOUND)
def test_what_was_found_stays_mended(seed: int, every: int) -> None:
    check(seed, every=every)
