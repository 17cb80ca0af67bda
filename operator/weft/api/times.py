"""Times as the API spells them (RFC 3339, in UTC), and as Weft counts them (epoch seconds)."""

from datetime import UTC, datetime

LAST_MOMENT = 253_402_300_799.0
"""The end of the year 9999 in UTC: the functions below write no later one, and none before the year 1."""


def moment(text: str | None) -> float | None:
    """Read a time as epoch seconds, to the millisecond; None where there is none."""
    return round(datetime.fromisoformat(text).timestamp(), 3) if text else None


def timestamp(at: float) -> str:
    """Write epoch seconds as metav1.Time does: whole seconds."""
    return _utc(at).strftime("%Y-%m-%dT%H:%M:%SZ")


def milli_timestamp(at: float) -> str:
    """Write epoch seconds as the status of a run does: milliseconds."""
    return _utc(at).isoformat(timespec="milliseconds")[:-6] + "Z"


def micro_timestamp(at: float) -> str:
    """Write epoch seconds as metav1.MicroTime does: microseconds (Leases)."""
    return _utc(at).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
