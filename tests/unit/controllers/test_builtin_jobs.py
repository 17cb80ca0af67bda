"""Jobs that the built-in controller carries out, for Kueue above all: they are queued, preempted and admitted again."""

from collections.abc import AsyncIterator

import pytest
from support.asked import Asked
from support.job_controller import JobController
from support.kubelet import Fate
from support.rig import NAMESPACE, Rig, most_at_once
from weft.api.objects import Obj
from weft.kube.resources import JOBS, PODS, Resource
from weft.render.facts import condition

KUEUE = "job: {image: i, labels: {kueue.x-k8s.io/queue-name: q}}"
ONE = f"{{nodes: [{{name: a, {KUEUE}}}], jobs: {{keep: All}}}}"
IMPATIENT = f"nodes: [{{name: a, pendingTimeoutSeconds: 60, {KUEUE}}}]"
PLAIN = "{nodes: [{name: a, job: {image: i}}], jobs: {keep: All}}"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A cluster without an operator, with a controller of the Jobs that Weft leaves alone."""
    rig = Rig(job_controller="builtin")
    controller = JobController(rig.api, rig.clock)
    yield rig
    await controller.close()
    await rig.close()


async def begin(rig: Rig, spec: str, *, seconds: float) -> None:
    rig.workflow("w", spec)
    await rig.up()
    rig.start("w")
    await rig.clock.advance(seconds)


async def running(rig: Rig, *, seconds: float = 60) -> None:
    """A run whose one Pod, of Kueue, works."""
    rig.behave = lambda node, attempt: Fate(seconds)
    await begin(rig, ONE, seconds=3)
    admit(rig)
    await rig.clock.advance(10)
    assert phases(rig) == ["Running"]


def admit(rig: Rig, *, suspend: bool = False) -> None:
    """Kueue has room for every Job."""
    for job in rig.api.all(JOBS):
        rig.api.edit(JOBS, NAMESPACE, job["metadata"]["name"], lambda it: it["spec"].update(suspend=suspend))


def preempt(rig: Rig) -> None:
    """Kueue needs the room of every Job."""
    admit(rig, suspend=True)


def phases(rig: Rig) -> list[str]:
    return [pod["status"]["phase"] for pod in rig.api.all(PODS)]


def told(rig: Rig) -> str:
    message: str = condition(rig.run()["status"], "Succeeded")["message"]
    return message


def pods_made(rig: Rig) -> int:
    return sum(event.resource is PODS and event.type == "ADDED" for event in rig.api.history)


def the_pod(rig: Rig) -> Obj:
    (pod,) = rig.api.all(PODS)
    return pod


def delete_pod(rig: Rig) -> None:
    rig.api.remove(PODS, NAMESPACE, the_pod(rig)["metadata"]["name"])


# --- in Kueue's queue


@pytest.mark.parametrize("stop", ["Cancel", "Terminate"])
async def test_a_run_that_kueue_has_not_admitted_is_stopped_at_once(rig: Rig, stop: str) -> None:
    await begin(rig, ONE, seconds=30)
    rig.edit(stop=stop)
    await rig.wait(rig.ended, seconds=5)
    assert (rig.phase(), rig.nodes()) == ("Cancelled", {"a": "Cancelled(Stopped)"})
    assert rig.api.all(JOBS) == []  # so that nothing comes of it when there is room


async def test_kueue_s_queue_is_waited_in_as_long_as_for_any_pod(rig: Rig) -> None:
    await begin(rig, IMPATIENT, seconds=50)
    assert rig.nodes() == {"a": "Running(WaitingForPod)"}
    assert "Job suspended" in told(rig)
    await rig.clock.advance(20)
    assert rig.nodes() == {"a": "Failed(PendingTimeout)"}
    assert "Job suspended" in rig.first_node()["message"]
    assert rig.api.all(JOBS) == []


async def test_one_that_is_admitted_in_time_runs(rig: Rig) -> None:
    await begin(rig, IMPATIENT, seconds=50)
    admit(rig)
    await rig.wait(rig.ended, seconds=10)
    assert rig.nodes() == {"a": "Succeeded"}


async def test_the_next_attempt_is_queued_when_the_job_before_is_gone(rig: Rig) -> None:
    retry = "retry: {limit: 1, backoff: {initialSeconds: 1, jitter: 0}}"
    await begin(rig, f"nodes: [{{name: a, pendingTimeoutSeconds: 60, {retry}, {KUEUE}}}]", seconds=100)
    assert len(rig.api.all(JOBS)) == 1
    admit(rig)
    await rig.wait(rig.ended, seconds=10)
    assert (rig.nodes(), rig.first_node()["attempts"], most_at_once(rig)) == ({"a": "Succeeded"}, 2, 1)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("requests", range(1, 9))
@pytest.mark.parametrize("spec", [ONE, IMPATIENT])
async def test_an_operator_that_dies_while_it_stops_a_queued_job_stops_it_after_all(
    rig: Rig, spec: str, requests: int, late: bool
) -> None:
    await begin(rig, spec, seconds=50)
    rig.crash_after(requests, late=late)
    if spec is ONE:
        rig.edit(stop="Cancel")
    await rig.wait(rig.ended, seconds=5 if spec is ONE else 90)
    assert rig.nodes() == {"a": "Cancelled(Stopped)" if spec is ONE else "Failed(PendingTimeout)"}
    await rig.wait(lambda: bool(rig.crashes), seconds=120)
    await rig.clock.advance(30)
    assert (rig.api.all(JOBS), set(rig.jobs_made().values())) == ([], {1})


async def test_a_pod_that_a_job_is_given_as_it_is_stopped_is_waited_for(rig: Rig) -> None:
    """The operator has looked for Pods, found none, and is about to delete the Job."""
    rig.behave = lambda node, attempt: Fate(1e7, deaf=True)
    await begin(rig, ONE, seconds=30)

    async def admitted(asked: Asked) -> None:
        if (asked.method, asked.resource) == ("DELETE", JOBS):
            rig.api.hold_watches(PODS)
            admit(rig)
            await rig.clock.sleep(3)

    rig.api.before.append(admitted)
    rig.edit(stop="Cancel")
    await rig.clock.advance(60)
    assert (rig.phase(), phases(rig), rig.api.all(JOBS)) == ("Running", ["Running"], [])
    rig.api.release_watches()
    rig.kubelet.calm.set()
    await rig.wait(rig.ended, seconds=5)
    assert rig.phase() == "Cancelled"


async def test_a_stop_does_not_wait_for_the_news_of_the_job_s_deletion(rig: Rig) -> None:
    await begin(rig, ONE, seconds=30)
    rig.api.hold_watches(JOBS)
    rig.edit(stop="Cancel")
    await rig.wait(rig.ended, seconds=5)
    assert (rig.phase(), rig.api.all(JOBS)) == ("Cancelled", [])


# --- stopped before, and after, its Pod got a cluster node


async def test_a_job_whose_pod_has_no_cluster_node_is_deleted_by_a_stop(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(bind=1e7)
    await begin(rig, PLAIN, seconds=10)
    assert phases(rig) == ["Pending"]
    rig.edit(stop="Cancel")
    await rig.wait(rig.ended, seconds=5)
    await rig.clock.advance(5)
    assert (rig.phase(), rig.api.all(JOBS), rig.api.all(PODS)) == ("Cancelled", [], [])
    assert set(rig.jobs_made().values()) == {1}


async def test_the_logs_of_one_that_ran_stay(rig: Rig) -> None:
    await running(rig)
    rig.edit(stop="Cancel")
    await rig.wait(rig.ended, seconds=5)
    await rig.clock.advance(2)
    assert (rig.phase(), the_pod(rig)["status"]["reason"]) == ("Cancelled", "DeadlineExceeded")
    (job,) = rig.api.all(JOBS)
    assert condition(job["status"], "Failed")


# --- preempted by Kueue


async def test_a_preempted_job_runs_again_as_the_same_attempt(rig: Rig) -> None:
    await running(rig)
    preempt(rig)
    await rig.clock.advance(40)
    assert rig.nodes() == {"a": "Running(WaitingForPod)"}
    assert "Job suspended" in told(rig)
    admit(rig)
    await rig.clock.advance(2)
    assert rig.nodes() == {"a": "Running"}
    await rig.wait(rig.ended, seconds=80)
    assert (rig.nodes(), rig.first_node()["attempts"]) == ({"a": "Succeeded"}, 1)
    assert (most_at_once(rig), len(rig.api.all(JOBS))) == (1, 1)


async def test_so_does_one_that_is_admitted_again_before_its_pod_has_ended(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(60, deaf=True)
    await begin(rig, ONE, seconds=3)
    admit(rig)
    await rig.clock.advance(10)
    preempt(rig)
    await rig.clock.advance(2)
    admit(rig)
    await rig.clock.advance(5)
    assert phases(rig) == ["Running"]
    rig.kubelet.calm.set()
    await rig.wait(rig.ended, seconds=80)
    assert (rig.nodes(), rig.first_node()["attempts"], most_at_once(rig)) == ({"a": "Succeeded"}, 1, 1)


async def test_so_does_one_whose_pod_had_no_cluster_node(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(bind=20)
    await begin(rig, ONE, seconds=3)
    admit(rig)
    await rig.clock.advance(5)
    preempt(rig)
    await rig.clock.advance(5)
    admit(rig)
    await rig.wait(rig.ended, seconds=60)
    assert (rig.nodes(), rig.first_node()["attempts"], most_at_once(rig)) == ({"a": "Succeeded"}, 1, 1)


@pytest.mark.parametrize("late", [JOBS, PODS])
async def test_the_news_of_a_preemption_come_in_any_order(rig: Rig, late: Resource) -> None:
    await running(rig)
    rig.api.hold_watches(late)
    preempt(rig)
    await rig.clock.advance(5)
    rig.api.release_watches()
    await rig.clock.advance(5)
    admit(rig)
    await rig.wait(rig.ended, seconds=80)
    assert (rig.nodes(), rig.first_node()["attempts"], most_at_once(rig)) == ({"a": "Succeeded"}, 1, 1)


async def test_a_preempted_job_that_is_never_admitted_again_is_given_up(rig: Rig) -> None:
    await running(rig)
    preempt(rig)
    await rig.clock.advance(590)
    assert rig.phase() == "Running"
    await rig.clock.advance(30)
    assert (rig.nodes(), rig.api.all(JOBS)) == ({"a": "Failed(PendingTimeout)"}, [])


@pytest.mark.parametrize("seconds", [0.0, 0.25, 1.0, 5.0])
async def test_a_job_that_is_preempted_as_it_is_stopped_does_not_come_back(rig: Rig, seconds: float) -> None:
    await running(rig)
    rig.edit(stop="Cancel")
    await rig.clock.advance(seconds)
    preempt(rig)
    await rig.wait(rig.ended, seconds=10)
    assert rig.phase() == "Cancelled"
    admit(rig)
    await rig.clock.advance(10)
    assert pods_made(rig) == 1


@pytest.mark.parametrize("seconds", [0.25, 0.75, 1.5, 5.0])
async def test_a_job_that_is_stopped_as_it_is_preempted_does_not_come_back(rig: Rig, seconds: float) -> None:
    await running(rig)
    preempt(rig)
    await rig.clock.advance(seconds)
    rig.edit(stop="Cancel")
    await rig.wait(rig.ended, seconds=10)
    assert rig.phase() == "Cancelled"
    admit(rig)
    await rig.clock.advance(10)
    assert pods_made(rig) == 1


async def test_a_stop_does_not_wait_for_a_preempted_pod_to_delete_its_job(rig: Rig) -> None:
    """Else Kueue could admit it again before."""
    rig.behave = lambda node, attempt: Fate(60, deaf=True)
    await begin(rig, ONE, seconds=3)
    admit(rig)
    await rig.clock.advance(10)
    preempt(rig)
    await rig.clock.advance(2)
    rig.api.hold_watches(JOBS)
    rig.edit(stop="Cancel")
    await rig.clock.advance(5)
    assert (rig.phase(), phases(rig), rig.api.all(JOBS)) == ("Running", ["Running"], [])
    rig.kubelet.calm.set()
    await rig.wait(rig.ended, seconds=5)
    assert (rig.phase(), len(rig.api.asked("DELETE", "jobs"))) == ("Cancelled", 1)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("requests", range(1, 11))
async def test_an_operator_that_dies_over_a_preemption_makes_no_second_pod(rig: Rig, requests: int, late: bool) -> None:
    await running(rig)
    rig.crash_after(requests, late=late)
    preempt(rig)
    await rig.wait(lambda: told(rig).endswith("Job suspended"), seconds=120)
    admit(rig)
    await rig.wait(rig.ended, seconds=120)
    assert (rig.nodes(), rig.first_node()["attempts"], most_at_once(rig)) == ({"a": "Succeeded"}, 1, 1)
    assert (rig.crashes, set(rig.jobs_made().values())) == (1, {1})


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("requests", range(1, 7))
async def test_an_operator_that_dies_as_it_stops_a_preempted_job_leaves_none(
    rig: Rig, requests: int, late: bool
) -> None:
    await running(rig)
    rig.crash_after(requests, late=late)
    rig.edit(stop="Cancel")
    await rig.clock.advance(0.25)
    preempt(rig)
    await rig.wait(lambda: bool(rig.crashes), seconds=10)
    await rig.wait(rig.ended, seconds=30)
    admit(rig)
    await rig.clock.advance(10)
    assert (rig.phase(), pods_made(rig)) == ("Cancelled", 1)


# --- Pods that somebody deletes


async def test_a_pod_that_somebody_deletes_is_a_disruption(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(30)
    await begin(rig, PLAIN, seconds=10)
    delete_pod(rig)
    await rig.wait(rig.ended, seconds=60)
    assert (rig.nodes(), rig.first_node()["attempts"], most_at_once(rig)) == ({"a": "Succeeded"}, 2, 1)
    assert condition(rig.api.all(JOBS)[0]["status"], "Failed")


async def test_the_next_attempt_of_one_without_a_cluster_node_does_not_wait_for_the_pod_collector(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(bind=1e7 if attempt == 1 else 0)
    await begin(rig, PLAIN, seconds=10)
    delete_pod(rig)
    await rig.wait(rig.ended, seconds=10)
    assert (rig.nodes(), rig.first_node()["attempts"], most_at_once(rig)) == ({"a": "Succeeded"}, 2, 1)
    await rig.clock.advance(30)
    assert len(rig.api.all(JOBS)) == 1  # the first would have been given another Pod, or hung


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("requests", range(1, 8))
async def test_an_operator_that_dies_over_a_deleted_pod_makes_no_second_one(
    rig: Rig, requests: int, late: bool
) -> None:
    rig.behave = lambda node, attempt: Fate(bind=1e7 if attempt == 1 else 0)
    await begin(rig, PLAIN, seconds=10)
    rig.crash_after(requests, late=late)
    delete_pod(rig)
    await rig.wait(rig.ended, seconds=60)
    assert (rig.nodes(), most_at_once(rig), set(rig.jobs_made().values())) == ({"a": "Succeeded"}, 1, {1})
    await rig.wait(lambda: bool(rig.crashes), seconds=5)


async def test_a_pod_that_is_torn_out_is_made_again_by_its_job(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(30)
    await begin(rig, PLAIN, seconds=10)
    rig.tear_out(the_pod(rig))
    await rig.wait(rig.ended, seconds=60)
    assert (rig.nodes(), rig.first_node()["attempts"], most_at_once(rig)) == ({"a": "Succeeded"}, 1, 1)
