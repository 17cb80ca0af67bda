"""What a small controller works with, on an API server in memory and in virtual time.

world = World()
world.add(workflow("w"))
await world.settle()              # the catalog is brought up to date, and time passes until all is quiet
"""

import random
from collections.abc import Sequence
from typing import Any

from support.clock import VirtualClock, at_once
from support.fakeapi import FakeApi
from weft.api.objects import Obj
from weft.controllers.catalog import KINDS, Catalog, list_kind
from weft.controllers.compiler import Compiler
from weft.controllers.enforcement import Enforcement
from weft.controllers.revisions import Revisions
from weft.kube.client import Client
from weft.kube.clock import spawn
from weft.kube.events import Recorder
from weft.kube.realm import Realm
from weft.kube.resources import Resource
from weft.metrics import Metrics


async def sync(catalog: Catalog, client: Client, namespaces: Sequence[str] = ()) -> None:
    """Bring a catalog up to date, as the feed does."""
    for kind in KINDS:
        objects, version = await list_kind(client, kind, namespaces)
        catalog.replace(kind, objects, version=version)


class World:
    """An API server, a client, a catalog, and what else controllers take (`tools`)."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.api = FakeApi(clock=self.clock)
        self.metrics = Metrics()
        self.client = self.api.client(metrics=self.metrics)
        self.catalog = Catalog(monotonic=self.clock.monotonic)
        self.compiler = Compiler(at_once, spawn=spawn)
        self.revisions = Revisions(self.client, self.compiler, realm=Realm())
        self.recorder = Recorder(
            self.client, clock=self.clock, rng=random.Random(2), metrics=self.metrics, instance="test"
        )
        self.enforcement = Enforcement(self.client, "weft", clock=self.clock)
        self.tools: dict[str, Any] = {
            "clock": self.clock,
            "rng": random.Random(3),
            "spawn": spawn,
            "metrics": self.metrics,
        }

    def add(self, obj: Obj) -> Obj:
        """Store an object; its UID and times are the server's own."""
        return self.api.add(obj)

    def status(self, resource: Resource, name: str) -> Obj:
        """The status of an object; {} when it has none."""
        obj = self.api.read(resource, "ns", name)
        assert obj is not None, f"{resource.kind} {name} is gone"
        return obj.get("status") or {}

    async def sync(self) -> None:
        """Bring the catalog up to date."""
        await sync(self.catalog, self.client)

    async def settle(self, seconds: float = 3.0) -> None:
        """Bring the catalog up to date, let time pass, and bring it up to date again."""
        await self.sync()
        await self.clock.advance(seconds)
        await self.sync()
