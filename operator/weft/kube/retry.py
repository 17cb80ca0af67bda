"""Which failed calls are worth sending again, and how long to wait before that.

Two questions decide: did anything happen on the server, and if it may have, is doing it twice the same as doing it
once? The waits double from a tenth of a second and are jittered, so that a hundred workers that failed together do
not come back together; what the server asks for in Retry-After is honoured within reason.
"""

import random

from weft.kube.errors import ApiError, OutcomeUnknown, ServerError, TooManyRequests, Unreachable

FIRST_DELAY = 0.1
LONGEST_DELAY = 5.0
LONGEST_RETRY_AFTER = 15.0


def may_retry(error: ApiError, *, replayable: bool) -> bool:
    """Say whether the same request may be sent again; `replayable` means that doing it twice is doing it once."""
    if isinstance(error, TooManyRequests | Unreachable):
        return True
    return replayable and isinstance(error, ServerError | OutcomeUnknown)


def delay_before(attempt: int, error: ApiError, *, rng: random.Random) -> float:
    """Give the seconds to wait before that attempt (2 or more): what the server asked for, or our own back-off."""
    if error.retry_after is not None:
        return min(error.retry_after, LONGEST_RETRY_AFTER) + FIRST_DELAY * rng.random()
    return jittered_backoff(attempt - 1, first=FIRST_DELAY, longest=LONGEST_DELAY, rng=rng)


def jittered_backoff(failures: int, *, first: float, longest: float, rng: random.Random) -> float:
    """Give the wait after that many failures in a row (1 or more): doubling, bounded, its upper half random."""
    # The exponent is bounded too: a key may fail for weeks, and 2.0 ** 2000 is an OverflowError.
    whole = min(longest, first * 2.0 ** min(failures - 1, 60))
    return whole * (0.5 + rng.random() / 2)
