"""Sends one call to the API server: again where that is safe, held back where it must wait, counted each time.

The client says what to ask (`kube/client.py`); here is how it is asked. A failed attempt becomes a typed exception,
`kube/retry.py` decides whether and when the next one follows, a write takes a slot of the limiter for the length of
one attempt (never for the pause between two), and every attempt is a line in the metrics.
"""

import random
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import orjson

from weft.api.objects import Obj
from weft.kube.clock import Clock
from weft.kube.deep import parsed
from weft.kube.errors import (
    ApiError,
    Conflict,
    OutcomeUnknown,
    TimedOut,
    TooManyRequests,
    Unreachable,
    from_response,
)
from weft.kube.limiter import Limiter, Priority
from weft.kube.resources import Resource
from weft.kube.retry import delay_before, may_retry
from weft.kube.transport import Dropped, NotSent, Stalled, StreamRefused, Transport
from weft.metrics import Metrics

ATTEMPT_SECONDS = 15.0
"""How long one attempt may take."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, ready to be sent as often as needed."""

    verb: str
    resource: Resource
    method: str
    path: str
    params: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str | None = None
    replayable: bool = True
    priority: Priority | None = None
    """None for reads, which the limiter does not hold back."""


class Sender:
    """Carries out calls for one identity. Raises ApiError (see `kube/errors.py`)."""

    def __init__(
        self,
        transport: Transport,
        *,
        clock: Clock,
        rng: random.Random,
        metrics: Metrics,
        limiter: Limiter,
        attempts: int,
    ):
        """Take what it works with; `attempts` bounds each call."""
        self._transport = transport
        self._clock = clock
        self._rng = rng
        self._metrics = metrics
        self._limiter = limiter
        self._attempts = attempts
        self._headers: dict[str, str] = {}

    def with_headers(self, headers: Mapping[str, str]) -> "Sender":
        """Give a sender that adds these headers to each request and shares everything else."""
        sender = copy(self)
        sender._headers = {**self._headers, **headers}
        return sender

    async def lines(
        self, path: str, params: Mapping[str, str], *, idle_timeout: float, skip: Callable[[bytes], bool] | None = None
    ) -> AsyncGenerator[Obj, None]:
        """GET a stream and give each of its lines that is not skipped, parsed, until the server ends it."""
        lines = self._transport.stream(path, params=params, headers=self._headers, idle_timeout=idle_timeout)
        with _as_api_errors():
            async with aclosing(lines):
                async for line in lines:
                    if skip is None or not skip(line):
                        yield _object(line)

    async def send(self, call: Call) -> Obj:
        """Carry the call out, as often as it takes and as is allowed, and give the answer."""
        attempt = 1
        while True:
            try:
                return await self._held_back(call)
            except ApiError as error:
                # A create has no version to conflict with: that 409 is a quota's counter written by two at once.
                again = may_retry(error, replayable=call.replayable) or (
                    call.verb == "create" and isinstance(error, Conflict)
                )
                attempt += 1
                if not again or attempt > self._attempts:
                    raise
                delay = delay_before(attempt, error, rng=self._rng)
            await self._clock.sleep(delay)

    async def _held_back(self, call: Call) -> Obj:
        if call.priority is None or call.priority is Priority.URGENT:
            return await self._once(call)
        ticket = await self._limiter.acquire(call.priority)
        overloaded = False
        try:
            return await self._once(call)
        except ApiError as error:
            overloaded = isinstance(error, TooManyRequests | TimedOut) or error.code == 504
            raise
        finally:
            self._limiter.release(ticket, overloaded=overloaded)

    async def _once(self, call: Call) -> Obj:
        started = self._clock.monotonic()
        code = "cancelled"
        try:
            with _as_api_errors():
                response = await self._transport.request(
                    call.method,
                    call.path,
                    params=call.params,
                    headers=self._headers,
                    body=call.body,
                    content_type=call.content_type,
                    time_limit=ATTEMPT_SECONDS,
                )
            if response.status >= 400:
                raise from_response(response.status, response.body, response.headers)
            answer = _object(response.body)
            code = str(response.status)
            return answer
        except ApiError as error:
            code = str(error.code or type(error).__name__)
            raise
        finally:
            seconds = self._clock.monotonic() - started
            self._metrics.api_call(verb=call.verb, resource=call.resource.plural, code=code, seconds=seconds)


def _object(body: bytes) -> Obj:
    try:
        found: Any = parsed(body)
    except orjson.JSONDecodeError as error:
        # Half an answer (a proxy in between gave up): the server may well have done its part.
        raise OutcomeUnknown(f"the answer is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise OutcomeUnknown(f"the answer is not a JSON object, but begins {body[:40]!r}")
    return found


@contextmanager
def _as_api_errors() -> Iterator[None]:
    try:
        yield
    except NotSent as error:
        raise Unreachable(str(error)) from error
    except Stalled as error:
        raise TimedOut(str(error)) from error
    except Dropped as error:
        raise OutcomeUnknown(str(error)) from error
    except StreamRefused as error:
        raise from_response(error.response.status, error.response.body, error.response.headers) from error
