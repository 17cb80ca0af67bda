"""What becomes of numbers on their way through the API server: Go writes 5.0 as 5, an integer for all that read it."""

import re
from typing import Any

import orjson

_SUSPECT = re.compile(rb"[0-9](?:\.0(?![0-9])|e)")


def through_go(value: Any) -> Any:
    """Give a JSON value with whole numbers for the doubles that are; itself where there is none."""
    return _whole(value) if _SUSPECT.search(orjson.dumps(value)) else value


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**63 else value
