"""Concurrency keys and the cache, as the runs of a namespace share them."""

from weft.simulate.shared import Cache, Locks


def test_a_key_is_granted_up_to_its_limit_and_then_in_turn() -> None:
    locks: Locks[str] = Locks()
    asked = [locks.acquire(holder, key="k", limit=2, policy="Queue") for holder in "abcd"]
    assert asked == [(True, None), (True, None), (None, None), (None, None)]
    assert list(locks.release("b", key="k")) == ["c"]
    assert list(locks.release("a", key="k")) == ["d"]
    assert list(locks.release("c", key="k")) == []


def test_keys_do_not_know_each_other() -> None:
    locks: Locks[str] = Locks()
    assert locks.acquire("a", key="k", limit=1, policy="Queue") == (True, None)
    assert locks.acquire("b", key="l", limit=1, policy="Queue") == (True, None)


def test_skip_refuses_and_cancel_running_names_the_oldest_holder() -> None:
    locks: Locks[str] = Locks()
    for holder in "ab":
        locks.acquire(holder, key="k", limit=2, policy="Queue")
    assert locks.acquire("c", key="k", limit=2, policy="Skip") == (False, None)
    assert locks.acquire("d", key="k", limit=2, policy="CancelRunning") == (None, "a")
    assert list(locks.release("a", key="k")) == ["d"]


def test_who_stops_waiting_leaves_the_queue() -> None:
    locks: Locks[str] = Locks()
    for holder in "abc":
        locks.acquire(holder, key="k", limit=1, policy="Queue")
    assert list(locks.release("b", key="k")) == []
    assert list(locks.release("a", key="k")) == ["c"]
    assert list(locks.release("nobody", key="other")) == []


def test_the_cache_forgets_by_age() -> None:
    cache = Cache()
    assert cache.look_up("k", max_age=None, now=0) is None
    cache.remember("k", {"n": 1}, now=10)
    cache.remember("none", None, now=10)
    assert cache.look_up("k", max_age=5, now=15) == {"n": 1}
    assert cache.look_up("k", max_age=5, now=15.5) is None
    assert cache.look_up("k", max_age=None, now=1e9) == {"n": 1}
    assert cache.look_up("none", max_age=None, now=11) == {}
