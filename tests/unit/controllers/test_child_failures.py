"""What child runs that fail hand on, and whether another one is tried: as `weft simulate` says."""

import pytest
from support.kubelet import Fate
from support.rig import Rig
from support.simulation import simulate
from weft.engine.run import MAX_CHILD_DEPTH
from weft.kube.resources import WORKFLOW_RUNS

HEAD = "apiVersion: weft.dev/v1alpha1\nkind: Workflow\nmetadata: {name: child}\nspec:"

GIVES = """
    nodes: [{name: x, job: {image: i}}]
    finally: [{name: f, job: {image: i}}]
    outputs: [{name: n, value: "null"}, {name: m, value: "7"}]
"""
TAKES = """
    nodes:
    - {name: c, workflow: {name: child}}
    - {name: h, dependsOn: ["c:Failed"], expr: {got: "[nodes.c.outputs.n == null, nodes.c.outputs.m]"}}
    outputs: [{name: got, value: nodes.h.outputs.got}]
"""


async def test_a_child_run_whose_finally_has_failed_hands_its_outputs_on(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(code=1 if node == "f" else 0)
    rig.workflow("child", GIVES)
    rig.workflow("w", TAKES)
    await rig.up()
    rig.start("w")
    await rig.wait(rig.ended, seconds=60)
    said = simulate(TAKES, "events: [{node: c/f, exitCode: 1}]", others=HEAD + GIVES).report
    assert (rig.phase(), rig.run()["status"].get("outputs")) == ("Succeeded", {"got": [True, 7]})
    assert (said["outcome"], said["outputs"]) == ("Succeeded", {"got": [True, 7]})


NEEDS = """
    parameters: [{name: n, type: integer}]
    nodes: [{name: x, job: {image: i}}]
"""


@pytest.mark.parametrize(
    ("called", "reason"),
    [("{name: nobody}", "WorkflowNotFound"), ("{name: child}", "InvalidParameters")],
    ids=["missing", "parameters"],
)
async def test_a_child_run_that_cannot_start_is_not_tried_again(rig: Rig, called: str, reason: str) -> None:
    parent = f"nodes: [{{name: c, workflow: {called}, retry: {{}}}}]"
    rig.workflow("child", NEEDS)
    rig.workflow("w", parent)
    await rig.up()
    rig.start("w")
    await rig.wait(rig.ended, seconds=300)
    said = simulate(parent, others=HEAD + NEEDS)
    assert rig.nodes() == {"c": f"Failed({reason})"}
    assert rig.first_node()["attempts"] == said.report["nodes"]["c"]["attempts"] == 1
    assert said.nodes["c"].startswith(f"Failed({reason})")


async def test_nor_is_one_whose_workflow_is_invalid(rig: Rig) -> None:
    rig.workflow("child", "nodes: [{name: x, dependsOn: [nobody], job: {image: i}}]")
    rig.workflow("w", "nodes: [{name: c, workflow: {name: child}, retry: {}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(rig.ended, seconds=300)
    assert (rig.nodes(), rig.first_node()["attempts"]) == ({"c": "Failed(InvalidWorkflow)"}, 1)
    assert "nobody" in rig.first_node()["message"]


async def test_one_that_has_failed_is_tried_again(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(code=1)
    rig.workflow("child", "nodes: [{name: x, job: {image: i}}]")
    rig.workflow("w", "nodes: [{name: c, workflow: {name: child}, retry: {limit: 1}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(rig.ended, seconds=300)
    assert (rig.nodes(), rig.first_node()["attempts"]) == ({"c": "Failed(ChildFailed)"}, 2)


STARTS_ITSELF = {
    "a node": "nodes: [{name: j, job: J}, {name: a, workflow: {name: test}, retry: {limit: 1}}]",
    "in finally": "{nodes: [{name: j, job: J}], finally: [{name: a, workflow: {name: test}, retry: {limit: 1}}]}",
    "in a subgraph": """
        nodes: [{name: j, job: J}, {name: s, graph: {name: g}}]
        graphs: [{name: g, nodes: [{name: a, workflow: {name: test}, retry: {limit: 1}}]}]
        """,
    "an item": "nodes: [{name: j, job: J}, {name: a, forEach: {range: 1}, workflow: {name: test}, retry: {limit: 1}}]",
}
"""Each run of it has one Pod, so that they can be counted."""


@pytest.mark.parametrize("spec", STARTS_ITSELF.values(), ids=STARTS_ITSELF)
async def test_a_workflow_that_starts_itself_is_given_up_at_once(rig: Rig, spec: str) -> None:
    rig.workflow("test", spec.replace("job: J", "job: {image: i}"))
    await rig.up()
    rig.start("test")
    await rig.wait(rig.ended, seconds=3000)
    runs = rig.api.all(WORKFLOW_RUNS)
    assert len(runs) == len(rig.jobs_made()) == len(simulate(spec).jobs) == 1 + MAX_CHILD_DEPTH
    assert {run["status"]["phase"] for run in runs} == {"Failed"}
