"""The news of the cluster, brought to those who work on it: one watch of each kind, however many shards there are.

Every shard that this process works on has a reader with caches of its own; what belongs to a shard of somebody else is
left out, the lines of a watch before they are even parsed, which is most of what an event costs. So a reader that comes
later has missed the news: it calls `refresh`, which lists everything once more for all who ask at that time, and is
from then on no older than that call. Without shards there is one reader, who hears of everything from the start.
"""

import asyncio
import logging
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Protocol

from weft.api.objects import Obj, Objects, key_of
from weft.controllers.catalog import KINDS, Catalog, list_kind
from weft.kube.cache import Cache, Change
from weft.kube.client import Client
from weft.kube.clock import Clock, Spawn
from weft.kube.errors import NotFound
from weft.kube.informer import Informer
from weft.kube.missing import KindMissing, is_missing_kind
from weft.kube.resources import JOBS, PODS, Resource
from weft.kube.shards import shard_of
from weft.kube.store import ChildStore
from weft.kube.trim import trim_job, trim_pod
from weft.metrics import Metrics
from weft.render.names import MANAGED_BY_LABEL

_log = logging.getLogger(__name__)

SELECTOR = f"{MANAGED_BY_LABEL}=weft"
_NAMESPACE = re.compile(rb'"namespace":"([^"]+)"')
"""The first of a Job's or Pod's line is the object's own: before it stand only its kind and its name."""


class Reader(Protocol):
    """Who works on a shard: its caches, and what it does about Jobs and Pods."""

    catalog: Catalog
    store: ChildStore

    def on_job(self, event_type: str, job: Obj, old: Obj | None) -> None:
        """Hear of a change of a Job."""
        ...

    def on_pod(self, event_type: str, pod: Obj, old: Obj | None) -> None:
        """Hear of a change of a Pod."""
        ...


class Feed:
    """Watches Jobs and Pods, takes in what kopf tells of Weft's own kinds (`apply`), and lists all of them."""

    def __init__(
        self,
        client: Client,
        *,
        namespaces: tuple[str, ...],
        shards: int = 1,
        clock: Clock,
        rng: random.Random,
        spawn: Spawn,
        metrics: Metrics,
    ):
        """Take what it reads with, the namespaces (none: all), and how many shards there are."""
        self._client = client
        self._namespaces = namespaces
        self._shards = shards
        self._clock = clock
        self._synced_at = float("-inf")
        self._spawn = spawn
        self._readers: dict[int, Reader] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._wanted = asyncio.Event()
        self._turn = asyncio.Lock()
        self._begun = self._done = 0

        def informer(kind: Resource, namespace: str) -> Informer:
            return Informer(
                client, kind, cache=_Parts(self, kind), on_event=self._on_job if kind is JOBS else self._on_pod,
                clock=clock, rng=rng, metrics=metrics, label_selector=SELECTOR, namespace=namespace,
                trim=trim_job if kind is JOBS else trim_pod, skip=self._is_foreign if shards > 1 else None,
            )  # fmt: skip

        self._informers = [informer(kind, namespace) for namespace in namespaces or ("",) for kind in (JOBS, PODS)]

    @property
    def synced(self) -> bool:
        """Say whether everything has been listed once."""
        return all(informer.synced.is_set() for informer in self._informers)

    def attach(self, reader: Reader, shard: int = 0) -> None:
        """Bring the news of a shard to this reader from now on."""
        self._readers[shard] = reader

    def detach(self, shard: int) -> None:
        """Bring it to nobody."""
        self._readers.pop(shard, None)

    def begin(self) -> None:
        """List and watch from now on, unless that has begun already."""
        self._wanted.set()

    def follow(self, *, on_broken: Callable[[], None] = lambda: None) -> None:
        """Be ready to watch, once somebody has said `begin` or has asked for a `refresh`.

        `on_broken` is told of a watch that has ended by itself: from then on, this feed is blind.
        """

        async def follow(informer: Informer) -> None:
            await self._wanted.wait()
            await informer.run()

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                _log.critical("a watch has ended, which nothing but a bug can do", exc_info=task.exception())
                on_broken()

        self._tasks = [self._spawn(follow(informer), name="informer") for informer in self._informers]
        for task in self._tasks:
            task.add_done_callback(ended)

    async def stop(self) -> None:
        """Watch no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def apply(self, kind: Resource, event_type: str | None, obj: Obj) -> None:
        """Take one event of kopf's in; its type is None for an object of the initial listing."""
        reader = self._reader_of(obj)
        if reader is not None:
            reader.catalog.apply(kind, event_type, obj)

    def find_workflow(self, namespace: str, name: str) -> Obj | None:
        """Give a Workflow; None when it is not there, or belongs to a shard of somebody else."""
        reader = self._readers.get(shard_of(namespace, self._shards))
        return reader.catalog.workflows.get(namespace, name) if reader is not None else None

    def find_node_types(self, namespace: str, names: Iterable[str]) -> dict[str, Obj]:
        """Give the specs of those NodeTypes that are there; none when they belong to a shard of somebody else."""
        reader = self._readers.get(shard_of(namespace, self._shards))
        return reader.catalog.node_type_specs(namespace, names) if reader is not None else {}

    async def wait_until_synced(self) -> None:
        """Return once everything has been listed."""
        for informer in self._informers:
            await informer.synced.wait()

    async def refresh(self) -> None:
        """List everything once more, so that no reader is older than this call. Raises ApiError.

        Who calls while a list is under way waits for the next one, and shares it with all who came meanwhile. Where
        nothing has been listed yet, the first list is it.
        """
        asked = self._begun
        async with self._turn:
            if self._done > asked:
                return
            self._begun = number = self._begun + 1
            before = [informer.begun for informer in self._informers]
            self.begin()
            await self._sync()
            await self.wait_until_synced()
            for informer, begun in zip(self._informers, before, strict=True):
                await informer.refresh(after=begun)
            self._done = number

    async def resync(self, seconds: float) -> None:
        """Tell of what kopf has missed, unless somebody has asked that within these seconds. Raises ApiError."""
        if self._clock.monotonic() >= self._synced_at + seconds:
            await self._sync()

    async def _sync(self) -> None:
        """List Weft's own kinds.

        What others refer to is listed last and taken in first: a run never comes with its Workflow as it was before.
        """
        self._synced_at = self._clock.monotonic()
        lists = {kind: await self._listed(kind) for kind in reversed(KINDS)}
        for kind in KINDS:
            objects, version = lists[kind]
            for shard, part in self._parted(objects).items():
                self._readers[shard].catalog.replace(kind, part, version=version)

    async def _listed(self, kind: Resource) -> tuple[Objects, str]:
        """List a kind; the server's own words for one that it does not know name neither the kind nor a mend."""
        try:
            return await list_kind(self._client, kind, self._namespaces)
        except NotFound as error:
            if is_missing_kind(error):
                raise KindMissing(kind) from None
            raise

    def _parted(self, objects: Iterable[Obj]) -> dict[int, Objects]:
        """Part a list by shard; every reader has a part, if only an empty one."""
        parts: defaultdict[int, Objects] = defaultdict(list)
        for obj in objects:
            parts[shard_of(key_of(obj).namespace, self._shards)].append(obj)
        return {shard: parts[shard] for shard in self._readers}

    def _reader_of(self, obj: Obj) -> Reader | None:
        return self._readers.get(shard_of(key_of(obj).namespace, self._shards))

    def _is_foreign(self, line: bytes) -> bool:
        """Say whether a watch's line is about a shard that nobody here works on."""
        found = _NAMESPACE.search(line)
        return found is not None and shard_of(found[1].decode(), self._shards) not in self._readers

    def _on_job(self, event_type: str, job: Obj, old: Obj | None) -> None:
        reader = self._reader_of(job)
        if reader is not None:
            reader.on_job(event_type, job, old)

    def _on_pod(self, event_type: str, pod: Obj, old: Obj | None) -> None:
        reader = self._reader_of(pod)
        if reader is not None:
            reader.on_pod(event_type, pod, old)


class _Parts:
    """The caches of all readers, as one cache for the informer."""

    def __init__(self, feed: Feed, kind: Resource) -> None:
        self._feed = feed
        self._cache: Callable[[Reader], Cache] = (
            (lambda reader: reader.store.jobs) if kind is JOBS else (lambda reader: reader.store.pods)
        )

    def apply(self, event_type: str, obj: Obj) -> list[Change]:
        reader = self._feed._reader_of(obj)
        return [] if reader is None else self._cache(reader).apply(event_type, obj)

    def replace(self, objects: Iterable[Obj], *, version: str, namespace: str = "") -> list[Change]:
        changes: list[Change] = []
        for shard, part in self._feed._parted(objects).items():
            cache = self._cache(self._feed._readers[shard])
            changes += cache.replace(part, version=version, namespace=namespace)
        return changes
