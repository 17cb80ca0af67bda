"""Numbers as the API server gives them back."""

from decimal import Decimal
from typing import Any


def stored_number(value: float) -> int | float:
    """Give a number as Go writes it into JSON, with the fewest digits, and as it is read from there.

    What is whole and fits into 64 bits is an integer.
    """
    return int(Decimal(repr(value))) if value.is_integer() and abs(value) < 2**63 else value


def as_stored(value: Any) -> Any:
    """Give a copy of a JSON value, with all its numbers as the API server gives them back."""
    if isinstance(value, dict):
        return {name: as_stored(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [as_stored(inner) for inner in value]
    return stored_number(value) if isinstance(value, float) else value
