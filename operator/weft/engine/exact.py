"""Outputs that the API server would give back as something else, and their exact copy.

It takes nulls out of what is patched, and writes a whole double like an integer: 5.0 comes back as 5, and a division by
it is another one. Outputs that hold such values are kept once more as JSON text, which nobody changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

_SUSPECT = re.compile(rb"null|[0-9](?:\.0(?![0-9])|e)")
"""What the JSON text of such a value holds: a null, a number that ends in .0, or one with an exponent."""


def exact_text(value: Any, written: bytes) -> str | None:
    """Give the text to keep of a value; None where the API server gives the value back as it is.

    `written` is the value as JSON: most of them are told by a look at that alone.
    """
    return written.decode() if _SUSPECT.search(written) is not None and _comes_back_changed(value) else None


def exact_value(entry: Mapping[str, Any], key: str, default: Any) -> Any:
    """Give the value that is kept as text under this key, or else `default`."""
    return orjson.loads(entry[key]) if key in entry else default


def outputs_of_run(status: Mapping[str, Any]) -> dict[str, Any]:
    """Give the outputs of a run by its status, as they were before they were stored."""
    outputs: dict[str, Any] = exact_value(status.get("state") or {}, "outputsText", status.get("outputs") or {})
    return outputs


def _comes_back_changed(value: Any) -> bool:
    rest = [value]
    while rest:
        one = rest.pop()
        if one is None or (isinstance(one, float) and not one % 1 > 0):  # whole; or no number, which JSON has as null
            return True
        if isinstance(one, dict | list):
            rest += one.values() if isinstance(one, dict) else one
    return False
