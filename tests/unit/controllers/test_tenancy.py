"""What somebody else makes, in a namespace of his own, means nothing to a run, though it names the run's UID."""

from collections.abc import AsyncIterator

import orjson
import pytest
from support.rig import NAMESPACE, Fate, Rig
from weft.api.objects import Obj
from weft.engine.state import AttemptId
from weft.kube.resources import APPROVALS, JOBS, PODS, WORKFLOW_RUNS
from weft.render.names import RunRef, job_name

ELSEWHERE = "elsewhere"
MAIN = {
    "name": "main",
    "image": "i",
    "env": [{"name": "WEFT_NODE", "value": "test"}, {"name": "WEFT_ATTEMPT", "value": "1"}],
}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    rig.behave = lambda node, attempt: Fate(seconds=3000)
    await rig.up()
    yield rig
    await rig.close()


def forged(rig: Rig, kind: str, *, node: str = "test", attempt: int = 1, **fields: object) -> Obj:
    """An object of another namespace that says of itself to be of the run."""
    uid = rig.run()["metadata"]["uid"]
    identity = orjson.dumps([uid, node, None, None, "main", attempt]).decode()
    return {
        "apiVersion": {"Pod": "v1", "Job": "batch/v1"}.get(kind, "weft.dev/v1alpha1"),
        "kind": kind,
        "metadata": {
            "name": "forged",
            "namespace": ELSEWHERE,
            "labels": {"app.kubernetes.io/managed-by": "weft"},
            "annotations": {"weft.dev/run-uid": uid, "weft.dev/identity": identity},
            "ownerReferences": [{"apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun", "name": "r", "uid": uid}],
        },
        "spec": fields,
    }


def approval(rig: Rig, namespace: str, run: str) -> Obj:
    named = {"name": run, "uid": rig.run()["metadata"]["uid"]}
    return {
        "apiVersion": "weft.dev/v1alpha1",
        "kind": "Approval",
        "metadata": {"name": "forged", "namespace": namespace},
        "spec": {"run": named, "node": "test", "decision": "Approve", "by": "eve"},
    }


@pytest.mark.parametrize(
    ("namespace", "run", "told"),
    [(ELSEWHERE, "r", "there is no run of UID"), (NAMESPACE, "other", "is r and not other")],
    ids=["another namespace", "another name"],
)
async def test_an_approval_counts_only_for_the_run_it_names_in_its_namespace(
    namespace: str, run: str, told: str, rig: Rig
) -> None:
    rig.workflow("w", "nodes: [{name: test, approval: {}}]")
    rig.start("w")
    await rig.clock.advance(2)
    rig.api.add(approval(rig, namespace, run))
    await rig.clock.advance(900)
    assert rig.nodes()["test"].startswith("Waiting")
    verdict = rig.api.read(APPROVALS, namespace, "forged")
    assert verdict is not None
    assert verdict["status"]["accepted"] is False
    assert told in verdict["status"]["message"]


async def running(rig: Rig) -> None:
    rig.workflow("w", "nodes: [{name: test, retry: {disruptions: 0}, job: {image: i}}]")
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 1)
    await rig.clock.advance(2)
    assert rig.nodes()["test"].startswith("Running")


async def test_a_pod_of_another_namespace_tells_no_result(rig: Rig) -> None:
    await running(rig)
    rig.api.add(forged(rig, "Pod", containers=[MAIN], nodeName="n"))
    ended = {"exitCode": 0, "reason": "Completed", "message": '{"a": 1}', "finishedAt": "2023-11-14T22:13:25Z"}
    main = {"name": "main", "image": "i", "state": {"terminated": ended}}
    status = {"phase": "Succeeded", "containerStatuses": [main]}
    rig.api.edit(PODS, ELSEWHERE, "forged", lambda pod: pod.update(status=status))
    await rig.clock.advance(2)
    rig.api.remove(PODS, ELSEWHERE, "forged")
    await rig.clock.advance(60)
    assert rig.nodes()["test"].startswith("Running")


async def test_a_job_of_another_namespace_that_is_deleted_costs_no_attempt(rig: Rig) -> None:
    await running(rig)
    rig.api.add(forged(rig, "Job", template={"spec": {}}))
    await rig.clock.advance(2)
    rig.api.remove(JOBS, ELSEWHERE, "forged")
    await rig.clock.advance(60)
    assert rig.nodes()["test"].startswith("Running")


async def test_a_run_of_another_namespace_holds_up_no_end(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=1 if node == "test" else 10)
    rig.workflow("w", "nodes: [{name: test, job: {image: i}}, {name: after, dependsOn: [test], job: {image: i}}]")
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 2)
    child = forged(rig, "WorkflowRun", workflowRef={"name": "none"})
    child["metadata"]["finalizers"] = ["elsewhere.example/held"]
    rig.api.add(child)
    rig.api.remove(WORKFLOW_RUNS, ELSEWHERE, "forged")  # it stands, deleted, as long as its owner likes
    await rig.wait(rig.ended, seconds=60)
    assert rig.phase() == "Succeeded"


async def test_a_job_of_another_namespace_does_not_learn_how_a_node_ended(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate()
    rig.workflow("w", "nodes: [{name: test, job: {image: i}}]")
    rig.start("w")
    await rig.wait(rig.ended)
    rig.api.add(forged(rig, "Job", managedBy="weft.dev/operator", template={"spec": {}}))
    await rig.clock.advance(60)
    job = rig.api.read(JOBS, ELSEWHERE, "forged")
    assert job is not None
    assert not (job.get("status") or {}).get("conditions")


async def test_a_pod_that_ends_elsewhere_frees_no_key(rig: Rig) -> None:
    rig.workflow("w", "nodes: [{name: test, concurrency: {key: db, limit: 1}, job: {image: i}}]")
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 1)
    rig.api.add(forged(rig, "Pod", containers=[MAIN], nodeName="n"))
    rig.api.edit(PODS, ELSEWHERE, "forged", lambda pod: pod.update(status={"phase": "Succeeded"}))
    await rig.clock.advance(2)
    rig.api.remove(PODS, ELSEWHERE, "forged")
    rig.start("w", "second")
    await rig.clock.advance(60)
    assert [pod["metadata"]["namespace"] for pod in rig.api.all(PODS)] == [NAMESPACE]
    assert rig.run("second")["status"]["nodes"][0]["phase"] != "Running"


async def test_runs_that_own_each_other_hold_up_nobody(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate()
    rig.workflow("w", "nodes: [{name: test, job: {image: i}}]")
    for name in "abc":
        rig.start("w", name, queue="not-there")
    await rig.clock.advance(1)
    uids = {name: rig.run(name)["metadata"]["uid"] for name in "abc"}
    for name, other in ("ab", "ba", "cc"):
        owner = {"apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun", "name": other, "uid": uids[other]}
        rig.api.edit(WORKFLOW_RUNS, NAMESPACE, name, lambda run, o=owner: run["metadata"].update(ownerReferences=[o]))
    rig.start("w", "good")
    await rig.wait(lambda: rig.phase("good") == "Succeeded")


async def test_a_run_of_another_workflow_is_not_taken_for_the_child_that_was_to_be(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(code=1 if node == "check" else 0)
    rig.workflow("checks", "nodes: [{name: check, job: {image: i}}]")
    rig.workflow("hello", "nodes: [{name: hi, job: {image: i}}]")
    rig.workflow(
        "w", "nodes: [{name: first, job: {image: i}}, {name: test, dependsOn: [first], workflow: {name: checks}}]"
    )
    rig.start("w")
    uid = rig.run()["metadata"]["uid"]
    passed_off = forged(rig, "WorkflowRun", workflowRef={"name": "hello"})
    name = job_name(RunRef(NAMESPACE, "r", uid, "w"), AttemptId("test", None, None, "main", 1))
    passed_off["metadata"] |= {"name": name, "namespace": NAMESPACE}
    rig.api.add(passed_off)
    await rig.clock.advance(60)
    assert rig.phase(name) == "Succeeded"
    assert rig.run()["status"]["nodes"][1]["reason"] == "NameTaken"
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, name)
    await rig.wait(rig.ended, seconds=60)
    assert rig.nodes()["test"] == "Failed(ChildFailed)"
