"""The operator as a process: kopf feeds it, aiohttp serves its numbers, a Lease decides whether it works.

kopf watches Weft's own resources (`on.event` only: no patch, no finalizer, no memory of objects) and
serves the liveness probe, which fails when the event loop or the run queue no longer moves. Jobs and
Pods come through our own informers. Informers and workers start before kopf, which cancels at its end
whatever was started after it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import random
import secrets
import signal
import socket
from collections.abc import Collection
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import kopf
import uvloop
from aiohttp import web

from weft.admission.lookup import Lookup
from weft.admission.server import Webhook
from weft.app import Operator
from weft.controllers.catalog import KINDS
from weft.controllers.uninstall import strip_finalizers
from weft.kube.client import Client
from weft.kube.clock import SystemClock, spawn
from weft.kube.config import Connection, load_configuration
from weft.kube.fence import Fence
from weft.kube.http import HttpTransport
from weft.kube.lease import Elector
from weft.kube.limiter import Limiter
from weft.kube.resources import Resource
from weft.metrics import Metrics
from weft.notify.addresses import AddressPolicy
from weft.notify.guarded_http import GuardedHttp
from weft.settings import Settings

_log = logging.getLogger("weft")

STUCK_SECONDS = 60.0
"""How long the event loop may not have turned before the liveness probe fails."""


def main(settings: Settings, environment: dict[str, str]) -> int:
    """Run the operator until it is told to stop (exit code 0) or has lost its lease (1)."""
    set_up_logging(settings)
    # libuv's loop takes a quarter of the CPU off every request and every line of a watch (docs/performance.md).
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Process(settings, environment).run())


class _NoDiffBase(kopf.DiffBaseStorage):
    """kopf would annotate every object with its last-seen state; nobody here asks for differences."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        return None


class _Process:
    """Everything that is real: sockets, clocks, signals."""

    def __init__(self, settings: Settings, environment: dict[str, str]) -> None:
        self._settings = settings
        self._environment = environment
        self._clock = SystemClock()
        self._stop = asyncio.Event()
        self._kopf_ready = asyncio.Event()
        self._kopf_stop = asyncio.Event()
        self._elected = asyncio.Event()
        self._identity = settings.identity or f"{socket.gethostname()}-{secrets.token_hex(3)}"
        self._exit_code = 0
        self._turned_at = 0.0

    async def run(self) -> int:
        settings, rng = self._settings, random.Random()
        connection = Connection(lambda: load_configuration(kubeconfig=self._environment.get("KUBECONFIG")))
        transport = HttpTransport(connection, monotonic=self._clock.monotonic)
        policy = AddressPolicy(allowed=settings.notify_allowed_cidrs, api_server=_addresses(connection.host))
        identity = self._identity
        metrics, http = Metrics(), GuardedHttp(policy)
        limiter = Limiter(maximum=1)  # the one in the metrics is the operator's
        elector = Elector(
            Client(transport, clock=self._clock, rng=rng, metrics=metrics, limiter=limiter),
            namespace=settings.lease_namespace, name=settings.lease_name, identity=identity,
            on_started=self._elected.set, on_lost=_end_at_once, clock=self._clock, rng=rng, spawn=spawn,
            metrics=metrics,
        )  # fmt: skip
        fence = Fence(transport, may_write=lambda: elector.is_leader) if settings.lease_enabled else transport
        operator = Operator(
            settings, fence, http=http, clock=self._clock, rng=rng, spawn=spawn, metrics=metrics, identity=identity
        )
        operator.follow()
        server = await self._serve(operator)
        webhook = self._webhook(operator)
        if webhook is not None:
            await webhook.start()
        work = spawn(self._work(operator, elector), name="lead")
        tasks = [spawn(self._tick(), name="tick"), spawn(self._take_signals(), name="signals")]
        end = spawn(self._end_in_order(operator, work), name="end")
        try:
            await self._kopf(operator)
        finally:
            self._stop.set()
            await end
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if settings.lease_enabled and self._exit_code == 0:
                await elector.release()
            if webhook is not None:
                await webhook.close()
            await server.cleanup()
            await http.close()
            await transport.close()
        return self._exit_code

    def _webhook(self, operator: Operator) -> Webhook | None:
        """Answer admission reviews, leader or not, where a certificate is given for it."""
        settings, catalog = self._settings, operator.catalog
        if not settings.webhook_certificate_folder:
            return None
        lookup = Lookup(operator.client, find_workflow=catalog.workflows.get, find_types=catalog.node_type_specs)
        folder, port = Path(settings.webhook_certificate_folder), settings.webhook_listen_port
        return Webhook(folder, port, lookup=lookup, clock=self._clock, spawn=spawn)

    async def _take_signals(self) -> None:
        """Take SIGTERM and SIGINT over from kopf, which takes them when it starts."""
        await self._kopf_ready.wait()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)

    async def _end_in_order(self, operator: Operator, work: asyncio.Task[None]) -> None:
        """End our own work first: what was started after kopf would be cancelled by its end."""
        await self._stop.wait()
        await operator.stop()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        self._kopf_stop.set()

    async def _work(self, operator: Operator, elector: Elector) -> None:
        """Lead once the Lease is ours; end the process when leading fails (when the Lease is lost: `_end_at_once`)."""
        try:
            if self._settings.lease_enabled:
                await self._lead_while_elected(operator, elector)
            else:
                await self._lead(operator)
                await asyncio.Event().wait()
        except Exception:
            _log.exception("cannot lead")
        self._exit_code = 1
        self._stop.set()

    async def _lead_while_elected(self, operator: Operator, elector: Elector) -> None:
        election = spawn(elector.run(), name="election")
        elected = spawn(self._elected.wait(), name="elected")
        try:
            await asyncio.wait({election, elected}, return_when=asyncio.FIRST_COMPLETED)
            if elector.is_leader:
                await self._lead(operator)
            await election
        finally:
            for task in (election, elected):
                task.cancel()
            await asyncio.gather(election, elected, return_exceptions=True)

    async def _lead(self, operator: Operator) -> None:
        await operator.lead()
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)

    async def _tick(self) -> None:
        while True:
            self._turned_at = self._clock.monotonic()
            await self._clock.sleep(1.0)

    async def _kopf(self, operator: Operator) -> None:
        registry = kopf.OperatorRegistry()
        settings = kopf.OperatorSettings()
        settings.persistence.diffbase_storage = _NoDiffBase()
        settings.posting.enabled = False
        settings.scanning.disabled = True
        settings.queueing.idle_timeout = 0.1
        settings.networking.error_backoffs = (1, 2, 5, 10)
        logging.getLogger("kopf.objects").setLevel(logging.WARNING)
        kopf.on.login(registry=registry, id="login")(kopf.login_via_client)
        for kind in KINDS:
            _watch(registry, kind, operator)

        @kopf.on.probe(registry=registry, id="progress")
        def progress(**_: Any) -> str:
            behind = self._clock.monotonic() - self._turned_at
            if behind > STUCK_SECONDS:
                raise kopf.PermanentError(f"the event loop has not turned for {behind:.0f} s")
            return "ok"

        namespaces: Collection[str] = self._settings.namespaces
        port = self._settings.probe_listen_port
        await kopf.operator(
            registry=registry,
            settings=settings,
            standalone=True,
            identity=self._identity,  # type: ignore[arg-type]  # else kopf asks the system for a user, and there is none
            clusterwide=not namespaces,
            namespaces=namespaces,
            liveness_endpoint=f"http://0.0.0.0:{port}/healthz",
            ready_flag=self._kopf_ready,
            stop_flag=self._kopf_stop,
        )

    async def _serve(self, operator: Operator) -> web.AppRunner:
        async def metrics(_: web.Request) -> web.Response:
            kind = {"Content-Type": operator.metrics.content_type}
            return web.Response(body=operator.metrics.exposition(), headers=kind)

        async def ready(_: web.Request) -> web.Response:
            synced = all(informer.synced.is_set() for informer in operator.informers)
            return web.json_response({"synced": synced, "leading": operator.leading}, status=200 if synced else 503)

        app = web.Application()
        app.add_routes([web.get("/metrics", metrics), web.get("/readyz", ready)])
        runner = web.AppRunner(app, handle_signals=False, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", self._settings.metrics_listen_port).start()
        return runner


def _end_at_once() -> None:
    """The lease is lost: whatever this process still had in mind, another one does it now."""
    _log.error("the lease is lost; ending at once, so that nothing is done twice")
    logging.shutdown()
    os._exit(1)


def _watch(registry: kopf.OperatorRegistry, kind: Resource, operator: Operator) -> None:
    @kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=f"watch-{kind.plural}")
    async def seen(event: Any, **_: Any) -> None:  # kopf runs plain functions in threads
        operator.catalog.apply(kind, event["type"], dict(event["object"]))


def _addresses(host: str) -> frozenset[Any]:
    """The API server's own address, which http nodes and notifications must not call."""
    name = host.split("://", 1)[-1].rsplit(":", 1)[0].strip("[]")
    try:
        return frozenset({ip_address(name)})
    except ValueError:
        return frozenset(
            ip_address(found[4][0]) for found in socket.getaddrinfo(name, None, proto=socket.IPPROTO_TCP)
        )


class _JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": self.formatTime(record), "level": record.levelname, "logger": record.name}
        line["message"] = record.getMessage()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up_logging(settings: Settings) -> None:
    """Log to standard error, for people or for collectors."""
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(_JsonFormatter() if settings.log_format == "json" else text)
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for noisy in ("kopf", "aiohttp", "kubernetes", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def strip() -> int:
    """What `weft operator --strip-finalizers` runs: let go of all Pods, so that nothing waits for the operator."""
    environment = dict(os.environ)
    settings = Settings.from_env(environment)
    set_up_logging(settings)

    async def run() -> int:
        clock, metrics = SystemClock(), Metrics()
        connection = Connection(lambda: load_configuration(kubeconfig=environment.get("KUBECONFIG")))
        transport = HttpTransport(connection, monotonic=clock.monotonic)
        limiter = Limiter(maximum=settings.api_concurrency, metrics=metrics)
        client = Client(transport, clock=clock, rng=random.Random(), metrics=metrics, limiter=limiter)
        try:
            _log.info("%d Pods let go", await strip_finalizers(client, settings.namespaces))
        finally:
            await transport.close()
        return 0

    return asyncio.run(run())


def from_environment() -> int:
    """What `weft operator` runs."""
    environment = dict(os.environ)
    return main(Settings.from_env(environment), environment)
