"""What is refused, what is warned of, what passes: a table of objects and of what they name."""

from typing import Any

import pytest
from weft.admission.judge import Found, Names, judge, names_in

JOB = {"job": {"image": "i"}}
TYPO = {"job": {"image": "i", "podTemplate": {"spec": {"hostNetwrk": True}}}}
USES = {"name": "a", "use": {"name": "t", "with": {"n": 1}}}
TYPE = {"parameters": [{"name": "n", "type": "integer"}], "job": {"image": "i"}}
TAKES_N = {"parameters": [{"name": "n", "type": "integer"}], "nodes": [{"name": "a", **JOB}]}


def obj(kind: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "x", "namespace": "n"}
    return {"apiVersion": "weft.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def judged(content: dict[str, Any], found: Found = Found()) -> tuple[list[str], list[str]]:  # noqa: B008
    verdict = judge(content, names_in(content, "n"), found)
    return [str(problem) for problem in verdict.problems], list(verdict.warnings)


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (obj("Workflow", nodes=[{"name": "a", "dependsOn": ["a"], **JOB}]), "spec.nodes[0].dependsOn[0]"),
        (obj("Workflow", nodes=[{"name": "a", "dependsOn": ["b"], **JOB}]), "spec.nodes[0].dependsOn[0]"),
        (obj("Workflow", nodes=[{"name": "a", "when": "1 +", **JOB}]), "spec.nodes[0].when"),
        (obj("Workflow", nodes=[{"name": "a", "when": "nodes.b.outputs.x", **JOB}]), "spec.nodes[0].when"),
        (obj("NodeType", job={"image": "${{ nodes.a.outputs.x }}"}), "spec.job.image"),
        (obj("WorkflowRun", workflow={"nodes": [{"name": "a", "when": "1 +", **JOB}]}), "spec.workflow.nodes[0].when"),
        (obj("WorkflowRun", workflow=TAKES_N, parameters={"n": "1"}), "spec.parameters"),
        (obj("WorkflowRun", workflow={"nodes": [{**USES, "when": "1 +"}]}), "spec.workflow.nodes[0].when"),
    ],
)
def test_what_is_wrong_by_itself_is_refused_with_its_path(content: dict[str, Any], path: str) -> None:
    problems, _ = judged(content)
    assert [problem.partition(": ")[0] for problem in problems] == [path]


@pytest.mark.parametrize(
    "content",
    [
        obj("Workflow", nodes=[{"name": "a", **JOB}]),
        obj("WorkflowRun", workflow=TAKES_N, parameters={"n": 1}),
        obj("WorkflowQueue", maxActiveRuns="nonsense"),  # its schema is all there is to hold it to
        {"apiVersion": "v1", "kind": "Pod", "spec": []},
    ],
)
def test_what_is_right_passes_without_a_word(content: dict[str, Any]) -> None:
    assert judged(content) == ([], [])


def test_what_the_operator_wrote_is_not_judged() -> None:
    assert judged(obj("Workflow", nodes=[{"name": "a", **JOB}]) | {"status": {"conditions": "nonsense"}}) == ([], [])


@pytest.mark.parametrize("content", [obj("Workflow", nodes=[USES]), obj("WorkflowRun", workflow={"nodes": [USES]})])
def test_a_type_that_is_not_there_is_warned_of_and_one_that_is_there_is_held_to(content: dict[str, Any]) -> None:
    problems, (warning,) = judged(content)
    assert problems == []
    assert warning.endswith("there are these NodeTypes: t")
    assert judged(content, Found(types={"t": TYPE})) == ([], [])
    (problem,), warnings = judged(content, Found(types={"t": TYPE | {"parameters": [{"name": "n"}]}}))
    assert "nodes[0].use.with: " in problem
    assert warnings == []
    (problem,), _ = judged(content, Found(types={"t": {"job": {"imagee": "i"}}}))
    assert problem.startswith("NodeType t: ")


def test_a_runs_parameters_are_held_to_its_workflow() -> None:
    content = obj("WorkflowRun", workflowRef={"name": "w"}, parameters={"n": "text"})
    problems, (warning,) = judged(content)
    assert (problems, "no Workflow w in this namespace" in warning) == ([], True)
    (problem,), warnings = judged(content, Found(workflow=TAKES_N))
    assert problem.startswith("spec.parameters: parameter 'n' must be of type integer")
    assert warnings == []
    content["spec"]["parameters"] = {"n": 3}
    assert judged(content, Found(workflow=TAKES_N)) == ([], [])
    # A Workflow that cannot be read says so itself; its runs are not refused for it.
    assert judged(content, Found(workflow={"parameters": [{"nam": "n"}]})) == ([], [])


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (obj("Workflow", nodes=[{"name": "a", "job": {}}]), "spec.nodes[0].job: node a has no image"),
        (obj("WorkflowRun", workflow={"nodes": [{"name": "a", "job": {}}]}), "spec.workflow.nodes[0].job: node a has"),
        (obj("Workflow", nodes=[{"name": "a", "wait": {"seconds": 1}, "retry": {}}]), "spec.nodes[0].retry: does noth"),
        (obj("WorkflowRun", workflowRef={"name": "w"}, parameters={"n": "{{ params.x }}"}), "spec.parameters.n: {{ "),
        (obj("Workflow", nodes=[{"name": "a", **TYPO}]), "spec.nodes[0].job.podTemplate.spec.hostNetwrk: Pods have no"),
        (obj("NodeType", **TYPO), "spec.job.podTemplate.spec.hostNetwrk: Pods have no such field"),
    ],
)
def test_what_is_hardly_meant_is_warned_of_as_weft_validate_notes_it(content: dict[str, Any], note: str) -> None:
    problems, (warning,) = judged(
        content, Found(workflow={"parameters": [{"name": "n"}], "nodes": [{"name": "a", **JOB}]})
    )
    assert problems == []
    assert warning.startswith(note)


def test_notes_know_the_types_and_are_not_made_on_what_is_wrong_or_very_large() -> None:
    uses = {"name": "a", "use": {"name": "t"}}
    bare: dict[str, Any] = {"job": {}}
    (note,) = judged(obj("Workflow", nodes=[uses]), Found(types={"t": bare}))[1]
    assert note.startswith("spec.nodes[0].use: node a has no image")
    assert judged(obj("Workflow", nodes=[{"name": "a", "when": "1 +", **bare}]))[1] == []
    nodes = [{"name": f"n{number}", **bare} for number in range(500)]
    graphs = [{"name": f"g{number}", "nodes": nodes} for number in range(4)]
    assert judged(obj("Workflow", nodes=[*nodes, {"name": "more", **bare}][1:], graphs=graphs)) == ([], [])


@pytest.mark.parametrize("spec", [None, [], "text", {"workflowRef": 3}, {"workflow": []}, {"nodes": [3, {"use": "t"}]}])
def test_what_has_no_shape_names_nothing_and_is_refused(spec: Any) -> None:
    for kind in ("Workflow", "WorkflowRun"):
        content = {"apiVersion": "weft.dev/v1alpha1", "kind": kind, "metadata": {}, "spec": spec}
        assert names_in(content, "n") == Names("n")
        assert judged(content)[0]
