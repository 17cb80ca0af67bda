"""`Ready`: what can be used, and if not, where it is wrong."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.manifests import node_type, queue, workflow
from support.shell import World
from weft.api.objects import Obj
from weft.api.problems import Problem, summary
from weft.controllers.workflows import Readiness
from weft.kube.resources import CONTROLLER_REVISIONS, EVENTS, NODE_TYPES, NOTIFICATION_CHANNELS, WORKFLOWS, Resource

JOB = {"job": {"image": "i"}}


class Workflows(World):
    def __init__(self) -> None:
        super().__init__()
        self.readiness = self.make()
        self.readiness.follow()

    def make(self) -> Readiness:
        return Readiness(
            self.client, self.catalog, self.compiler, self.revisions, self.recorder, self.enforcement, **self.tools
        )

    def ready(self, name: str = "w", resource: Resource = WORKFLOWS) -> str:
        (condition,) = self.status(resource, name)["conditions"]
        return f"{condition['status']} {condition['reason']}: {condition['message']}"

    def change(self, name: str = "w", resource: Resource = WORKFLOWS, **spec: Any) -> None:
        self.api.edit(resource, "ns", name, lambda obj: obj["spec"].update(spec))

    def writes(self) -> int:
        return len(self.api.asked("PATCH", "workflows", subresource="status"))

    def revision(self, name: str = "w") -> Obj:
        found = self.api.read(CONTROLLER_REVISIONS, "ns", self.status(WORKFLOWS, name)["revision"])
        assert found is not None
        return found


@pytest.fixture
async def world() -> AsyncIterator[Workflows]:
    world = Workflows()
    world.readiness.start()
    events = asyncio.create_task(world.recorder.run())
    yield world
    events.cancel()
    await world.readiness.shutdown()


async def test_a_valid_workflow_is_ready_and_frozen(world: Workflows) -> None:
    world.add(workflow())
    await world.settle()
    assert world.ready() == "True Valid: a run can be started"
    assert world.status(WORKFLOWS, "w")["observedGeneration"] == 1
    assert world.revision()["data"]["workflow"] == {"nodes": [{"name": "a", **JOB}]}
    assert world.writes() == 1


async def test_an_invalid_one_says_where_and_becomes_ready_again(world: Workflows) -> None:
    world.add(workflow(nodes=[{"name": "a", "dependsOn": ["b"], **JOB}, {"name": "b", "dependsOn": ["a"], **JOB}]))
    await world.settle()
    assert "spec.nodes[0].dependsOn: " in world.ready()
    assert "a -> b -> a" in world.ready()
    assert "revision" not in world.status(WORKFLOWS, "w")
    world.change(nodes=[{"name": "a", **JOB}])
    await world.settle()
    assert world.ready() == "True Valid: a run can be started"
    assert world.status(WORKFLOWS, "w")["observedGeneration"] == 2
    first = world.revision()
    world.change(nodes=[{"name": "b", **JOB}])
    await world.settle()
    assert world.revision()["metadata"]["name"] != first["metadata"]["name"]
    world.change(nodes=[{"name": "b"}])
    await world.settle()
    assert world.ready().startswith("False Invalid: spec.nodes[0]: ")
    assert "revision" not in world.status(WORKFLOWS, "w")


async def test_becoming_invalid_is_one_event(world: Workflows) -> None:
    world.add(workflow(nodes=[{"name": "a"}]))
    await world.settle()
    world.change(nodes=[{"name": "b"}])
    await world.settle()
    (event,) = world.api.all(EVENTS)
    assert (event["type"], event["reason"], event["involvedObject"]["name"]) == ("Warning", "Invalid", "w")
    assert event["message"].startswith("spec.nodes[0]: ")


async def test_the_workflows_and_types_that_are_there_at_the_start_are_looked_at(world: Workflows) -> None:
    await world.readiness.shutdown()
    world.add(workflow(nodes=[{"name": "a", "use": {"name": "t"}}]))
    world.add(node_type("t"))
    restarted = world.make()
    restarted.follow()
    restarted.start()
    await world.settle()
    assert world.ready() == "True Valid: a run can be started"
    assert world.ready("t", NODE_TYPES) == "True Valid: Workflows can use it"
    await restarted.shutdown()


async def test_nothing_is_written_without_news(world: Workflows) -> None:
    world.add(workflow())
    await world.settle()
    world.api.edit(WORKFLOWS, "ns", "w", lambda obj: obj["metadata"].update(labels={"a": "b"}))
    await world.settle()
    restarted = world.make()
    restarted.follow()
    restarted.start()
    await world.settle()
    assert world.writes() == 1
    await restarted.shutdown()


async def test_a_workflow_follows_the_types_it_uses(world: Workflows) -> None:
    world.add(workflow(nodes=[{"name": "a", "use": {"name": "t"}}]))
    world.add(workflow("other"))
    await world.settle()
    assert world.ready().startswith("False Invalid: spec.nodes[0].use.name: ")
    world.add(node_type("t"))
    await world.settle()
    assert world.ready() == "True Valid: a run can be started"
    assert world.ready("t", NODE_TYPES) == "True Valid: Workflows can use it"
    before = world.revision()["data"]["nodeTypes"]
    world.change("t", NODE_TYPES, job={"image": "newer"})
    await world.settle()
    assert (before, world.revision()["data"]["nodeTypes"]) == ({"t": JOB}, {"t": {"job": {"image": "newer"}}})
    world.change("t", NODE_TYPES, job={"imagee": "x"})
    await world.settle()
    assert world.ready("t", NODE_TYPES).startswith("False Invalid: spec.job: unknown field 'imagee'")
    assert world.ready().startswith("False Invalid: NodeType t: spec.job: unknown field 'imagee'")
    world.api.remove(NODE_TYPES, "ns", "t")
    await world.settle()
    assert world.ready().startswith("False Invalid: spec.nodes[0].use.name: ")
    other = world.api.read(WORKFLOWS, "ns", "other")
    assert other is not None
    assert other["metadata"]["generation"] == 1


async def test_channels_are_checked_too(world: Workflows) -> None:
    channel = queue("c") | {"kind": "NotificationChannel", "spec": {"type": "Pigeon"}}
    world.add(channel)
    await world.settle()
    assert world.ready("c", NOTIFICATION_CHANNELS).startswith("False Invalid: spec")


async def test_one_that_was_deleted_meanwhile_is_left_alone(world: Workflows) -> None:
    world.add(workflow())
    await world.sync()
    world.api.remove(WORKFLOWS, "ns", "w")
    await world.clock.advance(3)
    assert world.api.all(WORKFLOWS) == []
    world.add(workflow())
    await world.settle()
    world.api.edit(WORKFLOWS, "ns", "w", lambda obj: obj["spec"].update(parallelism=1))
    await world.sync()
    world.api.remove(WORKFLOWS, "ns", "w")
    await world.settle()
    assert world.metrics.reconciles.labels("workflows", "error")._value.get() == 0


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "spec.a: wrong"),
        (3, "spec.a: wrong; spec.b: wrong; spec.c: wrong"),
        (5, "spec.a: wrong; spec.b: wrong; spec.c: wrong (and 2 more)"),
    ],
)
def test_the_first_problems_in_a_line(count: int, text: str) -> None:
    assert summary([Problem(f"spec.{name}", "wrong") for name in "abcde"[:count]]) == text


async def test_in_a_namespace_that_goes_nothing_is_tried_again_and_again(world: Workflows) -> None:
    world.add(workflow())
    world.api.terminating.add("ns")
    await world.sync()
    await world.clock.advance(60)
    assert len(world.api.asked("POST", "controllerrevisions")) == 1
