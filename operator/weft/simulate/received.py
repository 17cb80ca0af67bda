"""What an operator makes of an http answer: it reads as much as it may, JSON as values, header names in lower case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from weft.engine.http_answers import answered, flat_headers
from weft.expr.template import to_text


def received(answer: Mapping[str, Any], most: int | None) -> dict[str, Any] | None:
    """Give the outputs of an answer as an event tells it; None where its body has more than `most` bytes.

    A body that is a text is what the server sent; any other value is what it sent as JSON.
    """
    body, read = answer["body"], dict(answer)
    if isinstance(body, str):
        raw = body.encode("utf-8", "replace")
        read["body"] = answered(raw)
    else:
        raw = _json(body)
    if "headers" in answer:
        read["headers"] = flat_headers((str(name), to_text(value)) for name, value in answer["headers"].items())
    return None if most is not None and len(raw) > most else read


def _json(value: Any) -> bytes:
    """Spell a value as a server would; what cannot be spelled is told of when the attempt is judged."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return b""
