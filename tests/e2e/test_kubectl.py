"""What kubectl shows and takes: a user needs nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from e2e.harness.operator import Operator
from e2e.harness.place import Place, Run, refused
from e2e.harness.stage import node, spec


@pytest.fixture(scope="module")
def shop(make_place: Callable[[str], Place], operator: Operator) -> Place:
    return make_place("kubectl")


@pytest.fixture(scope="module")
def good(shop: Place) -> Run:
    backoff = {"limit": 2, "backoff": {"initialSeconds": 0}}
    return shop.start("good", spec([node("a", "[ $WEFT_ATTEMPT -ge 2 ]", retry=backoff), node("b", after=["a"])]))


@pytest.fixture(scope="module")
def bad(shop: Place) -> Run:
    return shop.start("bad", spec([node("a", "exit 3"), node("b", after=["a"])]))


def test_wait_for_conditions(shop: Place, good: Run, bad: Run) -> None:
    shop.kubectl("wait", "--for=condition=Succeeded", f"workflowrun/{good.name}", "--timeout=120s")
    shop.kubectl("wait", "--for=condition=Finished", f"workflowrun/{good.name}", "--timeout=120s")
    shop.kubectl("wait", "--for=condition=Finished", f"workflowrun/{bad.name}", "--timeout=120s")
    shop.kubectl("wait", "--for=jsonpath={.status.phase}=Failed", f"workflowrun/{bad.name}", "--timeout=10s")
    shop.kubectl("wait", "--for=condition=Ready", "workflow/good", "--timeout=10s")


def test_wait_does_not_hang_on_what_was_changed_after_the_end(shop: Place, good: Run) -> None:
    """kubectl passes over a condition of an older generation."""
    good.finish()
    good.edit(priority="High")
    shop.kubectl("wait", "--for=condition=Finished", f"workflowrun/{good.name}", "--timeout=30s")


def test_columns(shop: Place, good: Run, bad: Run) -> None:
    good.finish()
    bad.finish("Failed")
    header, *rows = shop.kubectl("get", "workflowruns").splitlines()
    assert header.split() == ["NAME", "WORKFLOW", "STATUS", "PROGRESS", "REASON", "DURATION", "AGE"]
    row = next(row.split() for row in rows if row.startswith(good.name))
    assert row[1:4] == ["good", "Succeeded", "2/2"]
    assert row[5][-1] == "s"
    row = next(row.split() for row in rows if row.startswith(bad.name))
    assert row[1:5] == ["bad", "Failed", "2/2", "NodeFailed"]
    header, *rows = shop.kubectl("get", "wfr", "-o", "wide").splitlines()
    assert header.split()[-3:] == ["PRIORITY", "QUEUE", "MESSAGE"]
    assert "a failed (Error: main exited with code 3)" in next(row for row in rows if row.startswith(bad.name))
    assert "READY" in shop.kubectl("get", "wfd").splitlines()[0]
    listed = shop.kubectl("get", "weft")
    assert good.name in listed
    assert "workflow.weft.dev/good" in listed


def test_runs_are_selected_by_their_fields(shop: Place, good: Run, bad: Run) -> None:
    good.finish()
    bad.finish("Failed")
    for selector, run, other in (("status.phase=Failed", bad, good), ("spec.workflowRef.name=good", good, bad)):
        listed = shop.kubectl("get", "wfr", "--field-selector", selector, "-o", "name").split()
        assert f"workflowrun.weft.dev/{run.name}" in listed, selector
        assert f"workflowrun.weft.dev/{other.name}" not in listed, selector


def test_describe_shows_readable_events(shop: Place, good: Run, bad: Run) -> None:
    good.finish()
    bad.finish("Failed")
    told = shop.wait_for(lambda: _events(shop, bad, "a"), "kubectl describe shows no event of the failure")
    assert "exited with code 3" in told, told
    told = shop.wait_for(lambda: _events(shop, good, "attempt"), "kubectl describe shows no event of the retry")


def _events(shop: Place, run: Run, word: str) -> str:
    events = shop.kubectl("describe", "workflowrun", run.name).partition("\nEvents:")[2]
    return events if word in events else ""


def test_explain_teaches(shop: Place) -> None:
    told = shop.kubectl("explain", "workflow.spec.nodes")
    for word in ("dependsOn", "forEach", "retry", "What this node waits for", "-required-"):
        assert word in told
    assert "What each further wait is multiplied by" in shop.kubectl("explain", "workflow.spec.nodes.retry.backoff")
    assert "Drain" in shop.kubectl("explain", "workflowrun.spec.stop")


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ([node("a", after=["c"]), node("b", after=["a"]), node("c", after=["b"])], "a -> "),
        ([node("a", after=["ghost"])], "spec.nodes[0].dependsOn[0]"),
        ([node("a", env={"X": "${{ nodes.b.outputs.n }}"}), node("b")], "spec.nodes[0].job.env[0].value"),
        ([node("a", when="1 +")], "spec.nodes[0].when"),
        ([{"name": "a", "job": {"command": ["sh", "-c"], "args": ["echo ${{ run.name }}"]}}], "spec.nodes[0].job.args"),
    ],
    ids=["cycle", "unknown-node", "not-an-ancestor", "expression", "injection"],
)  # fmt: skip
def test_a_broken_workflow_says_where(
    nodes: list[dict[str, object]], told: str, shop: Place, request: pytest.FixtureRequest
) -> None:
    name = f"broken-{request.node.callspec.id}"
    shop.create("Workflow", name, spec(nodes))
    ready = shop.ready(name)
    assert (ready["status"], ready["reason"]) == ("False", "Invalid")
    assert told in ready["message"]
    run = shop.start(name).finish("Failed")
    assert run.condition("Succeeded")["reason"] == "InvalidWorkflow"


def test_the_api_server_refuses_what_needs_no_graph(shop: Place) -> None:
    two = {"name": "a", "job": {"script": "true"}, "wait": {"seconds": 1}}
    assert "exactly one of" in refused(lambda: shop.create("Workflow", "two-bodies", {"nodes": [two]}))
    typo = {"nodes": [{"name": "a", "job": {"script": "true"}, "dependson": []}]}
    assert "dependson" in refused(lambda: shop.create("Workflow", "typo", typo))
    run = shop.create_run({"workflowRef": {"name": "good"}, "parameters": {}})
    assert "immutable" in refused(lambda: run.edit(workflowRef={"name": "bad"}))


def test_who_may_not_create_pods_gets_none_through_weft(shop: Place) -> None:
    """The right to write Workflows is not the right to run anything: that takes the right to create Pods as well."""
    shop.kubectl("create", "role", "writer", "--verb=create", "--resource=workflows.weft.dev,workflowruns.weft.dev")
    shop.kubectl("create", "rolebinding", "writer", "--role=writer", "--user=eve")
    api, path = shop.cluster.api, f"/apis/weft.dev/v1alpha1/namespaces/{shop.name}"
    body = {
        "apiVersion": "weft.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "eves"},
        "spec": spec([node("a")]),
    }
    told = refused(lambda: api.post(f"{path}/workflows", body, as_user="eve"))
    assert "may not create Pods" in told
    inline = {"apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun", "metadata": {"name": "eves"},
              "spec": {"workflow": spec([node("a")])}}  # fmt: skip
    assert "may not create Pods" in refused(lambda: api.post(f"{path}/workflowruns", inline, as_user="eve"))
