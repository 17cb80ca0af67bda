"""What has been told to whom: the part of the outbox that survives a restart.

Each run with notifications has one ConfigMap, owned by the run and deleted with it; every delivery is an entry. It is
not the run's status, because a write there makes the reconciler's next write conflict, and notifications must never be
in its way; nor should the status' bytes go to them. An entry is written after an attempt, not before the first one:
what has no entry is found again in the run's status. While a delivery waits for another attempt its entry holds the
whole event, so that a rerun, which changes the status, cannot lose it.

Whoever may create ConfigMaps in a namespace can write one that looks like a ledger. So what is read is held to what
could have been written here: by its name the ledger of the run that owns it, and every entry of it to its form, its
event to one of that run. The rest is left out with a warning: it must neither keep a leader from starting nor touch
what others have. Whether there is such a run, and what really became of it, the outbox asks the run itself.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import orjson

from weft.api.base import API_VERSION
from weft.api.objects import Obj, key_of, owner_of
from weft.api.times import moment, timestamp
from weft.kube.client import Client
from weft.kube.errors import AlreadyExists, NamespaceTerminating, NotFound
from weft.kube.limiter import Priority
from weft.kube.realm import Realm
from weft.kube.resources import CONFIG_MAPS
from weft.notify.events import EventKind, is_event_of

_log = logging.getLogger(__name__)

LABEL = "weft.dev/notifications"

_EVENT_ID = re.compile(r"[0-9a-f]{32}")
_MANY_ATTEMPTS = 2**31
"""More than there can be; a number is read that could not be written again."""


class State(StrEnum):
    """Where a delivery stands."""

    Pending = "Pending"
    Delivered = "Delivered"
    Failed = "Failed"
    Filtered = "Filtered"
    """The channel does not take such events; kept, so that a change of the channel sends no old ones."""


class NotifiedRun(NamedTuple):
    """The run that a delivery tells of."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One event on its way to one channel: noticed at `since`, tried next at `due`.

    `event` is the CloudEvent, needed until the delivery has ended.
    """

    run: NotifiedRun
    channel: str
    kind: EventKind
    event_id: str
    event: Mapping[str, Any] | None
    since: float
    due: float
    state: State = State.Pending
    attempts: int = 0
    error: str | None = None

    @property
    def key(self) -> str:
        """Its name, unlike any other delivery's, and a ConfigMap's key however long the channel's name is."""
        return hashlib.sha256(f"{self.event_id}.{self.channel}".encode()).hexdigest()[:32]


class Ledger(Protocol):
    """Keeps deliveries through restarts. Both methods may raise; the caller comes again."""

    async def load(self) -> Sequence[Delivery]:
        """Give every delivery kept."""
        ...

    async def save(self, delivery: Delivery) -> None:
        """Keep the delivery as it stands, in place of what was kept of it."""
        ...


class ConfigMapLedger:
    """The ledger of a cluster: one ConfigMap per run, `weft-notifications-<run UID>`."""

    def __init__(self, client: Client, *, labels: Callable[[NotifiedRun], Mapping[str, str]], realm: Realm) -> None:
        """Take the client, the labels of a run's children, and the namespaces to look after."""
        self._client = client
        self._labels = labels
        self._realm = realm

    async def load(self) -> Sequence[Delivery]:
        """Give every delivery kept; raises ApiError."""
        found = await self._realm.list(self._client, CONFIG_MAPS, label_selector=LABEL)
        return [delivery for config_map in found for delivery in _deliveries(config_map)]

    async def save(self, delivery: Delivery) -> None:
        """Write the delivery's entry, making the ConfigMap at the first; raises ApiError. No namespace, no ledger."""
        try:
            if not await self._patch(delivery):
                await self._create(delivery)
        except AlreadyExists:
            await self._patch(delivery)
        except (NotFound, NamespaceTerminating):
            _log.info("namespace %s is gone: nothing to keep there", delivery.run.namespace)

    async def _patch(self, delivery: Delivery) -> bool:
        run = delivery.run
        body: Obj = {"data": {delivery.key: _to_entry(delivery)}}
        try:
            await self._client.patch(
                CONFIG_MAPS, _name(run.uid), body, namespace=run.namespace, priority=Priority.START
            )
        except NotFound:
            return False
        return True

    async def _create(self, delivery: Delivery) -> None:
        run = delivery.run
        owner = {"apiVersion": API_VERSION, "kind": "WorkflowRun", "name": run.name, "uid": run.uid}
        labels = {**self._labels(run), LABEL: "true"}
        config_map: Obj = {
            "apiVersion": CONFIG_MAPS.api_version,
            "kind": CONFIG_MAPS.kind,
            "metadata": {
                "name": _name(run.uid),
                "namespace": run.namespace,
                "labels": labels,
                "ownerReferences": [owner],
            },
            "data": {delivery.key: _to_entry(delivery)},
        }
        await self._client.create(CONFIG_MAPS, config_map)


def _name(uid: str) -> str:
    return f"weft-notifications-{uid}"


def _to_entry(delivery: Delivery) -> str:
    """Write a delivery for the ledger: without the event once nothing is left to do."""
    entry: dict[str, Any] = {
        "id": delivery.event_id,
        "channel": delivery.channel,
        "event": delivery.kind.value,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
    }
    if delivery.error:
        entry["lastError"] = delivery.error
    if delivery.state is State.Pending:
        entry |= {"since": timestamp(delivery.since), "nextAttemptTime": timestamp(delivery.due)}
        entry["body"] = delivery.event
    return orjson.dumps(entry).decode()


def _deliveries(config_map: Obj) -> list[Delivery]:
    namespace, name = key_of(config_map)
    run = _run_of(config_map)
    if run is None:
        _log.warning("ConfigMap %s/%s is no ledger of notifications: ignored", namespace, name)
        return []
    entries = config_map.get("data") or {}
    deliveries = [found for key, text in entries.items() if (found := _delivery(run, key, text)) is not None]
    if left_out := len(entries) - len(deliveries):
        _log.warning("ConfigMap %s/%s: %d entries are no notifications: ignored", namespace, name, left_out)
    return deliveries


def _run_of(config_map: Obj) -> NotifiedRun | None:
    """The run whose ledger a ConfigMap is; None for one that no ledger has made."""
    namespace, name = key_of(config_map)
    try:
        owner = owner_of(config_map, "WorkflowRun")
        if owner is None or name != _name(owner["uid"]):
            return None
        return NotifiedRun(namespace, str(owner["name"]), owner["uid"])
    except Exception:  # whatever somebody made of it
        return None


def _delivery(run: NotifiedRun, key: str, text: str) -> Delivery | None:
    """Read an entry of the run's ledger; None for one that no ledger has written."""
    try:
        delivery = _from_entry(run, orjson.loads(text))
        return delivery if key == delivery.key else None
    except Exception:  # whatever somebody wrote
        return None


def _from_entry(run: NotifiedRun, entry: Mapping[str, Any]) -> Delivery:
    """Read an entry. Raises what it raises, ValueError for a value that cannot be an entry's."""
    state, event_id, channel, attempts = State(entry["state"]), entry["id"], entry["channel"], entry["attempts"]
    kind, event, error = EventKind(entry["event"]), None, entry.get("lastError")
    since = due = 0.0
    if state is State.Pending:
        event, since, due = entry["body"], _time(entry["since"]), _time(entry["nextAttemptTime"])
        if not is_event_of(event, kind, event_id, namespace=run.namespace, name=run.name, uid=run.uid):
            raise ValueError("the event is another one, or another run's")
        orjson.dumps(event)  # deeper nested texts are read than can be written again
    if not _EVENT_ID.fullmatch(event_id):
        raise ValueError("id")
    if not (isinstance(channel, str) and channel):
        raise ValueError("channel")
    if type(attempts) is not int or not 0 <= attempts < _MANY_ATTEMPTS:
        raise ValueError("attempts")
    if not (error is None or isinstance(error, str)):
        raise ValueError("lastError")
    return Delivery(
        run=run, channel=channel, kind=kind, event_id=event_id, event=event, since=since, due=due, state=state,
        attempts=attempts, error=error,
    )  # fmt: skip


def _time(text: str) -> float:
    """Read a time of an entry; raises ValueError for one that is not written as the ledger does."""
    at = moment(text)
    if at is None or timestamp(at) != text:
        raise ValueError("no time of a ledger")
    return at
