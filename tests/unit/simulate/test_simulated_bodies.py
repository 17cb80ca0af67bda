"""Small bodies, services and outputs of design section 3."""

import re
from typing import Any

import pytest
import yaml
from support.simulation import simulate
from weft.api.workflow import WorkflowSpec
from weft.graph.outputs import Givers


def test_a_switch_chooses_the_first_true_case() -> None:
    workflow = """
        parameters: [{name: mode, default: standard}]
        nodes:
        - {name: route, switch: {cases: [{name: urgent, when: "params.mode == 'urgent'"}, {name: bulk,
           when: "params.mode == 'bulk'"}], default: standard}}
        - {name: fast, dependsOn: ["route:urgent"], job: J}
        - {name: usual, dependsOn: ["route:standard"], job: J}
        - {name: end, dependsOn: [fast, usual], join: Any, job: J}
        """
    usual, urgent = simulate(workflow), simulate(workflow, params={"mode": "urgent"})
    assert usual.outputs("route") == {"case": "standard"}
    assert usual.nodes["fast"] == "Skipped(UpstreamSkipped)"
    assert usual.nodes["end"] == "Succeeded 1-2"
    assert urgent.outputs("route") == {"case": "urgent"}
    assert urgent.nodes["usual"] == "Skipped(UpstreamSkipped)"


def test_expr_computes_without_a_pod() -> None:
    ran = simulate(
        """
        parameters: [{name: n, type: integer, default: 4}]
        nodes: [{name: sum, expr: {total: "params.n * 2", text: "'n' + string(params.n)"}}]
        outputs: [{name: total, value: "${{ nodes.sum.outputs.total }}"}]
        """
    )
    assert ran.nodes == {"sum": "Succeeded 0-0"}
    assert ran.report["outputs"] == {"total": 8}
    assert ran.jobs == []


def test_a_resource_gives_what_the_scenario_says() -> None:
    ran = simulate(
        "nodes: [{name: a, resource: {manifest: {apiVersion: v1, kind: ConfigMap}}}]",
        "events: [{node: a, outputs: {name: x, status: {ready: true}}}]",
    )
    assert ran.nodes["a"] == "Succeeded 0-1"
    assert ran.outputs("a") == {"name": "x", "kind": "ConfigMap", "status": {"ready": True}}


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"name": "cm"}, "cm"),
        ({"name": "cm-${{ run.attempt }}"}, "cm-1"),
        ({}, r"\w+-a-[a-z2-7]+"),
        ("${{ {'name': 'whole'} }}", "whole"),
    ],
)
def test_a_resource_is_called_as_its_manifest_says_or_as_a_job_would_be(metadata: Any, name: str) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    found = "nodes.a.outputs.kind + '/' + nodes.a.outputs.name"
    ran = simulate(
        {
            "nodes": [{"name": "a", "resource": {"manifest": manifest}}],
            "outputs": [{"name": "found", "value": found}, {"name": "status", "value": "nodes.a.outputs.status"}],
        }
    )
    outputs = ran.report["outputs"]
    assert re.fullmatch(f"ConfigMap/{name}", outputs["found"])
    assert outputs["status"] == {}


GIVERS = {
    "switch": "{name: a, switch: {cases: [{name: x, when: 'true'}]}}",
    "approval": "{name: a, approval: {timeoutSeconds: 1, onTimeout: Approve}}",
    "rejected": "{name: a, allowFailure: true, approval: {timeoutSeconds: 1}}",
    "wait": "{name: a, wait: {seconds: 1}}",
    "http": "{name: a, http: {url: 'http://x/'}}",
    "resource": "{name: a, resource: {manifest: {apiVersion: v1, kind: ConfigMap}}}",
    "items": "{name: a, forEach: {range: 2}, resource: {manifest: {apiVersion: v1, kind: ConfigMap}}}",
    "expr": "{name: a, expr: {x: '1', y: '2'}}",
    "rounds": "{name: a, while: {condition: 'iteration < 1'}, expr: {x: '1', y: '2'}}",
    "graph": "{name: a, graph: {name: g}}",
}


@pytest.mark.parametrize("case", GIVERS)
def test_what_a_node_is_known_to_give_is_what_it_gives(case: str) -> None:
    text = f"{{nodes: [{GIVERS[case]}], graphs: [{{name: g, nodes: [{{name: b, expr: {{x: '1'}}}}],"
    raw = yaml.safe_load(f"{text} outputs: [{{name: o, value: '1'}}]}}]}}")
    spec = WorkflowSpec.model_validate(raw, by_alias=True)
    assert set(simulate(raw).outputs("a")) == set(Givers(spec, {}).outputs_of(spec.nodes[0]) or ())


SERVICE = """
    nodes:
    - {name: db, service: true, timeoutSeconds: 2, job: J}
    - {name: use, dependsOn: ["db:Ready"], job: J}
    - {name: more, dependsOn: ["db:Ready", use], job: J}
    - {name: other, job: J}
    """


def test_a_service_runs_beside_its_dependents_and_is_stopped_after_them() -> None:
    ran = simulate(
        SERVICE,
        "events: [{node: db, readySeconds: 3}, {node: use, durationSeconds: 5}, {node: other, durationSeconds: 99}]",
    )
    assert ran.nodes == {
        "db": "Succeeded 0-9", "use": "Succeeded 3-8", "more": "Succeeded 8-9", "other": "Succeeded 0-99",
    }  # fmt: skip
    assert ran.report["outcome"] == "Succeeded"


def test_a_service_that_fails_before_its_dependents_have_ended_fails() -> None:
    early = simulate(SERVICE, "events: [{node: db, readySeconds: 3, durationSeconds: 1, exitCode: 1}]")
    assert early.nodes["db"] == "Failed(Error) 0-1"
    assert early.nodes["use"] == "Skipped(UpstreamFailed)"
    late = simulate(SERVICE, "events: [{node: db, durationSeconds: 2, exitCode: 1}, {node: use, durationSeconds: 5}]")
    assert late.nodes["db"] == "Failed(Error) 0-2"
    assert late.nodes["use"] == "Succeeded 0-5"
    assert late.report["outcome"] == "Failed"


@pytest.mark.parametrize("user", ["approval: {}", "wait: {seconds: 50}", "job: J"])
@pytest.mark.parametrize(
    ("what", "reason"), [("actions: [{at: 5, stop: Cancel}]", "Stopped"), ("{}", "DeadlineExceeded")]
)
def test_a_service_that_is_cancelled_has_not_succeeded(user: str, what: str, reason: str) -> None:
    ran = simulate(
        f"""
        timeoutSeconds: 6
        nodes:
        - {{name: s, service: true, job: J, compensate: {{job: J}}}}
        - {{name: u, dependsOn: ["s:Ready"], {user}}}
        """,
        f"{{events: [{{node: u, durationSeconds: 50}}], {what.strip('{}')}}}",
    )
    assert ran.nodes["s"].startswith(f"Cancelled({reason})")
    assert not [job for job in ran.jobs if job.startswith("~")]


def test_an_allowed_failure_of_a_service_makes_it_no_more_ready_than_it_was() -> None:
    workflow = SERVICE.replace("service: true", "service: true, allowFailure: true")
    ran = simulate(workflow, "events: [{node: db, readySeconds: 3, durationSeconds: 1, exitCode: 1}]")
    assert ran.nodes["use"] == "Skipped(UpstreamFailed)"
    assert ran.report["outcome"] == "Succeeded"


OUTPUTS = [
    ("{a: 1}", "Succeeded", {"a": 1}),
    ('"{\\"a\\": [1, 2]}"', "Succeeded", {"a": [1, 2]}),
    ('"a=1\\nb=two"', "Succeeded", {"a": "1", "b": "two"}),
    ("[1, 2]", "Failed(InvalidOutputs)", {}),
    ('"{broken"', "Failed(InvalidOutputs)", {}),
    (f'"{"a=" + "x" * 5000}"', "Failed(OutputsTooLarge)", {}),
    (f"{{big: {'y' * 5000}}}", "Failed(OutputsTooLarge)", {}),
]


@pytest.mark.parametrize(("outputs", "phase", "expected"), OUTPUTS)
def test_a_jobs_outputs_are_what_its_container_wrote(outputs: str, phase: str, expected: object) -> None:
    ran = simulate("nodes: [{name: a, job: J}]", f"events: [{{node: a, outputs: {outputs}}}]")
    assert ran.nodes["a"].partition(" ")[0] == phase
    assert ran.outputs("a") == expected


def test_a_node_type_is_used_with_values() -> None:
    ran = simulate(
        "nodes: [{name: hi, use: {name: greet, with: {who: you}}}, {name: count, use: {name: shell}}]",
        "events: [{node: count, outputs: {n: 3}}]",
        others="""
apiVersion: weft.dev/v1alpha1
kind: NodeType
metadata: {name: greet}
spec:
  parameters: [{name: who}]
  expr: {text: "'hello ' + params.who"}
---
apiVersion: weft.dev/v1alpha1
kind: NodeType
metadata: {name: shell}
spec:
  job: J
  outputs: [{name: double, value: outputs.n * 2}]
""",
    )
    assert ran.outputs("hi") == {"text": "hello you"}
    assert ran.outputs("count") == {"double": 6}
    assert ran.jobs == ["count#1 0-1"]
