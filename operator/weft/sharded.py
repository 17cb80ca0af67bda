"""Several operators side by side: an `Operator` for each shard that this process holds, begun and ended with its term.

Each begins as after a restart, with nothing in memory, and lists everything; each writes through a fence of its own,
which asks for its term and for the shard of the namespace. So whatever holds for a crash of the one operator of
`single` holds for the end of a term, in order or not. In common they have the watches, the connection and its limits.
"""

from collections.abc import Callable
from dataclasses import dataclass

from weft.app import Operator
from weft.controllers.feed import Feed
from weft.kube.keeper import Keeper, Term
from weft.kube.realm import Realm
from weft.outfit import Outfit


class Sharded:
    """`follow`, then `work` until it ends or is cancelled; `stop` before that, `release` after."""

    def __init__(self, outfit: Outfit, *, on_settled: Callable[[], None]):
        """Take whom to tell that what we work on has changed, and is there to stay for a while."""
        settings = outfit.settings
        self._outfit = outfit
        self._on_settled = on_settled
        self._limiter = outfit.limiter()
        self._crews: dict[int, _Crew] = {}
        self.feed = outfit.feed(outfit.client(_never, limiter=self._limiter), shards=settings.shards)
        self._keeper = Keeper(
            outfit.lease_client(attempts=1), namespace=settings.lease_namespace, name=settings.lease_name,
            identity=outfit.identity, shards=settings.shards, begin=self._begin, on_gone=self._settle,
            clock=outfit.clock, rng=outfit.rng, spawn=outfit.spawn, metrics=outfit.metrics,
        )  # fmt: skip

    @property
    def leading(self) -> bool:
        """Say whether this process works on any shard."""
        return bool(self.shards)

    @property
    def shards(self) -> list[int]:
        """Give the shards it works on."""
        return sorted(shard for shard, crew in self._crews.items() if crew.operator.leading)

    def follow(self) -> None:
        """Begin to watch."""
        self.feed.follow(on_broken=self._outfit.on_broken)
        self.feed.begin()

    async def work(self) -> None:
        """Take our share of the shards, once everything has been listed. Raises when that fails."""
        await self.feed.wait_until_synced()
        await self._keeper.run()

    async def stop(self) -> None:
        """Hand all our shards over in order."""
        await self._keeper.stop()
        await self.feed.stop()

    async def release(self) -> None:
        """Nothing is left to give back: each Lease was, when its shard was handed over."""

    def _begin(self, shard: int, term: Term) -> "_Crew":
        settings = self._outfit.settings
        realm = Realm(settings.namespaces, shard, settings.shards)
        client = self._outfit.client(
            lambda namespace: term.holds() and (not namespace or realm.has(namespace)), limiter=self._limiter
        )
        operator = self._outfit.operator(client, self.feed, realm)
        crew = self._crews[shard] = _Crew(operator, shard, self.feed, self._settle, self._forget)
        return crew

    def _settle(self) -> None:
        if all(crew.operator.leading for crew in self._crews.values()):  # of those that begin or end together, the last
            self._on_settled()

    def _forget(self, shard: int) -> None:
        self._crews.pop(shard, None)


@dataclass(frozen=True)
class _Crew:
    """An operator for one term of one shard."""

    operator: Operator
    shard: int
    feed: Feed
    on_led: Callable[[], None]
    on_dropped: Callable[[int], None]

    async def lead(self) -> None:
        self.feed.attach(self.operator, self.shard)
        await self.operator.lead()
        self.on_led()

    async def stop(self) -> None:
        await self.operator.stop()

    async def drop(self) -> None:
        self.feed.detach(self.shard)
        await self.operator.drop()
        self.on_dropped(self.shard)


def _never(namespace: str) -> bool:
    """The feed only reads."""
    return False
