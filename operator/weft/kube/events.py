"""Tells people what happened, in `kubectl describe`, without ever holding up the work it tells about.

`record` only notes and returns. One sender writes at a bounded rate; what does not fit into its queue is dropped and
counted. What is urgent (how a run ended) overtakes the rest and has room of its own.

The same thing said again about the same object within ten minutes is one Event with a higher count, as kubectl shows
it: "3s (x5 over 2m)". Similar things, which differ only by their message, are ten Events at most: the tenth combines
all that follow. That is the rule of client-go's EventCorrelator (tools/record/events_cache.go: 10 in 600 seconds, the
prefix of the message). Its spam filter (25 Events of an object, then one in five minutes) is not followed: it drops,
so that counts are too low and a loop's failures hide its end; an Event said again rests between two writes instead.
Core v1 Events are written because that line of kubectl's reads best with them.
"""

import asyncio
import logging
import random
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from weft.api.objects import Key, Obj, cut_name, key_of, uid_of
from weft.api.times import timestamp
from weft.kube.client import Client
from weft.kube.clock import Clock
from weft.kube.errors import ApiError, NotFound
from weft.kube.resources import EVENTS
from weft.metrics import Metrics

_log = logging.getLogger(__name__)

AGGREGATE_SECONDS = 600.0
SIMILAR = 10
"""Events of one object, type and reason, as long as there is no pause of AGGREGATE_SECONDS between them."""
COMBINED = "(combined from similar events): "
REST_SECONDS = 5.0
"""Between two writes of one Event."""
LONGEST_QUEUE = 1000
LONGEST_URGENT = 10_000
"""More than are ever there, unless the API server is away: one for each run that ends."""
LONGEST_MEMORY = 4096
PAUSE_SECONDS = 0.04
"""Between two writes: at most 25 in a second."""
LONGEST_MESSAGE = 1024


@dataclass(slots=True)
class _Series:
    """One thing said about one object, or similar ones, as often as they were said."""

    last: float
    regarding: Obj
    type: str
    reason: str
    message: str
    first: float
    combined: bool
    count: int = 0
    waits: bool = False
    """For its turn, or for the end of its rest."""
    rests_until: float = 0.0
    """On the monotonic clock."""
    name: str = ""
    """The Event's name, once it has been written."""


@dataclass(slots=True)
class _Similar:
    """How many Events there are of one object, type and reason."""

    last: float
    count: int = 0


K = TypeVar("K")
V = TypeVar("V", _Series, _Similar)


class Recorder:
    """Queues Events and sends them from `run`. Made by the app, handed to the controllers."""

    def __init__(self, client: Client, *, clock: Clock, rng: random.Random, metrics: Metrics, instance: str):
        """Take what it writes with; `instance` is this operator's identity."""
        self._client = client
        self._clock = clock
        self._rng = rng
        self._dropped = metrics.events_dropped
        self._instance = instance
        self._series: OrderedDict[tuple[str, str, str, str], _Series] = OrderedDict()
        self._similar: OrderedDict[tuple[str, str, str], _Similar] = OrderedDict()
        self._queue: deque[_Series] = deque()
        self._urgent: deque[_Series] = deque()
        self._resting: list[_Series] = []
        self._filled = asyncio.Event()

    def record(
        self, obj: Obj, type: Literal["Normal", "Warning"], reason: str, message: str, *, urgent: bool = False
    ) -> None:
        """Note that this happened to the object. Never waits, never raises for lack of room or of an API server."""
        series = self._noted(obj, type, reason, _shortened(message))
        if series.waits:
            return
        if urgent:
            self._put(series, self._urgent, LONGEST_URGENT)
        elif self._clock.monotonic() < series.rests_until:
            series.waits = True
            self._resting.append(series)
            self._filled.set()
        else:
            self._put(series, self._queue, LONGEST_QUEUE)

    def _noted(self, obj: Obj, type: str, reason: str, message: str) -> _Series:
        """Count it: as what it is, if it is known or among the first of its kind, else as one of many."""
        now = self._clock.now()
        kind = (uid_of(obj), type, reason)
        similar = _latest(self._similar, kind, now) or _Similar(now)
        key, combined = (*kind, message), False
        series = _latest(self._series, key, now)
        if series is None and similar.count >= SIMILAR - 1:
            key, combined, message = (*kind, COMBINED), True, _shortened(COMBINED + message)
            series = _latest(self._series, key, now)
        if series is None:
            series = _Series(now, _reference(obj), type, reason, message, now, combined)
            similar.count += 1
        series.count += 1
        series.last, series.message, similar.last = now, message, now
        _keep(self._similar, kind, similar)
        _keep(self._series, key, series)
        return series

    def _put(self, series: _Series, queue: deque[_Series], room: int) -> None:
        series.waits = len(queue) < room
        if not series.waits:
            self._dropped.labels("queue_full").inc()
            return
        queue.append(series)
        self._filled.set()

    async def run(self) -> None:
        """Send what is queued until cancelled."""
        while True:
            self._end_rests()
            if queue := self._urgent or self._queue:
                await self._send(queue.popleft())
            elif not self._resting:
                self._filled.clear()
                await self._filled.wait()
                continue
            await self._clock.sleep(PAUSE_SECONDS)

    def _end_rests(self) -> None:
        """Queue what was said again while it rested; that is little, for no more rest than are written meanwhile."""
        now = self._clock.monotonic()
        for series in [each for each in self._resting if each.rests_until <= now]:
            self._resting.remove(series)
            self._put(series, self._queue, LONGEST_QUEUE)

    async def _send(self, series: _Series) -> None:
        series.waits = False
        series.rests_until = self._clock.monotonic() + REST_SECONDS
        try:
            await self._write(series)
        except ApiError:
            self._dropped.labels("refused").inc()
        except Exception:  # of a single one; the others are sent
            _log.exception("the Event %s of %s cannot be sent", series.reason, series.regarding["name"])
            self._dropped.labels("failed").inc()

    async def _write(self, series: _Series) -> None:
        place = Key(series.regarding.get("namespace") or "default", series.name)
        if series.name:
            body: Obj = {"count": series.count, "lastTimestamp": timestamp(series.last)}
            if series.combined:
                body["message"] = series.message
            try:
                await self._client.patch(EVENTS, place.name, body, namespace=place.namespace)
                return
            except NotFound:
                # The server forgets Events after an hour; this one is said anew.
                series.name = ""
        name = cut_name(series.regarding["name"], f".{self._rng.getrandbits(64):016x}")
        event = {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"namespace": place.namespace, "name": name},
            "involvedObject": series.regarding,
            "type": series.type,
            "reason": series.reason,
            "message": series.message,
            "count": series.count,
            "firstTimestamp": timestamp(series.first),
            "lastTimestamp": timestamp(series.last),
            "source": {"component": "weft"},
            "reportingComponent": "weft",
            "reportingInstance": self._instance,
        }
        await self._client.create(EVENTS, event)
        series.name = name


def _shortened(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 3] + "..."


def _latest(memory: Mapping[K, V], key: K, now: float) -> V | None:
    """Give what is remembered, unless the last time was too long ago."""
    found = memory.get(key)
    return found if found is not None and now - found.last <= AGGREGATE_SECONDS else None


def _keep(memory: OrderedDict[K, V], key: K, value: V) -> None:
    """Remember it, and forget what was said longest ago."""
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > LONGEST_MEMORY:
        memory.popitem(last=False)


def _reference(obj: Obj) -> Obj:
    key = key_of(obj)
    reference = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": key.name, "uid": uid_of(obj)}
    return reference | ({"namespace": key.namespace} if key.namespace else {})
