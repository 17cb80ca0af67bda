"""After an attempt has failed: another one, and when, or the end.

Three budgets, kept apart: retries (`limit`, with back-off), disruptions (`disruptions`, at once,
no failure of the node's own), and memory (an OOM kill raises it for the next attempt).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from weft.graph.compiled import Backoff, RetryPolicy


@dataclass(slots=True, frozen=True)
class Verdict:
    """`again` False ends the unit. `delay` is in seconds; `counts` says which budget pays."""

    again: bool
    delay: float = 0.0
    counts: str = "failures"


def delay_before(backoff: Backoff, retry: int, *, entropy: str | None) -> float:
    """Seconds before retry number `retry` (1 is the first).

    min(maximum, initial * factor^(retry-1)), times 1 +- jitter; the jitter is drawn from
    `entropy`, so that the same text gives the same delay, and None gives none.
    """
    try:
        delay = min(backoff.maximum, backoff.initial * backoff.factor ** (retry - 1))
    except OverflowError:
        delay = backoff.maximum
    if entropy is None or not backoff.jitter:
        return delay
    digest = hashlib.sha256(f"{entropy}/{retry}".encode()).digest()
    spread = int.from_bytes(digest[:8]) / 2**63 - 1.0  # -1 .. 1
    return delay * (1.0 + backoff.jitter * spread)


def decide(
    policy: RetryPolicy,
    *,
    disruption: bool,
    fatal: bool,
    wanted: bool,
    failures: int,
    disruptions: int,
    entropy: str | None,
) -> Verdict:
    """Whether another attempt follows.

    `wanted` is the answer of `retry.when` (True where there is none); `failures` and
    `disruptions` count what has been used up before this attempt's end.
    """
    if fatal:
        return Verdict(again=False)
    if disruption:
        return Verdict(again=disruptions < policy.disruptions, counts="disruptions")
    if not wanted or failures >= policy.limit:
        return Verdict(again=False)
    return Verdict(again=True, delay=delay_before(policy.backoff, failures + 1, entropy=entropy))


def raised_memory(policy: RetryPolicy, current: int | None) -> int | None:
    """Bytes for the attempt after an OOM kill; None where nothing was declared or asked for."""
    if policy.memory_factor is None or current is None:
        return None
    raised = int(current * policy.memory_factor)
    return raised if policy.memory_max is None else max(current, min(raised, policy.memory_max))
