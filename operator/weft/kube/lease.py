"""Leader election: of several operators one works, the others stand by with warm caches.

A Lease says who leads and is renewed every few seconds (`kube/claim.py` has its rules). A leader that cannot renew
stops before its lease can be taken (`RENEW_DEADLINE` < `DURATION`); what stopping means (the process exits) is the
caller's business. Those who stand by look more often than the leader renews, because the lease runs from when its last
renewal was seen, and they are there the moment it runs out.
"""

import logging
import random
from collections.abc import Callable

from weft.kube.claim import LOOK_PERIOD, RENEW_DEADLINE, RETRY_PERIOD, Claim
from weft.kube.client import Client
from weft.kube.clock import Clock, Spawn
from weft.metrics import Metrics

_log = logging.getLogger(__name__)


class Elector:
    """Acquires a Lease, keeps it, and says when it is lost."""

    def __init__(
        self,
        client: Client,
        *,
        namespace: str,
        name: str,
        identity: str,
        on_waiting: Callable[[], None],
        on_started: Callable[[], None],
        on_lost: Callable[[], None],
        clock: Clock,
        rng: random.Random,
        spawn: Spawn,
        metrics: Metrics,
    ):
        """Take the Lease's place, who we are (unique among the candidates), and whom to tell."""
        self._claim = Claim(client, namespace=namespace, name=name, identity=identity, clock=clock, spawn=spawn)
        self._on_waiting = on_waiting
        self._on_started = on_started
        self._on_lost = on_lost
        self._clock = clock
        self._rng = rng
        self._metrics = metrics
        self._leading = False

    @property
    def is_leader(self) -> bool:
        """Say whether we lead; False as soon as the lease may have run out, even if this process was frozen."""
        return self._leading and self._claim.holds

    async def run(self) -> None:
        """Wait for the lease, call `on_started`, renew until it is lost, call `on_lost` and return.

        `on_waiting` is called at each look that finds the lease in other hands, or the API server silent.
        """
        claim = self._claim
        while not await claim.take(RENEW_DEADLINE):
            self._on_waiting()
            period = LOOK_PERIOD * (1 + self._rng.random() / 5)
            until_free = claim.free_at - self._clock.monotonic()
            await self._clock.sleep(min(period, until_free) if until_free > 0 else period)
        self._lead(True)
        _log.info("%s leads (%s)", claim.identity, claim.name)
        self._on_started()
        while (left := self._left()) > 0:
            await self._clock.sleep(min(left, RETRY_PERIOD))
            left = self._left()
            if left <= 0 or (not await claim.take(left) and claim.holder != claim.identity):
                break
        self._lead(False)
        _log.error("%s has lost the lease; its holder is %s", claim.identity, claim.holder or "unknown")
        self._on_lost()

    async def release(self) -> None:
        """Give the lease back for the next in line to take at once. Cancel `run` first, after all work has stopped."""
        if self.is_leader:
            self._lead(False)
            await self._claim.release(RETRY_PERIOD)

    def _left(self) -> float:
        """Seconds until the lease has to have been renewed."""
        return self._claim.renewed_at + RENEW_DEADLINE - self._clock.monotonic()

    def _lead(self, leading: bool) -> None:
        self._leading = leading
        self._metrics.leader.set(int(leading))
