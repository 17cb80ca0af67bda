"""The cache of successes, as the runs of a namespace share it."""

from support.simulation import simulate
from weft.simulate.cache import Cache


def test_the_cache_forgets_by_age() -> None:
    cache = Cache()
    assert cache.look_up("k", max_age=None, now=0) is None
    cache.remember("k", {"n": 1}, now=10)
    assert cache.look_up("k", max_age=5, now=15) == {"n": 1}
    assert cache.look_up("k", max_age=5, now=15.5) is None
    assert cache.look_up("k", max_age=None, now=1e9) == {"n": 1}


def test_a_success_without_outputs_is_one_too() -> None:
    ran = simulate("nodes: [{name: a, cache: {key: \"'k'\"}, job: J}]", "actions: [{at: 50, rerun: All}]")
    assert ran.jobs == ["a#1 0-1"]
    assert ran.report["nodes"]["a"]["reason"] == "Cached"
