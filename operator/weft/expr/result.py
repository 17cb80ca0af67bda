"""The way of a result back to plain JSON, bounded in size.

Bytes become base64 text, timestamps RFC 3339 text, durations a number of seconds, an optional its value or null.
"""

import base64
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from weft.expr.error import Fault
from weft.expr.values import Optional, TypeName

RESULT_LIMIT = 1 << 20
"""The size a result may have, in characters of JSON (roughly)."""


def to_json(value: Any) -> tuple[Any, int]:
    """A value as plain JSON, sharing nothing with the variables, and its size in characters (roughly).

    Raises Fault if JSON cannot carry it or it is too large.
    """
    left = RESULT_LIMIT

    def convert(part: Any) -> Any:
        nonlocal left
        left -= len(part) + 2 if isinstance(part, str | bytes) else 4
        if left < 0:
            raise Fault("the result is larger than 1 MiB")
        convert_as = _CONVERSIONS.get(type(part))
        if convert_as is not None:
            return convert_as(part)
        if isinstance(part, list):
            return [convert(element) for element in part]
        if isinstance(part, dict):
            return {convert(_key(key)): convert(element) for key, element in part.items()}
        if isinstance(part, Optional):
            return convert(part.value)
        if isinstance(part, str):  # an enum's member, say
            return str.__str__(part)
        raise Fault(f"the result contains a value of type {type(part).__name__}, which JSON cannot carry")

    return convert(value), RESULT_LIMIT - left


def _key(key: Any) -> str:
    return key if isinstance(key, str) else str(key)


def _same(value: Any) -> Any:
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise Fault(f"the result is {value}, which JSON cannot carry")
    return value


def _seconds(value: timedelta) -> int | float:
    seconds = value.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _rfc3339(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


_CONVERSIONS: dict[type, Callable[[Any], Any]] = {
    type(None): _same,
    bool: _same,
    int: _same,
    str: _same,
    float: _finite,
    bytes: _base64,
    bytearray: _base64,
    datetime: _rfc3339,
    timedelta: _seconds,
    TypeName: lambda value: value.name,
}
