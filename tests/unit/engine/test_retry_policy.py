"""Retries of design section 3: the delay, the budgets, and what is never tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.engine import drive, restored
from weft.engine import restore
from weft.engine.actions import Start
from weft.engine.retry import decide, delay_before, raised_memory, raises_memory
from weft.graph.compiled import Backoff, RetryPolicy

PLAIN = Backoff(initial=2, factor=2, maximum=60, jitter=0)


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        (PLAIN, [2, 4, 8, 16, 32, 60, 60]),
        (Backoff(initial=5, factor=1, maximum=60, jitter=0), [5, 5, 5]),
        (Backoff(initial=0, factor=3, maximum=60, jitter=0), [0, 0, 0]),
        (Backoff(initial=90, factor=2, maximum=60, jitter=0), [60, 60]),
        (Backoff(initial=1, factor=1.5, maximum=60, jitter=0), [1, 1.5, 2.25]),
    ],
)
def test_the_delay_grows_by_the_factor_up_to_the_maximum(backoff: Backoff, delays: list[float]) -> None:
    assert [delay_before(backoff, number, entropy="x") for number in range(1, len(delays) + 1)] == delays


def test_a_delay_that_no_number_can_hold_is_the_maximum() -> None:
    assert delay_before(Backoff(initial=1, factor=10, maximum=60, jitter=0), 5000, entropy=None) == 60
    assert delay_before(Backoff(initial=0, factor=10.0, maximum=60, jitter=0), 5000, entropy=None) == 0


@given(st.text(), st.integers(1, 50), st.floats(0, 1))
def test_jitter_stays_within_its_bounds_and_is_the_same_for_the_same_seed(seed: str, retry: int, jitter: float) -> None:
    backoff = Backoff(initial=2, factor=2, maximum=60, jitter=jitter)
    middle = min(60, 2 * 2.0 ** (retry - 1))
    delay = delay_before(backoff, retry, entropy=seed)
    assert middle * (1 - jitter) <= delay <= middle * (1 + jitter)
    assert delay == delay_before(backoff, retry, entropy=seed)


def test_jitter_spreads_and_needs_a_seed() -> None:
    backoff = Backoff(initial=100, factor=1, maximum=100, jitter=0.2)
    delays = {delay_before(backoff, 1, entropy=str(number)) for number in range(200)}
    assert min(delays) < 85
    assert max(delays) > 115
    assert delay_before(backoff, 1, entropy=None) == 100


POLICY = RetryPolicy(limit=3, backoff=PLAIN, disruptions=2)
BASE = {"disruption": False, "fatal": False, "wanted": True, "failures": 0, "disruptions": 0, "entropy": None}


@pytest.mark.parametrize(
    ("given_", "again", "delay", "pays"),
    [
        ({}, True, 2, "failures"),
        ({"failures": 2}, True, 8, "failures"),
        ({"failures": 3}, False, 0, None),
        ({"wanted": False}, False, 0, None),
        ({"fatal": True}, False, 0, None),
        ({"disruption": True}, True, 0, "disruptions"),
        ({"disruption": True, "disruptions": 1}, True, 0, "disruptions"),
        ({"disruption": True, "disruptions": 2}, False, 0, None),
        ({"disruption": True, "failures": 3}, True, 0, "disruptions"),  # the budgets are apart
        ({"failures": 0, "disruptions": 2}, True, 2, "failures"),
        ({"disruption": True, "wanted": False}, True, 0, "disruptions"),  # `when` judges failures alone
        ({"disruption": True, "fatal": True}, False, 0, None),
    ],
)
def test_what_follows_a_failed_attempt(given_: dict[str, object], again: bool, delay: float, pays: str | None) -> None:
    verdict = decide(POLICY, **(BASE | given_))  # type: ignore[arg-type]
    assert verdict.again is again
    if again:
        assert (verdict.delay, verdict.counts) == (delay, pays)


def test_without_retry_nothing_is_tried_again_but_after_a_disruption() -> None:
    assert not decide(RetryPolicy(), **BASE).again  # type: ignore[arg-type]
    assert decide(RetryPolicy(), **(BASE | {"disruption": True})).again  # type: ignore[arg-type]


GIB = 2**30


NO_MAX = None
BOTH = {"requests": GIB, "limits": 2 * GIB}


@pytest.mark.parametrize(
    ("factor", "most", "declared", "kills", "then"),
    [
        (2.0, NO_MAX, BOTH, 1, {"requests": 2 * GIB, "limits": 4 * GIB}),
        (2.0, NO_MAX, BOTH, 2, {"requests": 4 * GIB, "limits": 8 * GIB}),
        (2.0, NO_MAX, {"requests": GIB}, 1, {"requests": 2 * GIB}),  # no limit: the node was full
        (2.0, NO_MAX, {"limits": GIB}, 1, {"limits": 2 * GIB}),  # Kubernetes requests what the limit is
        (2.0, 3 * GIB, BOTH, 1, {"requests": 2 * GIB, "limits": 3 * GIB}),
        (2.0, 3 * GIB, BOTH, 2, {"requests": 3 * GIB, "limits": 3 * GIB}),
        (2.0, GIB, BOTH, 1, {"requests": GIB, "limits": 2 * GIB}),  # it never gets less than it had
        (9.0, 3 * GIB, {"requests": GIB, "limits": 2 * GIB}, 1, {"requests": 3 * GIB, "limits": 3 * GIB}),
        (1.5, NO_MAX, {"limits": 3}, 1, {"limits": 4}),
        (None, NO_MAX, BOTH, 1, BOTH),
        (2.0, 8 * GIB, {}, 1, {}),  # nothing was declared, so there is nothing to raise
        (100.0, NO_MAX, {"limits": 2**62}, 1, {"limits": 2**63 - 1}),  # the largest there is
    ],
)
def test_memory_after_oom_kills(
    factor: float | None, most: int | None, declared: dict[str, int], kills: int, then: dict[str, int]
) -> None:
    policy = RetryPolicy(memory_factor=factor, memory_max=most)
    raises = 0
    for _ in range(kills):
        raises += raises_memory(policy, declared, raises)
    assert raised_memory(policy, declared, raises) == then


def test_a_kill_that_raises_nothing_is_not_counted() -> None:
    raises = 0
    for _ in range(10_000):
        raises += raises_memory(RetryPolicy(memory_factor=100.0), BOTH, raises)
    assert raises < 10


@pytest.mark.parametrize("restart", [False, True])
def test_each_attempt_after_an_oom_kill_has_more_memory(restart: bool) -> None:
    job = {"image": "i", "resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}}
    retry = {"limit": 3, "backoff": {"initialSeconds": 1}, "onOutOfMemory": {"factor": 2, "max": "6Gi"}}
    run = drive({"nodes": [{"name": "a", "job": job, "retry": retry}]})
    for at, reason in ((10, "OOMKilled"), (20, "OOMKilled"), (30, "Error")):
        run.fail("a", at=at, reason=reason)
        if restart:
            run.state = restored(run.state, run.now)
            restore.resume(run.state, run.now)
        run.see(at=at + 5)
    starts = [action for action in run.actions if isinstance(action, Start)]
    assert [action.memory for action in starts] == [
        None,
        {"requests": 2 * GIB, "limits": 4 * GIB},
        {"requests": 4 * GIB, "limits": 6 * GIB},
        {"requests": 4 * GIB, "limits": 6 * GIB},
    ]
    if restart:  # one that was on record and may not have been made
        again = restored(run.state, run.now)
        again.active[run.attempt("a")].unmade = True
        [action] = restore.resume(again, run.now).actions
        assert action == starts[-1]
