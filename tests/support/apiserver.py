"""The API server in memory behind a real socket, for clients that bring their own HTTP: the commands' official one.

    with serve(FakeApi()) as server:
        run(["status", "--kubeconfig", server.kubeconfig(tmp_path)])

It adds what only such clients ask for: who they are (`server.user`), logs of Pods (`server.logs`), Tables of runs.
Whom they asked to act as stands in `server.impersonated`: the headers of each request, name and value.
The next logs break off after as many bytes as `server.log_breaks` says. `server.on_watch` is called, in the thread of
the server, when a watch begins: the place to let things happen.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import yaml
from aiohttp import web
from support.fakeapi import FakeApi
from weft.api.base import GROUP
from weft.api.objects import Obj
from weft.kube.transport import StreamRefused

COLUMNS = (("Name", 0), ("Status", 0), ("Queue", 1))


class ApiServer:
    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.user: Obj = {"username": "alice", "groups": ["merchants", "system:authenticated"]}
        self.logs: dict[str, bytes] = {}
        self.log_breaks: list[int] = []
        self.on_watch: list[Callable[[], Any]] = []
        self.impersonated: list[list[tuple[str, str]]] = []
        self.port = 0
        self._acting: asyncio.Future[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kubeconfig(self, folder: Path, *, namespace: str = "shop") -> str:
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": "secret"}}],
            "contexts": [
                {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": namespace}},
                {"name": "bare", "context": {"cluster": "c", "user": "u"}},
            ],
        }
        file = folder / "kubeconfig"
        file.write_text(yaml.safe_dump(content))
        return str(file)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        said = [(name, value) for name, value in request.headers.items() if name.startswith("Impersonate-")]
        self.impersonated.append(said)
        if request.path.endswith("/selfsubjectreviews"):
            return web.json_response({"status": {"userInfo": self.user}}, status=201)
        if request.path.endswith("/log"):
            return await self._log(request, request.path.split("/")[-2])
        if request.query.get("watch"):
            return await self._watch(request)
        answer = await self.api.request(
            request.method, request.path, params=dict(request.query), headers={}, body=await request.read() or None,
            content_type=request.content_type, time_limit=1,
        )  # fmt: skip
        body = answer.body
        if "as=Table" in request.headers.get("accept", "") and answer.status == 200:
            body = orjson.dumps(_table(orjson.loads(body)["items"]))
        return web.Response(body=body, status=answer.status, content_type="application/json")

    async def _log(self, request: web.Request, pod: str) -> web.StreamResponse:
        if pod in self.logs:
            body = self.logs[pod]
            if request.query.get("timestamps") == "true":
                lines = enumerate(body.splitlines(keepends=True))
                body = b"".join(b"2026-01-02T03:04:05.%09dZ %b" % line for line in lines)
            if self.log_breaks:
                response = web.StreamResponse()
                await response.prepare(request)
                await response.write(body[: self.log_breaks.pop(0)])
                assert request.transport is not None
                request.transport.close()
                return response
            return web.Response(body=body, content_type="text/plain")
        answer = {"kind": "Status", "code": 404, "reason": "NotFound", "message": f'pods "{pod}" not found'}
        return web.json_response(answer, status=404)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if self.on_watch:
            self._acting = asyncio.ensure_future(_once_it_listens(self.on_watch.pop(0)))
        try:
            async for line in self.api.stream(request.path, params=dict(request.query), headers={}, idle_timeout=1):
                if not response.prepared:
                    await response.prepare(request)
                await response.write(line + b"\n")
        except StreamRefused as refused:
            return web.Response(body=refused.response.body, status=refused.response.status)
        except ConnectionResetError:  # the client has seen enough
            return response
        if not response.prepared:
            await response.prepare(request)
        return response


async def _once_it_listens(act: Callable[[], Any]) -> None:
    for _ in range(4):  # turns of the loop that a stream takes to begin
        await asyncio.sleep(0)
    act()


def _table(items: list[Obj]) -> Obj:
    rows = [
        {
            "cells": [one["metadata"]["name"], (one.get("status") or {}).get("phase"), one["spec"].get("queue")],
            "object": {"kind": "PartialObjectMetadata", "metadata": one["metadata"]},
        }
        for one in items
    ]
    columns = [{"name": name, "type": "string", "priority": priority} for name, priority in COLUMNS]
    return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": columns, "rows": rows}


@contextmanager
def serve(api: FakeApi) -> Iterator[ApiServer]:
    """Serve it on a port of the loopback interface, in a thread of its own."""
    server, loop = ApiServer(api), asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", server.handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.port = runner.addresses[0][1]
        return runner

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(api.break_watches)
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def workflow_run(name: str, *, nodes: list[Obj] | None = None, phase: str = "Running", **fields: Any) -> Obj:
    """A WorkflowRun of Workflow listing in namespace shop; `fields` go into its spec, but `status` into its status."""
    ended = phase in ("Succeeded", "Failed", "Cancelled")
    succeeded = "Unknown" if not ended else str(phase == "Succeeded")
    status = {
        "phase": phase,
        "startTime": "2023-11-14T22:00:00.000Z",
        "progress": "1/3",
        "nodes": nodes or [],
        "conditions": [
            _condition("Succeeded", succeeded, f"{phase} it is"),
            _condition("Finished", "True" if ended else "False", ""),
        ],
        **({"completionTime": "2023-11-14T22:04:10.000Z"} if ended else {}),
        **fields.pop("status", {}),
    }
    spec = {"workflowRef": {"name": "listing"}, **fields}
    metadata = {"name": name, "namespace": "shop"}
    return {
        "apiVersion": f"{GROUP}/v1alpha1", "kind": "WorkflowRun", "metadata": metadata, "spec": spec, "status": status,
    }  # fmt: skip


def _condition(kind: str, status: str, message: str) -> Obj:
    reason = "NodeFailed" if status == "False" else "Running"
    return {"type": kind, "status": status, "reason": reason, "message": message}
