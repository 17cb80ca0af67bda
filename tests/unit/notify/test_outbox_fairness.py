"""Nobody takes the places of others: of many failed nodes, slow receivers and busy namespaces."""

import asyncio
from collections import Counter

import orjson
from support.clock import settle
from support.outbox import DELIVERED, World, channel, run, subscribe
from weft.api.notificationchannel import NotificationChannel
from weft.notify.deliver import Outcome
from weft.notify.outbox import (
    IN_FLIGHT_PER_CHANNEL,
    IN_FLIGHT_PER_NAMESPACE,
    MAX_NODE_DELIVERIES,
    WORKERS,
)


async def test_of_thousands_of_failed_nodes_a_hundred_are_told_and_the_end_always() -> None:
    world = await World().started()
    failed = [f"n{number}" for number in range(1000)]

    world.observe(run(failed=failed), [subscribe()])
    world.observe(run("Failed", failed=failed), [subscribe()])
    await settle()

    assert Counter(world.types()) == {"run.started": 1, "node.failed": MAX_NODE_DELIVERIES, "run.failed": 1}
    assert world.results()["Dropped"] == 1000 - MAX_NODE_DELIVERIES


async def test_a_slow_receiver_holds_up_only_itself() -> None:
    patience, sent = asyncio.Event(), Counter[str]()

    async def send(to: NotificationChannel, message_id: str, body: bytes) -> Outcome:
        sent[to.metadata.name] += 1
        if to.metadata.name == "ops":
            await patience.wait()
        return DELIVERED

    world = await World(send=send).started()
    for number in range(100):
        world.observe(run(uid=f"u{number}"), [subscribe("ops"), subscribe("chat")])
    await settle()
    assert sent == {"ops": IN_FLIGHT_PER_CHANNEL, "chat": 100}

    patience.set()
    await settle()
    assert sent == {"ops": 100, "chat": 100}


async def test_one_namespace_holds_up_only_itself_however_many_slow_receivers_it_has() -> None:
    patience, sent = asyncio.Event(), Counter[str]()

    async def send(to: NotificationChannel, message_id: str, body: bytes) -> Outcome:
        sent[orjson.loads(body)["data"]["namespace"]] += 1
        if to.metadata.name != "ops":
            await patience.wait()
        return DELIVERED

    world = await World(send=send).started()
    slow = [f"slow-{number}" for number in range(WORKERS)]
    world.channels |= {name: channel(name) for name in slow}
    for number in range(10):
        busy = run(uid=f"u{number}", namespace="attacker")
        world.observe(busy, [subscribe(name, "Started") for name in slow])
    await settle()
    assert sent == {"attacker": IN_FLIGHT_PER_NAMESPACE}
    world.observe(run(), [subscribe("ops", "Started")])
    await settle()
    assert sent == {"attacker": IN_FLIGHT_PER_NAMESPACE, "shop": 1}

    patience.set()
    await settle()
    assert sent == {"attacker": 10 * WORKERS, "shop": 1}
