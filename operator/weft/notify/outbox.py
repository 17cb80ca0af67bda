"""The outbox: every event to every channel that asked for it, at least once, however often the operator restarts.

`observe` is called with each update of a run. It only notes what is new and returns: the reconciler neither waits for a
receiver nor writes anything for one. A work queue makes the attempts; after each of them the ledger keeps how it went.
After a restart `restore` reads the ledger, the first look at each run gives the events its status tells of, and what
the ledger does not know yet is due. So a receiver may hear twice of an event, under the same id, but never not at all.

A ledger can be written by whoever may create ConfigMaps in its namespace, and what is sent is signed with the channel's
secret. So of what the ledger has, the run itself is asked: whether it is there, and what happened. Only an event that
its status need not tell of any more is sent as it was kept. No namespace comes near what is known of another's runs.
"""

import logging
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from weft.api.notificationchannel import NotificationChannel
from weft.api.objects import Obj
from weft.api.workflow import Notification
from weft.kube.clock import Clock, Spawn
from weft.kube.errors import Forbidden
from weft.kube.retry import jittered_backoff
from weft.kube.store import RunKey
from weft.kube.workqueue import WorkQueue
from weft.metrics import Metrics, NotificationResult
from weft.notify.deliver import Outcome, Result, backoff_seconds
from weft.notify.events import NODE_KINDS, Event, events_between
from weft.notify.ledger import Delivery, Ledger, NotifiedRun, State
from weft.notify.slots import Slots

_log = logging.getLogger(__name__)

WORKERS = 32
IN_FLIGHT_PER_CHANNEL = 4
"""A receiver that takes its time must not take all workers."""
IN_FLIGHT_PER_NAMESPACE = 8
"""Nor must several of them that are one tenant's."""
MAX_NODE_DELIVERIES = 100
"""Of one run, over all channels: nobody reads the thousandth, and the ledger of a run is one ConfigMap."""

FIRST_KEEP_BACKOFF, LONGEST_KEEP_BACKOFF = 1.0, 300.0
"""Seconds until the ledger is asked again for what the API server did not let it keep: a quota may be full for days."""

RETRY_FOR_SECONDS = 86_400
"""Of a delivery that has no channel (yet)."""


class NoChannel(StrEnum):
    """Why there is no channel to deliver to (yet), for people; the channel's name goes into it."""

    Absent = "there is no NotificationChannel {}; create it"
    Invalid = "NotificationChannel {} is invalid; see its Ready condition"


Send = Callable[[NotificationChannel, str, bytes], Awaitable[Outcome]]
FindChannel = Callable[[str, str], NotificationChannel | NoChannel]
"""Gives the channel of a namespace and name, from a cache."""
FindRun = Callable[[RunKey], Obj | None]
"""Gives a run as it is now, from a cache that knows all of them."""


class _Key(NamedTuple):
    """A delivery under way. Its own key is made of what others may have read."""

    namespace: str
    delivery: str


@dataclass
class _Run:
    """What is known of a run: the status last seen, and the deliveries begun or ended."""

    status: Mapping[str, Any] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    node_deliveries: int = 0
    troubles: set[tuple[str, State]] = field(default_factory=set)
    """What people have been told on the run: of which channel, and whether it is missing (Pending) or given up."""


class Outbox:
    """Deliveries on their way. Call `restore` once, then `observe` and `forget` as runs change; end with `shutdown`."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        find_channel: FindChannel,
        find_run: FindRun,
        send: Send,
        on_tried: Callable[[Delivery], None],
        on_trouble: Callable[[NotifiedRun, str], None],
        clock: Clock,
        rng: random.Random,
        spawn: Spawn,
        metrics: Metrics,
    ) -> None:
        """Take what it works with; `on_tried` is told how a delivery stands after each try, for its channel.

        `on_trouble` is told what the people of a run should see: once for each channel that there is none, and once
        that something was given up.
        """
        self._ledger = ledger
        self._find_channel = find_channel
        self._find_run = find_run
        self._send = send
        self._on_tried = on_tried
        self._on_trouble = on_trouble
        self._clock = clock
        self._rng = rng
        self._metrics = metrics
        self._runs: defaultdict[RunKey, _Run] = defaultdict(_Run)
        self._open: dict[_Key, Delivery] = {}
        self._slots: Slots[_Key] = Slots(per_namespace=IN_FLIGHT_PER_NAMESPACE, per_channel=IN_FLIGHT_PER_CHANNEL)
        self._gone: set[tuple[str, int]] = set()
        self._unkept: dict[_Key, int] = {}
        """How often in a row how it went could not be kept."""
        self._queue = WorkQueue(
            "notifications", self._advance, workers=WORKERS, clock=clock, rng=rng, spawn=spawn, metrics=metrics
        )

    async def restore(self) -> None:
        """Read the ledger and start delivering; raises what the ledger raises. All runs must be known by now."""
        deliveries = await self._ledger.load()
        self._queue.start()
        by_run: defaultdict[NotifiedRun, list[Delivery]] = defaultdict(list)
        for delivery in deliveries:
            by_run[delivery.run].append(delivery)
        for ref, kept in by_run.items():
            try:
                self._restore(ref, kept)
            except Exception:  # nobody may keep the others from being told
                _log.exception("run %s/%s: its ledger of notifications cannot be used", ref.namespace, ref.name)

    def _restore(self, ref: NotifiedRun, deliveries: Sequence[Delivery]) -> None:
        run = self._find_run(_run_key(ref))
        if run is None or run["metadata"]["name"] != ref.name:
            return  # it is gone, and the ledger goes after it; or there never was one
        told: dict[str, Event] = {}
        if any(kept.state is State.Pending for kept in deliveries):
            told = {event.id: event for event in events_between({}, run.get("status") or {}, run)}
        for kept in deliveries:
            delivery, event = kept, told.get(kept.event_id)
            if kept.state is State.Pending and event is not None:
                delivery = replace(kept, kind=event.kind, event=event.cloud_event())
            elif kept.state is State.Pending and _must_be_told(kept, run):
                what = f"run {ref.namespace}/{ref.name}: {kept.kind} for channel {kept.channel}"
                _log.warning("%s stands in its ledger, but never happened: ignored", what)
                continue
            self._add(delivery)
            if _is_trouble(delivery):  # told before the restart
                self._runs[_run_key(ref)].troubles.add((delivery.channel, delivery.state))

    def observe(self, run: Mapping[str, Any], notifications: Iterable[Notification]) -> None:
        """Note the events that the run's status tells of since the last look, for the channels that asked for them.

        `notifications` are those of the spec the run was started with.
        """
        metadata = run["metadata"]
        ref = NotifiedRun(metadata["namespace"], metadata["name"], metadata["uid"])
        wanted = {(item.channel, kind) for item in notifications for kind in item.events}
        if not wanted:
            return
        seen, status = self._runs[_run_key(ref)], run.get("status") or {}
        for event in events_between(seen.status, status, run):
            for channel in sorted(channel for channel, kind in wanted if kind == event.kind):
                self._note(ref, channel, event)
        seen.status = status

    def forget(self, run: RunKey) -> None:
        """Drop what is known of a run that was deleted; what is still to be delivered goes on."""
        self._runs.pop(run, None)

    async def shutdown(self) -> None:
        """Make the attempts that are due and stop; the rest stands in the ledger or in the runs' status."""
        await self._queue.shutdown()

    def _note(self, ref: NotifiedRun, channel: str, event: Event) -> None:
        now, body = self._clock.now(), event.cloud_event()
        delivery = Delivery(
            run=ref, channel=channel, kind=event.kind, event_id=event.id, event=body, since=now, due=now
        )
        known = self._runs[_run_key(ref)]
        former = replace(delivery, event_id=event.former_id)
        if not known.keys.isdisjoint((delivery.key, former.key)):
            return
        if event.kind in NODE_KINDS and known.node_deliveries >= MAX_NODE_DELIVERIES:
            self._count(NotificationResult.Dropped)
            return
        self._add(delivery)

    def _add(self, delivery: Delivery) -> None:
        known = self._runs[_run_key(delivery.run)]
        known.keys.add(delivery.key)
        known.node_deliveries += delivery.kind in NODE_KINDS
        if delivery.state is State.Pending:
            key = _Key(delivery.run.namespace, delivery.key)
            self._open[key] = delivery
            self._queue.add_after(key, delivery.due)

    async def _advance(self, key: _Key) -> None:
        """Make the attempt that is due and keep how it went; if keeping fails, the queue comes back for that alone."""
        delivery = self._open[key]
        if delivery.state is State.Pending and delivery.due <= self._clock.now():
            place = (delivery.run.namespace, delivery.channel)
            if not self._slots.take(*place, key):
                return
            try:
                delivery = self._open[key] = await self._attempt(delivery)
            finally:
                if (waiting := self._slots.give_back(*place)) is not None:
                    self._queue.add(waiting)
        if _run_key(delivery.run) in self._runs:  # else it was deleted, and its ledger with it
            try:
                await self._ledger.save(delivery)
            except Forbidden as error:
                self._keep_later(key, delivery, error)
                return
        self._unkept.pop(key, None)
        if delivery.state is State.Pending:
            self._queue.add_after(key, delivery.due)
        else:
            del self._open[key]

    def _keep_later(self, key: _Key, delivery: Delivery, error: Forbidden) -> None:
        times = self._unkept[key] = self._unkept.get(key, 0) + 1
        delay = jittered_backoff(times, first=FIRST_KEEP_BACKOFF, longest=LONGEST_KEEP_BACKOFF, rng=self._rng)
        told = "notification of %s: how it stands cannot be kept, again in %.0f s: %s"
        _log.warning(told, _what(delivery), delay, error.message)
        at = self._clock.now() + delay
        self._queue.add_after(key, min(at, delivery.due) if delivery.state is State.Pending else at)

    async def _attempt(self, delivery: Delivery) -> Delivery:
        channel = self._find_channel(delivery.run.namespace, delivery.channel)
        spec = channel.spec if isinstance(channel, NotificationChannel) else None
        if spec and spec.events and delivery.kind not in spec.events:
            return replace(delivery, state=State.Filtered, event=None)
        outcome = await self._outcome(channel, delivery)
        tried = replace(delivery, attempts=delivery.attempts + 1, error=outcome.error)
        if outcome.result is Result.Delivered:
            return self._ended(tried, State.Delivered)
        _log.warning("notification of %s, attempt %d: %s", _what(delivery), tried.attempts, outcome.error)
        due = self._clock.now() + backoff_seconds(tried.attempts, retry_after=outcome.retry_after, rng=self._rng)
        last = delivery.since + (spec.retry_for_seconds if spec else RETRY_FOR_SECONDS)
        if outcome.result is not Result.Retry or due > last:
            return self._ended(tried, State.Failed)
        self._count(NotificationResult.Retried)
        again = replace(tried, due=due)
        self._tell(again)
        return again

    def _ended(self, delivery: Delivery, state: State) -> Delivery:
        ended = replace(delivery, state=state, event=None)
        self._count(NotificationResult(state))
        self._tell(ended)
        return ended

    def _tell(self, delivery: Delivery) -> None:
        self._on_tried(delivery)
        known, trouble = self._runs.get(_run_key(delivery.run)), (delivery.channel, delivery.state)
        if known is not None and trouble not in known.troubles and _is_trouble(delivery):
            known.troubles.add(trouble)
            self._on_trouble(delivery.run, _trouble(delivery))

    async def _outcome(self, channel: NotificationChannel | NoChannel, delivery: Delivery) -> Outcome:
        if isinstance(channel, NoChannel):
            return Outcome(result=Result.Retry, error=channel.format(delivery.channel))
        version = (channel.metadata.uid, channel.metadata.generation)
        if version in self._gone:
            return Outcome(result=Result.Gone, error="the receiver answered 410 Gone; edit the channel to try it again")
        outcome = await self._send(channel, delivery.event_id, orjson.dumps(delivery.event))
        if outcome.result is Result.Gone:
            self._gone.add(version)
        return outcome

    def _count(self, result: NotificationResult) -> None:
        self._metrics.notifications.labels(result).inc()


def _run_key(run: NotifiedRun) -> RunKey:
    return RunKey(run.namespace, run.uid)


def _what(delivery: Delivery) -> str:
    return f"{delivery.kind} of run {delivery.run.namespace}/{delivery.run.name} to channel {delivery.channel}"


def _must_be_told(delivery: Delivery, run: Obj) -> bool:
    """Say whether the run's status would still tell of the event if it had happened.

    What happens to nodes may pass, and a rerun changes all; else a run that has begun or ended stays so.
    """
    rerun = (run["spec"].get("rerun") or {}).get("generation") or (run.get("status") or {}).get("rerunGeneration")
    return delivery.kind not in NODE_KINDS and not rerun


def _is_trouble(delivery: Delivery) -> bool:
    """Say whether a delivery was given up, or waits for a channel that there is not."""
    missing = delivery.error in {reason.format(delivery.channel) for reason in NoChannel}
    return delivery.state is State.Failed or (delivery.state is State.Pending and missing)


def _trouble(delivery: Delivery) -> str:
    """Say it to people. The error is fit for them: it names no secret, and of an address only the host."""
    if delivery.state is State.Pending:
        return f"channel {delivery.channel}: {delivery.error}"
    tries = f"{delivery.attempts} attempt{'' if delivery.attempts == 1 else 's'}"
    return f"channel {delivery.channel}: {delivery.kind} was given up after {tries}: {delivery.error}"
