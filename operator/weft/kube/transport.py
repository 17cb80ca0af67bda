"""How bytes get to the API server and back: the seam under the client.

The client knows Kubernetes, the transport knows sockets. Between them lie one request, one stream of lines, and two
ways to fail, which differ in the one thing that matters to a writer: whether the server may have seen the request.
The real one is `kube/http.py`; a simulated API server or a test's script is another.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; the names of its headers are in lower case."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class NotSent(Exception):
    """No connection could be made: the server has not seen the request."""


class Dropped(Exception):
    """The connection broke or the time ran out after the request was (perhaps) sent."""


class Stalled(Dropped):
    """Nothing came in for longer than the caller was willing to wait."""


class StreamRefused(Exception):
    """A stream was answered by an error instead of lines."""

    def __init__(self, response: Response):
        super().__init__(f"HTTP {response.status}")
        self.response = response


class Transport(Protocol):
    """One API server. Paths start with a slash; bodies are bytes."""

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
        may_leave: Callable[[], bool] | None = None,
    ) -> Response:
        """Send one request and give the answer, whatever its status.

        `may_leave` is asked once more in the moment in which a request with a body leaves; if not, nothing is sent.
        Raises NotSent, Dropped, or Stalled when there was no answer within `time_limit` seconds.
        """
        ...

    def stream(
        self, path: str, *, params: Mapping[str, str], headers: Mapping[str, str], idle_timeout: float
    ) -> AsyncGenerator[bytes, None]:
        """GET a stream and give its lines, whole and without their ends, until the server closes it.

        Raises StreamRefused for an answer other than 200, NotSent, Dropped, or Stalled after `idle_timeout` of silence.
        """
        ...
