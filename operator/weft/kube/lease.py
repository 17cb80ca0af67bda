"""Leader election: of several operators one works, the others stand by with warm caches.

A Lease says who leads and is renewed every few seconds. Clocks of different machines are never compared: a standby
watches the Lease and takes it over when it has seen no change of it for the lease's duration on its own clock. Every
write carries the resourceVersion it is based on, so of two that try at once one fails. A leader that cannot renew
stops before its lease can be taken (`renew_deadline` < `duration`); what stopping means (the process exits) is the
caller's business.
"""

import logging
import random
from collections.abc import Callable
from typing import Any

from weft.kube.client import Client
from weft.kube.clock import Clock, Spawn, within
from weft.kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from weft.kube.limiter import Priority
from weft.kube.objects import Obj, micro_timestamp, version_of
from weft.kube.resources import LEASES
from weft.metrics import Metrics

_log = logging.getLogger(__name__)


class Elector:
    """Acquires a Lease, keeps it, and says when it is lost. Times are in seconds."""

    def __init__(
        self,
        client: Client,
        *,
        namespace: str,
        name: str,
        identity: str,
        on_started: Callable[[], None],
        on_lost: Callable[[], None],
        clock: Clock,
        rng: random.Random,
        spawn: Spawn,
        metrics: Metrics,
        duration: float = 15.0,
        renew_deadline: float = 10.0,
        retry_period: float = 2.0,
    ):
        """Take the Lease's place, who we are (unique among the candidates), and whom to tell."""
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._on_started = on_started
        self._on_lost = on_lost
        self._clock = clock
        self._rng = rng
        self._spawn = spawn
        self._metrics = metrics
        self._duration = duration
        self._renew_deadline = renew_deadline
        self._retry_period = retry_period
        self._leading = False
        self._renewed_at = 0.0
        self._holder = ""
        self._version = ""
        self._changed_at = 0.0

    @property
    def is_leader(self) -> bool:
        """Say whether we lead; False as soon as the lease may have run out, even if this process was frozen."""
        return self._leading and self._clock.monotonic() < self._renewed_at + self._duration

    @property
    def holder(self) -> str:
        """Give the identity that held the Lease when it was last read, or ""."""
        return self._holder

    async def run(self) -> None:
        """Wait for the lease, call `on_started`, renew until it is lost, call `on_lost` and return."""
        while not await self._attempt(self._renew_deadline):
            await self._pause()
        self._lead(True)
        _log.info("%s leads (%s/%s)", self._identity, self._namespace, self._name)
        self._on_started()
        while (left := self._renewed_at + self._renew_deadline - self._clock.monotonic()) > 0:
            await self._clock.sleep(min(left, self._retry_period))
            left = self._renewed_at + self._renew_deadline - self._clock.monotonic()
            if left <= 0 or (not await self._attempt(left) and self._holder != self._identity):
                break
        self._lead(False)
        _log.error("%s has lost the lease; its holder is %s", self._identity, self._holder or "unknown")
        self._on_lost()

    async def release(self) -> None:
        """Give the lease back for the next in line to take at once. Cancel `run` first, after all work has stopped."""
        if not self.is_leader:
            return
        self._lead(False)
        spec = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": micro_timestamp(self._clock.now())}
        try:
            await self._in_time(self._retry_period, self._write(self._version, spec))
        except (ApiError, TimeoutError) as error:
            _log.warning("the lease could not be given back and will run out by itself: %s", error)

    async def _attempt(self, seconds: float) -> bool:
        began = self._clock.monotonic()
        try:
            if not await self._in_time(seconds, self._acquire_or_renew()):
                return False
        except (ApiError, TimeoutError) as error:
            _log.warning("lease %s/%s: %s", self._namespace, self._name, error)
            return False
        # The promise counts from before the request was sent: the others may have seen it as early as that.
        self._renewed_at = began
        return True

    async def _acquire_or_renew(self) -> bool:
        now = micro_timestamp(self._clock.now())
        ours = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._duration)),
            "renewTime": now,
        }
        try:
            lease = await self._client.get(LEASES, self._name, namespace=self._namespace)
        except NotFound:
            return await self._create({**ours, "acquireTime": now, "leaseTransitions": 0})
        self._observe(lease)
        if self._holder != self._identity:
            if self._holder and self._clock.monotonic() < self._changed_at + self._promised(lease):
                return False
            ours |= {"acquireTime": now, "leaseTransitions": (lease["spec"].get("leaseTransitions") or 0) + 1}
        try:
            self._observe(await self._write(version_of(lease), ours))
        except Conflict:
            return False
        return True

    async def _create(self, spec: dict[str, Any]) -> bool:
        lease = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"namespace": self._namespace, "name": self._name},
            "spec": spec,
        }
        try:
            self._observe(await self._client.create(LEASES, lease, priority=Priority.URGENT))
        except AlreadyExists:
            return False
        return True

    async def _write(self, version: str, spec: dict[str, Any]) -> Obj:
        body = {"metadata": {"resourceVersion": version}, "spec": spec}
        return await self._client.patch(LEASES, self._name, body, namespace=self._namespace, priority=Priority.URGENT)

    def _observe(self, lease: Obj) -> None:
        self._holder = lease.get("spec", {}).get("holderIdentity") or ""
        if version_of(lease) != self._version:
            self._version = version_of(lease)
            self._changed_at = self._clock.monotonic()

    def _promised(self, lease: Obj) -> float:
        return float(lease["spec"].get("leaseDurationSeconds") or self._duration)

    def _lead(self, leading: bool) -> None:
        self._leading = leading
        self._metrics.leader.set(int(leading))

    async def _in_time(self, seconds: float, work: Any) -> Any:
        return await within(seconds, work, clock=self._clock, spawn=self._spawn, name="lease")

    async def _pause(self) -> None:
        await self._clock.sleep(self._retry_period * (1 + self._rng.random() / 5))
