"""Tells people what happened, in `kubectl describe`, without ever holding up the work it tells about.

`record` only notes and returns. One sender writes at a bounded rate; what does not fit into its queue is dropped and
counted. The same thing said again about the same object within ten minutes is one Event with a higher count, as
kubectl shows it: "3s (x5 over 2m)". Core v1 Events are written because that line reads best with them.
"""

import asyncio
import random
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Literal

from weft.kube.client import Client
from weft.kube.clock import Clock
from weft.kube.errors import ApiError, NotFound
from weft.kube.objects import Key, Obj, key_of, timestamp, uid_of
from weft.kube.resources import EVENTS
from weft.metrics import Metrics

AGGREGATE_SECONDS = 600.0
LONGEST_QUEUE = 1000
LONGEST_MEMORY = 4096
PAUSE_SECONDS = 0.04
"""Between two writes: at most 25 in a second."""
LONGEST_MESSAGE = 1024
LONGEST_NAME = 253


@dataclass(slots=True)
class _Series:
    """One thing said about one object, as often as it was said."""

    regarding: Obj
    type: str
    reason: str
    message: str
    first: float
    last: float
    count: int = 1
    queued: bool = False
    name: str = ""
    """The Event's name, once it has been written."""


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
        self._queue: deque[_Series] = deque()
        self._filled = asyncio.Event()

    def record(self, obj: Obj, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Note that this happened to the object. Never waits, never raises for lack of room or of an API server."""
        message = message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 3] + "..."
        now = self._clock.now()
        key = (uid_of(obj), type, reason, message)
        series = self._series.get(key)
        if series is not None and now - series.last <= AGGREGATE_SECONDS:
            series.count += 1
            series.last = now
        else:
            series = self._series[key] = _Series(_reference(obj), type, reason, message, now, now)
        self._series.move_to_end(key)
        while len(self._series) > LONGEST_MEMORY:
            self._series.popitem(last=False)
        if series.queued:
            return
        if len(self._queue) >= LONGEST_QUEUE:
            self._dropped.labels("queue_full").inc()
            return
        series.queued = True
        self._queue.append(series)
        self._filled.set()

    async def run(self) -> None:
        """Send what is queued until cancelled."""
        while True:
            while self._queue:
                series = self._queue.popleft()
                series.queued = False
                try:
                    await self._write(series)
                except ApiError:
                    self._dropped.labels("refused").inc()
                await self._clock.sleep(PAUSE_SECONDS)
            self._filled.clear()
            await self._filled.wait()

    async def _write(self, series: _Series) -> None:
        place = Key(series.regarding.get("namespace") or "default", series.name)
        if series.name:
            body = {"count": series.count, "lastTimestamp": timestamp(series.last)}
            try:
                await self._client.patch(EVENTS, place.name, body, namespace=place.namespace)
                return
            except NotFound:
                # The server forgets Events after an hour; this one is said anew.
                series.name = ""
        suffix = f".{self._rng.getrandbits(64):016x}"
        name = series.regarding["name"][: LONGEST_NAME - len(suffix)] + suffix
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


def _reference(obj: Obj) -> Obj:
    key = key_of(obj)
    reference = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": key.name, "uid": uid_of(obj)}
    return reference | ({"namespace": key.namespace} if key.namespace else {})
