"""What of an http answer is read, and how: the same by the operator and by a simulation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson


def answered(raw: bytes) -> Any:
    """Give what the body of an answer says: JSON is parsed, whatever its content type; all else is text."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode("utf-8", "replace")


def flat_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Give headers by their names in lower case; the values of one that comes several times are joined by commas."""
    flat: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        flat[key] = f"{flat[key]}, {value}" if key in flat else value
    return flat


def too_large(place: str, most: int | None) -> str:
    """Give the words for an answer from that place whose body has more than `most` bytes."""
    return f"{place}: the answer is larger than {most} bytes"
