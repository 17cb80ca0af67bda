"""Finished runs and their Jobs go when their time has come, and nothing else does."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.asked import Asked
from support.clock import START
from support.manifests import run, workflow
from support.shell import World
from weft.api.objects import Obj
from weft.api.times import milli_timestamp
from weft.controllers.cleanup import Cleanup
from weft.controllers.removal import Removal
from weft.kube.resources import CONTROLLER_REVISIONS, JOBS, WORKFLOW_RUNS, WORKFLOWS, Resource
from weft.kube.store import ChildStore


class Runs(World):
    def __init__(self) -> None:
        super().__init__()
        self.store = ChildStore(monotonic=self.clock.monotonic)
        removal = Removal(self.client, self.store, clock=self.clock)
        self.cleanup = Cleanup(self.client, self.catalog, self.store, removal, self.revisions, **self.tools)
        self.cleanup.follow()

    async def ended(self, name: str, phase: str = "Succeeded", *, spec: Obj | None = None, **fields: Any) -> Obj:
        """A run that ends now, and was started with the spec."""
        if spec is not None:
            frozen = {"nodes": [{"name": "a", "job": {"image": "i"}}]} | spec
            fields["workflowRevision"] = await self.revisions.freeze("ns", "w", frozen, {})
        return self.add(run(name, phase=phase, completionTime=milli_timestamp(self.clock.now()), **fields))

    def job(self, name: str, owner: Obj, condition: str) -> None:
        reference = {"kind": "WorkflowRun", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
        metadata = {"namespace": "ns", "name": name, "ownerReferences": [reference]}
        status = {"conditions": [{"type": condition, "status": "True"}]}
        made = self.api.add({"kind": "Job", "metadata": metadata, "spec": {}, "status": status})
        for change in self.store.jobs.apply("ADDED", made):
            self.store.on_job(*change)

    def left(self, resource: Resource = WORKFLOW_RUNS) -> list[str]:
        return [each["metadata"]["name"] for each in self.api.all(resource)]


@pytest.fixture
async def world() -> AsyncIterator[Runs]:
    world = Runs()
    world.cleanup.start()
    yield world
    await world.cleanup.shutdown()


async def test_a_run_goes_when_its_time_to_live_has_passed(world: Runs) -> None:
    await world.ended("r", spec={"ttlSecondsAfterFinished": 100})
    await world.ended("stays")
    await world.settle(99)
    assert world.left() == ["r", "stays"]
    await world.settle(1)
    assert world.left() == ["stays"]


async def test_what_ended_while_another_replica_worked_goes_in_its_time() -> None:
    world = Runs()
    await world.ended("r", spec={"ttlSecondsAfterFinished": 100})
    world.add(workflow("other", historyLimits={"succeeded": 0}))
    world.add(run("surplus", workflow="other", phase="Succeeded", completionTime=milli_timestamp(world.clock.now())))
    await world.settle(50)
    assert world.left() == ["r", "surplus"]
    world.cleanup.start()
    await world.settle(5)
    assert world.left() == ["r"]
    await world.settle(45)
    assert world.left() == []
    await world.cleanup.shutdown()


async def test_a_run_stays_that_is_asked_to_run_again_just_before_it_goes(world: Runs) -> None:
    await world.ended("r", spec={"ttlSecondsAfterFinished": 5})

    def ask(asked: Asked) -> None:
        if asked.method == "DELETE":
            rerun = {"generation": 1, "from": "All"}
            world.api.edit(WORKFLOW_RUNS, "ns", "r", lambda it: it["spec"].update(rerun=rerun))

    world.api.before.append(ask)
    await world.settle(10)
    assert world.left() == ["r"]


async def test_the_time_to_live_is_the_one_it_was_started_with(world: Runs) -> None:
    world.add(workflow(ttlSecondsAfterFinished=1))
    await world.ended("long", spec={"ttlSecondsAfterFinished": 1000})
    await world.ended("never-started", "Failed")
    await world.settle(10)
    assert world.left() == ["long"]


async def test_a_run_that_never_started_may_have_its_own_spec(world: Runs) -> None:
    await world.ended("r", "Failed", workflow={"nodes": [], "ttlSecondsAfterFinished": 5})
    await world.settle(4)
    assert world.left() == ["r"]
    await world.settle(2)
    assert world.left() == []


async def test_a_rerun_is_not_cleaned_away(world: Runs) -> None:
    await world.ended("r", spec={"ttlSecondsAfterFinished": 100})
    await world.settle(50)
    world.api.edit(WORKFLOW_RUNS, "ns", "r", lambda obj: obj["spec"].update(rerun={"generation": 1}))
    await world.settle(100)
    assert world.left() == ["r"]
    done = {"rerunGeneration": 1, "completionTime": milli_timestamp(world.clock.now())}
    world.api.edit(WORKFLOW_RUNS, "ns", "r", lambda obj: obj["status"].update(done))
    await world.settle(101)
    assert world.left() == []


async def test_history_is_cut_when_a_run_ends_and_when_the_limits_change(world: Runs) -> None:
    world.add(workflow(historyLimits={"succeeded": 2}))
    for name in "abc":
        await world.ended(name)
        await world.clock.advance(1)
    await world.settle()
    assert world.left() == ["b", "c"]
    world.api.edit(WORKFLOWS, "ns", "w", lambda obj: obj["spec"].update(historyLimits={"succeeded": 1}))
    await world.settle()
    assert world.left() == ["c"]


async def test_a_long_history_is_one_walk(world: Runs) -> None:
    world.add(workflow(historyLimits={"failed": 3}))
    for number in range(40):
        await world.ended(f"r{number:02}", "Failed" if number % 2 else "Cancelled")
    await world.settle()
    assert world.left() == ["r37", "r38", "r39"]
    assert len(world.api.asked("DELETE", "workflowruns")) == 37


async def test_child_runs_and_jobs_go_with_the_run(world: Runs) -> None:
    world.add(workflow(historyLimits={"succeeded": 0}))
    parent = await world.ended("parent", workflow={}, spec={"ttlSecondsAfterFinished": 50})
    child = await world.ended("child", owner=parent["metadata"]["uid"], spec={"ttlSecondsAfterFinished": 1})
    world.job("failed", child, "Failed")
    await world.settle(40)
    assert (world.left(), world.left(JOBS)) == (["parent", "child"], ["failed"])
    await world.settle(20)
    assert (world.left(), world.left(JOBS)) == ([], [])


@pytest.mark.parametrize(
    ("jobs", "left"),
    [
        ({}, ["failed"]),
        ({"jobs": {"keep": "Failed"}}, ["failed"]),
        ({"jobs": {"keep": "All"}}, ["failed", "done"]),
        ({"jobs": {"keep": "None"}}, []),
    ],
)
async def test_jobs_are_kept_as_the_spec_says(world: Runs, jobs: Obj, left: list[str]) -> None:
    ended = await world.ended("r", spec=jobs)
    world.job("failed", ended, "Failed")
    world.job("done", ended, "Complete")
    await world.settle()
    assert world.left(JOBS) == left


async def test_jobs_of_a_run_that_goes_on_stay(world: Runs) -> None:
    active = world.add(run("r", phase="Running", startTime=milli_timestamp(START)))
    world.job("done", active, "Complete")
    await world.settle(100)
    assert world.left(JOBS) == ["done"]


async def test_another_run_of_the_same_name_is_not_deleted_in_its_place(world: Runs) -> None:
    await world.ended("r", spec={"ttlSecondsAfterFinished": 10})
    await world.sync()
    world.api.remove(WORKFLOW_RUNS, "ns", "r")
    world.add(run("r"))
    await world.clock.advance(20)
    assert world.left() == ["r"]


async def test_a_run_whose_revision_is_gone_stays(world: Runs) -> None:
    await world.ended("r", workflowRevision="w-gone")
    await world.settle(1000)
    assert world.left() == ["r"]


async def test_a_run_that_goes_before_its_time_is_not_waited_for(world: Runs) -> None:
    spec = {"ttlSecondsAfterFinished": 365 * 86_400}
    for number in range(100):
        await world.ended(f"r{number}", spec=spec)
    await world.settle(5)
    assert len(world.cleanup._queue._wakes) == 100

    async def while_its_spec_is_read(asked: Asked) -> None:
        if asked.method == "GET" and asked.resource is CONTROLLER_REVISIONS and asked.name:
            world.api.remove(WORKFLOW_RUNS, "ns", "late")
            await world.sync()

    for number in range(100):
        world.api.remove(WORKFLOW_RUNS, "ns", f"r{number}")
    await world.ended("late", spec=spec | {"description": "read anew"})
    world.api.before.append(while_its_spec_is_read)
    await world.settle(5)
    assert world.left() == []
    assert (world.cleanup._queue._wakes, world.cleanup._queue._heap) == ({}, [])


async def test_the_end_of_a_child_run_has_nobody_walk_its_workflows_history(world: Runs) -> None:
    def walk(namespace: str, name: str) -> list[Obj]:
        walks.append(name)
        return runs_of_workflow(namespace, name)

    walks: list[str] = []
    runs_of_workflow = world.catalog.runs_of_workflow
    world.catalog.runs_of_workflow = walk  # type: ignore[method-assign]
    world.add(workflow(historyLimits={"succeeded": 1}))
    await world.settle(5)
    walks.clear()
    await world.ended("child", owner="u")
    await world.settle(5)
    assert walks == []
    await world.ended("one")
    await world.ended("two")
    await world.settle(5)
    assert walks
    assert len(world.left()) == 2
