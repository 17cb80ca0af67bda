"""A WorkflowQueue's status tells who is in it."""

from collections.abc import AsyncIterator

import pytest
from support.manifests import queue, run
from support.shell import World
from weft.api.objects import Key
from weft.controllers.queue_status import QueueStatus
from weft.controllers.queues import Queues
from weft.kube.resources import WORKFLOW_QUEUES


class QueueWorld(World):
    def __init__(self) -> None:
        super().__init__()
        self.queues = Queues(
            wake=lambda key: None,
            counted=lambda key: self.writer.counted(key),
            find_run=self.catalog.run,
            child_runs=self.catalog.child_runs,
        )
        self.writer = QueueStatus(self.client, self.catalog, count=self.queues.count, **self.tools)
        self.catalog.subscribe(WORKFLOW_QUEUES, self.queues.on_queue)

    def ask(self, name: str) -> None:
        self.queues.ask(run(name))


@pytest.fixture
async def world() -> AsyncIterator[QueueWorld]:
    world = QueueWorld()
    world.writer.start()
    yield world
    await world.writer.shutdown()


async def test_the_numbers_follow_what_happens(world: QueueWorld) -> None:
    world.add(queue(maxActiveRuns=2))
    await world.settle()
    assert world.status(WORKFLOW_QUEUES, "default") == {"observedGeneration": 1, "active": 0, "queued": 0}
    for name in "abc":
        world.ask(name)
    await world.settle()
    assert world.status(WORKFLOW_QUEUES, "default") == {"observedGeneration": 1, "active": 2, "queued": 1}
    world.api.edit(WORKFLOW_QUEUES, "ns", "default", lambda obj: obj["spec"].update(maxActiveRuns=3))
    await world.settle()
    assert world.status(WORKFLOW_QUEUES, "default") == {"observedGeneration": 2, "active": 3, "queued": 0}


async def test_the_queues_that_are_there_at_the_start_are_looked_at() -> None:
    world = QueueWorld()
    world.add(queue())
    world.writer.start()
    await world.settle()
    assert world.status(WORKFLOW_QUEUES, "default") == {"observedGeneration": 1, "active": 0, "queued": 0}
    await world.writer.shutdown()


async def test_a_burst_is_one_write_and_no_news_is_none(world: QueueWorld) -> None:
    world.add(queue())
    await world.settle()
    before = len(world.api.asked("PATCH", "workflowqueues", subresource="status"))
    for number in range(50):
        world.ask(f"r{number}")
    await world.settle()
    world.queues.ended("uid-r1")
    world.ask("another")
    await world.settle()
    assert len(world.api.asked("PATCH", "workflowqueues", subresource="status")) == before + 1


async def test_what_was_just_written_is_not_taken_for_what_is_wanted(world: QueueWorld) -> None:
    world.add(queue())
    await world.settle()
    world.ask("a")
    await world.clock.advance(2)
    world.queues.ended("uid-a")
    await world.clock.advance(2)
    assert world.status(WORKFLOW_QUEUES, "default")["active"] == 0


async def test_a_queue_that_does_not_exist_or_was_just_deleted_is_left_alone(world: QueueWorld) -> None:
    world.ask("a")
    await world.settle()
    world.add(queue())
    await world.sync()
    world.api.remove(WORKFLOW_QUEUES, "ns", "default")
    await world.clock.advance(2)
    assert world.queues.count(Key("ns", "default")).active == 1
    assert world.api.all(WORKFLOW_QUEUES) == []
