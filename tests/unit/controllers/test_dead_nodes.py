"""A cluster node that is gone for good: whoever deletes its Pods by force says so, and their attempts are over."""

from collections.abc import AsyncIterator

import pytest
from support.job_controller import JobController
from support.kubelet import Fate
from support.rig import NAMESPACE, Rig
from weft.kube.resources import PODS


@pytest.fixture(params=["managedBy", "builtin"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    rig = Rig(job_controller=request.param)
    controller = JobController(rig.api, rig.clock)
    yield rig
    await controller.close()
    await rig.close()


async def lost(rig: Rig) -> None:
    """A run whose first Pod is on a node that does not answer any more."""
    rig.behave = lambda node, attempt: Fate(1e7, deaf=True) if attempt == 1 else Fate()
    rig.workflow("w", "{nodes: [{name: a, job: {image: i}}], jobs: {keep: All}}")
    await rig.up()
    rig.start("w")
    await rig.clock.advance(10)


def delete_by_force(rig: Rig) -> None:
    (pod,) = rig.api.all(PODS)
    name = pod["metadata"]["name"]
    if not pod["metadata"].get("deletionTimestamp"):
        rig.api.remove(PODS, NAMESPACE, name)
    rig.api.edit(PODS, NAMESPACE, name, lambda it: it["metadata"].update(deletionGracePeriodSeconds=0))


async def test_a_pod_deleted_by_force_is_a_disruption(rig: Rig) -> None:
    await lost(rig)
    delete_by_force(rig)
    await rig.wait(rig.ended, seconds=10)
    assert (rig.nodes(), rig.first_node()["attempts"]) == ({"a": "Succeeded"}, 2)
    await rig.clock.advance(5)
    (pod,) = rig.api.all(PODS)  # the first is let go of
    assert pod["status"]["phase"] == "Succeeded"


async def test_a_run_that_waits_for_such_a_pod_to_stop_ends(rig: Rig) -> None:
    await lost(rig)
    rig.edit(stop="Terminate")
    await rig.clock.advance(600)
    assert rig.phase() == "Running"  # its Pod may still work
    delete_by_force(rig)
    await rig.wait(rig.ended, seconds=10)
    assert rig.phase() == "Cancelled"


async def test_one_deleted_in_order_is_waited_for(rig: Rig) -> None:
    """Nobody has said that its node is dead: it may answer again, and the Pod work till then."""
    await lost(rig)
    (pod,) = rig.api.all(PODS)
    rig.api.remove(PODS, NAMESPACE, pod["metadata"]["name"])
    await rig.clock.advance(600)
    assert rig.nodes() == {"a": "Running"}
