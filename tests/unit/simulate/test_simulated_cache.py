"""The cache of successes, as the runs of a namespace share it."""

from weft.simulate.cache import Cache


def test_the_cache_forgets_by_age() -> None:
    cache = Cache()
    assert cache.look_up("k", max_age=None, now=0) is None
    cache.remember("k", {"n": 1}, now=10)
    cache.remember("none", None, now=10)
    assert cache.look_up("k", max_age=5, now=15) == {"n": 1}
    assert cache.look_up("k", max_age=5, now=15.5) is None
    assert cache.look_up("k", max_age=None, now=1e9) == {"n": 1}
    assert cache.look_up("none", max_age=None, now=11) == {}
