"""Child runs: stopped and suspended with their parents, however the stops come about."""

from support.rig import Fate, Rig
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
