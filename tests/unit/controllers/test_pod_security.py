"""A namespace's label is looked at now and then; Pods of nodes follow it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from support.rig import NAMESPACE, Rig
from support.shell import World
from weft.api.objects import Obj
from weft.controllers.pod_security import FORGOTTEN_SECONDS, KNOWN_SECONDS, LABEL, PodSecurity
from weft.kube.errors import ServerError
from weft.kube.resources import JOBS, NAMESPACES


def namespace(name: str, level: str | None) -> Obj:
    labels = {LABEL: level} if level else {}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(("level", "restricted"), [("restricted", True), ("baseline", False), (None, False)])
async def test_the_label_decides(level: str | None, restricted: bool, world: World) -> None:
    world.add(namespace("n", level))
    assert await PodSecurity(world.client, everywhere=False, clock=world.clock).restricted("n") is restricted


async def test_everywhere_asks_nobody(world: World) -> None:
    assert await PodSecurity(world.client, everywhere=True, clock=world.clock).restricted("n")
    assert world.api.requests == []


async def test_many_at_once_ask_once_and_a_new_label_is_seen_after_a_while(world: World) -> None:
    world.add(namespace("n", None))
    security = PodSecurity(world.client, everywhere=False, clock=world.clock)
    assert await asyncio.gather(*(security.restricted("n") for _ in range(20))) == [False] * 20
    assert len(world.api.requests) == 1
    world.api.edit(NAMESPACES, "", "n", lambda obj: obj["metadata"].update(labels={LABEL: "restricted"}))
    await world.clock.advance(KNOWN_SECONDS - 1)
    assert not await security.restricted("n")
    await world.clock.advance(1)
    assert await security.restricted("n")
    assert len(world.api.requests) == 2


async def test_what_may_not_be_read_demands_nothing(world: World) -> None:
    world.add(namespace("n", "restricted"))
    world.api.fail(403)
    assert not await PodSecurity(world.client, everywhere=False, clock=world.clock).restricted("n")


async def test_what_may_not_be_read_any_more_demands_what_it_did(world: World) -> None:
    world.add(namespace("n", "restricted"))
    security = PodSecurity(world.client, everywhere=False, clock=world.clock)
    assert await security.restricted("n")
    await world.clock.advance(KNOWN_SECONDS)
    world.api.fail(403)
    assert await security.restricted("n")


async def test_namespaces_that_nobody_asks_for_any_more_are_forgotten(world: World) -> None:
    security = PodSecurity(world.client, everywhere=False, clock=world.clock)
    for number in range(300):
        world.add(namespace(f"n{number}", "restricted"))
        assert await security.restricted(f"n{number}")
    await world.clock.advance(FORGOTTEN_SECONDS + 1)
    for _ in range(200):
        assert await security.restricted("n0")
        assert await security.restricted("n1")
        await world.clock.advance(KNOWN_SECONDS)
    assert len(security._known) == 2


async def test_what_cannot_be_read_now_is_not_guessed(world: World) -> None:
    world.add(namespace("n", "restricted"))
    security = PodSecurity(world.client, everywhere=False, clock=world.clock)
    world.api.fail(503, times=5)
    asking = asyncio.create_task(security.restricted("n"))
    await world.clock.advance(60)
    with pytest.raises(ServerError):
        await asking
    assert await security.restricted("n")


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.close()


@pytest.mark.parametrize("level", ["restricted", None])
async def test_pods_of_nodes_follow_their_namespace(level: str | None, rig: Rig) -> None:
    rig.api.add(namespace(NAMESPACE, level))
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]\njobs: {keep: All}")
    await rig.finish("w")
    (job,) = rig.api.all(JOBS)
    context = job["spec"]["template"]["spec"]["securityContext"]
    assert ("runAsNonRoot" in context) is (level == "restricted")


async def test_a_namespace_that_cannot_be_read_for_a_moment_fails_no_node(rig: Rig) -> None:
    rig.api.add(namespace(NAMESPACE, "restricted"))
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]\njobs: {keep: All}")
    rig.api.fail(503, method="GET", plural="namespaces", times=5)
    await rig.finish("w")
    assert rig.nodes() == {"a": "Succeeded"}
    (job,) = rig.api.all(JOBS)
    assert "runAsNonRoot" in job["spec"]["template"]["spec"]["securityContext"]
