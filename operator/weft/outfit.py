"""What one process hands to all its parts, and the parts that both ways of working have in common.

`fenced` gives a transport whose writes pass only while a condition holds (`kube/fence.py`): each part gets one of its
own. Everything real is in here, so that a simulation hands in another outfit and runs the same code.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from weft.app import Operator
from weft.controllers.feed import Feed
from weft.kube.client import Client
from weft.kube.clock import Aside, Clock, Spawn
from weft.kube.limiter import Limiter
from weft.kube.realm import Realm
from weft.kube.transport import Transport
from weft.metrics import Metrics
from weft.notify.guarded_http import GuardedHttp
from weft.settings import Settings

MayWrite = Callable[[str], bool]
"""Says whether a write to a namespace may pass now."""


@dataclass(frozen=True)
class Outfit:
    """One process, as its parts see it."""

    settings: Settings
    fenced: Callable[[MayWrite], Transport]
    http: GuardedHttp
    clock: Clock
    rng: random.Random
    spawn: Spawn
    aside: Aside
    metrics: Metrics
    identity: str
    on_broken: Callable[[], None]
    """Told when a part has failed that runs for as long as the process: from then on, this one is of no use."""

    def limiter(self) -> Limiter:
        """Give the limiter of the process: one for all that work in it."""
        return Limiter(maximum=self.settings.api_concurrency, metrics=self.metrics)

    def client(self, may_write: MayWrite, *, limiter: Limiter, attempts: int = 5) -> Client:
        """Give a client whose writes pass only while they may."""
        return Client(
            self.fenced(may_write), clock=self.clock, rng=self.rng, metrics=self.metrics, limiter=limiter,
            attempts=attempts,
        )  # fmt: skip

    def lease_client(self, *, attempts: int = 5) -> Client:
        """Give the client that Leases are held with: neither fenced nor held back."""
        return self.client(lambda namespace: True, limiter=Limiter(maximum=1), attempts=attempts)

    def feed(self, client: Client, *, shards: int) -> Feed:
        """Give what brings the news."""
        return Feed(
            client, namespaces=self.settings.namespaces, shards=shards, clock=self.clock, rng=self.rng,
            spawn=self.spawn, metrics=self.metrics,
        )  # fmt: skip

    def operator(self, client: Client, feed: Feed, realm: Realm) -> Operator:
        """Give an operator for a realm."""
        return Operator(
            self.settings, client, feed=feed, realm=realm, http=self.http, clock=self.clock, rng=self.rng,
            spawn=self.spawn, aside=self.aside, metrics=self.metrics, identity=self.identity, on_broken=self.on_broken,
        )  # fmt: skip
