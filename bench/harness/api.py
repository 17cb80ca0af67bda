"""A bare Kubernetes client: aiohttp, orjson and nothing else.

It plays the users who create runs, and the loop that Weft is compared with. It has no cache, no retries and no
back-pressure on purpose: it is the least that could do the same calls.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
from weft.kube.config import Connection, load_configuration
from weft.kube.lines import LineSplitter

Obj = dict[str, Any]

RUNS = "/apis/weft.dev/v1alpha1"
BATCH = "/apis/batch/v1"
CORE = "/api/v1"
MERGE = "application/merge-patch+json"
LIMIT = 128
"""Requests in flight at once: like the operator's own limit, so that neither side drowns the API server."""


class Refused(Exception):
    """The API server said no."""

    def __init__(self, code: int, body: str):
        super().__init__(f"HTTP {code}: {body[:300]}")
        self.code = code


class Api:
    """One API server; make it on the event loop it is used on, and close it."""

    def __init__(self, kubeconfig: str):
        connection = Connection(lambda: load_configuration(kubeconfig=kubeconfig))
        self._host, self._tls = connection.access.host, connection.access.tls
        headers = {"Authorization": connection.access.authorization} if connection.access.authorization else {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=LIMIT, keepalive_timeout=60), auto_decompress=False,
            headers={**headers, "Accept-Encoding": "identity", "User-Agent": "weft-bench"},
        )  # fmt: skip

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def call(self, method: str, path: str, body: Any = None, *, kind: str = "application/json") -> Obj:
        """Send one request and give the answer; raises Refused for any other answer than success."""
        data = None if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        headers = {"Content-Type": kind} if data is not None else {}
        async with self._session.request(
            method, self._host + path, data=data, headers=headers, ssl=self._tls or False
        ) as answer:
            raw = await answer.read()
            if answer.status >= 400:
                raise Refused(answer.status, raw.decode("utf-8", "replace"))
            found: Obj = orjson.loads(raw)
            return found

    async def count(self, path: str) -> int:
        """Give how many objects a collection holds."""
        page = await self.call("GET", f"{path}?limit=1")
        return len(page["items"]) + int(page["metadata"].get("remainingItemCount") or 0)

    async def watch(self, path: str, *, query: str = "") -> AsyncIterator[bytes]:
        """Give the lines of a watch that begins now, unparsed, for as long as the server lets it."""
        version = (await self.call("GET", f"{path}?limit=1"))["metadata"]["resourceVersion"]
        splitter = LineSplitter()
        timeout = aiohttp.ClientTimeout(total=None)
        url = f"{self._host}{path}?watch=1&resourceVersion={version}&timeoutSeconds=3600{query}"
        async with self._session.get(url, ssl=self._tls or False, timeout=timeout) as answer:
            async for chunk in answer.content.iter_any():
                for line in splitter.feed(chunk):
                    yield line
