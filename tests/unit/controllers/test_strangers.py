"""A copy that somebody makes of an attempt's Job or Pod, in the run's own namespace, is not the attempt."""

from collections.abc import AsyncIterator
from copy import deepcopy

import pytest
from support.rig import NAMESPACE, Fate, Rig
from weft.api.objects import Obj
from weft.kube.resources import JOBS, PODS, Resource

ENDED = {"exitCode": 0, "reason": "Completed", "message": '{"a": 1}', "finishedAt": "2023-11-14T22:13:25Z"}
SUCCEEDED = {
    "phase": "Succeeded",
    "containerStatuses": [{"name": "main", "image": "i", "state": {"terminated": ENDED}}],
}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    rig.behave = lambda node, attempt: Fate(seconds=100)
    rig.workflow("w", "nodes: [{name: test, retry: {disruptions: 0}, job: {image: i}}]")
    rig.start("w")
    await rig.up()
    await rig.wait(lambda: rig.nodes() == {"test": "Running"})
    yield rig
    await rig.close()


def copied(rig: Rig, kind: Resource, *, owned: bool) -> None:
    """What `kubectl get -o yaml | kubectl create` makes of the one there is, under another name."""
    (there,) = rig.api.all(kind)
    kept: list[str] = ["labels", "annotations", *(["ownerReferences"] if owned else [])]
    metadata = {"name": "copy", "namespace": NAMESPACE, **{name: there["metadata"][name] for name in kept}}
    copy: Obj = {"apiVersion": there["apiVersion"], "kind": there["kind"], "metadata": metadata, "spec": there["spec"]}
    rig.api.add(deepcopy(copy))


async def test_a_copy_of_its_pod_tells_no_result(rig: Rig) -> None:
    """As `kubectl debug --copy-to=copy --keep-labels --keep-annotations` makes one."""
    copied(rig, PODS, owned=False)
    rig.api.edit(PODS, NAMESPACE, "copy", lambda pod: pod.update(status=SUCCEEDED))
    await rig.clock.advance(5)
    assert rig.nodes() == {"test": "Running"}
    await rig.wait(rig.ended, seconds=200)
    assert rig.first_node().get("outputs") is None


async def test_a_copy_of_its_job_that_is_deleted_costs_no_attempt(rig: Rig) -> None:
    copied(rig, JOBS, owned=True)
    await rig.clock.advance(5)
    rig.api.remove(JOBS, NAMESPACE, "copy")
    await rig.clock.advance(5)
    assert rig.nodes() == {"test": "Running"}
    await rig.wait(rig.ended, seconds=200)
    assert rig.phase() == "Succeeded"


async def test_a_copy_of_its_job_does_not_stand_for_it_after_a_restart(rig: Rig) -> None:
    copied(rig, JOBS, owned=True)
    await rig.clock.advance(5)
    await rig.down()
    (own,) = (job for job in rig.api.all(JOBS) if job["metadata"]["name"] != "copy")
    for pod in rig.api.all(PODS):
        rig.tear_out(pod)
    rig.api.remove(JOBS, NAMESPACE, own["metadata"]["name"])
    await rig.up()
    await rig.wait(rig.ended, seconds=60)
    assert rig.nodes() == {"test": "Failed(JobDeleted)"}


async def test_a_pod_that_its_deleted_job_has_left_behind_still_tells_its_result(rig: Rig) -> None:
    """As `kubectl delete job --cascade=orphan` leaves it: without an owner."""
    (pod,) = rig.api.all(PODS)
    rig.api.edit(PODS, NAMESPACE, pod["metadata"]["name"], lambda pod: pod["metadata"].pop("ownerReferences"))
    await rig.clock.advance(1)
    for job in rig.api.all(JOBS):
        rig.api.remove(JOBS, NAMESPACE, job["metadata"]["name"])
    await rig.wait(rig.ended, seconds=200)
    assert rig.phase() == "Succeeded"
