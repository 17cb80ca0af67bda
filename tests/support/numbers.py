"""What becomes of numbers on their way through the API server: Go writes 5.0 as 5, an integer for all that read it."""

import re
from typing import Any

import orjson
from weft.api.numbers import as_stored

_SUSPECT = re.compile(rb"[0-9](?:\.0(?![0-9])|e)")


def through_go(value: Any) -> Any:
    """Give a JSON value with whole numbers for the doubles that are; itself where there is none."""
    return as_stored(value) if _SUSPECT.search(orjson.dumps(value)) else value
