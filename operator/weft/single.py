"""One operator for everything: of several replicas one leads, the others stand by with warm caches."""

import asyncio
from collections.abc import Callable

from weft.kube.lease import Elector
from weft.kube.realm import Realm
from weft.outfit import Outfit


class Single:
    """`follow`, then `work` until it ends or is cancelled; `stop` before that, `release` after."""

    def __init__(self, outfit: Outfit, *, on_led: Callable[[], None], on_lost: Callable[[], None]):
        """Take whom to tell that the work has begun, and who ends the process at once when the lease is lost."""
        settings = outfit.settings
        self._spawn = outfit.spawn
        self._on_led = on_led
        self._on_broken = outfit.on_broken
        self._elected = asyncio.Event()
        self._lease_enabled = settings.lease_enabled
        client = outfit.client(self._may_write, limiter=outfit.limiter())
        self.feed = outfit.feed(client, shards=1)
        self._elector = Elector(
            outfit.lease_client(), namespace=settings.lease_namespace, name=settings.lease_name,
            identity=outfit.identity, on_waiting=self.feed.begin, on_started=self._elected.set,
            on_lost=on_lost, clock=outfit.clock, rng=outfit.rng, spawn=outfit.spawn, metrics=outfit.metrics,
        )  # fmt: skip
        self.operator = outfit.operator(client, self.feed, Realm(settings.namespaces))
        self.feed.attach(self.operator)

    @property
    def leading(self) -> bool:
        """Say whether this process works."""
        return self.operator.leading

    @property
    def shards(self) -> list[int]:
        """Give the shards it works on: there are none."""
        return []

    def follow(self) -> None:
        """Be ready to fill the caches.

        They are filled at the first look at the Lease: for the work at once, where it is free, else to stand by. So
        who starts alone lists everything once, and not once more because he leads by now.
        """
        self.feed.follow(on_broken=self._on_broken)

    async def work(self) -> None:
        """Lead once the Lease is ours, and keep it; returns when it is lost. Raises when leading fails."""
        if not self._lease_enabled:
            await self._lead()
            await asyncio.Event().wait()
        election = self._spawn(self._elector.run(), name="election")
        elected = self._spawn(self._elected.wait(), name="elected")
        try:
            await asyncio.wait({election, elected}, return_when=asyncio.FIRST_COMPLETED)
            if self._elector.is_leader:
                await self._lead()
            await election
        finally:
            for task in (election, elected):
                task.cancel()
            await asyncio.gather(election, elected, return_exceptions=True)

    async def stop(self) -> None:
        """Finish what is in hand and stop."""
        await self.operator.stop()
        await self.feed.stop()

    async def release(self) -> None:
        """Give the Lease back."""
        await self._elector.release()

    async def _lead(self) -> None:
        await self.operator.lead()
        self._on_led()

    def _may_write(self, namespace: str) -> bool:
        return self._elector.is_leader or not self._lease_enabled
