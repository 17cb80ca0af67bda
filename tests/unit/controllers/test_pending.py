"""Pods that do not run: the run says so, and why, and gives up after `pendingTimeoutSeconds`, whoever is silent."""

from typing import Any

import pytest
from support.asked import Asked
from support.kubelet import Fate
from support.rig import Rig
from support.transport import over_quota
from weft.kube.resources import JOBS, PODS

TIMES_OUT = "nodes: [{name: a, pendingTimeoutSeconds: 30, job: {image: i}}]"


async def test_a_pod_that_nobody_takes_is_given_up(rig: Rig) -> None:
    """No scheduler bears the name it asks for: after its creation nothing is ever heard of it."""
    rig.behave = lambda node, attempt: Fate(bind=1e7)
    rig.workflow("w", TIMES_OUT)
    await rig.up()
    rig.start("w")
    await rig.clock.advance(29)
    assert rig.nodes() == {"a": "Running"}
    await rig.clock.advance(4)
    assert rig.nodes() == {"a": "Failed(PendingTimeout)"}
    assert rig.first_node()["message"].endswith("the Pod waits for the scheduler")


async def test_so_is_one_that_is_given_hardly_any_time(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(bind=1e7)
    rig.workflow("w", "nodes: [{name: a, pendingTimeoutSeconds: 1, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.clock.advance(5)
    assert rig.nodes() == {"a": "Failed(PendingTimeout)"}


@pytest.mark.parametrize("written", [True, False])
async def test_a_job_that_is_given_no_pod_is_given_up(written: bool) -> None:
    """Quota or admission refuse the Pod to the built-in controller, which tells it in Events only."""
    rig = Rig(job_controller="builtin")
    rig.workflow("w", TIMES_OUT)
    await rig.up()
    rig.start("w")
    await rig.clock.advance(2)
    (job,) = rig.api.all(JOBS)
    name = job["metadata"]["name"]
    if written:
        rig.api.edit(JOBS, "n", name, lambda job: job.update(status={"startTime": "2023-11-14T22:13:21Z", "active": 0}))
    await rig.clock.advance(35)
    assert rig.api.all(JOBS) == []  # no Pod will come of it
    assert rig.nodes() == {"a": "Failed(PendingTimeout)"}
    assert "the Job has no Pod" in rig.first_node()["message"]
    await rig.close()


@pytest.mark.parametrize(
    ("fate", "said"),
    [
        (Fate(bind=1e7), "a waits for its Pod: the Pod waits for the scheduler"),
        (Fate(waits="ContainerCreating", pending=1e7), "a waits for its Pod: the Pod is starting on cluster node"),
    ],
)
async def test_a_pod_that_takes_long_is_told_of(rig: Rig, fate: Fate, said: str) -> None:
    """A volume that cannot be mounted looks like this for as long as it lasts."""
    rig.behave = lambda node, attempt: fate
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.clock.advance(25)
    assert rig.nodes() == {"a": "Running"}
    assert message(rig) == "0 of 1 nodes done"
    await rig.clock.advance(10)
    assert rig.nodes() == {"a": "Running(WaitingForPod)"}
    assert said in message(rig)
    await rig.down()
    await rig.up()
    await rig.clock.advance(5)
    assert said in message(rig)


PULL = "ImagePullFailed: image i cannot be pulled: ErrImagePull"


@pytest.mark.parametrize("crash", [False, True], ids=["calm", "after a crash"])
@pytest.mark.parametrize(
    ("fate", "waited"),
    [
        (Fate(bind=1e7), "the Pod waits for the scheduler"),
        (Fate(waits="ErrImagePull", pending=1e7), PULL),
        (Fate(waits="Unschedulable", pending=1e7), "Unschedulable: no cluster node can run the Pod: "),
    ],
    ids=["scheduler", "image", "unschedulable"],
)
@pytest.mark.parametrize(
    ("field", "late"),
    [
        ("timeoutSeconds", "attempt 1 took longer than timeoutSeconds (15 s); it"),
        ("deadlineSeconds", "took longer than deadlineSeconds (15 s) in all; attempt 1"),
    ],
)
async def test_what_took_too_long_to_start_says_what_it_waited_for(
    rig: Rig, field: str, late: str, fate: Fate, waited: str, crash: bool
) -> None:
    """Its Pod has gone by then: nobody can look at it any more."""
    rig.behave = lambda node, attempt: fate
    rig.workflow("w", f"nodes: [{{name: a, {field}: 15, job: {{image: i}}}}]")
    await rig.up()
    rig.start("w")
    await rig.clock.advance(10)
    if crash:
        await rig.down()
        await rig.up()
    await rig.wait(rig.ended, seconds=30)
    assert rig.nodes() == {"a": "Failed(DeadlineExceeded)"}
    assert rig.first_node()["message"].startswith(f"{late} had not started: {waited}")


@pytest.mark.parametrize("field", ["timeoutSeconds", "deadlineSeconds"])
async def test_what_ran_and_took_too_long_says_no_more_than_that(rig: Rig, field: str) -> None:
    rig.behave = lambda node, attempt: Fate(bind=2, pending=2, seconds=1e7)
    rig.workflow("w", f"nodes: [{{name: a, {field}: 15, job: {{image: i}}}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(rig.ended, seconds=60)
    assert rig.nodes() == {"a": "Failed(DeadlineExceeded)"}
    assert rig.first_node()["message"].removesuffix(" in all").endswith(f"took longer than {field} (15 s)")


async def test_nothing_is_told_of_it_once_it_runs(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(bind=40, seconds=60)
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.clock.advance(35)
    assert rig.nodes() == {"a": "Running(WaitingForPod)"}
    await rig.clock.advance(15)
    assert rig.nodes() == {"a": "Running"}
    assert message(rig) == "0 of 1 nodes done"


async def test_items_whose_pods_take_long_are_told_of(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(bind=1e7)
    rig.workflow("w", "nodes: [{name: a, forEach: {range: 2}, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.clock.advance(35)
    assert "a waits for its Pod: the Pod waits for the scheduler" in message(rig)


@pytest.mark.parametrize("stop", ["Cancel", "Terminate"])
async def test_a_run_is_stopped_at_once_although_a_volume_cannot_be_mounted(rig: Rig, stop: str) -> None:
    """The kubelet waits two minutes for volumes before it looks at deadlines again."""
    rig.behave = lambda node, attempt: Fate(waits="ContainerCreating", pending=120)
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.clock.advance(20)
    rig.edit(stop=stop)
    await rig.clock.advance(3)
    assert rig.nodes() == {"a": "Cancelled(Stopped)"}
    assert rig.phase() == "Cancelled"
    await rig.clock.advance(3)
    assert rig.api.all(PODS) == []


async def test_so_is_one_given_up_that_has_no_more_time_for_it(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(waits="ContainerCreating", pending=120)
    rig.workflow("w", TIMES_OUT)
    await rig.up()
    rig.start("w")
    await rig.clock.advance(33)
    assert rig.nodes() == {"a": "Failed(PendingTimeout)"}
    assert "within pendingTimeoutSeconds (30 s): the Pod is starting on cluster node" in rig.first_node()["message"]


async def test_a_pod_whose_containers_may_have_begun_is_not_deleted_with_its_logs(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(waits="ErrImagePull", pending=120)
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.clock.advance(20)
    rig.edit(stop="Cancel")
    await rig.clock.advance(3)
    assert rig.nodes() == {"a": "Cancelled(Stopped)"}
    assert len(rig.api.all(PODS)) == 1


@pytest.mark.parametrize("plural", ["jobs", "pods"])
async def test_what_a_quota_refuses_is_pending_until_there_is_room(rig: Rig, plural: str) -> None:
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    rig.api.fail(over_quota(), method="POST", plural=plural, times=4)
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: rig.first_node().get("reason") == "QuotaExceeded")
    assert rig.nodes() == {"a": "Pending(QuotaExceeded)"}
    assert rig.run()["status"]["counts"] == {"pending": 1, "running": 0, "succeeded": 0, "failed": 0, "skipped": 0}
    await rig.down()
    await rig.up()
    await rig.wait(rig.ended, seconds=60)
    assert (rig.nodes(), rig.first_node()["attempts"]) == ({"a": "Succeeded"}, 1)
    assert set(rig.jobs_made().values()) == {1}


async def test_a_job_that_admission_suspends_is_waited_for_and_given_up(rig: Rig) -> None:
    suspend_jobs(rig)
    rig.workflow("w", TIMES_OUT.replace("30", "60"))
    await rig.up()
    rig.start("w")
    await rig.clock.advance(40)
    assert rig.nodes() == {"a": "Running(WaitingForPod)"}
    assert "the Job is suspended" in message(rig)
    await rig.clock.advance(30)
    assert rig.nodes() == {"a": "Failed(PendingTimeout)"}
    assert "the Job is suspended" in rig.first_node()["message"]


async def test_once_its_suspension_ends_it_gets_its_pod(rig: Rig) -> None:
    suspend_jobs(rig)
    rig.workflow("w", TIMES_OUT)
    await rig.up()
    rig.start("w")
    await rig.clock.advance(20)
    looked = len(rig.api.asked("GET", "jobs"))
    await rig.clock.advance(5)
    assert len(rig.api.asked("GET", "jobs")) == looked  # its own news will tell
    (job,) = rig.api.all(JOBS)
    rig.api.edit(JOBS, "n", job["metadata"]["name"], lambda it: it["spec"].update(suspend=False))
    await rig.wait(rig.ended, seconds=5)
    assert rig.nodes() == {"a": "Succeeded"}


def suspend_jobs(rig: Rig) -> None:
    """A mutating webhook, as Kueue's, suspends every Job that is made."""

    def webhook(asked: Asked) -> None:
        if (asked.method, asked.resource) == ("POST", JOBS):
            asked.body["spec"]["suspend"] = True

    rig.api.before.append(webhook)


def message(rig: Rig) -> Any:
    (condition,) = (each for each in rig.run()["status"]["conditions"] if each["type"] == "Succeeded")
    return condition["message"]
