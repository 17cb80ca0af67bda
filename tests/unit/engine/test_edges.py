"""The edge table of design section 3, every cell."""

import pytest
from weft.engine.edges import BROKEN, MET, OPEN, VOID, edge_value

UPSTREAMS = {
    "succeeded": {"phase": "Succeeded"},
    "compensated": {"phase": "Compensated"},
    "failed": {"phase": "Failed"},
    "failed, allowed": {"phase": "Failed", "allow_failure": True},
    "failed, had been ready": {"phase": "Failed", "ready": True},
    "cancelled": {"phase": "Cancelled"},
    "cancelled, had been ready": {"phase": "Cancelled", "ready": True},
    "cut off": {"phase": "Skipped", "reason": "UpstreamFailed"},
    "skipped by its upstream": {"phase": "Skipped", "reason": "UpstreamSkipped"},
    "skipped by its condition": {"phase": "Skipped", "reason": "ConditionFalse"},
    "held back": {"phase": "Skipped", "reason": "RunFailed"},
    "skipped by its key": {"phase": "Skipped", "reason": "ConcurrencySkipped"},
    "pending": {"phase": "Pending"},
    "running": {"phase": "Running"},
    "running and ready": {"phase": "Running", "ready": True},
    "waiting": {"phase": "Waiting"},
}

#                             Succeeded Failed Done  Ready
TABLE = {
    "succeeded":                (MET,    VOID, MET,  MET),
    "compensated":              (MET,    VOID, MET,  MET),
    "failed":                   (BROKEN, MET,  MET,  BROKEN),
    "failed, allowed":          (MET,    MET,  MET,  BROKEN),  # it never was ready
    "failed, had been ready":   (BROKEN, MET,  MET,  MET),
    "cancelled":                (BROKEN, VOID, MET,  BROKEN),
    "cancelled, had been ready": (BROKEN, VOID, MET,  BROKEN),
    "cut off":                  (BROKEN, VOID, MET,  BROKEN),
    "skipped by its upstream":  (VOID,   VOID, MET,  VOID),
    "skipped by its condition": (VOID,   VOID, MET,  VOID),
    "held back":                (VOID,   VOID, MET,  VOID),
    "skipped by its key":       (VOID,   VOID, MET,  VOID),
    "pending":                  (OPEN,   OPEN, OPEN, OPEN),
    "running":                  (OPEN,   OPEN, OPEN, OPEN),
    "running and ready":        (OPEN,   OPEN, OPEN, MET),
    "waiting":                  (OPEN,   OPEN, OPEN, OPEN),
}  # fmt: skip
OUTCOMES = ("Succeeded", "Failed", "Done", "Ready")
CELLS = [(upstream, *cell) for upstream, row in TABLE.items() for cell in zip(OUTCOMES, row, strict=True)]


@pytest.mark.parametrize(("upstream", "outcome", "want"), CELLS)
def test_an_edge(upstream: str, outcome: str, want: str) -> None:
    assert edge_value(outcome, **UPSTREAMS[upstream]) == want


def test_every_upstream_has_its_row() -> None:
    assert TABLE.keys() == UPSTREAMS.keys()


@pytest.mark.parametrize(
    ("upstream", "want"),
    [
        ({"phase": "Succeeded", "chosen": "urgent"}, MET),
        ({"phase": "Succeeded", "chosen": "standard"}, VOID),
        ({"phase": "Succeeded", "chosen": None}, VOID),
        ({"phase": "Failed"}, BROKEN),
        ({"phase": "Failed", "allow_failure": True}, BROKEN),  # it chose nothing
        ({"phase": "Cancelled"}, BROKEN),
        ({"phase": "Skipped", "reason": "UpstreamFailed"}, BROKEN),
        ({"phase": "Skipped", "reason": "ConditionFalse"}, VOID),
        ({"phase": "Pending"}, OPEN),
        ({"phase": "Running", "chosen": "urgent"}, OPEN),
    ],
)
def test_a_case_edge(upstream: dict[str, object], want: str) -> None:
    assert edge_value("urgent", **upstream) == want  # type: ignore[arg-type]
