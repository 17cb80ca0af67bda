"""An API server that says what the test's script says, and remembers what it was asked.

    transport = ScriptedTransport([ok({...}), status(429, after=3), NotSent("down")])
    transport.streams.append([{"type": "ADDED", "object": {...}}, HANG])

Answers are consumed in order; an exception in place of an answer is raised. A stream is a list of events (dicts), raw
lines (bytes), exceptions, and HANG, which waits until the reader gives up.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from weft.kube.transport import Response

HANG = object()


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    content_type: str | None


class ScriptedTransport:
    def __init__(self, answers: list[Response | Exception] | None = None):
        self.answers = list(answers or [])
        self.streams: list[list[Any]] = []
        self.requests: list[Request] = []

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes | None,
        content_type: str | None,
        time_limit: float,
    ) -> Response:
        parsed = orjson.loads(body) if body is not None else None
        self.requests.append(Request(method, path, dict(params), dict(headers), parsed, content_type))
        await asyncio.sleep(0)
        assert self.answers, f"nothing in the script answers {method} {path}"
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def stream(
        self, path: str, *, params: Mapping[str, str], headers: Mapping[str, str], idle_timeout: float
    ) -> AsyncGenerator[bytes, None]:
        self.requests.append(Request("WATCH", path, dict(params), dict(headers), None, None))
        await asyncio.sleep(0)
        for event in self.streams.pop(0) if self.streams else [HANG]:
            if event is HANG:
                await asyncio.get_running_loop().create_future()
            elif isinstance(event, Exception):
                raise event
            else:
                yield event if isinstance(event, bytes) else orjson.dumps(event)


def ok(body: Any = None, *, code: int = 200) -> Response:
    """Answer with the object."""
    return Response(code, orjson.dumps(body if body is not None else {}))


def status(code: int, reason: str = "", message: str = "no", *, after: int | None = None, **details: Any) -> Response:
    """Answer with a Status object, and Retry-After if given."""
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    return Response(code, orjson.dumps(body), {"retry-after": str(after)} if after is not None else {})


def over_quota() -> Response:
    """Refuse a Pod as a ResourceQuota does."""
    return status(403, "Forbidden", "exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4")
