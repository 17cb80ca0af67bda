"""A NotificationChannel's status tells how deliveries to it go."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.clock import settle
from support.manifests import channel
from support.rig import NAMESPACE, Rig
from support.shell import World
from weft.api.crd import KINDS, crd
from weft.api.objects import Obj
from weft.api.times import timestamp
from weft.controllers.channel_status import PAUSE_SECONDS, ChannelStatus
from weft.controllers.workflows import Readiness
from weft.kube.resources import NOTIFICATION_CHANNELS
from weft.notify.addresses import AddressPolicy
from weft.notify.events import EventKind
from weft.notify.guarded_http import GuardedHttp, Response
from weft.notify.ledger import Delivery, NotifiedRun, State

REFUSED = "the receiver answered 503"


class Channels(World):
    def __init__(self) -> None:
        super().__init__()
        self.writer = self.make()

    def make(self) -> ChannelStatus:
        return ChannelStatus(self.client, self.catalog, **self.tools)

    def tried(self, state: State, *, error: str | None = None, name: str = "team") -> None:
        """Let the outbox have tried a delivery, which stands like this since."""
        error = error or (None if state is State.Delivered else REFUSED)
        ref, kind = NotifiedRun("ns", "r", "uid-r"), EventKind.Failed
        self.writer.tried(
            Delivery(run=ref, channel=name, kind=kind, event_id="e", event={}, since=0, due=0, state=state, error=error)
        )

    def shown(self, name: str = "team") -> Obj:
        return self.status(NOTIFICATION_CHANNELS, name)

    def writes(self) -> int:
        return len(self.api.asked("PATCH", "notificationchannels", subresource="status"))

    def time(self) -> str:
        return timestamp(self.clock.now())


@pytest.fixture
async def world() -> AsyncIterator[Channels]:
    world = Channels()
    world.add(channel())
    await world.sync()
    world.writer.start()
    yield world
    await world.writer.shutdown()


async def test_a_delivery_is_counted_and_has_its_time(world: Channels) -> None:
    first = world.time()
    world.tried(State.Delivered)
    await world.settle()
    assert world.shown() == {"delivered": 1, "failed": 0, "lastDeliveryTime": first}
    later = world.time()
    world.tried(State.Delivered)
    await world.settle()
    assert later != first
    assert world.shown() == {"delivered": 2, "failed": 0, "lastDeliveryTime": later}


async def test_a_try_that_failed_is_told_of_at_once_and_counts_when_the_delivery_is_given_up(world: Channels) -> None:
    first = world.time()
    world.tried(State.Pending)
    await world.settle()
    told = {"delivered": 0, "lastFailureTime": first, "lastFailureMessage": REFUSED}
    assert world.shown() == told | {"failed": 0}
    later = world.time()
    world.tried(State.Failed, error="the receiver answered 410 Gone")
    await world.settle()
    told |= {"lastFailureTime": later, "lastFailureMessage": "the receiver answered 410 Gone"}
    assert world.shown() == told | {"failed": 1}


async def test_what_failed_last_still_stands_when_the_next_try_succeeds(world: Channels) -> None:
    failed = world.time()
    world.tried(State.Pending)
    await world.settle()
    delivered = world.time()
    world.tried(State.Delivered)
    await world.settle()
    told = {"lastFailureTime": failed, "lastFailureMessage": REFUSED, "lastDeliveryTime": delivered}
    assert world.shown() == told | {"delivered": 1, "failed": 0}


async def test_a_burst_is_one_write_and_each_channel_has_its_own_numbers(world: Channels) -> None:
    world.add(channel("other"))
    await world.sync()
    for _ in range(50):
        world.tried(State.Delivered)
        world.tried(State.Pending)
    world.tried(State.Failed, name="other")
    await world.settle()
    assert world.writes() == 2
    assert (world.shown()["delivered"], world.shown()["failed"]) == (50, 0)
    assert (world.shown("other")["delivered"], world.shown("other")["failed"]) == (0, 1)


async def test_a_stream_of_deliveries_is_one_write_for_each_pause(world: Channels) -> None:
    for _ in range(100):
        world.tried(State.Delivered)
        await world.clock.advance(PAUSE_SECONDS / 10)
    await world.settle()
    assert world.shown()["delivered"] == 100
    assert world.writes() <= 11


async def test_what_comes_while_a_write_is_on_its_way_is_not_lost(world: Channels) -> None:
    async def deliver(asked: object) -> None:
        if world.writes() == 1:
            world.tried(State.Delivered)

    world.api.after.append(deliver)
    world.tried(State.Delivered)
    await world.clock.advance(PAUSE_SECONDS)
    assert world.shown()["delivered"] == 1
    await world.clock.advance(PAUSE_SECONDS)
    assert world.shown()["delivered"] == 2


async def test_another_operator_goes_on_where_the_status_stands(world: Channels) -> None:
    for _ in range(3):
        world.tried(State.Delivered)
    world.tried(State.Failed)
    await world.settle()
    await world.writer.shutdown()
    world.writer = world.make()
    world.writer.start()
    await world.settle()
    assert world.writes() == 1  # its start is no news
    world.tried(State.Failed)
    await world.settle()
    assert (world.shown()["delivered"], world.shown()["failed"]) == (3, 2)


async def test_an_end_in_order_writes_what_waits(world: Channels) -> None:
    world.tried(State.Delivered)
    await world.writer.shutdown()
    assert world.shown()["delivered"] == 1


async def test_ready_and_the_numbers_do_not_overwrite_each_other(world: Channels) -> None:
    readiness = Readiness(
        world.client, world.catalog, world.compiler, world.revisions, world.recorder, world.enforcement, **world.tools
    )
    readiness.follow()
    readiness.start()
    for state in (State.Delivered, State.Delivered):
        world.tried(state)
        await world.settle()
    assert world.shown()["observedGeneration"] == 1
    assert [one["status"] for one in world.shown()["conditions"]] == ["True"]
    world.api.edit(NOTIFICATION_CHANNELS, "ns", "team", lambda obj: obj.update(spec={"type": "Pigeon"}))
    await world.settle()
    world.tried(State.Failed, error="the channel is not valid")
    await world.settle()
    assert world.shown()["observedGeneration"] == 2
    assert [one["status"] for one in world.shown()["conditions"]] == ["False"]
    assert (world.shown()["delivered"], world.shown()["failed"]) == (2, 1)
    assert world.shown()["lastFailureMessage"] == "the channel is not valid"
    await readiness.shutdown()


async def test_a_spec_is_never_written(world: Channels) -> None:
    before = world.api.read(NOTIFICATION_CHANNELS, "ns", "team")
    world.tried(State.Delivered)
    await world.settle()
    after = world.api.read(NOTIFICATION_CHANNELS, "ns", "team")
    assert before is not None
    assert after is not None
    assert (after["spec"], after["metadata"]["generation"]) == (before["spec"], 1)
    (write,) = world.api.asked("PATCH", "notificationchannels", subresource="status")
    assert "spec" not in write.body


async def test_a_channel_that_does_not_exist_or_was_just_deleted_is_left_alone(world: Channels) -> None:
    world.tried(State.Pending, name="nobody")
    world.tried(State.Delivered)
    world.api.remove(NOTIFICATION_CHANNELS, "ns", "team")
    await world.clock.advance(PAUSE_SECONDS)  # the catalog has not heard of it
    await world.settle(600)
    assert world.api.all(NOTIFICATION_CHANNELS) == []
    assert world.writes() == 1
    assert world.metrics.reconciles.labels("channel-status", "error")._value.get() == 0


@pytest.mark.parametrize("heard", [True, False], ids=["heard of in time", "heard of late"])
async def test_the_numbers_of_a_deleted_channel_are_not_given_to_the_next_of_its_name(
    world: Channels, heard: bool
) -> None:
    world.tried(State.Delivered)
    world.api.remove(NOTIFICATION_CHANNELS, "ns", "team")
    world.add(channel())
    if heard:
        await world.sync()
    await world.clock.advance(PAUSE_SECONDS)
    await world.settle(60)
    assert world.shown() == {}
    world.tried(State.Delivered)
    world.api.remove(NOTIFICATION_CHANNELS, "ns", "team")
    world.add(channel())
    await world.sync()
    world.tried(State.Failed)
    await world.settle()
    assert (world.shown()["delivered"], world.shown()["failed"]) == (0, 1)
    assert "lastDeliveryTime" not in world.shown()


async def test_who_sets_the_numbers_back_is_heeded(world: Channels) -> None:
    world.tried(State.Failed)
    await world.settle()
    world.api.edit(NOTIFICATION_CHANNELS, "ns", "team", lambda obj: obj.pop("status"))
    await world.sync()
    world.tried(State.Delivered)
    await world.settle()
    assert world.shown() == {"delivered": 1, "failed": 0, "lastDeliveryTime": world.shown()["lastDeliveryTime"]}


async def test_when_somebody_was_faster_it_looks_again(world: Channels) -> None:
    world.tried(State.Delivered)
    world.api.edit(NOTIFICATION_CHANNELS, "ns", "team", lambda obj: obj["metadata"].update(labels={"a": "b"}))
    await world.clock.advance(PAUSE_SECONDS)
    assert world.shown() == {}
    await world.settle()
    assert world.shown()["delivered"] == 1
    assert world.metrics.reconciles.labels("channel-status", "error")._value.get() == 0


async def test_a_write_whose_answer_was_lost_counts_once(world: Channels) -> None:
    world.api.fail(500, method="PATCH", plural="notificationchannels", times=5, after=True)
    world.tried(State.Delivered)
    await world.settle(60)
    await world.settle(60)
    assert world.shown()["delivered"] == 1


async def test_while_the_api_server_is_away_nothing_is_lost(world: Channels) -> None:
    world.api.fail(503, method="PATCH", plural="notificationchannels", times=20)
    for _ in range(5):
        world.tried(State.Delivered)
        await world.clock.advance(10)
    await world.settle(600)
    assert world.shown()["delivered"] == 5


async def test_a_message_fits_and_numbers_have_no_end(world: Channels) -> None:
    world.api.edit(NOTIFICATION_CHANNELS, "ns", "team", lambda obj: obj.update(status={"delivered": 3_000_000_000}))
    await world.sync()
    world.tried(State.Delivered)
    world.tried(State.Pending, error="x" * 100_000)
    await world.settle()
    (kind,) = (kind for kind in KINDS if kind.name == "NotificationChannel")
    schema = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    assert set(world.shown()) <= set(schema)
    assert world.shown()["delivered"] == 3_000_000_001
    assert {schema[name]["format"] for name in ("delivered", "failed")} == {"int64"}
    assert not {"maximum"} & (schema["delivered"].keys() | schema["failed"].keys())
    assert len(world.shown()["lastFailureMessage"]) <= schema["lastFailureMessage"]["maxLength"]


# --- the whole operator


CHANNEL = """
apiVersion: weft.dev/v1alpha1
kind: NotificationChannel
metadata: {name: team}
spec: {type: Webhook, webhook: {url: "http://receiver.example/"}}
"""
WORKFLOW = """
notifications: [{channel: team, events: [Succeeded]}]
nodes: [{name: a, expr: {x: "1"}}]
"""
DELIVERED = Response(204, {}, b"")
UNAVAILABLE = Response(503, {}, b"")


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    rig.apply(CHANNEL)
    rig.workflow("w", WORKFLOW)
    rig.http.answers["http://receiver.example/"] = DELIVERED
    yield rig
    await rig.close()


def numbers(rig: Rig) -> tuple[Any, Any]:
    status = shown(rig)
    return status.get("delivered"), status.get("failed")


def shown(rig: Rig) -> Obj:
    found = rig.api.read(NOTIFICATION_CHANNELS, NAMESPACE, "team")
    assert found is not None
    return found.get("status") or {}


async def test_what_the_operator_delivers_is_in_the_status_through_restarts(rig: Rig) -> None:
    await rig.finish("w", "first")
    assert numbers(rig) == (1, 0)
    await rig.down()
    await rig.finish("w", "second")
    assert numbers(rig) == (2, 0)
    assert shown(rig)["lastDeliveryTime"] >= rig.run("second")["metadata"]["creationTimestamp"]
    assert [one["type"] for one in shown(rig)["conditions"]] == ["Ready"]


async def test_a_receiver_that_refuses_is_seen_before_the_delivery_is_given_up(rig: Rig) -> None:
    rig.http.answers["http://receiver.example/"] = UNAVAILABLE
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: "lastFailureTime" in shown(rig), seconds=5)
    assert shown(rig)["lastFailureMessage"] == REFUSED
    assert numbers(rig) == (0, 0)
    rig.http.answers["http://receiver.example/"] = DELIVERED
    await rig.clock.advance(10)
    assert numbers(rig) == (1, 0)


async def test_a_channel_that_is_not_valid_tells_that_nothing_gets_through(rig: Rig) -> None:
    rig.api.edit(NOTIFICATION_CHANNELS, NAMESPACE, "team", lambda obj: obj["spec"].pop("webhook"))
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: "lastFailureTime" in shown(rig), seconds=5)
    assert [(one["type"], one["status"]) for one in shown(rig)["conditions"]] == [("Ready", "False")]
    assert "team" in shown(rig)["lastFailureMessage"]
    assert numbers(rig) == (0, 0)


async def test_a_delivery_at_the_very_end_is_counted_before_the_operator_goes(rig: Rig) -> None:
    may_answer = asyncio.Event()

    async def slowly(method: str, url: str, **_: Any) -> Response:
        await may_answer.wait()
        return DELIVERED

    rig.http.request = slowly  # type: ignore[method-assign]
    await rig.up()
    rig.start("w")
    await rig.wait(rig.ended)
    assert rig.replica is not None
    rig.replica.leave()
    await rig.clock.advance(1)
    may_answer.set()
    await settle()
    assert rig.replica.ended
    assert numbers(rig) == (1, 0)


@pytest.mark.parametrize("address", ["http://127.0.0.1/hunter2?k=hunter2", "http://me:hunter2@receiver.example/"])
async def test_an_address_that_is_a_password_stays_a_secret(rig: Rig, address: str) -> None:
    webhook = {"urlFrom": {"secretKeyRef": {"name": "s", "key": "url"}}}
    rig.api.edit(NOTIFICATION_CHANNELS, NAMESPACE, "team", lambda obj: obj["spec"].update(webhook=webhook))
    data = {"url": b64encode(address.encode()).decode()}
    rig.api.add({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": NAMESPACE}, "data": data})
    http = rig.http = GuardedHttp(AddressPolicy())  # type: ignore[assignment]
    await rig.finish("w")
    await http.close()
    assert numbers(rig) == (0, 1)
    assert shown(rig)["lastFailureMessage"].startswith("AddressRefused: ")
    assert "hunter2" not in str(shown(rig))
