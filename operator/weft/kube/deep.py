"""JSON that somebody has nested without end is read all the same: what is too deep is cut out of its text.

Wherever a field is open (a run's parameters, a Pod template, the status of somebody else's kind) the API server stores
up to 10,000 levels. A parser gives up long before, orjson beyond 1,024, Python's own near 1,000, and who asked for a
list gets none of it for the sake of one object. What is cut here still has more levels than `weft.api.depth` lets
anybody give: a spec that was cut is refused, and the mark in it never taken for a value.
"""

import re
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import orjson

from weft.kube.lines import LineSplitter, LineTooLong

KEPT_LEVELS = 200
"""Less than any parser and any writer of JSON takes; orjson writes no more than 254."""
MARK = b'"(cut off by Weft: nested too deeply)"'

_AROUND = 1024 - KEPT_LEVELS
_OPENED, _CLOSED = b"[" * _AROUND, b"]" * _AROUND
"""Within so many lists, orjson refuses a text of more than `KEPT_LEVELS`."""

_BRACKET = re.compile(rb'(?:[^][{}"]++|"[^"\\]*+(?:\\.[^"\\]*+)*+"?)*+([][{}]|$)', re.DOTALL)
"""The next bracket and what comes before it, or the end; a string is passed over with the brackets in it."""


def parsed(text: bytes) -> Any:
    """Parse JSON; only where that fails, what is too deep is looked for, and cut. Raises orjson.JSONDecodeError."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return orjson.loads(_cut(text))


def readable(text: bytes) -> bytes:
    """Give a text of JSON that any parser can read: the same where it has no more than `KEPT_LEVELS`."""
    if text.count(b"[") + text.count(b"{") <= KEPT_LEVELS:  # most have so few, and it is cheap to say
        return text
    try:
        orjson.loads(_OPENED + text + _CLOSED)
    except orjson.JSONDecodeError:
        return _cut(text)
    return text


def _cut(text: bytes) -> bytes:
    parts: list[bytes] = []
    depth = done = 0
    for found in _BRACKET.finditer(text):
        if found[1] in (b"[", b"{"):
            depth += 1
            if depth == KEPT_LEVELS + 1:
                parts += text[done : found.start(1)], MARK
        elif found[1]:
            if depth == KEPT_LEVELS + 1:
                done = found.end()
            depth -= 1
    return b"".join([*parts, text[done:]])


class ReadableResponse(aiohttp.ClientResponse):
    """An answer for those who parse it by themselves, and would fail: as a whole, or line by line in chunks."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """Take what the answer begins with."""
        await super().start(connection)
        self.content = _Lines(self.content)  # type: ignore[assignment]
        return self

    async def json(self, **_: Any) -> Any:
        """Parse the whole answer. Raises orjson.JSONDecodeError."""
        return parsed(await self.read())


class _Lines:
    """A StreamReader whose chunks are whole lines."""

    def __init__(self, reader: aiohttp.StreamReader) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    async def iter_chunked(self, size: int) -> AsyncGenerator[bytes, None]:
        splitter = LineSplitter()
        async for chunk in self._reader.iter_chunked(size):
            try:
                lines = splitter.feed(chunk)
            except LineTooLong as error:
                raise aiohttp.ClientPayloadError(str(error)) from error
            for line in lines:
                yield readable(line) + b"\n"
