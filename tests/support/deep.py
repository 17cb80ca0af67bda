"""What is nested deeper than any parser reads, in the answers and watches of the API server in memory.

It cannot hold such a value itself: the text "(deep)" stands for it.
"""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from support.fakeapi import FakeApi
from weft.kube.transport import Response

STANDING = b'"(deep)"'

LEVELS = (300, 1_000, 1_100, 9_000)
"""What orjson reads but does not write, and what it reads no more."""


def hold_deep_values(monkeypatch: pytest.MonkeyPatch, levels: int) -> None:
    """Let every API server tell such values, of so many levels."""
    deep = b'{"a":' * (levels // 2) + b"[" * (levels // 2) + b"]" * (levels // 2) + b"}" * (levels // 2)
    answer, lines = FakeApi.request, FakeApi.stream

    async def answered(self: FakeApi, *args: Any, **rest: Any) -> Response:
        found = await answer(self, *args, **rest)
        return Response(found.status, found.body.replace(STANDING, deep), found.headers)

    async def told(self: FakeApi, *args: Any, **rest: Any) -> AsyncGenerator[bytes, None]:
        async for line in lines(self, *args, **rest):
            yield line.replace(STANDING, deep)

    monkeypatch.setattr(FakeApi, "request", answered)
    monkeypatch.setattr(FakeApi, "stream", told)
