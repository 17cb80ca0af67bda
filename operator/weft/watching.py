"""kopf, as far as this operator uses it: it watches Weft's own resources, and serves the liveness probe.

It hands every event on as it came (`on.event` only: no patch, no finalizer, no memory of objects), and the probe fails
when the event loop no longer turns. Everything else that kopf can do is turned off here.

kopf ends when one of its tasks does, and at its end cancels what was started after it, which is most of the operator;
then it waits for tasks of its own, some of which may never end, since they wait for credentials that it has let go of.
So its tasks are watched from here, and it is only asked to end when nothing of ours runs any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Kopf:
    """kopf, at work."""

    tasks: Collection[asyncio.Task[Any]]
    """Without any of them it does not work any more."""
    _stop: asyncio.Event
    _others: Collection[asyncio.Task[Any]]

    @property
    def over(self) -> bool:
        """Say whether it has ended by itself; what is left of it may never end."""
        return any(task.done() for task in self.tasks)

    @property
    def reason(self) -> str:
        """Say why it has, as far as it tells."""
        ended = [task for task in self.tasks if task.done() and not task.cancelled()]
        errors = [f"{type(error).__name__}: {error}" for task in ended if (error := task.exception()) is not None]
        return "; ".join(errors) or "it does not say why"

    async def end(self) -> None:
        """End it in order, and with it all that was started after it."""
        self._stop.set()
        await kopf.run_tasks(self.tasks, ignored=self._others)


async def start_kopf(feed: Feed, settings: Settings, *, identity: str, behind: Callable[[], float]) -> Kopf:
    """Start kopf, which takes the signals.

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
    others, stop = asyncio.all_tasks(), asyncio.Event()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=_settings(),
        standalone=True,
        identity=identity,  # type: ignore[arg-type]  # else kopf asks the system for a user, and there is none
        clusterwide=not namespaces,
        namespaces=namespaces,
        liveness_endpoint=f"http://0.0.0.0:{settings.probe_listen_port}/healthz",
        stop_flag=stop,
    )
    return Kopf(tasks, stop, others)


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
