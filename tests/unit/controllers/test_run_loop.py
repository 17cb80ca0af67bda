"""The run loop with everything around it, on an API server in memory: what users see, and what survives a crash."""

from collections.abc import AsyncIterator, Callable

import pytest
from support.fakeapi import Asked, Event
from support.rig import NAMESPACE, Fate, Rig, most_at_once
from support.transport import over_quota
from weft.kube.objects import Obj
from weft.kube.resources import CONTROLLER_REVISIONS, JOBS, PODS, WORKFLOW_RUNS
from weft.kube.transport import Dropped

DIAMOND = """
nodes:
- {name: a, job: {image: i, script: x}}
- {name: b, dependsOn: [a], job: {image: i, env: [{name: COUNT, value: "${{ nodes.a.outputs.count }}"}]}}
- {name: c, dependsOn: [a], job: {image: i}}
- {name: d, dependsOn: [b, c], job: {image: i}}
outputs: [{name: count, value: nodes.a.outputs.count}]
"""


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    yield rig
    await rig.close()


def a_counts(node: str, attempt: int) -> Fate:
    return Fate(text="count=3") if node == "a" else Fate()


async def test_a_diamond_succeeds_and_leaves_nothing_running(rig: Rig) -> None:
    rig.behave = a_counts
    rig.workflow("w", DIAMOND)
    run = await rig.finish("w")
    assert run["status"]["phase"] == "Succeeded"
    assert run["status"]["outputs"] == {"count": "3"}
    assert rig.nodes() == dict.fromkeys("abcd", "Succeeded")
    assert all("finalizers" not in pod["metadata"] for pod in rig.api.all(PODS))
    assert set(rig.jobs_made().values()) == {1}


async def test_a_failed_attempt_is_retried_after_its_back_off(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(code=1 if attempt < 3 else 0)
    backoff = "{initialSeconds: 10, factor: 2, jitter: 0}"
    rig.workflow("w", f"nodes: [{{name: a, job: {{image: i}}, retry: {{limit: 3, backoff: {backoff}}}}}]")
    run = await rig.finish("w")
    assert run["status"]["phase"] == "Succeeded"
    assert run["status"]["nodes"][0]["attempts"] == 3


async def test_a_deleted_pod_is_a_disruption_and_runs_again(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=30)
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 1)
    await rig.clock.advance(2)
    rig.api.remove(PODS, NAMESPACE, rig.api.all(PODS)[0]["metadata"]["name"])
    await rig.wait(lambda: rig.ended())
    assert rig.phase() == "Succeeded"
    assert rig.run()["status"]["nodes"][0]["attempts"] == 2


async def test_a_deleted_job_is_a_disruption_and_runs_again(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=30)
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 1)
    await rig.clock.advance(2)
    rig.api.remove(JOBS, NAMESPACE, rig.api.all(JOBS)[0]["metadata"]["name"])
    await rig.wait(lambda: rig.ended())
    assert rig.phase() == "Succeeded"
    assert rig.run()["status"]["nodes"][0]["attempts"] == 2


async def test_a_stopped_run_stops_its_pods(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=3000)
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}, {name: b, dependsOn: [a], job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 1)
    await rig.clock.advance(2)
    rig.edit(stop="Cancel")
    await rig.wait(lambda: rig.ended(), seconds=60)
    assert rig.phase() == "Cancelled"
    assert rig.nodes() == {"a": "Cancelled(Stopped)", "b": "Skipped(UpstreamFailed)"}


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 45))
async def test_an_operator_that_dies_at_any_request_loses_nothing_and_does_nothing_twice(at: int, late: bool) -> None:
    rig = Rig(seed=at)
    try:
        rig.behave = lambda node, attempt: Fate(code=1) if (node, attempt) == ("b", 1) else a_counts(node, attempt)
        rig.workflow("w", DIAMOND + "defaults: {retry: {limit: 1, backoff: {initialSeconds: 1, jitter: 0}}}")
        await rig.up()
        rig.crash_after(at, late=late)
        run = await rig.finish("w")
        assert run["status"]["phase"] == "Succeeded"
        assert set(rig.jobs_made().values()) == {1}, rig.jobs_made()
        attempts = {node["name"]: node["attempts"] for node in run["status"]["nodes"]}
        assert attempts == {"a": 1, "b": 2, "c": 1, "d": 1}
        assert all("finalizers" not in pod["metadata"] for pod in rig.api.all(PODS))
    finally:
        await rig.close()


async def test_a_run_begins_although_its_first_status_could_not_be_written(rig: Rig) -> None:
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    await rig.up()
    rig.api.fail(500, method="PATCH", plural="workflowruns", subresource="status", times=5)
    await rig.finish("w")
    assert rig.nodes() == {"a": "Succeeded"}


async def test_a_run_stopped_while_it_is_loaded_does_not_begin_in_a_place_it_has_lost(rig: Rig) -> None:
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    queue = "kind: WorkflowQueue, metadata: {name: default}, spec: {maxActiveRuns: 1}"
    rig.apply(f"{{apiVersion: weft.dev/v1alpha1, {queue}}}")
    await rig.up()

    async def stop_it(asked: Asked) -> None:
        if asked.resource is CONTROLLER_REVISIONS and rig.run()["spec"].get("stop") is None:
            rig.edit(stop="Cancel")
            await rig.clock.sleep(1)

    rig.api.before.append(stop_it)
    await rig.finish("w")
    assert rig.phase() == "Cancelled"
    assert "startTime" not in rig.run()["status"]


async def test_the_first_status_that_tells_of_an_attempt_tells_what_holds_it_back() -> None:
    """Else a restart would take the Job that was never made for one that somebody has deleted."""
    rig = Rig(status_interval_seconds=0.0)
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}, {name: b, dependsOn: [a], job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: rig.api.all(PODS) != [])
    rig.api.fail(over_quota(), method="POST", plural="jobs")
    await rig.wait(lambda: rig.ended())
    told = [node for event in rig.api.history for node in _nodes_of(event)]
    told = [node for node in told if node["name"] == "b" and node.get("stage") == "Active"]
    assert told[0]["pending"] == "QuotaExceeded"
    assert "pending" not in told[-1]
    await rig.close()


STOPS = [
    pytest.param("timeoutSeconds: 3, retry: {limit: 0}", "", "Failed(DeadlineExceeded)", "took longer", id="a timeout"),
    pytest.param("retry: {limit: 3}", "b", "Cancelled(RunFailed)", "", id="the failure of another"),
]


@pytest.mark.parametrize(("fields", "failing", "ends", "message"), STOPS)
async def test_a_stop_is_remembered_by_the_pod_when_no_status_told_of_it(
    fields: str, failing: str, ends: str, message: str
) -> None:
    """The operator dies right after it has stopped the Pod, and is away until the Pod has ended."""
    rig = Rig(status_interval_seconds=60.0)
    rig.behave = lambda node, attempt: Fate(seconds=4, code=1) if node == failing else Fate(seconds=3000)
    rig.workflow(
        "w", f"failurePolicy: Cancel\nnodes: [{{name: a, {fields}, job: {{image: i}}}}, {{name: b, job: {{image: i}}}}]"
    )
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: _stopped_pods(rig) != [])
    await rig.down()
    await rig.clock.advance(10)
    await rig.up()
    await rig.wait(lambda: rig.ended(), seconds=60)
    assert rig.nodes()["a"] == ends
    node = rig.run()["status"]["nodes"][0]
    assert node["attempts"] == 1
    assert message in node.get("message", "")
    await rig.close()


async def test_a_pod_stopped_for_a_failure_that_was_not_to_be_is_run_again() -> None:
    """What failed is gone without a trace, and runs again: so must what had been stopped for it."""
    rig = Rig(status_interval_seconds=60.0)
    rig.behave = lambda node, attempt: Fate(seconds=4, code=1) if (node, attempt) == ("b", 1) else Fate(seconds=8)
    rig.workflow("w", "{failurePolicy: Cancel, nodes: [{name: a, job: {image: i}}, {name: b, job: {image: i}}]}")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: _stopped_pods(rig) != [])
    await rig.down()
    for pod in rig.api.all(PODS):
        if pod["metadata"]["labels"]["weft.dev/node"] == "b":
            rig.api.remove(JOBS, NAMESPACE, pod["metadata"]["ownerReferences"][0]["name"])
    await rig.clock.advance(10)
    await rig.up()
    await rig.wait(lambda: rig.ended(), seconds=60)
    assert rig.nodes() == {"a": "Succeeded", "b": "Succeeded"}
    await rig.close()


def _stopped_pods(rig: Rig) -> list[Obj]:
    return [pod for pod in rig.api.all(PODS) if pod["spec"].get("activeDeadlineSeconds") == 1]


async def test_an_end_that_was_read_before_the_watch_told_of_it_is_not_missed(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=0.001, bind=0.001)
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: rig.api.asked("POST", "controllerrevisions") != [], step=0.001)
    rig.api.fail(Dropped("cut"), method="POST", plural="pods", after=True)
    rig.api.hold_watches()
    await rig.clock.advance(5)
    rig.api.release_watches()
    await rig.wait(lambda: rig.ended(), seconds=60)
    assert rig.phase() == "Succeeded"


async def test_a_rerun_that_was_asked_for_while_another_was_being_begun_comes_after_it(rig: Rig) -> None:
    """Without Pods, whose ends would wake the run up."""
    rig.workflow("w", "nodes: [{name: a, wait: {seconds: 1}}]")
    await rig.finish("w")

    async def ask_again(asked: Asked) -> None:
        writes_it = (asked.method, asked.resource) == ("PATCH", WORKFLOW_RUNS)
        if writes_it and rig.run()["spec"]["rerun"]["generation"] == 1:
            rig.edit(rerun={"generation": 2, "from": "All"})

    rig.api.before.append(ask_again)
    rig.edit(rerun={"generation": 1, "from": "All"})
    await rig.wait(lambda: rig.ended() and rig.run()["status"].get("rerunGeneration") == 2, seconds=6)
    assert rig.nodes() == {"a": "Succeeded"}
    assert rig.first_node()["attempts"] == 3


async def test_a_rerun_that_ends_at_once_ends_although_it_was_given_a_key(rig: Rig) -> None:
    """The key comes when the run has failed: that is no reason to begin anew."""
    rig.workflow("w", "nodes: [{name: a, concurrency: {key: k}, job: {image: i}}, {name: b, expr: {x: '{}.nothing'}}]")
    await rig.finish("w")
    rig.edit(rerun={"generation": 1, "from": "All"})
    await rig.wait(lambda: rig.ended() and rig.run()["status"].get("rerunGeneration") == 1, seconds=30)
    assert rig.phase() == "Failed"


async def test_a_pod_that_nobody_has_told_of_counts_although_somebody_deletes_its_job(rig: Rig) -> None:
    """Its creation got no answer, and the watch of Pods lags."""
    rig.behave = lambda node, attempt: Fate(seconds=0.001, bind=0.001)
    rig.workflow("w", "nodes: [{name: a, retry: {limit: 1, disruptions: 1}, job: {image: i}}]")
    await rig.up()
    rig.api.hold_watches(PODS)
    rig.api.fail(Dropped("cut"), method="POST", plural="pods", after=True, times=100)
    rig.start("w")
    await rig.wait(lambda: [pod["status"]["phase"] for pod in rig.api.all(PODS)] == ["Succeeded"], step=0.01)
    (job,) = rig.api.all(JOBS)
    rig.api.remove(JOBS, NAMESPACE, job["metadata"]["name"])
    await rig.wait(lambda: rig.ended(), seconds=60)
    assert rig.nodes() == {"a": "Succeeded"}
    assert set(rig.jobs_made().values()) == {1}


async def stopped_while_no_operator_is_there(fate: Callable[[int], Fate]) -> Rig:
    """A run whose Pod runs and has a key, as the next operator finds it."""
    rig = Rig(status_interval_seconds=60.0)
    rig.behave = lambda node, attempt: fate(attempt)
    rig.workflow("w", "nodes: [{name: a, concurrency: {key: k}, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: [pod["status"]["phase"] for pod in rig.api.all(PODS)] == ["Running"])
    await rig.down()
    rig.edit(stop="Cancel")
    return rig


async def test_a_pod_of_which_no_status_told_is_stopped_with_its_run_and_counted() -> None:
    """The gate of its key is asked anew after a restart, and the stop comes before the answer."""
    rig = await stopped_while_no_operator_is_there(lambda attempt: Fate(seconds=3000 if attempt == 1 else 1))
    await rig.up()
    await rig.wait(lambda: rig.ended(), seconds=60)
    assert [pod["status"]["phase"] for pod in rig.api.all(PODS)] == ["Failed"]
    rig.edit(stop=None, rerun={"generation": 1, "from": "All"})
    await rig.wait(lambda: rig.phase() == "Succeeded", seconds=60)
    assert rig.run()["status"]["nodes"][0]["attempts"] == 2
    await rig.close()


async def test_a_key_is_not_free_before_the_pod_that_is_stopped_after_a_restart_has_ended() -> None:
    """No status had told of it; another run waits for the key."""
    rig = await stopped_while_no_operator_is_there(lambda attempt: Fate(seconds=3000, deaf=True))
    rig.start("w", "r2")
    await rig.up()
    await rig.clock.advance(30)
    assert len(rig.api.all(PODS)) == 1
    rig.kubelet.calm.set()
    await rig.wait(lambda: rig.ended(), seconds=60)
    await rig.wait(lambda: len(rig.api.all(PODS)) == 2, seconds=60)
    await rig.close()


async def test_a_key_is_not_free_while_a_pod_runs_whose_job_somebody_deleted_while_no_operator_was_there() -> None:
    """No status had told of it, and another run, older than its own, asks first."""
    rig = Rig(status_interval_seconds=60.0)
    rig.behave = lambda node, attempt: Fate(seconds=3000, deaf=True)
    rig.workflow("w", "nodes: [{name: a, concurrency: {key: k}, job: {image: i}}]")
    rig.start("w", "older", suspend=True)
    await rig.up()
    await rig.wait(lambda: rig.phase("older") == "Suspended")
    rig.start("w")
    await rig.wait(lambda: [pod["status"]["phase"] for pod in rig.api.all(PODS)] == ["Running"])
    rig.edit("older", suspend=False)
    await rig.clock.advance(1)
    await rig.down()
    (job,) = rig.api.all(JOBS)
    rig.api.remove(JOBS, NAMESPACE, job["metadata"]["name"])
    rig.edit(stop="Cancel")
    await rig.up()
    await rig.clock.advance(30)
    rig.kubelet.calm.set()
    await rig.wait(lambda: rig.ended() and len(rig.api.all(PODS)) == 1, seconds=60)
    await rig.wait(lambda: rig.nodes("older") == {"a": "Running"}, seconds=60)
    assert most_at_once(rig) == 1
    await rig.close()


def _deleted(rig: Rig) -> None:
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "r")


def _ended(rig: Rig) -> None:
    """The last status that a dead process wrote arrives."""
    conditions = [{"type": "Finished", "status": "True", "reason": "Succeeded"}]
    told = {"phase": "Succeeded", "conditions": conditions, "completionTime": "2023-11-14T22:13:40Z"}
    rig.api.edit(WORKFLOW_RUNS, NAMESPACE, "r", lambda run: run["status"].update(told))


@pytest.mark.parametrize("over", [_deleted, _ended])
async def test_a_key_is_free_when_the_run_that_had_it_is_over_before_it_was_read_after_a_restart(
    over: Callable[[Rig], None],
) -> None:
    """One worker, and another run is read first."""
    rig = Rig(workers=1)
    rig.behave = lambda node, attempt: Fate(seconds=5)
    rig.workflow("slow", "nodes: [{name: a, wait: {seconds: 3000}}]")
    rig.workflow("w", "nodes: [{name: a, concurrency: {key: k}, job: {image: i}}]")
    rig.start("slow", "older")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: [pod["status"]["phase"] for pod in rig.api.all(PODS)] == ["Running"])
    await rig.down()
    await restarted_while_reading_slowly(rig, lambda: over(rig))
    rig.start("w", "next")
    await rig.wait(lambda: rig.ended("next"), seconds=60)
    assert all(not pod["metadata"].get("finalizers") for pod in rig.api.all(PODS) if "r-a" in pod["metadata"]["name"])
    await rig.close()


async def test_a_key_is_free_when_what_it_was_lent_to_is_deleted_before_its_run_was_read_after_a_restart() -> None:
    """Both nodes have had the key and no status tells of it: the first has to run again, before the second."""
    rig = Rig(workers=1, status_interval_seconds=60.0)
    rig.behave = lambda node, attempt: Fate(seconds=1)
    keyed = "job: {image: i}, concurrency: {key: k}"
    rig.workflow("slow", "nodes: [{name: a, wait: {seconds: 3000}}]")
    rig.workflow("w", f"nodes: [{{name: a, {keyed}}}, {{name: b, dependsOn: [a], {keyed}}}]")
    rig.start("slow", "older")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 2)
    await rig.down()
    delete_first_job(rig)
    await rig.clock.advance(5)
    await restarted_while_reading_slowly(rig, lambda: delete_first_job(rig))
    await rig.wait(lambda: rig.ended(), seconds=60)
    assert set(rig.nodes().values()) == {"Succeeded"}
    await rig.close()


def delete_first_job(rig: Rig) -> None:
    """Somebody deletes it, and its Pod is let go of."""
    rig.delete_job(min(rig.api.all(JOBS), key=lambda job: int(job["metadata"]["resourceVersion"])))


async def restarted_while_reading_slowly(rig: Rig, act: Callable[[], object]) -> None:
    """The one worker reads the older run, and meanwhile somebody does something to the other."""

    async def read_slowly(asked: Asked) -> None:
        if (asked.method, asked.resource) == ("GET", CONTROLLER_REVISIONS) and asked.name.startswith("slow"):
            rig.api.before.remove(read_slowly)
            act()
            await rig.clock.sleep(10)

    rig.api.before.append(read_slowly)
    await rig.up()
    await rig.clock.advance(20)


async def test_a_key_that_two_had_before_a_restart_is_used_by_one_after_the_other() -> None:
    """The second got it when the first was done; no status told of that, and the first one's result is lost."""
    rig = Rig(status_interval_seconds=5.0)
    rig.behave = lambda node, attempt: Fate(seconds=20 if node == "b" else 6)
    key = "concurrency: {key: k}, retry: {disruptions: 1}, job: {image: i}"
    rig.workflow("first", f"nodes: [{{name: a, {key}}}, {{name: c, dependsOn: [a], wait: {{seconds: 9}}}}]")
    rig.workflow("second", f"nodes: [{{name: b, {key}}}]")
    await rig.up()
    rig.start("first", "r1")
    await rig.wait(lambda: rig.phase("r1") == "Running" and rig.nodes("r1")["a"] == "Running")
    rig.start("second", "r2")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 2)
    await rig.down()
    assert rig.nodes("r1")["a"] == "Running"
    for job in rig.api.all(JOBS):
        if job["metadata"]["name"].startswith("r1"):
            rig.delete_job(job)
    await rig.up()
    await rig.wait(lambda: rig.ended("r1") and rig.ended("r2"), seconds=120)
    assert (rig.phase("r1"), rig.phase("r2")) == ("Succeeded", "Succeeded")
    assert most_at_once(rig) == 1
    await rig.close()


async def test_a_key_is_not_kept_for_a_job_whose_pod_is_gone(rig: Rig) -> None:
    """The Job stands until its run has ended, and names the key its attempt had."""
    rig.behave = lambda node, attempt: Fate(seconds=20 if node == "b" else 1)
    node = "job: {image: i}, concurrency: {key: k}"
    wait = "job: {image: i}"
    rig.workflow("w", f"nodes: [{{name: a, {node}}}, {{name: b, {wait}}}, {{name: c, dependsOn: [b], {node}}}]")
    await rig.up()
    rig.start("w")
    await rig.clock.advance(3)
    assert rig.nodes()["a"] == "Succeeded"
    await rig.clock.advance(2)
    names = [pod["metadata"]["name"] for pod in rig.api.all(PODS)]
    rig.api.remove(PODS, NAMESPACE, next(name for name in names if "-a-" in name))
    await rig.down()
    await rig.up()
    await rig.wait(lambda: rig.ended(), seconds=60)
    assert set(rig.nodes().values()) == {"Succeeded"}


async def test_a_child_run_of_which_no_status_told_is_stopped_with_its_parent() -> None:
    rig = Rig(status_interval_seconds=60.0)
    rig.behave = lambda node, attempt: Fate(seconds=3000 if node == "x" else 1)
    rig.workflow("child", "nodes: [{name: x, job: {image: i}}]")
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}, {name: b, dependsOn: [a], workflow: {name: child}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 2)
    await rig.down()
    rig.edit(stop="Cancel")
    await rig.up()
    await rig.wait(lambda: rig.ended(), seconds=60)
    assert {run["status"]["phase"] for run in rig.api.all(WORKFLOW_RUNS)} == {"Cancelled"}
    await rig.close()


def _nodes_of(event: Event) -> list[Obj]:
    return (event.obj.get("status") or {}).get("nodes", []) if event.resource is WORKFLOW_RUNS else []


async def test_a_run_suspended_while_nobody_was_there_starts_nothing_in_its_children(rig: Rig) -> None:
    rig.workflow("deep", "nodes: [{name: x, job: {image: i}}, {name: y, dependsOn: [x], job: {image: i}}]")
    rig.workflow("child", "nodes: [{name: d, workflow: {name: deep}}]")
    rig.workflow("w", "nodes: [{name: c, workflow: {name: child}}]")
    rig.behave = lambda node, attempt: Fate(seconds=5)
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 1)
    await rig.down()
    rig.edit(suspend=True)
    await rig.clock.advance(10)
    await rig.up()
    await rig.clock.advance(30)
    assert len(rig.api.all(PODS)) == 1
    assert {run["status"]["phase"] for run in rig.api.all(WORKFLOW_RUNS)} == {"Suspended"}
    rig.edit(suspend=False)
    await rig.wait(lambda: rig.ended(), seconds=60)
    assert rig.phase() == "Succeeded"


async def test_a_run_does_not_wait_for_a_key_that_its_own_later_node_holds() -> None:
    """Both nodes had their turn and no status told of it: the first is still to be told that it had the key."""
    rig = Rig(status_interval_seconds=60.0)
    rig.behave = lambda node, attempt: Fate(seconds=3000 if (node, attempt) == ("b", 1) else 1)
    keyed = "job: {image: i}, concurrency: {key: k}"
    rig.workflow("w", f"nodes: [{{name: a, {keyed}}}, {{name: b, dependsOn: [a], timeoutSeconds: 30, {keyed}}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 2)
    await rig.down()
    await rig.up()
    await rig.wait(lambda: rig.ended(), seconds=90)
    assert rig.nodes() == {"a": "Succeeded", "b": "Failed(DeadlineExceeded)"}
    await rig.close()


async def test_a_job_whose_pod_was_refused_is_not_made_again_after_somebody_deleted_it(rig: Rig) -> None:
    """Only where the Job itself was refused may it be made after a restart: one Job for an attempt."""
    rig.workflow("w", "nodes: [{name: a, retry: {limit: 1, disruptions: 1}, job: {image: i}}]")
    rig.api.fail(over_quota(), method="POST", plural="pods", times=3)
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: rig.first_node().get("reason") == "QuotaExceeded")
    await rig.down()
    (job,) = rig.api.all(JOBS)
    rig.api.remove(JOBS, NAMESPACE, job["metadata"]["name"])
    await rig.up()
    await rig.wait(lambda: rig.ended(), seconds=90)
    assert rig.phase() == "Succeeded"
    assert rig.first_node()["attempts"] == 2
    assert set(rig.jobs_made().values()) == {1}


async def test_a_pod_whose_creation_came_when_its_job_was_gone_does_not_run(rig: Rig) -> None:
    """A create that got no answer and was tried again may still arrive when all is over."""
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 1)
    (pod,) = rig.api.all(PODS)
    await rig.wait(lambda: rig.ended() and rig.api.all(JOBS) == [])
    kept = {key: value for key, value in pod["metadata"].items() if key not in ("uid", "resourceVersion")}
    spec = {key: value for key, value in pod["spec"].items() if key != "nodeName"}
    rig.api.add({"apiVersion": "v1", "kind": "Pod", "metadata": kept, "spec": spec})
    await rig.clock.advance(10)
    assert rig.api.all(PODS) == []
    phases = [event.obj.get("status", {}).get("phase") for event in rig.api.history if event.resource is PODS]
    assert phases.count("Running") == 1


async def test_items_made_before_a_crash_count_although_they_are_over() -> None:
    """The stop comes before they have asked for their key again; a rerun may not make their Jobs again."""
    rig = Rig(status_interval_seconds=60.0)
    loop = "forEach: {range: 2}, concurrency: {key: k, limit: 2}"
    rig.workflow("w", f"{{jobs: {{keep: All}}, nodes: [{{name: a, {loop}, job: {{image: i}}}}]}}")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 2)
    await rig.down()
    rig.edit(stop="Cancel")
    await rig.clock.advance(10)
    await rig.up()
    await rig.wait(lambda: rig.ended(), seconds=60)
    assert rig.phase() == "Cancelled"
    await rig.down()
    rig.edit(stop=None, rerun={"generation": 1, "from": "All"})
    await rig.up()
    await rig.wait(lambda: rig.phase() == "Succeeded", seconds=60)
    assert set(rig.jobs_made().values()) == {1}
    assert len(rig.jobs_made()) == 4
    await rig.close()


async def test_an_attempt_whose_job_was_deleted_while_nobody_was_there_keeps_its_pod() -> None:
    """No status told of it, its Job is gone, its Pod has a result: that counts, and no second Pod is made."""
    rig = Rig(status_interval_seconds=60.0)
    rig.workflow("w", "nodes: [{name: a, concurrency: {key: k}, job: {image: i}}]")
    rig.behave = lambda node, attempt: Fate(text="n=1")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 1)
    await rig.down()
    await rig.clock.advance(5)
    (job,) = rig.api.all(JOBS)
    rig.api.remove(JOBS, NAMESPACE, job["metadata"]["name"])
    await rig.up()
    await rig.wait(lambda: rig.ended(), seconds=60)
    assert rig.phase() == "Succeeded"
    assert rig.run()["status"]["nodes"][0]["outputs"] == {"n": "1"}
    assert set(rig.jobs_made().values()) == {1}
    await rig.close()
