"""An operator that dies at any step goes on as if nothing had happened: state rebuilt from the written status.

Random workflows in random worlds (see `support.workflows`); what is compared with what stands in `support.dying`.
"""

import random

import orjson
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.dying import FORMS, check, one_in
from support.workflows import (
    PARAMETERS_PER_ROUND,
    Case,
    Chooser,
    in_rounds,
    random_case,
    rerun_on_other_lists,
    with_values,
)


def case_of(seed: int) -> Case:
    """A random case; keys queue up, for whom CancelRunning cancels depends on the order of one instant, too."""
    case = random_case(Chooser(random.Random(seed).randrange))
    text = orjson.dumps(case.documents).replace(b"CancelRunning", b"Queue")
    first, *others = orjson.loads(text)
    return Case(first["spec"], others, case.scenario, case.approvals)


examples = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@examples
@given(seed=st.integers(0, 10**9), every=st.sampled_from([1, 2, 5]))
def test_a_restart_at_any_step_changes_nothing(seed: int, every: int) -> None:
    check(case_of(seed), one_in(every, seed))


@pytest.mark.parametrize("form", [form for form in FORMS if form != "readable"])
def test_whatever_the_form_of_the_status(form: str) -> None:
    for seed in range(60):
        check(case_of(seed), one_in(2, seed), form=form)


@examples
@given(seed=st.integers(0, 10**9), every=st.sampled_from([1, 2, 5]))
def test_nor_where_earlier_rounds_are_undone(seed: int, every: int) -> None:
    check(in_rounds(case_of(seed)), one_in(every, seed))


@examples
@given(seed=st.integers(0, 10**9), every=st.sampled_from([1, 2, 5]))
def test_nor_where_reruns_find_other_lists(seed: int, every: int) -> None:
    check(rerun_on_other_lists(case_of(seed)), one_in(every, seed))


OTHERWISE = {"once": lambda case: case, "in rounds": in_rounds, "on other lists": rerun_on_other_lists}


def valued(seed: int, otherwise: str) -> Case:
    return with_values(OTHERWISE[otherwise](case_of(seed)), Chooser(random.Random(seed).randrange))


@pytest.mark.parametrize("otherwise", OTHERWISE)
@examples
@given(seed=st.integers(0, 10**9), every=st.sampled_from([1, 2, 5]), form=st.sampled_from(list(FORMS)))
def test_nor_what_anything_is_given(otherwise: str, seed: int, every: int, form: str) -> None:
    check(valued(seed, otherwise), one_in(every, seed), form=form)


@pytest.mark.parametrize(
    ("seed", "otherwise", "every"),
    [(1177, "once", 1), (1323, "once", 1), (2148, "once", 1), (2148, "in rounds", 1), (69, "in rounds", 1)],
)
def test_what_was_found_with_values_stays_mended(seed: int, otherwise: str, every: int) -> None:
    check(valued(seed, otherwise), one_in(every, seed))


@pytest.mark.parametrize("seed", [82904638, 63805023])
def test_what_was_found_with_other_lists_stays_mended(seed: int) -> None:
    check(rerun_on_other_lists(case_of(seed)), one_in(1, seed))


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_every_round_of_a_subgraph_is_undone_with_its_own_parameters(seed: int, every: int) -> None:
    actions = [{"at": 100, "rerun": "Failed"}, {"at": 200, "rerun": "All"}]
    scenario = {"events": [{"node": "bad", "exitCode": 1}], "actions": actions[: seed % 3]}
    check(Case(yaml.safe_load(PARAMETERS_PER_ROUND), [], scenario), one_in(every, seed))


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
        check(Case(spec, [], {"events": events}), one_in(every, seed))


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
    check(case_of(seed), one_in(every, seed))
