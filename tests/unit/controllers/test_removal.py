"""Jobs that nobody keeps take their Pods along; a few short runs leave theirs to the garbage collector."""

from typing import Any

import pytest
from support.shell import World
from weft.api.objects import Obj
from weft.controllers.removal import LEFT_AT_ONCE, LEFT_PER_SECOND, Removal
from weft.kube.resources import JOBS, PODS
from weft.kube.store import ChildStore
from weft.render.job import MANAGED_BY
from weft.render.pod import TRACKING_FINALIZER


class Place(World):
    def __init__(self) -> None:
        super().__init__()
        self.store = ChildStore(monotonic=self.clock.monotonic)
        self.removal = Removal(self.client, self.store, clock=self.clock)

    def job(self, name: str, *, managed_by: str | None = MANAGED_BY, phase: str = "Succeeded", **pod: Any) -> Obj:
        """A Job with its Pod; what is given by name stands in the Pod's metadata."""
        run = {"kind": "WorkflowRun", "name": "r", "uid": "u"}
        metadata = {"namespace": "ns", "name": name, "ownerReferences": [run]}
        job = self.api.add({"kind": "Job", "metadata": metadata, "spec": {"managedBy": managed_by}})
        owner = {"kind": "Job", "name": name, "uid": job["metadata"]["uid"], "controller": True}
        metadata = {"namespace": "ns", "name": name, "ownerReferences": [owner], **pod}
        stored = self.api.add({"kind": "Pod", "metadata": metadata, "spec": {}, "status": {"phase": phase}})
        self.store.remember_created(job)
        self.store.remember_created(stored)
        return job

    def deleted(self) -> list[str]:
        """What was asked to go, in order."""
        return [f"{asked.resource.plural}/{asked.name}" for asked in self.api.requests if asked.method == "DELETE"]


async def test_the_pods_of_a_job_go_before_it() -> None:
    place = Place()
    await place.removal.remove(place.job("j"))
    assert place.deleted() == ["pods/j", "jobs/j"]


async def test_of_a_few_short_runs_the_pods_are_left_to_the_garbage_collector() -> None:
    place = Place()
    names = [f"j{number}" for number in range(LEFT_AT_ONCE + 1)]
    for name in names:
        await place.removal.remove_one_of_few(place.job(name))
    assert place.deleted() == [*(f"jobs/{name}" for name in names[:-1]), f"pods/{names[-1]}", f"jobs/{names[-1]}"]


async def test_with_time_a_few_are_left_again_and_never_more_than_at_first() -> None:
    place = Place()

    async def pods_deleted(jobs: int) -> int:
        place.api.requests.clear()
        for number in range(jobs):
            await place.removal.remove_one_of_few(place.job(f"{place.clock.now()}-{number}"))
        return sum(each.startswith("pods/") for each in place.deleted())

    assert await pods_deleted(LEFT_AT_ONCE + 2) == 2
    await place.clock.advance(2.5 / LEFT_PER_SECOND)
    assert await pods_deleted(3) == 1
    await place.clock.advance(3600)
    assert await pods_deleted(LEFT_AT_ONCE + 2) == 2


@pytest.mark.parametrize(
    "pod",
    [
        {"managed_by": None},  # the built-in controller would make another
        {"phase": "Running"},
        {"finalizers": [TRACKING_FINALIZER]},  # its result is not on record yet
    ],
)
async def test_a_pod_that_somebody_needs_is_left_alone(pod: Obj) -> None:
    place = Place()
    await place.removal.remove(place.job("j", **pod))
    assert place.deleted() == ["jobs/j"]


async def test_a_pod_that_is_being_deleted_is_not_deleted_again() -> None:
    place = Place()
    job = place.job("j", finalizers=["somebody/else"])
    await place.client.delete(PODS, "j", namespace="ns")
    place.store.remember_created(await place.client.get(PODS, "j", namespace="ns"))
    place.api.requests.clear()
    await place.removal.remove(job)
    assert place.deleted() == ["jobs/j"]


async def test_another_pod_and_another_job_of_the_name_stay() -> None:
    place = Place()
    job = place.job("j")
    for resource, kind in ((PODS, "Pod"), (JOBS, "Job")):
        place.api.remove(resource, "ns", "j")
        place.api.add({"kind": kind, "metadata": {"namespace": "ns", "name": "j"}, "spec": {}})
    await place.removal.remove(job)
    assert place.deleted() == ["pods/j", "jobs/j"]
    assert [len(place.api.all(resource)) for resource in (PODS, JOBS)] == [1, 1]
