"""kopf's way to the API server: its own credentials, over a session whose answers it can read, however deep they are.

kopf parses lists and watches by itself, and ends for good at one object in them that it cannot parse.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import kopf

from weft.kube.deep import ReadableResponse


def kopf_login() -> Callable[..., Awaitable[kopf.AiohttpSession | None]]:
    """Give a login handler for one kopf operator.

    For credentials that stay the same it gives the same session: so kopf finds that it was refused with them before,
    and ends, instead of asking without end.
    """
    known: kopf.ConnectionInfo | None = None
    session: kopf.AiohttpSession | None = None

    async def login(**asked: Any) -> kopf.AiohttpSession | None:
        nonlocal known, session
        found = await asyncio.to_thread(kopf.login_via_client, **asked)  # it reads files, and may run a plugin
        if found != known:
            known, session = found, None if found is None else _session(found)
        return session

    return login


def _session(found: kopf.ConnectionInfo) -> kopf.AiohttpSession:
    made = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=found.as_ssl_context()),
        headers=found.as_http_headers(),
        proxy=found.proxy_url,
        trust_env=found.trust_env,
        response_class=ReadableResponse,
    )
    return kopf.AiohttpSession(
        server=found.server,
        default_namespace=found.default_namespace,
        priority=found.priority,
        expiration=found.expiration,
        aiohttp_session=made,
    )
