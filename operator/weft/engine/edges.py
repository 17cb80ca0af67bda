"""The edge table of design.md section 3: what an edge is worth, given how its upstream stands."""

from __future__ import annotations

from weft.engine.state import CANCELLED, COMPENSATED, FAILED, SKIPPED, SUCCEEDED

MET, BROKEN, VOID, OPEN = "met", "broken", "void", "open"


def edge_value(
    outcome: str,
    *,
    phase: str,
    reason: str | None = None,
    chosen: str | None = None,
    ready: bool = False,
    allow_failure: bool = False,
) -> str:
    """The value of an edge: met, broken, void or open.

    Takes the edge's outcome (Succeeded, Failed, Done, Ready or a case), and the upstream node's
    phase, reason, chosen case, whether its service had been ready, and its `allowFailure`.
    """
    if phase == COMPENSATED:  # it succeeded once; what followed from that stays true
        phase = SUCCEEDED
    if phase not in (SUCCEEDED, FAILED, CANCELLED, SKIPPED):
        return MET if outcome == "Ready" and ready else OPEN
    if outcome == "Done":
        return MET
    if outcome == "Failed":
        return MET if phase == FAILED else VOID
    if phase == SKIPPED:
        return BROKEN if reason == "UpstreamFailed" else VOID
    if outcome == "Ready":
        return MET if phase == SUCCEEDED or (phase == FAILED and ready) else BROKEN
    if outcome == "Succeeded":
        return MET if phase == SUCCEEDED or (phase == FAILED and allow_failure) else BROKEN
    if phase == SUCCEEDED:
        return MET if chosen == outcome else VOID
    return BROKEN
