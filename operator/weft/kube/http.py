"""The real transport: one aiohttp session that keeps its connections and renews its credentials.

Tokens are asked for again every minute, and everything is loaded again after a 401, or when the API server shows a
certificate of an authority that we do not know (yet), once for all the requests that met it. TCP keep-alive finds a
dead peer in about half a minute; an answer that never comes is cut off by the time limit.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import BytesPayload

from weft.kube.config import Access, Connection
from weft.kube.lines import LineSplitter, LineTooLong
from weft.kube.transport import Dropped, NotSent, Response, Stalled, StreamRefused

CONNECT_SECONDS = 10.0
REFRESH_SECONDS = 60.0
_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}


class HttpTransport:
    """Talks to one API server over HTTP/1.1. Make it and use it on one event loop; `close` it at the end."""

    def __init__(self, connection: Connection, *, monotonic: Callable[[], float]):
        """Take where to connect and the clock that says when credentials are due to be asked for again."""
        self._connection = connection
        self._monotonic = monotonic
        self._refreshed_at = monotonic()
        self._renewing = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

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

        `may_leave` is asked when the connection stands, right before the bytes leave; if not, the request is Dropped.
        Raises NotSent, Dropped, or Stalled when there was no answer within `time_limit` seconds.
        """
        sent = {**headers, "Content-Type": content_type} if content_type else dict(headers)
        timeout = aiohttp.ClientTimeout(total=time_limit, sock_connect=CONNECT_SECONDS)

        async def once(access: Access) -> Response:
            data = body if body is None or may_leave is None else _Last(body, may_leave)
            with _as_transport_errors():
                opened = self._open(access, method, path, params=params, headers=sent, data=data, timeout=timeout)
                async with opened as answer:
                    return await _whole(answer)

        access = await self._access()
        with suppress(_UnknownAuthority):
            response = await once(access)
            if response.status != 401:
                return response
        return await once(await self._renew(access))

    async def stream(
        self, path: str, *, params: Mapping[str, str], headers: Mapping[str, str], idle_timeout: float
    ) -> AsyncGenerator[bytes, None]:
        """GET a stream and give its lines until the server closes it.

        Raises StreamRefused for an answer other than 200, NotSent, Dropped, or Stalled after `idle_timeout` of silence.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=idle_timeout)
        splitter = LineSplitter()
        access = await self._access()
        try:
            with _as_transport_errors():
                opened = self._open(access, "GET", path, params=params, headers=dict(headers), timeout=timeout)
                async with opened as answer:
                    if answer.status != 200:
                        refusal = await _whole(answer)
                        if refusal.status == 401:
                            await self._renew(access)
                        raise StreamRefused(refusal)
                    async for chunk in answer.content.iter_any():
                        for line in splitter.feed(chunk):
                            yield line
        except _UnknownAuthority:
            await self._renew(access)
            raise

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self, access: Access, method: str, path: str, *, headers: dict[str, str], **options: Any) -> Any:
        if self._session is None:
            # No limit of connections here: writes are bounded by the limiter, and a watch holds one for good.
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60.0, socket_factory=_keepalive_socket)
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                # Compressing costs both sides more CPU than a cluster's network costs time.
                headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "weft"},
            )
        if access.authorization:
            headers = {**headers, "Authorization": access.authorization}
        if access.tls is not None:
            options |= {"ssl": access.tls, "server_hostname": access.server_name}
        return self._session.request(method, access.host + path, headers=headers, proxy=access.proxy, **options)

    async def _access(self) -> Access:
        if self._monotonic() - self._refreshed_at >= REFRESH_SECONDS:
            self._refreshed_at = self._monotonic()
            await _read(self._connection.refresh)
        return self._connection.access

    async def _renew(self, refused: Access) -> Access:
        async with self._renewing:
            # Whoever waited here for another's reload has new credentials already.
            if self._connection.access is refused:
                await _read(self._connection.reload)
        return self._connection.access


class _UnknownAuthority(NotSent):
    """The API server's certificate is none that we trust: its authority may have been rotated."""


async def _read(credentials: Callable[[], None]) -> None:
    """Read the credentials anew, off the event loop. Raises NotSent, whatever file or plugin fails."""
    try:
        await asyncio.to_thread(credentials)
    except Exception as error:
        raise NotSent(f"the credentials cannot be read: {str(error) or type(error).__name__}") from error


class _Last(BytesPayload):
    """A body that is written, and the head of its request with it, only if it still may when it is its turn."""

    def __init__(self, body: bytes, may_leave: Callable[[], bool]) -> None:
        super().__init__(body)
        self._may_leave = may_leave

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        if not self._may_leave():
            raise NotSent("it may not be sent any more")
        await super().write_with_length(writer, content_length)


async def _whole(answer: aiohttp.ClientResponse) -> Response:
    body = await answer.read()
    return Response(answer.status, body, {name.lower(): value for name, value in answer.headers.items()})


def _keepalive_socket(address: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol = address[:3]
    made = socket.socket(family=family, type=kind, proto=protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        # Not every platform knows every one of these.
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made


@contextmanager
def _as_transport_errors() -> Iterator[None]:
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise _UnknownAuthority(f"no connection to the API server: {error}") from error
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise NotSent(f"no connection to the API server: {error}") from error
    except TimeoutError as error:
        raise Stalled("the API server did not answer in time") from error
    except (aiohttp.ClientError, OSError, LineTooLong) as error:
        raise Dropped(f"the connection to the API server broke: {error or type(error).__name__}") from error
