"""Which replicas there are: a Lease that all of one layout hold together, with a list of those who take part.

    holderIdentity: 8 shards
    annotations: {weft.dev/members: '{"weft-7c9f-x2x": "2026-11-25T22:13:20.000000Z", ...}'}

Every replica renews this Lease every few seconds and writes its own beat into the list; one whose beat the others have
not seen change for a while is not counted any more. Beats of different machines are never compared, only watched.

The holder is the layout, the number of shards: replicas of another number (or a single operator that leads everything,
under its own name) cannot take the Lease while one of ours renews it. So no two layouts work at the same time, and a
change of the setting is an upgrade like any other. Each replica trusts only its own renewals.
"""

import json

from weft.api.objects import Obj, annotation
from weft.api.times import micro_timestamp
from weft.kube.claim import Claim
from weft.kube.client import Client
from weft.kube.clock import Clock, Spawn

MEMBERS_ANNOTATION = "weft.dev/members"
LIVE_SECONDS = 10.0
"""How long a member counts without a new beat: less than a lease's duration, so that its heirs wait for its Leases."""
DURATION = 30.0
"""How long the layout's claim is good: longer than a shard's, for all write it and now and then somebody is faster; and
nobody waits for it but who comes with another setting."""
FORGOTTEN_SECONDS = 60.0
"""After so long without a new beat a member is taken off the list."""
GAP_SECONDS = 5.0
"""Who has not looked for longer cannot tell whose beat has stopped."""


class Board:
    """Our place among the replicas. `beat` every few seconds; `leave` at the end."""

    def __init__(
        self, client: Client, *, namespace: str, name: str, identity: str, layout: str, clock: Clock, spawn: Spawn
    ):
        """Take the Lease's place, who we are (unique among the replicas), and the layout that all of them share."""
        self._identity = identity
        self._layout = layout
        self._clock = clock
        self._claim = Claim(
            client, namespace=namespace, name=name, identity=layout, clock=clock, spawn=spawn, duration=DURATION,
            notes=self._notes,
        )  # fmt: skip
        self._beats: dict[str, tuple[str, float]] = {}  # of each other member: the last beat, and when it was new to us
        self._looked_at = float("-inf")
        self._leaving = False

    @property
    def holds(self) -> bool:
        """Say whether our layout is the one that works."""
        return self._claim.holds

    @property
    def renewed_at(self) -> float:
        """Give when we last renewed the Lease, on the monotonic clock."""
        return self._claim.renewed_at

    async def beat(self, seconds: float) -> bool:
        """Say that we are here, and see who else is; False when no answer came, or another layout holds the Lease."""
        return await self._claim.take(seconds)

    async def leave(self, seconds: float) -> None:
        """Take ourselves off the list, for the others to take our shares over."""
        self._leaving = True
        await self._claim.take(seconds)

    async def release(self, seconds: float) -> None:
        """Give the Lease back if nobody else is on the list: only when we do nothing any more."""
        if not self._beats:
            await self._claim.release(seconds)

    def members(self) -> set[str]:
        """Give who takes part now."""
        now = self._clock.monotonic()
        others = {name for name, (_, at) in self._beats.items() if now - at < LIVE_SECONDS}
        return others if self._leaving else others | {self._identity}

    def _notes(self, lease: Obj) -> dict[str, str]:
        """See whose beats are new, and give the list with ours in it."""
        now = self._clock.monotonic()
        ours = (lease.get("spec") or {}).get("holderIdentity") == self._layout
        told = _members(lease) if ours else {}
        told.pop(self._identity, None)
        blind = now - self._looked_at > GAP_SECONDS
        self._looked_at = now
        for name, beat in told.items():
            if blind or self._beats.get(name, ("", 0.0))[0] != beat:
                self._beats[name] = (beat, now)
        for name in list(self._beats):
            if name not in told:
                del self._beats[name]
            elif now - self._beats[name][1] > FORGOTTEN_SECONDS:
                del self._beats[name], told[name]
        if not self._leaving:
            told[self._identity] = micro_timestamp(self._clock.now())
        return {MEMBERS_ANNOTATION: json.dumps(told, sort_keys=True)}


def _members(lease: Obj) -> dict[str, str]:
    """Read the list; one that somebody has edited into something else is begun anew."""
    try:
        told = json.loads(annotation(lease, MEMBERS_ANNOTATION) or "{}")
    except ValueError:
        return {}
    return {name: str(beat) for name, beat in told.items()} if isinstance(told, dict) else {}
