"""A transport that lets nothing be written by a process that may no longer lead.

A process can be frozen past the end of its lease and wake up with requests on its lips. Before each write the fence
asks whether the lease still holds, by a clock that has gone on meanwhile; what it stops counts as not sent. It has
the transport ask again when the bytes leave: the process may have slept while a connection was made for them. With
shards there is a fence for each, and it asks about the namespace that the write goes to, too.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from urllib.parse import unquote

from weft.kube.transport import NotSent, Response, Transport


class Fence:
    """A Transport before another one."""

    def __init__(self, transport: Transport, *, may_write: Callable[[str], bool]):
        """Take the transport, and whether writes to a namespace ("": to none) may pass now."""
        self._transport = transport
        self._may_write = may_write

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
        """Send one request, if it may be sent. Raises what the transport raises, and NotSent."""
        if method != "GET":
            may_leave = partial(self._may_write, _namespace(path))
            if not may_leave():
                raise NotSent("this process does not hold the lease")
        return await self._transport.request(
            method, path, params=params, headers=headers, body=body, content_type=content_type, time_limit=time_limit,
            may_leave=may_leave,
        )  # fmt: skip

    def stream(
        self, path: str, *, params: Mapping[str, str], headers: Mapping[str, str], idle_timeout: float
    ) -> AsyncGenerator[bytes, None]:
        """GET a stream."""
        return self._transport.stream(path, params=params, headers=headers, idle_timeout=idle_timeout)


def _namespace(path: str) -> str:
    """Give the namespace that a path leads into (a Namespace itself counts), or ""."""
    _, _, after = path.partition("/namespaces/")
    return unquote(after.partition("/")[0])
