"""Child runs and queues, in the whole operator: who is a child passes by, who only says so stands in line."""

from support.kubelet import Fate
from support.rig import NAMESPACE, Rig
from weft.api.base import API_VERSION
from weft.kube.resources import PODS, WORKFLOW_QUEUES

QUEUE = "{apiVersion: weft.dev/v1alpha1, kind: WorkflowQueue, metadata: {name: q}, spec: {maxActiveRuns: 1}}"


async def test_a_child_passes_a_full_queue_however_deep_and_whoever_leads(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=30)
    rig.apply(QUEUE)
    rig.workflow("deep", "nodes: [{name: x, job: {image: i}}]")
    two = "nodes: [{name: d, workflow: {name: deep}}, {name: e, dependsOn: [d], workflow: {name: deep}}]"
    rig.workflow("child", two)
    rig.workflow("w", "nodes: [{name: c, workflow: {name: child}}]")
    await rig.up()
    rig.start("w", queue="q")
    rig.start("w", "second", queue="q")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 1)
    await rig.down()
    await rig.up()
    await rig.wait(rig.ended, seconds=200)
    assert rig.phase() == "Succeeded"
    await rig.wait(lambda: rig.phase("second") == "Succeeded", seconds=200)


async def test_who_says_it_is_the_child_of_a_run_that_waits_stands_in_line_too(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=5)
    rig.apply(QUEUE.replace("maxActiveRuns: 1", "maxActiveRuns: 1, paused: true"))
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    await rig.up()
    rig.start("w", "first", queue="q")
    await rig.clock.advance(2)
    uid = rig.run("first")["metadata"]["uid"]
    owner = {"apiVersion": API_VERSION, "kind": "WorkflowRun", "name": "first", "uid": uid}
    metadata = {"name": "sneak", "namespace": NAMESPACE, "ownerReferences": [owner]}
    spec = {"workflowRef": {"name": "w"}, "queue": "q"}
    rig.api.add({"apiVersion": API_VERSION, "kind": "WorkflowRun", "metadata": metadata, "spec": spec})
    await rig.clock.advance(5)
    assert [rig.phase(name) for name in ("first", "sneak")] == ["Queued", "Queued"]
    assert rig.api.all(PODS) == []
    queue = rig.api.read(WORKFLOW_QUEUES, NAMESPACE, "q")
    assert queue is not None
    assert queue["status"]["queued"] == 2
    rig.api.edit(WORKFLOW_QUEUES, NAMESPACE, "q", lambda queue: queue["spec"].update(paused=False))
    await rig.wait(lambda: all(rig.phase(name) == "Succeeded" for name in ("first", "sneak")), seconds=60)
