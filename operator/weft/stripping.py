"""`weft operator --strip-finalizers`: a process that lets go of all Pods and ends, which uninstalling does last."""

from __future__ import annotations

import asyncio
import logging
import os
import random

from weft.controllers.uninstall import strip_finalizers
from weft.kube.client import Client
from weft.kube.clock import SystemClock
from weft.kube.config import Connection, load_configuration
from weft.kube.http import HttpTransport
from weft.kube.limiter import Limiter
from weft.logs import set_up_logging
from weft.metrics import Metrics
from weft.settings import Settings

_log = logging.getLogger("weft")


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
