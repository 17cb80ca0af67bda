"""The joins of design.md section 3: when a node runs, given the values of its edges."""

from __future__ import annotations

RUN, WAIT = "Run", "Wait"
UPSTREAM_FAILED, UPSTREAM_SKIPPED = "UpstreamFailed", "UpstreamSkipped"


def decide(*, join_any: bool, open: int, met: int, broken: int, total: int) -> str:
    """Run, Wait, or the reason for being skipped (UpstreamFailed | UpstreamSkipped).

    Takes how many of the node's `total` edges are open, met and broken; the rest are void.
    """
    if total == 0:
        return RUN
    if join_any and met:
        return RUN
    if open:
        return WAIT
    if broken:
        return UPSTREAM_FAILED
    return RUN if met else UPSTREAM_SKIPPED
