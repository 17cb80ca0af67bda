"""Child runs: stopped and suspended with their parents, however the stops come about."""

from typing import Any

import pytest
from support.asked import Asked
from support.kubelet import Fate
from support.rig import NAMESPACE, Rig, most_at_once
from support.transport import status
from weft.api.objects import Obj
from weft.engine.run import MAX_CHILD_DEPTH
from weft.kube.resources import PODS, WORKFLOW_RUNS


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


UNDOING = """
nodes:
- {name: j, job: {image: i}, compensate: {job: {image: i}}}
- {name: k, dependsOn: [j], job: {image: i}}
finally: [{name: fin, job: {image: i}}]
"""


async def test_terminate_reaches_a_child_run_that_is_being_cancelled(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=1 if node == "j" and not rig.run()["spec"].get("stop") else 3000)
    rig.workflow("child", UNDOING)
    rig.workflow("w", "nodes: [{name: c, workflow: {name: child}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 2)
    rig.edit(stop="Cancel")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 3, seconds=60)  # what undoes j
    rig.edit(stop="Terminate")
    await rig.wait(rig.ended, seconds=60)
    assert len(rig.jobs_made()) == 3
    assert {run["status"]["phase"] for run in rig.api.all(WORKFLOW_RUNS)} == {"Cancelled"}


async def test_a_child_run_that_is_drained_with_its_parent_has_not_failed(rig: Rig) -> None:
    """So a rerun does it again, even where some may fail."""
    rig.behave = lambda node, attempt: Fate(seconds=5)
    rig.workflow("child", "nodes: [{name: x, job: {image: i}}, {name: y, dependsOn: [x], job: {image: i}}]")
    rig.workflow("w", "nodes: [{name: c, forEach: {range: 2, maxFailed: 2}, workflow: {name: child}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 2)
    rig.edit(stop="Drain")
    await rig.wait(rig.ended, seconds=60)
    assert (rig.nodes(), rig.phase()) == ({"c": "Cancelled(Stopped)"}, "Cancelled")
    rig.edit(stop=None, rerun={"generation": 1, "from": "Failed"})
    await rig.wait(lambda: rig.phase() != "Cancelled", seconds=60)
    await rig.wait(rig.ended, seconds=60)
    assert (rig.nodes(), rig.phase()) == ({"c": "Succeeded"}, "Succeeded")


async def test_a_child_run_that_somebody_stops_by_itself_has_failed_its_node(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=5)
    rig.workflow("child", "nodes: [{name: x, job: {image: i}}]")
    rig.workflow("w", "nodes: [{name: c, workflow: {name: child}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 1)
    name = child_of(rig)["metadata"]["name"]
    rig.edit(name, stop="Drain")
    await rig.wait(rig.ended, seconds=60)
    assert (rig.nodes(), rig.phase()) == ({"c": "Failed(ChildFailed)"}, "Failed")


async def test_a_drain_leaves_the_child_runs_of_finally_alone(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=5)
    rig.workflow("child", UNDOING)
    rig.workflow("w", "{nodes: [{name: a, job: {image: i}}], finally: [{name: c, workflow: {name: child}}]}")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 1)
    rig.edit(stop="Drain")
    await rig.wait(rig.ended, seconds=120)
    assert rig.nodes() == {"a": "Succeeded", "c": "Succeeded"}


async def test_a_child_run_can_be_suspended_by_itself(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=5)
    rig.workflow("child", "nodes: [{name: x, job: {image: i}}, {name: y, dependsOn: [x], job: {image: i}}]")
    rig.workflow("w", "nodes: [{name: c, workflow: {name: child}}, {name: d, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(WORKFLOW_RUNS)) == 2)
    (name,) = (run["metadata"]["name"] for run in rig.api.all(WORKFLOW_RUNS) if run["metadata"]["name"] != "r")
    rig.edit(name, suspend=True)
    await rig.clock.advance(30)
    assert rig.phase(name) == "Suspended"
    rig.edit(suspend=True)
    await rig.clock.advance(5)
    rig.edit(suspend=False)
    await rig.clock.advance(30)
    assert (rig.phase(), rig.phase(name)) == ("Running", "Suspended")
    rig.edit(name, suspend=False)
    await rig.wait(rig.ended, seconds=60)
    assert rig.phase() == "Succeeded"


CHILD = "nodes: [{name: x, job: {image: i}}]"
PARENT = "nodes: [{name: c, workflow: {name: child}}]"


def child_of(rig: Rig) -> Obj:
    """The latest run that r has started."""
    return [run for run in rig.api.all(WORKFLOW_RUNS) if run["metadata"]["name"] != "r"][-1]


async def delete_child(rig: Rig) -> Obj:
    """Somebody deletes the child run while its Pod runs, which takes its time to end; gives the Pod."""
    rig.workflow("child", CHILD)
    rig.workflow("w", PARENT)
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 1)
    await rig.clock.advance(2)
    (pod,) = rig.api.all(PODS)
    name = pod["metadata"]["name"]
    rig.api.edit(PODS, NAMESPACE, name, lambda pod: pod["metadata"]["finalizers"].append("example.com/kubelet"))
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, child_of(rig)["metadata"]["name"])
    return pod


@pytest.mark.parametrize("crash", [False, True], ids=["calm", "a crash"])
async def test_the_next_child_run_waits_until_the_pods_of_a_deleted_one_have_ended(rig: Rig, crash: bool) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=60, deaf=True)
    pod = await delete_child(rig)
    await rig.wait(lambda: rig.first_node().get("reason") == "PreviousPodRunning", seconds=20)
    if crash:
        await rig.down()
        await rig.up()
    await rig.clock.advance(20)
    assert most_at_once(rig) == 1
    name = pod["metadata"]["name"]
    rig.api.edit(PODS, NAMESPACE, name, lambda pod: pod["metadata"].update(finalizers=[]))
    await rig.wait(rig.ended, seconds=120)
    assert (rig.phase(), most_at_once(rig)) == ("Succeeded", 1)


async def test_a_child_run_that_waits_for_the_one_before_can_be_stopped(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=6000, deaf=True)
    await delete_child(rig)
    await rig.wait(lambda: rig.first_node().get("reason") == "PreviousPodRunning", seconds=20)
    rig.edit(stop="Cancel")
    await rig.wait(rig.ended, seconds=60)
    assert rig.nodes() == {"c": "Cancelled(Stopped)"}


async def test_a_child_run_that_cannot_be_made_for_a_while_was_not_deleted_by_anybody(rig: Rig) -> None:
    rig.workflow("child", CHILD)
    rig.workflow("w", PARENT)
    await rig.up()

    def busy(asked: Asked) -> Any:
        making = asked.method == "POST" and asked.resource is WORKFLOW_RUNS
        return status(429) if making and rig.clock.now() < until else None

    until = rig.clock.now() + 120
    rig.api.before.append(busy)
    rig.start("w")
    await rig.wait(rig.ended, seconds=600)
    assert rig.phase() == "Succeeded"
    assert rig.first_node()["attempts"] == 1


async def test_a_strangers_run_of_a_childs_name_is_not_taken_for_it(rig: Rig) -> None:
    """Who may make runs would give the parent whatever outputs he likes."""
    rig.workflow("child", CHILD)
    rig.workflow("w", PARENT)
    await rig.up()

    async def first(asked: Asked) -> None:
        if asked.method == "POST" and asked.resource is WORKFLOW_RUNS:
            rig.api.before.remove(first)
            spec = {"workflow": {"nodes": [{"name": "x", "expr": {"a": "1"}}]}}
            metadata = {"name": asked.body["metadata"]["name"], "namespace": NAMESPACE}
            rig.api.add({"apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun", "metadata": metadata, "spec": spec})

    rig.api.before.append(first)
    rig.start("w")
    await rig.clock.advance(60)
    stranger = child_of(rig)["metadata"]["name"]
    assert (rig.phase(stranger), rig.phase()) == ("Succeeded", "Running")
    assert rig.first_node()["reason"] == "NameTaken"
    assert stranger in rig.first_node()["message"]
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, stranger)
    await rig.wait(rig.ended, seconds=60)
    assert (rig.phase(), len(rig.jobs_made())) == ("Succeeded", 1)


async def test_a_workflow_that_starts_itself_ends(rig: Rig) -> None:
    rig.workflow("w", "nodes: [{name: again, workflow: {name: w}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(rig.ended, seconds=120)
    runs = rig.api.all(WORKFLOW_RUNS)
    assert len(runs) == 1 + MAX_CHILD_DEPTH
    assert {run["status"]["phase"] for run in runs} == {"Failed"}
    told = [run["status"]["nodes"][0] for run in runs]
    assert {node["reason"] for node in told} == {"InvalidWorkflow"}
    assert all("does 'w' start itself?" in node["message"] for node in told)
    assert sum(node["message"].startswith("child runs nest deeper than 8;") for node in told) == 1
