"""The one HTTP client for addresses that users write: webhooks and `http` nodes go through `GuardedHttp`.

Where a name leads is judged at the last possible moment: aiohttp asks our socket factory for a socket to an address it
has resolved, and we refuse there. A name that resolves differently the second time, a literal address, an odd notation
of one: all of them must pass this one gate, and nothing is resolved between the check and the connection. Redirects
are handed back, never followed; proxies from the environment and cookies do not exist; time and size are bounded.

Messages name the host and nothing else of the URL: paths and queries of webhooks are often secrets.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from weft.engine.http_answers import flat_headers, too_large
from weft.notify.addresses import AddressPolicy, check_address, check_url


class FailureReason(StrEnum):
    """Why a request has no answer."""

    AddressRefused = "AddressRefused"
    InvalidRequest = "InvalidRequest"
    Timeout = "Timeout"
    ConnectionFailed = "ConnectionFailed"
    TooLarge = "TooLarge"


class RequestFailed(Exception):
    """A request that got no usable answer: `reason` for programs, the text for people."""

    def __init__(self, reason: FailureReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Response:
    """An answer, whatever its status: the header names are in lower case, repeated headers joined by a comma."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class GuardedHttp:
    """An HTTP client which connects only where the policy lets it; make it inside the running loop, close it after."""

    def __init__(self, policy: AddressPolicy, *, resolver: AbstractResolver | None = None) -> None:
        """Take the policy, and a resolver of names in place of the system's."""
        self._policy = policy
        connector = aiohttp.TCPConnector(
            resolver=resolver,
            socket_factory=self._guarded_socket,
            # One address after the other: racing them would swallow a refusal and report another one's failure.
            happy_eyeballs_delay=None,
            # Who asks also bounds how much: a slow receiver must not take the connections of all others.
            limit=0,
        )
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": "weft"}, trust_env=False
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float = 30.0,
        max_bytes: int | None = 65_536,
    ) -> Response:
        """Send one request and read its answer, all within `timeout_seconds` and `max_bytes` of body.

        Any status is an answer, redirects too. With `max_bytes` None the answer's body is left unread. Raises
        RequestFailed when there is no answer, or none that may be had.
        """
        target = self._checked(url)
        place = str(target.origin())
        try:
            async with self._session.request(
                method,
                target,
                headers=headers,
                data=body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            ) as answer:
                received = b"" if max_bytes is None else await _read(answer, max_bytes, place)
                return Response(answer.status, flat_headers(answer.headers.items()), received)
        except TimeoutError as error:
            raise RequestFailed(FailureReason.Timeout, f"{place}: no answer within {timeout_seconds:g} s") from error
        except ValueError:  # its text may hold a header's secret value
            message = f"{place}: the host, the method or a header is invalid"
            raise RequestFailed(FailureReason.InvalidRequest, message) from None
        except (aiohttp.ClientError, OSError) as error:
            detail = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise RequestFailed(FailureReason.ConnectionFailed, f"{place}: {detail}") from error

    def _checked(self, url: str) -> URL:
        try:
            target = URL(url)
        except ValueError:
            raise RequestFailed(FailureReason.InvalidRequest, "the URL cannot be read") from None
        if reason := check_url(target, self._policy):
            raise RequestFailed(FailureReason.AddressRefused, reason)
        return target

    def _guarded_socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """Make the socket for a resolved address, or refuse: what this raises is no OSError, so it ends the attempt."""
        family, kind, protocol, _, address = info
        if reason := check_address(str(address[0]), self._policy):
            raise RequestFailed(FailureReason.AddressRefused, reason)
        return socket.socket(family, kind, protocol)


async def _read(answer: aiohttp.ClientResponse, max_bytes: int, place: str) -> bytes:
    received = bytearray()
    async for chunk in answer.content.iter_any():
        received += chunk
        if len(received) > max_bytes:
            answer.close()
            raise RequestFailed(FailureReason.TooLarge, too_large(place, max_bytes))
    return bytes(received)
