"""kopf, as far as this operator uses it: it watches Weft's own resources, and serves the liveness probe.

It hands every event on as it came (`on.event` only: no patch, no finalizer, no memory of objects), and the probe fails
when the event loop no longer turns. Everything else that kopf can do is turned off here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Any

import kopf

from weft.controllers.catalog import KINDS
from weft.controllers.feed import Feed
from weft.kube.client import PAGE_SIZE
from weft.kube.kopf_login import kopf_login
from weft.kube.resources import Resource
from weft.settings import Settings

STUCK_SECONDS = 60.0
"""How long the event loop may not have turned before the liveness probe fails."""

KOPF_BACKOFFS = (1, 2, 5, *(10,) * 180)
"""After so many seconds kopf asks again for what an API server in trouble has refused; after the last one it ends, and
with it the process. Half an hour outlasts most outages; for ever would be too long, since kopf goes on with the
authority that it knows, and takes up a new one only after a restart."""


async def run_kopf(
    feed: Feed,
    settings: Settings,
    *,
    identity: str,
    behind: Callable[[], float],
    ready: asyncio.Event,
    stop: asyncio.Event,
) -> None:
    """Run kopf until `stop` is set, or until it ends by itself; `ready` is set when it has begun.

    `behind` gives the seconds since the event loop has last turned.
    """
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry, id="login")(kopf_login())
    for kind in KINDS:
        _watch(registry, kind, feed)

    @kopf.on.probe(registry=registry, id="progress")
    def progress(**_: Any) -> str:
        seconds = behind()
        if seconds > STUCK_SECONDS:
            raise kopf.PermanentError(f"the event loop has not turned for {seconds:.0f} s")
        return "ok"

    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    namespaces: Collection[str] = settings.namespaces
    await kopf.operator(
        registry=registry,
        settings=_settings(),
        standalone=True,
        identity=identity,  # type: ignore[arg-type]  # else kopf asks the system for a user, and there is none
        clusterwide=not namespaces,
        namespaces=namespaces,
        liveness_endpoint=f"http://0.0.0.0:{settings.probe_listen_port}/healthz",
        ready_flag=ready,
        stop_flag=stop,
    )


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.queueing.idle_timeout = 0.1
    settings.watching.chunk_size = PAGE_SIZE  # else all runs there are come in one answer
    settings.networking.error_backoffs = KOPF_BACKOFFS
    return settings


class _NoDiffBase(kopf.DiffBaseStorage):
    """kopf would annotate every object with its last-seen state; nobody here asks for differences."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        return None


def _watch(registry: kopf.OperatorRegistry, kind: Resource, feed: Feed) -> None:
    @kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=f"watch-{kind.plural}")
    async def seen(event: Any, **_: Any) -> None:  # kopf runs plain functions in threads
        feed.apply(kind, event["type"], dict(event["object"]))
