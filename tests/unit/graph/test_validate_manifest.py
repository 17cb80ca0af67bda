import pytest
from support.specs import node
from weft.graph.validate import is_weft, validate


def manifest(kind, **spec):
    return {"apiVersion": "weft.dev/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}


def lines(*arguments, **options):
    return [str(problem) for problem in validate(*arguments, **options)]


@pytest.mark.parametrize(
    "content",
    [
        manifest("Workflow", nodes=[node("a")]),
        manifest("Workflow", nodes=[node("a", use={"name": "somewhere"})]),
        manifest("WorkflowRun", workflowRef={"name": "x"}, parameters={"anything": 1}),
        manifest("WorkflowRun", workflow={"nodes": [node("a")]}),
        manifest("NodeType", job={"image": "i"}),
        manifest("WorkflowQueue", maxActiveRuns=3),
        manifest("NotificationChannel", type="Webhook", webhook={"url": "https://a.example"}),
    ],
)
def test_what_is_right_has_no_problems(content):
    assert lines(content) == []


@pytest.mark.parametrize("content", [None, [], "text", 3])
def test_what_is_no_object_is_said_to_be_none(content):
    assert lines(content) == ["must be an object with apiVersion, kind, metadata and spec"]


def test_a_wrong_kind_or_version():
    assert 'did you mean "Workflow"?' in lines({"apiVersion": "weft.dev/v1alpha1", "kind": "Workflw"})[0]
    assert lines({"kind": "Workflow"}) == ["apiVersion: is required: weft.dev/v1alpha1"]
    assert lines({**manifest("Workflow", nodes=[node("a")]), "apiVersion": "weft.dev/v2"})[0].startswith("apiVersion: ")


def test_the_shape_comes_before_the_meaning():
    problems = lines(manifest("Workflow", nodes=[node("a", "nowhere", retry={"limit": -1})]))
    assert problems == ["spec.nodes[0].retry.limit: must be at least 0, got -1"]


def test_a_run_is_checked_where_its_workflow_stands():
    problems = lines(
        manifest(
            "WorkflowRun",
            workflow={"parameters": [{"name": "n", "type": "integer"}], "nodes": [node("a", "b")]},
            parameters={"n": "3"},
        )
    )
    assert [problem.partition(": ")[0] for problem in problems] == [
        "spec.workflow.nodes[0].dependsOn[0]",
        "spec.parameters",
    ]


def test_a_node_type_is_checked_by_itself():
    problems = lines(
        manifest(
            "NodeType",
            parameters=[{"name": "a", "type": "integer", "default": "x"}],
            job={"image": "i", "script": "${{ params.a }}", "env": [{"name": "A", "expr": "nodes.x.phase"}]},
            outputs=[{"name": "o", "value": "params.b"}],
            retry={"when": "params.a == 1"},
        )
    )
    assert [problem.partition(": ")[0] for problem in problems] == [
        "spec.parameters[0].default",
        "spec.job.script",
        "spec.job.env[0].expr",
        "spec.outputs[0].value",
        "spec.retry.when",
    ]


def test_when_the_node_types_are_known_use_is_held_to_them():
    workflow = manifest("Workflow", nodes=[node("a", use={"name": "t"})])
    assert lines(workflow, node_types={})[0].startswith("spec.nodes[0].use.name: there is no NodeType named 't'")


def test_whose_a_manifest_is():
    assert is_weft(manifest("Workflow"))
    assert is_weft({"kind": "Workflow"})
    assert is_weft({"apiVersion": "weft.dev/v9", "kind": "Other"})
    assert not is_weft({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow"})
    assert not is_weft({"apiVersion": "v1", "kind": "ConfigMap"})
    assert not is_weft("text")


def in_namespace(content, namespace):
    return {**content, "metadata": {"name": "x", "namespace": namespace}}


def making(namespace):
    return {"manifest": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": namespace}}}


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (manifest("Workflow", nodes=[node("a"), node("b", resource=making("other"))]), "spec.nodes[1].resource"),
        (manifest("Workflow", nodes=[node("a")], **{"finally": [node("b", resource=making("other"))]}),
         "spec.finally[0].resource"),
        (manifest("Workflow", nodes=[node("a", compensate={"resource": making("other")})]),
         "spec.nodes[0].compensate.resource"),
        (manifest("Workflow", nodes=[node("a")],
                  graphs=[{"name": "g", "nodes": [node("b", resource=making("other"))]}]),
         "spec.graphs[0].nodes[0].resource"),
        (manifest("WorkflowRun", workflow={"nodes": [node("b", resource=making("other"))]}),
         "spec.workflow.nodes[0].resource"),
        (manifest("NodeType", resource=making("other")), "spec.resource"),
    ],
)  # fmt: skip
def test_a_resource_of_another_namespace_can_never_be_made(content, path):
    told = (
        "is 'other', but a node makes objects in the namespace of its run alone, which is 'shop'; leave the namespace"
        " out"
    )
    assert lines(in_namespace(content, "shop")) == [f"{path}.manifest.metadata.namespace: {told}"]
    assert lines(content) == lines(in_namespace(content, "other")) == []


@pytest.mark.parametrize("namespace", ["${{ run.namespace }}", "shop", None])
def test_a_resource_may_name_the_namespace_it_is_made_in(namespace):
    content = manifest("Workflow", nodes=[node("a", resource=making(namespace))])
    assert lines(in_namespace(content, "shop")) == []
