"""The operator as a process: kopf feeds it, aiohttp serves its numbers, Leases decide on what it works.

Weft's own resources come through kopf (`watching`), Jobs and Pods through our own informers; when one of them ends, so
does the process: it is blind from then on.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import uvloop
from aiohttp import web

from weft.admission.lookup import Lookup
from weft.admission.server import Webhook
from weft.controllers.feed import Feed
from weft.kube.clock import SystemClock, spawn
from weft.kube.config import Connection, load_configuration
from weft.kube.errors import ApiError
from weft.kube.fence import Fence
from weft.kube.http import HttpTransport
from weft.kube.limiter import Limiter
from weft.kube.tasks import Tasks
from weft.logs import set_up_logging
from weft.metrics import Metrics
from weft.notify.addresses import AddressPolicy
from weft.notify.guarded_http import GuardedHttp
from weft.outfit import Outfit
from weft.serving import serve
from weft.settings import Settings
from weft.sharded import Sharded
from weft.single import Single
from weft.watching import Kopf, start_kopf

_log = logging.getLogger("weft")

T = TypeVar("T")


def main(settings: Settings, environment: dict[str, str]) -> int:
    """Run the operator until it is told to stop (exit code 0), or has lost its lease or cannot go on (1)."""
    set_up_logging(settings)
    gc.set_threshold(50_000, 20, 50)  # most of what is made is there to stay: it need not be looked at so often
    # A loop in C: what this process does most is to send requests and to read the lines of watches.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        exit_code = runner.run(_Process(settings, environment).run())
        if exit_code:
            _leave(exit_code)  # where kopf has failed, tasks of it would be waited for that do not end
        return exit_code


class _Process:
    """Everything that is real: sockets, clocks, signals."""

    def __init__(self, settings: Settings, environment: dict[str, str]) -> None:
        self._settings = settings
        self._environment = environment
        self._clock = SystemClock()
        self._stop = asyncio.Event()
        self._identity = settings.identity or f"{socket.gethostname()}-{secrets.token_hex(3)}"
        self._exit_code = 0
        self._turned_at = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="compile")

    async def run(self) -> int:
        settings, rng = self._settings, random.Random()
        connection = Connection(lambda: load_configuration(kubeconfig=self._environment.get("KUBECONFIG")))
        transport = HttpTransport(connection, monotonic=self._clock.monotonic)
        policy = AddressPolicy(
            denied=settings.notify_denied_cidrs, allowed=settings.notify_allowed_cidrs,
            api_server=_addresses(connection.access.host),
        )  # fmt: skip
        metrics, http = Metrics(), GuardedHttp(policy)
        outfit = Outfit(
            settings=settings, fenced=lambda may_write: Fence(transport, may_write=may_write), http=http,
            clock=self._clock, rng=rng, spawn=spawn, aside=self._aside, metrics=metrics, identity=self._identity,
            on_broken=self._fail,
        )  # fmt: skip
        replica: Single | Sharded
        if settings.shards > 1:
            replica = Sharded(outfit, on_settled=_settle_memory)
        else:
            replica = Single(outfit, on_led=_settle_memory, on_lost=_end_at_once)
        replica.follow()
        server = await serve(replica, metrics, port=settings.metrics_listen_port)
        webhook = self._webhook(outfit, replica.feed)
        if webhook is not None:
            await webhook.start()
        work = spawn(self._work(replica), name="lead")
        tick = spawn(self._tick(), name="tick")
        try:
            kopf = await start_kopf(replica.feed, settings, identity=self._identity, behind=self._behind)
            self._take_signals()
            await self._told_to_end(kopf)
        finally:
            await self._end_in_order(replica, work, webhook, server)
            tick.cancel()
            await asyncio.gather(tick, return_exceptions=True)
            await http.close()
            await transport.close()
            self._thread.shutdown(wait=False, cancel_futures=True)
        if kopf.over:
            return 1
        await kopf.end()
        return self._exit_code

    def _aside(self, work: Callable[[], T]) -> Awaitable[T]:
        """Do the work in a thread, one at a time: the loop goes on, a little slower."""
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _webhook(self, outfit: Outfit, feed: Feed) -> Webhook | None:
        """Answer admission reviews, leader or not, where a certificate is given for it."""
        settings = self._settings
        if not settings.webhook_certificate_folder:
            return None
        client = outfit.client(lambda namespace: False, limiter=Limiter(maximum=1))  # it only reads
        lookup = Lookup(client, find_workflow=feed.find_workflow, find_types=feed.find_node_types)
        folder, port = Path(settings.webhook_certificate_folder), settings.webhook_listen_port
        return Webhook(folder, port, lookup=lookup, clock=self._clock, spawn=Tasks(spawn, on_broken=outfit.on_broken))

    def _take_signals(self) -> None:
        """Take SIGTERM and SIGINT over from kopf, which takes them when it starts."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)

    async def _told_to_end(self, kopf: Kopf) -> None:
        """Return when somebody has said that this is to end, or kopf has ended by itself."""
        told = spawn(self._stop.wait(), name="told")
        await asyncio.wait({told, *kopf.tasks}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if kopf.over:
            _log.error("kopf has ended by itself, and without it this process is blind: %s", kopf.reason)

    async def _end_in_order(
        self, replica: Single | Sharded, work: asyncio.Task[None], webhook: Webhook | None, server: web.AppRunner
    ) -> None:
        """End all that is ours, before kopf: what was started after it would be cancelled by its end.

        Kopf waits five seconds for what it does not know, such as a connection that Prometheus or the API server keeps
        open to us; and who is to lead next waits for the Lease.
        """
        (failure,) = await asyncio.gather(replica.stop(), return_exceptions=True)
        if failure is not None:
            _log.error("cannot end in order", exc_info=failure)
            self._exit_code = 1
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        if self._exit_code == 0:
            await replica.release()
        if webhook is not None:
            await webhook.close()
        await server.cleanup()

    async def _work(self, replica: Single | Sharded) -> None:
        """Do the work; end the process when it cannot be done (when the one Lease is lost: `_end_at_once`)."""
        try:
            await replica.work()
        except ApiError as error:  # it says what is missing: a kind, a right, the API server
            _log.error("cannot lead: %s", error.message)
        except Exception:
            _log.exception("cannot lead")
        self._fail()

    def _fail(self) -> None:
        """End in order, with exit code 1: another process goes on, or this one after its restart."""
        self._exit_code = 1
        self._stop.set()

    async def _tick(self) -> None:
        while True:
            self._turned_at = self._clock.monotonic()
            await self._clock.sleep(1.0)

    def _behind(self) -> float:
        """Give the seconds since the event loop has last turned."""
        return self._clock.monotonic() - self._turned_at


def _end_at_once() -> None:
    """The lease is lost: whatever this process still had in mind, another one does it now."""
    _log.error("the lease is lost; ending at once, so that nothing is done twice")
    _leave(1)


def _leave(exit_code: int) -> None:
    """End the process, whatever still runs in it."""
    logging.shutdown()
    os._exit(exit_code)


def _settle_memory() -> None:
    """What is there now stays: the collector need not look at it again and again."""
    gc.unfreeze()  # of an earlier term, which is over
    gc.collect()
    gc.freeze()


def _addresses(host: str) -> frozenset[Any]:
    """The API server's own address, which http nodes and notifications must not call."""
    name = urlsplit(host if "://" in host else f"//{host}").hostname or host
    try:
        return frozenset({ip_address(name)})
    except ValueError:
        return frozenset(ip_address(found[4][0]) for found in socket.getaddrinfo(name, None, proto=socket.IPPROTO_TCP))


def from_environment() -> int:
    """What `weft operator` runs."""
    environment = dict(os.environ)
    return main(Settings.from_env(environment), environment)
