"""What somebody has nested without end, as the API server stores it, harms nobody else and is told what is wrong."""

from functools import partial
from typing import Any

import pytest
import yaml
from support.deep import LEVELS, hold_deep_values
from support.rig import NAMESPACE, Rig
from weft.kube.resources import CONFIG_MAPS, NODE_TYPES, WORKFLOWS


@pytest.fixture(params=LEVELS)
def levels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Let the API server's answers and watches hold it."""
    levels: int = request.param
    hold_deep_values(monkeypatch, levels)
    return levels


def condition(obj: Any, kind: str) -> tuple[str, str]:
    (found,) = (one for one in obj["status"]["conditions"] if one["type"] == kind)
    return found["reason"], found["message"]


@pytest.mark.parametrize("before", [True, False])
async def test_a_run_with_such_parameters_fails_and_the_next_one_does_not(rig: Rig, levels: int, before: bool) -> None:
    """Whether the operator finds it when it begins, or hears of it later."""
    rig.workflow("w", "parameters: [{name: p, type: object, default: {}}]\nnodes: [{name: a, job: {image: i}}]")
    if not before:
        await rig.up()
    rig.start("w", "bad", parameters={"p": "(deep)"})
    await rig.finish("w", "good")
    assert rig.phase("good") == "Succeeded"
    await rig.wait(lambda: rig.ended("bad"), seconds=5)
    assert rig.phase("bad") == "Failed"
    reason, message = condition(rig.run("bad"), "Succeeded")
    assert reason == "InvalidParameters"
    assert "parameter 'p' holds a value that is nested too deeply" in message


JOB = "nodes: [{name: a, job: {image: i, podTemplate: (deep)}}]"
TYPED = "nodes: [{name: a, use: {name: t}}]"
WITH = "nodes: [{name: a, use: {name: t, with: {p: (deep)}}}]"
TYPE = "{apiVersion: weft.dev/v1alpha1, kind: NodeType, metadata: {name: t}, spec: {job: {image: i%s}}}"
ASKING = """{apiVersion: weft.dev/v1alpha1, kind: NodeType, metadata: {name: t},
  spec: {parameters: [{name: p, type: object, default: {}}], job: {image: i}}}"""


@pytest.mark.parametrize(
    ("spec", "node_type"),
    [(JOB, ""), (TYPED, TYPE % ", podTemplate: (deep)"), (WITH, ASKING)],
    ids=["Workflow", "NodeType", "with"],
)
async def test_a_workflow_that_holds_such_a_value_is_invalid_and_others_are_ready(
    rig: Rig, levels: int, spec: str, node_type: str
) -> None:
    if node_type:
        rig.apply(node_type)
    rig.workflow("bad", spec)
    rig.workflow("good", "nodes: [{name: a, job: {image: i}}]")
    await rig.up()
    rig.start("bad", "r1")
    inline = {"metadata": {"name": "r2"}, "spec": {"workflow": yaml.safe_load(spec)}}
    rig.apply(yaml.safe_dump({"apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun"} | inline))
    await rig.finish("good", "r3")
    assert rig.phase("r3") == "Succeeded"
    for name in ("r1", "r2"):
        await rig.wait(partial(rig.ended, name), seconds=5)
        reason, message = condition(rig.run(name), "Succeeded")
        assert reason == "InvalidWorkflow"
        assert "nested too deeply" in message
    workflow = rig.api.read(WORKFLOWS, NAMESPACE, "bad")
    assert "nested too deeply" in condition(workflow, "Ready")[1]
    if node_type.count("(deep)"):
        assert "nested too deeply" in condition(rig.api.read(NODE_TYPES, NAMESPACE, "t"), "Ready")[1]


@pytest.mark.parametrize(
    ("when", "outcome"),
    [("object.data.state == 'done'", "Succeeded"), ("string(object.data.deep) == 'x'", "Failed")],
)
async def test_a_resource_that_holds_one_is_looked_at(levels: int, when: str, outcome: str) -> None:
    rig = Rig(resource_impersonation=True)
    rig.api.documents["/api/v1"] = {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}
    data = "{state: open}"
    rig.workflow("w", f"""
      nodes:
      - name: a
        resource:
          manifest: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: made}}, data: {data}}}
          successWhen: {when}
      """)  # fmt: skip
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: rig.api.read(CONFIG_MAPS, NAMESPACE, "made") is not None)
    rig.api.edit(CONFIG_MAPS, NAMESPACE, "made", lambda obj: obj["data"].update(state="done", deep="(deep)"))
    await rig.wait(rig.ended)
    assert rig.phase() == outcome, rig.run()["status"]
    await rig.close()
