"""Retries of design section 3: the delay, the budgets, and what is never tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.engine.retry import decide, delay_before, raised_memory
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


@pytest.mark.parametrize(
    ("factor", "most", "now", "then"),
    [
        (2.0, 8 * GIB, GIB, 2 * GIB),
        (2.0, 8 * GIB, 6 * GIB, 8 * GIB),
        (2.0, 8 * GIB, 8 * GIB, 8 * GIB),
        (2.0, 8 * GIB, 9 * GIB, 9 * GIB),  # it never gets less than it had
        (2.0, None, 6 * GIB, 12 * GIB),
        (1.5, None, 3, 4),
        (None, None, GIB, None),
        (2.0, 8 * GIB, None, None),  # nothing was declared, so there is nothing to raise
    ],
)
def test_memory_after_an_oom_kill(factor: float | None, most: int | None, now: int | None, then: int | None) -> None:
    assert raised_memory(RetryPolicy(memory_factor=factor, memory_max=most), now) == then
