"""Times are read and written in one way each."""

import pytest
from weft.api.times import micro_timestamp, milli_timestamp, moment, timestamp


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (None, None),
        ("", None),
        ("1970-01-01T00:00:10Z", 10.0),
        ("1970-01-01T01:00:10.900+01:00", 10.9),
        ("1970-01-01T00:00:10.123456Z", 10.123),
    ],
)
def test_a_time_is_read_to_the_millisecond(text: str | None, at: float | None) -> None:
    assert moment(text) == at


def test_a_time_is_written_in_utc_and_cut_to_its_unit() -> None:
    at = moment("2026-11-01T13:00:00.900+01:00") or 0.0
    assert timestamp(at) == "2026-11-01T12:00:00Z"
    assert milli_timestamp(at) == "2026-11-01T12:00:00.900Z"
    assert micro_timestamp(at) == "2026-11-01T12:00:00.900000Z"


@pytest.mark.parametrize("at", [0.0, 0.001, 1_767_225_600.0, 1_767_225_600.999])
def test_what_was_written_in_milliseconds_is_read_as_it_was(at: float) -> None:
    assert moment(milli_timestamp(at)) == at
