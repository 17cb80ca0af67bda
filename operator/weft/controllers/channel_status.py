"""Writes how deliveries to a NotificationChannel go into its status, at most once in two seconds for each channel.

The outbox tells of every try. It is counted on top of the status that stands, so the numbers go on after a restart, and
waits here until it is written; an end in order writes all that waits, after a crash it is missing from the numbers
(never from the deliveries: those stand in the ledger). What is written are numbers, not differences, so a write whose
answer was lost is simply made again. It is made on the version we know, of the channel that was tried: the numbers of
one that was deleted are not given to the next of its name. `Ready` is in the same status and is `workflows.py`'s; each
patches its own fields.
"""

import random
from typing import Any, NamedTuple

from weft.api.conditions import shortened
from weft.api.objects import Key, Obj, uid_of, version_of
from weft.api.times import timestamp
from weft.controllers.catalog import Catalog
from weft.kube.client import Client
from weft.kube.clock import Clock, Spawn
from weft.kube.errors import Conflict, NotFound
from weft.kube.resources import NOTIFICATION_CHANNELS
from weft.kube.workqueue import WorkQueue
from weft.metrics import Metrics
from weft.notify.ledger import Delivery, State

PAUSE_SECONDS = 2.0


class _News(NamedTuple):
    """What is not yet written of the channel with that UID: fields of its status."""

    uid: str
    status: dict[str, Any]


class ChannelStatus:
    """Give `tried` to the Outbox; call `start` before the first delivery, and `shutdown` after the last."""

    def __init__(
        self,
        client: Client,
        catalog: Catalog,
        *,
        clock: Clock,
        rng: random.Random,
        spawn: Spawn,
        metrics: Metrics,
    ):
        """Take what it works with."""
        self._client = client
        self._catalog = catalog
        self._clock = clock
        self._unwritten: dict[Key, _News] = {}
        self._work: WorkQueue[Key] = WorkQueue(
            "channel-status", self._write, workers=2, clock=clock, rng=rng, spawn=spawn, metrics=metrics
        )

    def start(self) -> None:
        """Start the workers. Nothing is to be done yet: a status stands as it was left."""
        self._work.start()

    async def shutdown(self) -> None:
        """Write what is not yet written and stop."""
        for key in self._unwritten:
            self._work.add(key)
        await self._work.shutdown()

    def tried(self, delivery: Delivery) -> None:
        """Take in how a delivery stands after another try; nobody is told of one to a channel that does not exist."""
        key = Key(delivery.run.namespace, delivery.channel)
        channel = self._catalog.channels.get(*key)
        if channel is None:
            return
        uid, now = uid_of(channel), self._clock.now()
        news = self._unwritten.get(key)
        unwritten = news.status if news is not None and news.uid == uid else {}
        standing = (channel.get("status") or {}) | unwritten
        self._unwritten[key] = _News(uid, unwritten | _changes(standing, delivery, now))
        self._work.add_after(key, now + PAUSE_SECONDS)

    async def _write(self, key: Key) -> None:
        news, channel = self._unwritten.get(key), self._catalog.channels.get(*key)
        if news is None:
            return
        if channel is not None and uid_of(channel) == news.uid:
            body = {"metadata": {"resourceVersion": version_of(channel)}, "status": news.status}
            try:
                written = await self._client.patch_status(
                    NOTIFICATION_CHANNELS, key.name, body, namespace=key.namespace
                )
            except Conflict:  # the catalog is about to hear of it
                self._work.add_after(key, self._clock.now() + PAUSE_SECONDS)
                return
            except NotFound:
                pass
            else:
                self._catalog.remember(NOTIFICATION_CHANNELS, written)
        if self._unwritten[key] is news:  # else there is more by now, and another turn for it
            del self._unwritten[key]


def _changes(standing: Obj, delivery: Delivery, now: float) -> dict[str, Any]:
    """Give the fields of a status that another try changes."""
    numbers = {
        "delivered": (standing.get("delivered") or 0) + (delivery.state is State.Delivered),
        "failed": (standing.get("failed") or 0) + (delivery.state is State.Failed),
    }
    if delivery.state is State.Delivered:
        return numbers | {"lastDeliveryTime": timestamp(now)}
    # The message is the outbox's: it names no secret, and of an address only the host.
    text = shortened(delivery.error or "")
    return numbers | {"lastFailureTime": timestamp(now), "lastFailureMessage": text}
