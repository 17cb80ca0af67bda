"""An outbox among fakes: a ledger that outlives it, receivers that answer from a list, virtual time."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import orjson
from support.clock import VirtualClock
from weft.api.notificationchannel import NotificationChannel
from weft.api.workflow import Notification
from weft.kube.clock import spawn
from weft.kube.store import RunKey
from weft.metrics import Metrics
from weft.notify.deliver import Outcome, Result
from weft.notify.ledger import Delivery, State
from weft.notify.outbox import (
    NoChannel,
    Outbox,
    Send,
)

START, END = "2026-11-20T10:00:00Z", "2026-11-20T10:02:30Z"
DELIVERED = Outcome(result=Result.Delivered)
REFUSED_503 = Outcome(result=Result.Retry, error="the receiver answered 503")
ALL_EVENTS = ["Started", "Succeeded", "Failed", "Cancelled", "NodeFailed", "ApprovalRequested"]


def run(
    phase: str = "Running", *, failed: Sequence[str] = (), uid: str = "u1", namespace: str = "shop", **status: Any
) -> dict[str, Any]:
    nodes = [{"name": name, "phase": "Failed", "completionTime": END} for name in failed]
    ended = {} if phase == "Running" else {"completionTime": END}
    return {
        "metadata": {"namespace": namespace, "name": f"run-{uid}", "uid": uid},
        "spec": {"workflowRef": {"name": "listing"}},
        "status": {"phase": phase, "startTime": START, "nodes": nodes, **ended, **status},
    }


def subscribe(channel: str = "ops", *events: str) -> Notification:
    return Notification.model_validate({"channel": channel, "events": list(events) or ALL_EVENTS})


def channel(
    name: str = "ops", *, generation: int = 1, url: str = "http://receiver.example/", **spec: Any
) -> NotificationChannel:
    return NotificationChannel.model_validate(
        {
            "metadata": {"namespace": "shop", "name": name, "uid": f"uid-{name}", "generation": generation},
            "apiVersion": "weft.dev/v1alpha1",
            "kind": "NotificationChannel",
            "spec": {
                "type": "Webhook",
                "webhook": {"url": url, "signingSecretRef": {"name": "hook", "key": "signing"}},
                **spec,
            },
        }
    )


class MemoryLedger:
    """Keeps deliveries; `failures` saves raise `failure` first."""

    def __init__(self) -> None:
        self.kept: dict[str, Delivery] = {}
        self.failures = 0
        self.failure: Exception = ConnectionError("the API server is away")
        self.saved: asyncio.Queue[Delivery] = asyncio.Queue()

    async def load(self) -> Sequence[Delivery]:
        return list(self.kept.values())

    async def save(self, delivery: Delivery) -> None:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise self.failure
        self.kept[delivery.key] = delivery
        self.saved.put_nowait(delivery)

    def states(self) -> list[State]:
        return [delivery.state for delivery in self.kept.values()]


class World:
    """An outbox among fakes: receivers that answer from a list, then accept; a ledger that outlives the outbox."""

    def __init__(self, *answers: Outcome, send: Send | None = None, start: float = 1_700_000_000.0) -> None:
        self.clock = VirtualClock(start)
        self.ledger = MemoryLedger()
        self.channels = {"ops": channel("ops"), "chat": channel("chat")}
        self.answers = list(answers)
        self.sent: list[tuple[str, str, str, float]] = []
        self.tried: list[Delivery] = []
        self.troubles: list[str] = []
        self.runs: dict[RunKey, dict[str, Any]] = {}
        self.metrics = Metrics()
        self.send = send or self.accept
        self.outbox = self.new_outbox()

    def new_outbox(self) -> Outbox:
        return Outbox(
            ledger=self.ledger,
            find_channel=self.find_channel,
            find_run=self.runs.get,
            send=self.send,
            on_tried=self.tried.append,
            on_trouble=lambda run, text: self.troubles.append(f"{run.name}: {text}"),
            clock=self.clock,
            rng=random.Random(7),
            spawn=spawn,
            metrics=self.metrics,
        )

    def find_channel(self, namespace: str, name: str) -> NotificationChannel | NoChannel:
        return self.channels.get(name, NoChannel.Absent)

    def know(self, update: dict[str, Any]) -> None:
        """Keep a run as it is now."""
        self.runs[RunKey(update["metadata"]["namespace"], update["metadata"]["uid"])] = update

    def observe(self, update: dict[str, Any], notifications: Sequence[Notification]) -> None:
        """Keep a run as it is now and let the outbox see it."""
        self.know(update)
        self.outbox.observe(update, notifications)

    async def accept(self, to: NotificationChannel, message_id: str, body: bytes) -> Outcome:
        event_type = orjson.loads(body)["type"].removeprefix("dev.weft.")
        self.sent.append((to.metadata.name, event_type, message_id, self.clock.monotonic()))
        await asyncio.sleep(0)
        return self.answers.pop(0) if self.answers else DELIVERED

    async def started(self) -> "World":
        await self.outbox.restore()
        return self

    async def restarted(self) -> None:
        """Replace the operator: the old outbox is never asked again, the ledger stays."""
        await self.outbox.shutdown()
        self.outbox = self.new_outbox()
        await self.outbox.restore()

    def types(self) -> list[str]:
        return [event_type for _, event_type, _, _ in self.sent]

    def results(self) -> dict[str, float]:
        samples = next(iter(self.metrics.notifications.collect())).samples
        counted = {sample.labels["result"]: sample.value for sample in samples if sample.name.endswith("_total")}
        return {result: value for result, value in counted.items() if value}
