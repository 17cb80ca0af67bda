"""One Lease and what we know of it: looked at, taken, renewed, given back.

Clocks of different machines are never compared: who does not hold the Lease may take it when he has seen no change of
it for the lease's duration on his own clock. Every write carries the resourceVersion it is based on, so of two that try
at once one fails. A claim is good from before the request that made or renewed it was sent, for the lease's duration.
"""

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from weft.api.objects import Obj, version_of
from weft.api.times import micro_timestamp
from weft.kube.client import Client
from weft.kube.clock import Clock, Spawn, within
from weft.kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from weft.kube.limiter import Priority
from weft.kube.resources import LEASES

_log = logging.getLogger(__name__)

DURATION = 13.0
"""How long a claim is good, in seconds. Two less than is common: a Pod's death, the heir's last look before it and a
slow server's answers come on top, and all of it has to stay under the 20 s that are promised."""
RENEW_DEADLINE = 10.0
"""A claim that has not been renewed for so many seconds is lost; nobody else may take it before `DURATION`."""
RETRY_PERIOD = 2.0
"""Seconds between two renewals of a claim."""
LOOK_PERIOD = 1.0
"""Seconds between two looks at somebody else's Lease: what a dead one's waits for on top of a claim's life."""

Notes = Callable[[Obj], dict[str, str]]
"""Gives the annotations to write along with a claim, from the Lease as it stands ({} for none)."""


class Claim:
    """Our claim to a Lease. Nothing here waits for its turn or comes again: that is the caller's business."""

    def __init__(
        self,
        client: Client,
        *,
        namespace: str,
        name: str,
        identity: str,
        clock: Clock,
        spawn: Spawn,
        duration: float = DURATION,
        notes: Notes | None = None,
    ):
        """Take the Lease's place, who we are (unique among the candidates), and how long a claim is good for."""
        self.name = name
        self.identity = identity
        self.holder = ""
        """Who held the Lease when it was last read, or ""."""
        self.renewed_at = float("-inf")
        """When our claim was last known to be good, on the monotonic clock."""
        self._client = client
        self._namespace = namespace
        self._clock = clock
        self._spawn = spawn
        self._duration = duration
        self._notes = notes
        self._held = False
        self._trouble: type[Exception] | None = None
        self._version = ""
        self._changed_at = 0.0
        self._promised = duration

    @property
    def holds(self) -> bool:
        """Say whether the Lease is ours; False as soon as it may have run out, even if this process was frozen."""
        return self._held and self._clock.monotonic() < self.renewed_at + self._duration

    @property
    def free_at(self) -> float:
        """Give when the Lease may be taken, as far as is known (monotonic); it may be given back before."""
        return self._changed_at + self._promised if self.holder not in ("", self.identity) else 0.0

    async def look(self, seconds: float) -> None:
        """Read the Lease within that time, to know how long nobody has renewed it. A failure is logged."""
        await self._in_time(seconds, self._read())

    async def take(self, seconds: float) -> bool:
        """Take the Lease, or renew our claim to it, within that time; False when it is not ours. A failure is logged.

        A claim that could not be renewed in time is good for as long as it was before.
        """
        began = self._clock.monotonic()
        if not await self._in_time(seconds, self._acquire_or_renew()):
            self._held = self._held and self.holder == self.identity
            return False
        # The promise counts from before the request was sent: the others may have seen it as early as that.
        self._held, self.renewed_at = True, began
        return True

    async def release(self, seconds: float) -> None:
        """Give the Lease back for the next in line to take at once: only when nothing is done under it any more."""
        if not self.holds:
            return
        self._held = False
        spec = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": micro_timestamp(self._clock.now())}
        if not await self._in_time(seconds, self._write(self._version, spec, {})):
            _log.warning("the lease %s could not be given back and will run out by itself", self.name)

    async def _read(self) -> Obj | None:
        try:
            lease = await self._client.get(LEASES, self.name, namespace=self._namespace)
        except NotFound:
            # Somebody deleted it, which does not stop its holder, who may have renewed it right before.
            self._changed("")
            return None
        self._observe(lease)
        return lease

    async def _acquire_or_renew(self) -> bool:
        if self._held and self._notes is None and await self._renew():
            return True
        lease = await self._read()
        now = micro_timestamp(self._clock.now())
        ours = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self._duration)),
            "renewTime": now,
        }
        notes = self._notes(lease or {}) if self._notes is not None else {}
        if self._clock.monotonic() < self.free_at:
            return False
        if lease is None:
            return await self._create({**ours, "acquireTime": now, "leaseTransitions": 0}, notes)
        if self.holder != self.identity:
            ours |= {"acquireTime": now, "leaseTransitions": (lease["spec"].get("leaseTransitions") or 0) + 1}
        try:
            self._observe(await self._write(version_of(lease), ours, notes))
        except Conflict:
            return False
        return True

    async def _renew(self) -> bool:
        """Renew our claim in one request, if nobody else has written the Lease: a slow server is half as slow."""
        try:
            self._observe(await self._write(self._version, {"renewTime": micro_timestamp(self._clock.now())}, {}))
        except (Conflict, NotFound):
            return False
        return True

    async def _create(self, spec: dict[str, Any], notes: dict[str, str]) -> bool:
        lease = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"namespace": self._namespace, "name": self.name, **({"annotations": notes} if notes else {})},
            "spec": spec,
        }
        try:
            self._observe(await self._client.create(LEASES, lease, priority=Priority.URGENT))
        except AlreadyExists:
            return False
        return True

    async def _write(self, version: str, spec: dict[str, Any], notes: dict[str, str]) -> Obj:
        metadata = {"resourceVersion": version, **({"annotations": notes} if notes else {})}
        body = {"metadata": metadata, "spec": spec}
        return await self._client.patch(LEASES, self.name, body, namespace=self._namespace, priority=Priority.URGENT)

    def _observe(self, lease: Obj) -> None:
        spec = lease.get("spec", {})
        self.holder = spec.get("holderIdentity") or ""
        self._promised = float(spec.get("leaseDurationSeconds") or self._duration)
        self._changed(version_of(lease))

    def _changed(self, version: str) -> None:
        if version != self._version:
            self._version = version
            self._changed_at = self._clock.monotonic()

    async def _in_time(self, seconds: float, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            done = await within(seconds, work, clock=self._clock, spawn=self._spawn, name=self.name)
        except (ApiError, TimeoutError) as error:
            again = type(error) is self._trouble  # said once, and not every two seconds
            _log.log(logging.DEBUG if again else logging.WARNING, "lease %s/%s: %s", self._namespace, self.name, error)
            self._trouble = type(error)
            return None
        self._trouble = None
        return done
