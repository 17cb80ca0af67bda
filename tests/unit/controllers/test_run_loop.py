"""The run loop with everything around it, on an API server in memory: what users see, and what survives a crash."""

import gc
import weakref
from typing import Any

import pytest
from support.asked import Asked
from support.rig import NAMESPACE, Fate, Rig
from support.storage import Event
from support.transport import over_quota
from weft.api.objects import Obj
from weft.kube.resources import CONFIG_MAPS, CONTROLLER_REVISIONS, JOBS, PODS, WORKFLOW_RUNS
from weft.kube.transport import Dropped
from weft.render.job import JobTemplate

DIAMOND = """
nodes:
- {name: a, job: {image: i, script: x}}
- {name: b, dependsOn: [a], job: {image: i, env: [{name: COUNT, value: "${{ nodes.a.outputs.count }}"}]}}
- {name: c, dependsOn: [a], job: {image: i}}
- {name: d, dependsOn: [b, c], job: {image: i}}
outputs: [{name: count, value: nodes.a.outputs.count}]
"""


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


async def test_few_job_templates_are_kept_and_a_node_that_needs_one_again_gets_its_own(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand nodes would keep ten thousand templates, and hardly any is asked for twice."""
    kept: weakref.WeakSet[JobTemplate] = weakref.WeakSet()

    class Told(JobTemplate):
        def __init__(self, body: Obj, **options: Any) -> None:
            super().__init__(body, **options)
            kept.add(self)

    monkeypatch.setattr("weft.controllers.jobs.JobTemplate", Told)
    monkeypatch.setattr("weft.controllers.jobs.MAX_TEMPLATES", 2)
    rig.behave = lambda node, attempt: Fate(code=1 if node == "a" and attempt == 1 else 0)
    backoff = "{initialSeconds: 60, jitter: 0}"
    others = "".join(f"\n- {{name: {node}, job: {{image: {node}}}}}" for node in "bcd")
    rig.workflow("w", f"nodes:\n- {{name: a, job: {{image: a}}, retry: {{limit: 1, backoff: {backoff}}}}}{others}")
    await rig.finish("w")
    gc.collect()
    assert len(kept) == 2
    made = [asked.body for asked in rig.api.requests if asked.method == "POST" and asked.resource == PODS]
    assert sorted(pod["spec"]["containers"][0]["image"] for pod in made) == ["a", "a", "b", "c", "d"]


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


@pytest.mark.parametrize("seconds", [2, 14, 28], ids=["in the graph", "while it is undone", "in a rerun"])
async def test_the_finally_of_a_run_that_is_terminated_before_it_is_skipped(rig: Rig, seconds: float) -> None:
    """Nothing of a run that has ended is still to come."""
    rig.behave = lambda node, attempt: Fate(seconds=10, code=1 if node == "b" else 0)
    undo = "compensate: {job: {image: i}}"
    nodes = f"nodes: [{{name: a, job: {{image: i}}, {undo}}}, {{name: b, job: {{image: i}}}}]"
    rig.workflow("w", f"{{{nodes}, finally: [{{name: f, job: {{image: i}}}}, {{name: g, expr: {{x: '1'}}}}]}}")
    await rig.up()
    rig.start("w")
    if seconds == 28:
        await rig.wait(rig.ended)
        assert rig.nodes()["f"] == "Succeeded"
        rig.edit(rerun={"generation": 1, "from": "All"})
        seconds = 2
    await rig.clock.advance(seconds)
    rig.edit(stop="Terminate")
    await rig.wait(rig.ended, seconds=5)
    assert rig.nodes()["f"] == rig.nodes()["g"] == "Skipped(Stopped)"
    assert rig.run()["status"]["counts"]["pending"] == 0
    assert rig.run()["status"]["progress"] == "4/4"


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


@pytest.mark.parametrize(("seconds", "attempts"), [(8, 2), (4.3, 1)], ids=["cut off", "done before the stop came"])
async def test_a_pod_stopped_for_a_failure_that_was_not_to_be_is_run_again(seconds: float, attempts: int) -> None:
    """What failed is gone without a trace, and runs again: so must what had been cut off for it, and nothing else."""
    rig = Rig(status_interval_seconds=60.0)
    rig.behave = lambda node, attempt: Fate(4, code=1) if (node, attempt) == ("b", 1) else Fate(seconds, text="n=1")
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
    node = rig.run()["status"]["nodes"][0]
    assert (node["attempts"], node["outputs"]) == (attempts, {"n": "1"})
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


def _nodes_of(event: Event) -> list[Obj]:
    return (event.obj.get("status") or {}).get("nodes", []) if event.resource is WORKFLOW_RUNS else []


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


async def test_the_job_of_a_service_that_nobody_needs_any_more_has_succeeded(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=3000 if node == "db" else 1)
    nodes = "[{name: db, service: true, job: {image: i}}, {name: use, dependsOn: ['db:Ready'], job: {image: i}}]"
    rig.workflow("w", f"{{jobs: {{keep: All}}, nodes: {nodes}}}")
    await rig.finish("w")
    await rig.clock.advance(5)
    assert rig.nodes() == {"db": "Succeeded", "use": "Succeeded"}
    ends = [{each["type"] for each in job["status"]["conditions"]} for job in rig.api.all(JOBS)]
    assert ends == [{"SuccessCriteriaMet", "Complete"}] * 2


async def test_outputs_that_are_stored_apart_say_whose_they_are(rig: Rig) -> None:
    rig.workflow("w", """nodes: [{name: a, expr: {big: "lists.range(9999).map(i, 'sixteen letters!')"}}]""")
    await rig.finish("w")
    stored = [each for each in rig.api.all(CONFIG_MAPS) if "-outputs-" in each["metadata"]["name"]]
    labels = {"weft.dev/workflow": "w", "weft.dev/run": "r", "app.kubernetes.io/managed-by": "weft"}
    assert [each["metadata"]["labels"] for each in stored] == [labels]
