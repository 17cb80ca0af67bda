"""What holds when something that cannot be has happened all the same: a status of another hand, a Pod too many."""

import pytest
from support.asked import Asked
from support.kubelet import GRACE_SECONDS
from support.rig import NAMESPACE, Fate, Rig, most_at_once
from support.transport import over_quota, status
from weft.api.conditions import Reason
from weft.api.objects import Obj
from weft.kube.resources import CONFIG_MAPS, CONTROLLER_REVISIONS, JOBS, PODS, WORKFLOW_RUNS, WORKFLOWS, Resource
from weft.kube.transport import Dropped, Response
from weft.render.job_status import failed_status
from weft.render.names import ATTEMPT_LABEL
from weft.render.observe import pod_fact

CHAIN = "nodes: [{name: a, job: {image: i}}, {name: b, dependsOn: [a], job: {image: i}}]"


def _living(rig: Rig) -> list[str]:
    ended = ("Succeeded", "Failed")
    return [pod["metadata"]["name"] for pod in rig.api.all(PODS) if pod.get("status", {}).get("phase") not in ended]


def _living_beside_new_pods(rig: Rig) -> list[list[str]]:
    """A list that gets the Pods that run each time when one more is made."""
    beside: list[list[str]] = []

    async def look(asked: Asked) -> None:
        if asked.method == "POST" and asked.resource is PODS:
            beside.append(_living(rig))

    rig.api.before.append(look)
    return beside


async def test_a_status_that_somebody_else_has_written_is_gone_on_from_not_written_over(rig: Rig) -> None:
    """The write of an operator that is dead by now may still arrive: here, that the run was cancelled."""
    rig.behave = lambda node, attempt: Fate(seconds=5 if node == "a" else 3000)
    rig.workflow("w", CHAIN)
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: bool(rig.api.all(PODS)) and rig.nodes()["a"] == "Running")
    ended = {"status": "True", "reason": "Cancelled", "message": "", "lastTransitionTime": "2023-11-14T22:13:21Z"}
    theirs = {
        "phase": "Cancelled",
        "conditions": [{"type": "Finished"} | ended],
        "completionTime": "2023-11-14T22:13:21.000Z",
        "state": {"stage": "Finished", "outcome": "Cancelled", "clockStartTime": "2023-11-14T22:13:20.000Z"},
        "nodes": [{"name": name, "phase": "Cancelled", "completionTime": "2023-11-14T22:13:21.000Z"} for name in "ab"],
    }
    rig.api.edit(WORKFLOW_RUNS, NAMESPACE, "r", lambda run: run["status"].update(theirs))
    await rig.clock.advance(60)
    assert rig.phase() == "Cancelled"
    assert rig.nodes() == {"a": "Cancelled", "b": "Cancelled"}
    assert _living(rig) == []


async def test_an_attempt_waits_for_the_pod_of_the_one_before(rig: Rig) -> None:
    """A status that says that an attempt is over, and its Pod that runs on."""
    await _told_to_have_failed(rig)
    beside = _living_beside_new_pods(rig)
    await rig.up()
    await rig.wait(rig.ended)
    assert rig.nodes() == {"a": "Succeeded"}
    assert beside == [[]]


@pytest.mark.parametrize("grace", [0, GRACE_SECONDS, 12])
async def test_it_starts_as_soon_as_that_pod_has_ended(rig: Rig, grace: float) -> None:
    """However soon that is, and though it would be looked at by itself only half a minute after it was held back."""
    await _told_to_have_failed(rig, grace=grace)
    await rig.up()
    await rig.wait(lambda: any(pod_fact(pod).ended for pod in rig.api.all(PODS)), seconds=20, step=0.1)
    await rig.clock.advance(0.5)
    assert len(rig.jobs_made()) == 2


async def _told_to_have_failed(rig: Rig, *, grace: float = GRACE_SECONDS) -> None:
    """The operator is gone; a status says that the first attempt is over and the next one due, and its Pod runs on."""
    rig.behave = lambda node, attempt: Fate(seconds=3000 if attempt == 1 else 1, grace=grace)
    rig.workflow("w", "nodes: [{name: a, retry: {limit: 1, backoff: {initialSeconds: 1}}, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: bool(rig.api.all(PODS)) and rig.nodes()["a"] == "Running")
    await rig.down()

    def say_it_has_failed(run: Obj) -> None:
        (node,) = run["status"]["nodes"]
        node |= {"phase": "Waiting", "reason": "BackOff", "stage": "Backoff", "failures": 1}
        node["nextTime"] = "2023-11-14T22:13:20.000Z"

    rig.api.edit(WORKFLOW_RUNS, NAMESPACE, "r", say_it_has_failed)


async def test_a_pod_that_nobody_wants_any_more_counts_until_it_has_ended(rig: Rig) -> None:
    """A status says that its node has failed: the next one starts when the Pod has ended, for only one may run."""
    rig.behave = lambda node, attempt: Fate(seconds=3000 if node == "a" else 1)
    two = "nodes: [{name: a, job: {image: i}}, {name: b, job: {image: i}}]"
    rig.workflow("w", f"{{{two}, parallelism: 1, failurePolicy: Continue}}")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: bool(rig.api.all(PODS)) and rig.nodes()["a"] == "Running")

    def say_it_has_failed(run: Obj) -> None:
        failed = {"name": "a", "phase": "Failed", "reason": "Error", "attempts": 1}
        times = dict.fromkeys(("startTime", "completionTime"), "2023-11-14T22:13:21.000Z")
        run["status"]["nodes"] = [failed | times, {"name": "b", "phase": "Pending"}]

    rig.api.edit(WORKFLOW_RUNS, NAMESPACE, "r", say_it_has_failed)
    beside = _living_beside_new_pods(rig)
    await rig.wait(rig.ended)
    assert rig.nodes() == {"a": "Failed(Error)", "b": "Succeeded"}
    assert beside == [[]]


async def test_a_pod_that_no_status_tells_of_is_not_forgotten_because_a_quota_refuses_its_job() -> None:
    """After a restart the Job is asked for again; the quota answers before the API server sees that it is there."""
    rig = Rig(status_interval_seconds=60.0)
    rig.behave = lambda node, attempt: Fate(seconds=3000)
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: rig.api.all(PODS) != [])
    await rig.down()
    rig.api.fail(over_quota(), method="POST", plural="jobs", times=100)
    await rig.up()
    await rig.clock.advance(1)
    rig.edit(stop="Cancel")
    await rig.wait(rig.ended, seconds=30)
    assert _living(rig) == []
    await rig.close()


async def test_an_end_that_was_heard_while_the_pod_was_still_being_read_is_not_forgotten(rig: Rig) -> None:
    """A stop asks for the Pods of a Job that is gone; before the answer comes, the watch tells that the Pod is gone."""
    rig.behave = lambda node, attempt: Fate(waits="ErrImagePull", pending=10_000)
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: rig.first_node().get("pending") is not None)
    await rig.down()
    (job,), (pod,) = rig.api.all(JOBS), rig.api.all(PODS)
    rig.api.remove(JOBS, NAMESPACE, job["metadata"]["name"])
    rig.edit(stop="Cancel")

    async def vanish(asked: Asked) -> None:
        if asked.resource is PODS and ATTEMPT_LABEL in asked.params.get("labelSelector", ""):
            await rig.clock.sleep(1)
            rig.api.edit(PODS, NAMESPACE, pod["metadata"]["name"], lambda it: it["metadata"].pop("finalizers", None))
            await rig.clock.sleep(1)

    rig.api.after.append(vanish)
    await rig.up()
    await rig.wait(rig.ended, seconds=60)
    assert rig.phase() == "Cancelled"


async def test_an_attempt_whose_pod_was_torn_out_gets_none_beside_its_successor(rig: Rig) -> None:
    """No status tells of the second attempt: only its Job does."""
    rig.behave = lambda node, attempt: Fate(seconds=2, vanish=attempt == 1)
    rig.workflow("w", "nodes: [{name: a, retry: {disruptions: 1}, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: rig.first_node().get("attempts") == 1)

    async def die(asked: Asked) -> None:
        if asked.method == "POST" and asked.resource is PODS:
            rig.crash_after(1)

    rig.api.after.append(die)
    await rig.wait(lambda: len(rig.jobs_made()) == 2)
    rig.api.after.remove(die)
    await rig.wait(rig.ended)
    assert rig.phase() == "Succeeded"
    assert rig.first_node()["attempts"] == 2
    assert len([event for event in rig.api.history if event.resource is PODS and event.type == "ADDED"]) == 2


async def test_a_later_node_that_is_over_does_not_keep_the_key_that_an_earlier_one_needs_again() -> None:
    """Both had had their turns and no status told of it; then the first one's Job and Pod were deleted."""
    rig = Rig(status_interval_seconds=60.0)
    rig.behave = lambda node, attempt: Fate(seconds=0.2)
    keyed = "job: {image: i}, concurrency: {key: k}"
    rig.workflow("w", f"nodes: [{{name: a, {keyed}}}, {{name: b, dependsOn: [a], {keyed}}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 2, step=0.05)
    await rig.down()
    await rig.clock.advance(5)
    (job,) = [job for job in rig.api.all(JOBS) if job["metadata"]["labels"]["weft.dev/node"] == "a"]
    (pod,) = [pod for pod in rig.api.all(PODS) if pod["metadata"]["labels"]["weft.dev/node"] == "a"]
    rig.api.edit(PODS, NAMESPACE, pod["metadata"]["name"], lambda it: it["metadata"].pop("finalizers"))
    rig.api.remove(JOBS, NAMESPACE, job["metadata"]["name"])
    await rig.up()
    await rig.wait(rig.ended, seconds=30)
    assert rig.nodes() == {"a": "Succeeded", "b": "Succeeded"}
    assert sorted(rig.jobs_made().values()) == [1, 2]
    await rig.close()


async def test_a_job_is_over_only_when_the_status_has_told_so(rig: Rig) -> None:
    """Its Pod is refused for good: that is known before it is on record."""
    rig.workflow("w", CHAIN)
    told: list[dict[str, str]] = []

    async def look(asked: Asked) -> Response | None:
        if asked.method == "PATCH" and asked.resource is JOBS and asked.name.startswith("r-b-"):
            told.append(rig.nodes())
        refused = (
            asked.method == "POST" and asked.resource is PODS and asked.body["metadata"]["name"].startswith("r-b-")
        )
        return status(422, "Invalid", "nonsense") if refused else None

    rig.api.before.append(look)
    await rig.finish("w")
    assert told == [{"a": "Succeeded", "b": "Failed(InvalidJob)"}]


async def test_a_job_that_another_hand_has_ended_is_over_when_it_has_no_pod(rig: Rig) -> None:
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    rig.api.fail(over_quota(), method="POST", plural="pods", times=1000)
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: rig.first_node().get("reason") == "QuotaExceeded")
    (job,) = rig.api.all(JOBS)
    failed = failed_status(rig.clock.now(), rig.clock.now(), Reason.Error, "by hand")["status"]
    rig.api.edit(JOBS, NAMESPACE, job["metadata"]["name"], lambda it: it.update(status=failed))
    await rig.wait(rig.ended, seconds=10)
    assert rig.nodes() == {"a": "Failed(Error)"}


async def test_a_job_that_was_made_and_deleted_is_not_made_again_because_its_pods_answer_was_lost(rig: Rig) -> None:
    """The watches lag: nobody has told of the deletion, nor of the Pod."""
    rig.behave = lambda node, attempt: Fate(seconds=1)
    rig.workflow("w", "nodes: [{name: a, retry: {disruptions: 2}, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: rig.api.asked("POST", "controllerrevisions") != [], step=0.001)
    rig.api.fail(Dropped("cut"), method="POST", plural="pods", after=True, times=8)
    rig.api.hold_watches()
    await rig.wait(lambda: rig.api.all(PODS) != [], step=0.001)
    (job,) = rig.api.all(JOBS)
    rig.api.remove(JOBS, NAMESPACE, job["metadata"]["name"])
    await rig.clock.advance(8)
    rig.api.release_watches()
    await rig.wait(rig.ended, seconds=60)
    assert set(rig.jobs_made().values()) == {1}


async def test_a_job_deleted_as_its_pod_is_made_is_not_made_again_because_that_answer_was_lost(rig: Rig) -> None:
    """The deletion is told, but the watch of Pods lags: the Pod, still waiting for its node, is found by asking."""
    rig.behave = lambda node, attempt: Fate(seconds=1, pending=20)
    rig.workflow("w", "nodes: [{name: a, retry: {disruptions: 2}, job: {image: i}}]")
    await rig.up()
    rig.api.hold_watches(PODS)
    rig.api.fail(Dropped("cut"), method="POST", plural="pods", after=True, times=8)

    def delete_it(asked: Asked) -> None:
        if (asked.method, asked.resource) == ("POST", PODS):
            for job in rig.api.all(JOBS):
                rig.api.remove(JOBS, NAMESPACE, job["metadata"]["name"])

    rig.api.before.append(delete_it)
    rig.start("w")
    await rig.wait(lambda: rig.api.all(PODS) != [], step=0.001)
    rig.api.before.remove(delete_it)
    await rig.clock.advance(8)
    rig.api.release_watches()
    await rig.wait(rig.ended, seconds=60)
    assert set(rig.jobs_made().values()) == {1}
    assert rig.nodes() == {"a": "Succeeded"}


async def test_a_job_that_was_told_of_and_deleted_while_no_operator_was_there_is_a_disruption(rig: Rig) -> None:
    """What is on record before it is made is asked for again after a crash: but not for longer than a moment."""
    rig.behave = lambda node, attempt: Fate(seconds=3000 if attempt == 1 else 1)
    rig.workflow("w", "nodes: [{name: a, retry: {disruptions: 2}, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: [pod["status"]["phase"] for pod in rig.api.all(PODS)] == ["Running"])
    await rig.clock.advance(1)
    await rig.down()
    rig.delete_job(rig.api.all(JOBS)[0])
    await rig.clock.advance(5)
    await rig.up()
    await rig.wait(rig.ended, seconds=60)
    assert rig.run()["status"]["nodes"][0]["attempts"] == 2
    assert set(rig.jobs_made().values()) == {1}


async def test_a_job_whose_pod_was_made_anew_after_a_restart_is_not_made_again_when_somebody_deletes_it() -> None:
    """It was on record as made: that its Pod is about to be made again changes nothing of that."""
    rig = Rig(status_interval_seconds=5.0)
    rig.behave = lambda node, attempt: Fate(seconds=3000 if attempt == 1 else 1)
    rig.workflow("w", "nodes: [{name: a, retry: {disruptions: 2}, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.clock.advance(8)
    await rig.down()
    rig.tear_out(rig.api.all(PODS)[0])
    assert rig.api.all(PODS) == []
    await rig.up()
    await rig.wait(lambda: rig.api.all(PODS) != [])
    await rig.down()
    rig.delete_job(rig.api.all(JOBS)[0])
    await rig.clock.advance(5)
    await rig.up()
    await rig.wait(rig.ended, seconds=60)
    assert rig.first_node()["attempts"] == 2
    assert set(rig.jobs_made().values()) == {1}
    await rig.close()


async def test_a_pod_that_a_late_try_made_anew_does_not_run_beside_its_successor(rig: Rig) -> None:
    """No try to make it gets an answer; the last one finds its name free again, and no watch tells of that yet."""
    rig.behave = lambda node, attempt: Fate(seconds=100 if attempt == 1 else 1)
    rig.workflow("w", "nodes: [{name: a, retry: {disruptions: 1}, job: {image: i}}]")
    await rig.up()
    tries = 0

    async def tear_out(asked: Asked) -> None:
        nonlocal tries
        tries += (asked.method, asked.resource) == ("POST", PODS)
        if tries == 5 and rig.api.all(PODS):
            rig.api.before.remove(tear_out)
            rig.tear_out(rig.api.all(PODS)[0])
            await rig.clock.sleep(0.01)
            rig.api.hold_watches(PODS)

    rig.api.before.append(tear_out)
    rig.api.fail(Dropped("cut"), method="POST", plural="pods", after=True, times=5)
    rig.start("w")
    await rig.clock.advance(5)
    rig.api.release_watches()
    await rig.wait(rig.ended, seconds=60)
    assert rig.nodes() == {"a": "Succeeded"}
    assert rig.first_node()["attempts"] == 2
    assert most_at_once(rig) == 1


async def test_a_run_begins_with_a_revision_that_is_there_although_its_namespace_was_made_anew(rig: Rig) -> None:
    rig.workflow("w", CHAIN)
    await rig.finish("w", "old")
    for kind in (WORKFLOWS, WORKFLOW_RUNS, CONTROLLER_REVISIONS):
        for obj in rig.api.all(kind):
            rig.api.remove(kind, NAMESPACE, obj["metadata"]["name"])
    await rig.clock.advance(5)
    rig.workflow("w", CHAIN)
    rig.start("w")
    await rig.wait(lambda: rig.phase() == "Running")
    revisions = [revision["metadata"]["name"] for revision in rig.api.all(CONTROLLER_REVISIONS)]
    assert revisions == [rig.run()["status"]["workflowRevision"]]


@pytest.mark.parametrize("kind", [CONTROLLER_REVISIONS, CONFIG_MAPS], ids=["its revision", "its outputs"])
async def test_a_run_that_cannot_be_restored_since_somebody_deleted_what_it_needs_ends_and_lets_all_go(
    kind: Resource,
) -> None:
    rig = Rig()
    rig.behave = lambda node, attempt: Fate(seconds=3000)
    big = """{name: m, expr: {big: "lists.range(9999).map(i, 'sixteen letters!')"}}"""
    rig.workflow("w", f"nodes: [{big}, {{name: z, dependsOn: [m], job: {{image: i}}}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: rig.phase() == "Running" and len(_living(rig)) == 1)
    await rig.clock.advance(30)
    await rig.down()
    gone = [obj["metadata"]["name"] for obj in rig.api.all(kind)]
    assert gone
    for name in gone:
        rig.api.remove(kind, NAMESPACE, name)
    rig.api.fail(status(404, "", "a proxy's page"), method="GET", plural=kind.plural, name=gone[0])
    rig.api.edit(WORKFLOWS, NAMESPACE, "w", lambda workflow: workflow["spec"].update(description="another one"))
    await rig.up()
    await rig.wait(rig.ended, seconds=120)
    [condition] = [each for each in rig.run()["status"]["conditions"] if each["type"] == "Succeeded"]
    assert (rig.phase(), condition["reason"]) == ("Failed", "Error")
    assert f'"{gone[0]}" not found' in condition["message"]
    await rig.clock.advance(120)
    assert _living(rig) == []
    assert all("finalizers" not in pod["metadata"] for pod in rig.api.all(PODS))
    await rig.close()


async def test_a_revision_that_somebody_deleted_is_made_anew_by_its_workflow_and_the_run_goes_on(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=60)
    rig.workflow("w", CHAIN)
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(_living(rig)) == 1)
    await rig.down()
    rig.api.remove(CONTROLLER_REVISIONS, NAMESPACE, rig.run()["status"]["workflowRevision"])
    await rig.up()
    await rig.wait(rig.ended, seconds=200)
    assert rig.nodes() == {"a": "Succeeded", "b": "Succeeded"}
