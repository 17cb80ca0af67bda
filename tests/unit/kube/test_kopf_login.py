"""kopf's own requests, over the session that it is given."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import kopf
import pytest
from aiohttp import web
from kopf._cogs.clients import api, auth, errors
from kopf._cogs.structs.credentials import LoginError, Vault
from weft.kube import lines
from weft.kube.kopf_login import kopf_login

LOGGER = logging.getLogger(__name__)
DEEP = b"[" * 9_000 + b"]" * 9_000
LIST = b'{"items":[{"name":"good"},{"name":"bad","deep":' + DEEP + b"}]}"
EVENT = b'{"type":"ADDED","object":{"name":"%s","deep":' + DEEP + b"}}\n"


class Server:
    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.token = "first"
        self.watched = EVENT % b"bad" + b'{"type":"ADDED","object":{"name":"good"}}\n' + b'{"type":"ADDED","ob'
        self.asked = 0
        self.refused = asyncio.Event()

    async def serve(self, request: web.BaseRequest) -> web.Response:
        self.asked += 1
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            self.refused.set()
            return web.json_response({"kind": "Status", "code": 401}, status=401)
        if request.path == "/page":
            return web.Response(status=503, body=b"<html>a proxy")
        return web.Response(body=LIST if request.path == "/list" else self.watched, content_type="application/json")


@pytest.fixture
async def server(unused_tcp_port: int) -> AsyncIterator[Server]:
    made = Server(unused_tcp_port)
    runner = web.ServerRunner(web.Server(made.serve), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    yield made
    await runner.cleanup()


class Kopf:
    """What kopf does with a login handler: asks it for credentials, uses them, and asks again once they are refused."""

    def __init__(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        self.token = "first"
        self.login = kopf_login()
        self.settings = kopf.OperatorSettings()
        self.settings.networking.error_backoffs = ()
        monkeypatch.setattr(kopf, "login_via_client", self._found)

    def _found(self, **_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server=self.server.address, token=self.token)

    async def begin(self) -> None:
        self.vault = Vault({"login": await self.login(logger=LOGGER, settings=self.settings)})
        auth.vault_var.set(self.vault)

    async def login_again(self) -> None:
        await self.vault.populate({"login": await self.login(logger=LOGGER, settings=self.settings)})

    async def get(self, path: str) -> Any:
        return await api.get(path, settings=self.settings, logger=LOGGER)

    async def stream(self, path: str) -> list[Any]:
        return [event async for event in api.stream(path, settings=self.settings, logger=LOGGER)]


@pytest.fixture
async def client(server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kopf]:
    made = Kopf(server, monkeypatch)
    await made.begin()
    yield made
    await made.vault.close()


async def test_a_list_and_a_watch_with_an_object_that_is_nested_without_end_are_read(client: Kopf) -> None:
    assert [item["name"] for item in (await client.get("/list"))["items"]] == ["good", "bad"]
    assert [event["object"]["name"] for event in await client.stream("/watch")] == ["bad", "good"]


async def test_a_line_without_end_breaks_the_watch_as_a_lost_connection_does(
    client: Kopf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1_000)
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.stream("/watch")


async def test_what_is_no_json_is_still_told(client: Kopf) -> None:
    with pytest.raises(errors.APIServerError):
        await client.get("/page")


async def test_new_credentials_are_taken_up(client: Kopf, server: Server) -> None:
    server.token = client.token = "second"
    asked = asyncio.create_task(client.get("/list"))
    await refused(server)
    await client.login_again()
    assert len((await asked)["items"]) == 2


async def test_credentials_that_were_refused_are_not_tried_again(client: Kopf, server: Server) -> None:
    server.token = "second"
    asked = asyncio.create_task(client.get("/list"))
    await refused(server)
    await client.login_again()
    with pytest.raises(LoginError):
        await asyncio.wait_for(asked, 5)
    assert server.asked == 1


async def refused(server: Server) -> None:
    """Wait until the server has said no, and kopf has heard it."""
    await asyncio.wait_for(server.refused.wait(), 5)
    await asyncio.sleep(0.05)
