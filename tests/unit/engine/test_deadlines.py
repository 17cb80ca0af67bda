"""Clocks and suspensions: a pausable clock stands still while a run is suspended."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.engine import START, drive
from weft.engine import advance
from weft.engine.deadlines import due_after
from weft.engine.observation import AttemptPending

Spans = list[tuple[float, float | None]]

SPANS: list[tuple[str, Spans, float | None]] = [
    ("no suspension", [], 110),
    ("over before the clock started", [(50, 80)], 110),
    ("begun before, over after the start", [(90, 104)], 114),
    ("while it runs", [(102, 105)], 113),
    ("two while it runs", [(102, 105), (108, 112)], 117),
    ("one, and another in the time it added", [(102, 105), (111, 113)], 115),
    ("begun when the time was over", [(110, 120)], 110),
    ("begun long after", [(200, 300)], 110),
    ("that ended as the clock started", [(80, 100)], 110),
    ("around the whole time", [(90, 300)], 310),
    ("open, begun before", [(90, None)], None),
    ("open, begun while it ran", [(105, None)], None),
    ("open, begun when the time was over", [(110, None)], 110),
    ("one, then open in the time it added", [(102, 105), (111, None)], None),
]


@pytest.mark.parametrize(("name", "suspensions", "want"), SPANS, ids=[name for name, _, _ in SPANS])
def test_ten_seconds_from_a_hundred(name: str, suspensions: Spans, want: float | None) -> None:
    assert due_after(100, 10, suspensions) == want


spans = st.lists(st.integers(0, 60), max_size=12).map(lambda ends: list(zip(*[iter(sorted(ends))] * 2, strict=False)))


@given(st.integers(0, 60), st.integers(0, 60), spans)
def test_the_clock_has_run_its_length_when_it_is_due(start: int, length: int, suspensions: Spans) -> None:
    due = due_after(start, length, suspensions)
    assert due is not None
    still = sum(max(0, min(end or 0, due) - max(begin, start)) for begin, end in suspensions)
    assert due - start - still == length


def test_who_is_woken_at_the_time_asked_for_finds_it_due() -> None:
    run = drive({"nodes": [{"name": "a", "job": "J", "pendingTimeoutSeconds": 3}]})
    run.see(AttemptPending(run.attempt("a"), "Unschedulable", "", START + 1.0004473))
    wake_at = advance.advance(run.state, (), START + 2).wake_at
    assert wake_at is not None
    assert advance.advance(run.state, (), wake_at).wake_at != wake_at, "asked to be woken now, again and again"
