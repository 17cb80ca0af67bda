"""After an attempt has failed: another one, and when, or the end.

Three budgets, kept apart: retries (`limit`, with back-off), disruptions (`disruptions`, at once,
no failure of the node's own), and memory (an OOM kill raises it for the next attempt).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from weft.api.quantity import MAX
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
        delay = backoff.maximum if backoff.initial else 0.0
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


def raised_memory(policy: RetryPolicy, declared: Mapping[str, int], raises: int) -> dict[str, int]:
    """Bytes to request and to allow after so many OOM kills, of each that was declared ("requests", "limits").

    Never less than was declared, and no request above its limit. Where there is no limit none is made up: the cluster
    node was full, and a larger request finds another.
    """
    found = dict(declared)
    if policy.memory_factor is not None:
        most = MAX if policy.memory_max is None else policy.memory_max
        for kind, size in declared.items():
            found[kind] = max(size, int(min(size * policy.memory_factor**raises, most)))
    if len(found) == len(KINDS):
        found["requests"] = min(found["requests"], found["limits"])
    return found


KINDS = ("requests", "limits")


def raises_memory(policy: RetryPolicy, declared: Mapping[str, int], raises: int) -> bool:
    """Whether one more OOM kill still raises anything; it is counted only then."""
    return raised_memory(policy, declared, raises + 1) != raised_memory(policy, declared, raises)
