"""Keeps a cache in step with the API server: list, then watch, and list again only when the server has forgotten.

The watch is never trusted to last. It may end by itself (resume from the last version), break (the same, after a
pause), fall silent (the client's own timer ends it), or be too far behind (410: list again, and let the cache work out
what was missed, deletions included). Handlers hear of each change exactly once per version, in order, and are called
synchronously: they put a key on a queue and return.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from contextlib import aclosing
from typing import Protocol

from weft.api.objects import Obj, Objects, version_of
from weft.kube.cache import Change
from weft.kube.client import Client, items_of
from weft.kube.clock import Clock
from weft.kube.errors import ApiError, Gone, OutcomeUnknown, TimedOut, Unreachable
from weft.kube.resources import Resource
from weft.kube.retry import jittered_backoff
from weft.metrics import Metrics

_log = logging.getLogger(__name__)

WATCH_SECONDS = 60
"""How long a watch lasts. Resuming is one cheap request, and a silent one is found out soon after."""
STALL_MARGIN_SECONDS = 15.0
FIRST_BACKOFF = 0.2
LONGEST_BACKOFF = 15.0

OnEvent = Callable[[str, Obj, Obj | None], None]
"""Told of ADDED, MODIFIED or DELETED, the object and what was held before; synchronous and fast."""


class Held(Protocol):
    """What the informer keeps in step: a `Cache`, or several that share the objects among them."""

    def apply(self, event_type: str, obj: Obj) -> list[Change]:
        """Take one watch event in and give the news in it."""
        ...

    def replace(self, objects: Iterable[Obj], *, version: str, namespace: str = "") -> list[Change]:
        """Take a whole list in and give the differences."""
        ...


class Informer:
    """Lists and watches one resource, in one namespace or in all, and tells of every change."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        cache: Held,
        on_event: OnEvent,
        clock: Clock,
        rng: random.Random,
        metrics: Metrics,
        namespace: str = "",
        label_selector: str = "",
        trim: Callable[[Obj], None] | None = None,
        skip: Callable[[bytes], bool] | None = None,
    ):
        """Take what to follow and whom to tell.

        `trim` removes, in place, what nobody will ask of the object; of a watch's lines, `skip` says which nobody asks
        for at all.
        """
        self.cache = cache
        self.synced = asyncio.Event()
        """Set once the first list has been told to the handler."""
        self.begun = 0
        """How many lists have been begun."""
        self._client = client
        self._resource = resource
        self._on_event = on_event
        self._clock = clock
        self._rng = rng
        self._metrics = metrics
        self._namespace = namespace
        self._label_selector = label_selector
        self._trim = trim
        self._skip = skip
        self._version = ""
        self._told = 0  # the number of the latest list that the handler has been told
        self._failures = 0

    async def run(self) -> None:
        """Follow the resource until cancelled; no failure of the API server ends it."""
        while True:
            try:
                if not self._version:
                    self._version = await self._list()
                    self.synced.set()
                await self._watch()
            except ApiError as error:
                await self._recover(error)

    async def refresh(self, *, after: int) -> None:
        """List once more, unless one that was begun after the first `after` lists has been told; the watch goes on.

        Raises ApiError.
        """
        if self._told <= after:
            await self._list()

    async def _list(self) -> str:
        """List everything and tell what is new; gives the list's version."""
        self.begun = number = self.begun + 1
        objects, version = await self._read()
        self._tell(self.cache.replace(objects, version=version, namespace=self._namespace))
        self._told = max(self._told, number)
        return version

    async def _read(self) -> tuple[Objects, str]:
        objects: Objects = []
        version = ""
        pages = self._client.pages(self._resource, namespace=self._namespace, label_selector=self._label_selector)
        async for page in pages:
            version = version or version_of(page)
            for obj in items_of(page, self._resource):
                objects.append(self._trimmed(obj))
        return objects, version

    async def _watch(self) -> None:
        seconds = round(WATCH_SECONDS * (0.75 + self._rng.random() / 4))
        began = self._clock.monotonic()
        events = self._client.watch(
            self._resource,
            resource_version=self._version,
            namespace=self._namespace,
            label_selector=self._label_selector,
            timeout_seconds=seconds,
            idle_timeout=seconds + STALL_MARGIN_SECONDS,
            skip=self._skip,
        )
        async with aclosing(events):
            async for kind, obj in events:
                if kind != "BOOKMARK":
                    self._tell(self.cache.apply(kind, self._trimmed(obj)))
                self._version = version_of(obj) or self._version
                self._failures = 0
        if self._clock.monotonic() - began < 1.0:
            # An orderly end, but far too soon: without a pause this would be a busy loop against a sick server.
            raise OutcomeUnknown("the watch ended as soon as it began")

    async def _recover(self, error: ApiError) -> None:
        if isinstance(error, TimedOut):
            reason = "stalled"
        elif isinstance(error, OutcomeUnknown | Unreachable):
            reason = "dropped"
        else:
            reason = "expired" if isinstance(error, Gone) else "error"
            self._version = ""
        self._failures += 1
        self._metrics.watch_restarts.labels(self._resource.plural, reason).inc()
        _log.log(
            logging.INFO if self._failures == 1 else logging.WARNING,
            "watch of %s begins again (%s, failure %d): %s", self._resource.plural, reason, self._failures, error,
        )  # fmt: skip
        await self._clock.sleep(
            jittered_backoff(self._failures, first=FIRST_BACKOFF, longest=LONGEST_BACKOFF, rng=self._rng)
        )

    def _trimmed(self, obj: Obj) -> Obj:
        if self._trim is not None:
            self._trim(obj)
        return obj

    def _tell(self, changes: list[Change]) -> None:
        for change in changes:
            try:
                self._on_event(*change)
            except Exception:
                _log.exception("a handler of %s failed", self._resource.plural)
