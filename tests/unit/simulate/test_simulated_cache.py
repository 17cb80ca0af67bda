"""The cache of successes, as the runs of a namespace share it."""

import pytest
from support.simulation import simulate
from weft.api.node import CACHE_SECONDS
from weft.simulate.cache import Cache


def test_the_cache_forgets_by_age() -> None:
    cache = Cache()
    assert cache.look_up("k", max_age=None, now=0) is None
    cache.remember("k", {"n": 1}, now=10)
    assert cache.look_up("k", max_age=5, now=15) == {"n": 1}
    assert cache.look_up("k", max_age=5, now=15.5) is None


@pytest.mark.parametrize("max_age", [None, 2 * CACHE_SECONDS])
def test_no_result_is_kept_longer_than_the_cluster_keeps_it(max_age: float | None) -> None:
    cache = Cache()
    cache.remember("k", {"n": 1}, now=10)
    assert cache.look_up("k", max_age=max_age, now=10 + CACHE_SECONDS) == {"n": 1}
    assert cache.look_up("k", max_age=max_age, now=10.5 + CACHE_SECONDS) is None


@pytest.mark.parametrize(("days", "attempts"), [(29, [1]), (31, [1, 2])])
def test_a_rerun_after_thirty_days_does_the_work_again(days: int, attempts: list[int]) -> None:
    cached = "nodes: [{name: a, cache: {key: \"'k'\"}, job: J}]"
    ran = simulate(cached, f"actions: [{{at: {days * 86_400}, rerun: All}}]")
    assert [job["attempt"] for job in ran.report["jobs"]] == attempts


def test_a_success_without_outputs_is_one_too() -> None:
    ran = simulate("nodes: [{name: a, cache: {key: \"'k'\"}, job: J}]", "actions: [{at: 50, rerun: All}]")
    assert ran.jobs == ["a#1 0-1"]
    assert ran.report["nodes"]["a"]["reason"] == "Cached"


def test_a_cached_success_is_not_run_again() -> None:
    ran = simulate(
        """
        nodes:
        - name: loop
          while: {condition: "iteration < 2"}
          graph: {name: g}
        graphs: [{name: g, nodes: [{name: a, cache: {key: "'same'"}, job: J}]}]
        """,
        "events: [{node: loop/a, outputs: {n: 1}}]",
    )
    assert ran.jobs == ["loop/a<0>#1 0-1"]
    assert ran.nodes["loop/a"].startswith("Succeeded(Cached)")
    assert ran.outputs("loop/a") == {"n": 1}
