"""What a container wrote to $WEFT_OUTPUTS: a JSON object, or key=value lines.

The file is the container's termination message; the kubelet cuts it at 4096 bytes, so lines of that length have to be
taken for cut ones. Bodies that give values directly have a limit, too: one
giant answer must not keep its run's status from being written.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import orjson

from weft.api.conditions import Reason

MAX_BYTES = 4096
"""Kubernetes' limit for a container's termination message."""

MAX_VALUES = 256 * 1024
"""Bytes of JSON that a body other than a job, or a run, may give as its outputs."""

MAX_TOGETHER = 64 * 1024 * 1024
"""Bytes of JSON that all items of a forEach may give: they are kept in memory, several times as large there."""

MAX_DEPTH = 64

_BOM = "\ufeff"
"""What some editors and tools put before a text to say that it is UTF-8."""

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")


class OutputsError(ValueError):
    """The text is no outputs; `reason` is InvalidOutputs or OutputsTooLarge."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def parse_outputs(text: str) -> dict[str, Any] | None:
    """Outputs by name; None when nothing was written. Raises OutputsError."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise OutputsError(Reason.InvalidOutputs, "$WEFT_OUTPUTS holds text that is not UTF-8") from None
    stripped = text.removeprefix(_BOM).strip()
    if size > MAX_BYTES or (size == MAX_BYTES and not _is_whole(stripped)):
        raise OutputsError(
            Reason.OutputsTooLarge,
            f"the outputs are {MAX_BYTES} bytes or more, which is where Kubernetes cuts them; write larger results to"
            " an object store or a volume and put their address into $WEFT_OUTPUTS",
        )
    if not stripped:
        return None
    if stripped[0] in "{[":
        return _json(stripped)
    return _lines(stripped)


def _is_whole(text: str) -> bool:
    """Whether a text that is as long as one that was cut is a whole one: JSON cannot be cut and still be read."""
    with suppress(orjson.JSONDecodeError):
        return isinstance(orjson.loads(text), dict)
    return False


def plain(value: Any) -> Any:
    """Values that a body gave directly, as the status will hold them. Raises OutputsError when it could not."""
    try:
        text = orjson.dumps(value)
    except TypeError as error:
        raise OutputsError(Reason.InvalidOutputs, f"the outputs cannot be written as JSON: {error}") from None
    if len(text) > MAX_VALUES:
        message = f"the outputs are {len(text)} bytes of JSON, at most {MAX_VALUES} are kept; hand on their address"
        raise OutputsError(Reason.OutputsTooLarge, message)
    return orjson.loads(text)


def size_of(outputs: Any) -> int:
    """Bytes of outputs as JSON."""
    return len(orjson.dumps(outputs))


def cached(value: Any) -> dict[str, Any]:
    """Values that a cache holds, held to what a body may give: anybody may have written them. Raises OutputsError."""
    if not isinstance(value, dict) or _depth(value) > MAX_DEPTH:
        raise OutputsError(Reason.InvalidOutputs, f"outputs are an object, at most {MAX_DEPTH} levels deep")
    found: dict[str, Any] = plain(value)
    return found


def _json(text: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise OutputsError(Reason.InvalidOutputs, f"$WEFT_OUTPUTS holds no valid JSON: {error}") from None
    if not isinstance(value, dict):
        message = "$WEFT_OUTPUTS holds a JSON list; write an object, or key=value lines"
        raise OutputsError(Reason.InvalidOutputs, message)
    if _depth(value) > MAX_DEPTH:
        raise OutputsError(Reason.InvalidOutputs, f"$WEFT_OUTPUTS is nested deeper than {MAX_DEPTH} levels")
    return value


def _depth(value: Any) -> int:
    deepest, stack = 0, [(value, 1)]
    while stack:
        current, depth = stack.pop()
        deepest = max(deepest, depth)
        if isinstance(current, dict):
            stack.extend((item, depth + 1) for item in current.values())
        elif isinstance(current, list):
            stack.extend((item, depth + 1) for item in current)
    return deepest


def _lines(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        key, separator, value = line.partition("=")
        if not separator or not _KEY.fullmatch(key.strip()):
            shown = line if len(line) <= 60 else line[:57] + "..."
            message = f"line {number} of $WEFT_OUTPUTS is not key=value (nor is the text a JSON object): {shown!r}"
            raise OutputsError(Reason.InvalidOutputs, message)
        found[key.strip()] = value.strip()
    return found
