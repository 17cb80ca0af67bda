"""A step that leaves to the next what takes long changes nothing but when it is done."""

import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.dying import WatchedWorld, ends, load, one_in, told
from support.recount import recounted
from support.turns import ShortDyingWorld, ShortWorld, short_steps
from support.workflows import Case, Chooser, random_case, rerun_on_other_lists, with_values
from weft.engine.state import RunState
from weft.simulate.report import json_report

examples = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def case_of(seed: int, *, policy: str | None = "Continue", quiet: bool = False) -> Case:
    """A random case; a failure holds nothing back, for that depends on what has begun in the instant before.

    `quiet`: nor does anything depend on which of two things comes first in an instant, what ends or what is too late.
    """
    chooser = Chooser(random.Random(seed).randrange)
    case = rerun_on_other_lists(random_case(chooser, actions=not quiet))
    if policy is not None:
        for graph in [case.spec, *case.spec.get("graphs", ()), *(other["spec"] for other in case.others)]:
            graph["failurePolicy"] = policy
    text = orjson.dumps([case.spec, *case.others]).replace(b"CancelRunning", b"Queue")
    case.spec, *case.others = _without_limits(orjson.loads(text)) if quiet else orjson.loads(text)
    return case if quiet else with_values(case, chooser)


def _without_limits(value: Any) -> Any:
    if isinstance(value, dict):
        limits = ("timeoutSeconds", "deadlineSeconds", "pendingTimeoutSeconds")
        return {key: _without_limits(inner) for key, inner in value.items() if key not in limits}
    return [_without_limits(inner) for inner in value] if isinstance(value, list) else value


def check(case: Case, *, spent: int, ahead: int, dies: Callable[[float], bool] | None = None) -> None:
    """Hold the run of a case in short steps against the same run in whole ones."""
    program, scenario = load(case)
    params, _ = program.check({})
    whole = WatchedWorld(program.workflows, scenario, seed=1)
    short = (
        ShortWorld(program.workflows, scenario, seed=1, watch=counted)
        if dies is None
        else ShortDyingWorld(program.workflows, scenario, seed=1, watch=counted, dies=dies)
    )
    once = whole.run(program.main, params)
    with short_steps(spent=spent, ahead=ahead):
        bit_by_bit = short.run(program.main, params)
    if dies is None:
        assert told(json_report(bit_by_bit)) == told(json_report(once))
        assert short.given == whole.given
    assert _outcomes(json_report(bit_by_bit)) == _outcomes(json_report(once))
    assert ends(bit_by_bit) == ends(once)


def _outcomes(report: dict[str, Any]) -> Any:
    """What came of a run and its nodes.

    How many attempts there were may differ after a death: of items that fail in one instant, all may have begun, or
    the first alone.
    """
    nodes = {name: (node["phase"], node["reason"], node["outputs"]) for name, node in report["nodes"].items()}
    return report["outcome"], report["reason"], report["outputs"], nodes


def counted(state: RunState) -> None:
    """Between two steps, too, what is counted equals what is there."""
    for said, should_be in recounted(state):
        assert said == should_be


@examples
@given(seed=st.integers(0, 10**9), spent=st.sampled_from([1, 3, 10]), ahead=st.sampled_from([1, 2, 1000]))
def test_a_run_in_short_steps_is_the_same_run(seed: int, spent: int, ahead: int) -> None:
    check(case_of(seed), spent=spent, ahead=ahead)


@examples
@given(seed=st.integers(0, 10**9), spent=st.sampled_from([1, 3]), every=st.sampled_from([1, 2, 5]))
def test_nor_does_a_death_between_two_of_them_change_anything(seed: int, spent: int, every: int) -> None:
    check(case_of(seed, quiet=True), spent=spent, ahead=1, dies=one_in(every, seed))


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_failure_policy_it_comes_to_an_end(seed: int) -> None:
    """What has not begun when a failure comes is held back, as at any other time: the runs need not be the same."""
    case = case_of(seed, policy=None)
    program, scenario = load(case)
    params, _ = program.check({})
    once = WatchedWorld(program.workflows, scenario, seed=1).run(program.main, params)
    with short_steps(spent=1, ahead=1):
        bit_by_bit = ShortWorld(program.workflows, scenario, seed=1, watch=counted).run(program.main, params)
    assert (bit_by_bit.stuck is None) or (once.stuck is not None)
