"""Small bodies, services, outputs, keys, caches, child runs and limits of design section 3."""

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


HTTP = [
    ("{url: 'http://x/'}", "{node: a}", "Succeeded 0-1", {"status": 200, "body": ""}),
    ("{url: 'http://x/'}", "{node: a, outputs: {status: 503, body: no}}", "Failed(RequestFailed) 0-1", None),
    ("{url: 'http://x/', successWhen: 'status == 503'}", "{node: a, outputs: {status: 503}}", "Succeeded 0-1", None),
    ("{url: 'http://x/'}", "{node: a, exitCode: 1}", "Failed(RequestFailed) 0-1", None),
    ("{url: 'http://x/', timeoutSeconds: 3}", "{node: a, durationSeconds: 9}", "Failed(RequestFailed) 0-3", None),
]


@pytest.mark.parametrize(("body", "event", "expected", "outputs"), HTTP)
def test_http_is_judged_by_its_answer(body: str, event: str, expected: str, outputs: object) -> None:
    ran = simulate(f"nodes: [{{name: a, http: {body}}}]", f"events: [{event}]")
    assert ran.nodes["a"] == expected
    assert ran.jobs == []
    if outputs is not None:
        assert ran.outputs("a") == outputs


ASK = "nodes: [{name: a, http: {url: 'https://X.example:443/path?q=1', maxResponseBytes: 10}}]"
BODIES = [
    # as the event tells it, and as an operator would have read it
    ("", ""),
    ("plain text", "plain text"),
    ("{not json", "{not json"),
    ('{"n": [1]}', {"n": [1]}),
    ("5", 5),
    ("null", None),
    ('"quoted"', "quoted"),
    (None, None),
    ({"n": [1]}, {"n": [1]}),
    (["5"], ["5"]),
]


@pytest.mark.parametrize(("told", "read"), BODIES)
def test_an_answers_text_that_is_json_is_parsed_as_the_operator_parses_it(told: Any, read: Any) -> None:
    ran = simulate(ASK, {"events": [{"node": "a", "outputs": {"body": told}}]})
    assert ran.outputs("a") == {"status": 200, "body": read}


LARGE = [
    # JSON is counted without spaces, text as UTF-8
    ("0123456789", True),
    ("01234567890", False),
    ("\u00fc" * 5, True),
    ("\u00fc" * 6, False),
    ({"n": "1234"}, False),
    ({"n": "12"}, True),
]


@pytest.mark.parametrize(("body", "fits"), LARGE)
def test_an_answer_that_is_larger_than_it_may_be_is_none(body: Any, fits: bool) -> None:
    ran = simulate(ASK, {"events": [{"node": "a", "outputs": {"status": 503, "body": body}}]})
    if fits:
        assert ran.nodes["a"] == "Failed(RequestFailed) 0-1"
    else:
        assert ran.nodes["a"] == "Failed(ResponseTooLarge) 0-1"
        assert ran.message().endswith("https://x.example: the answer is larger than 10 bytes)")


HEADERS = [
    ({"Retry-After": "5"}, "headers['retry-after'] == '5'"),
    ({"X-Count": 5, "X-On": True}, "headers['x-count'] == '5' && headers['x-on'] == 'true'"),
    ({"X-A": "1", "x-a": "2"}, "headers == {'x-a': '1, 2'}"),
]


@pytest.mark.parametrize(("headers", "seen"), HEADERS)
def test_headers_are_seen_as_the_operator_gives_them(headers: dict[str, Any], seen: str) -> None:
    ran = simulate(
        {"nodes": [{"name": "a", "http": {"url": "http://x/", "successWhen": seen}}]},
        {"events": [{"node": "a", "outputs": {"headers": headers}}]},
    )
    assert ran.nodes["a"] == "Succeeded 0-1"


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


def test_the_headers_of_an_answer_are_judged_and_not_kept() -> None:
    ran = simulate(
        "nodes: [{name: h, http: {url: 'http://x', successWhen: \"headers['x-state'] == 'done'\"}}]",
        "events: [{node: h, outputs: {status: 500, body: {n: 1}, headers: {x-state: done, set-cookie: secret}}}]",
    )
    assert ran.nodes["h"] == "Succeeded 0-1"
    assert ran.outputs("h") == {"status": 500, "body": {"n": 1}}


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


def test_parallelism_counts_pods_and_ready_nodes_start_in_written_order() -> None:
    ran = simulate(
        """
        parallelism: 2
        nodes:
        - {name: z, job: J}
        - {name: each, forEach: {range: 2}, job: J}
        - {name: a, job: J}
        - {name: pause, wait: {seconds: 1}}
        """
    )
    assert ran.jobs == ["z#1 0-1", "each[0]#1 0-1", "each[1]#1 1-2", "a#1 1-2"]
    assert ran.nodes["pause"] == "Succeeded 0-1"


KEY = [
    ("Queue", {"a": "Succeeded 0-3", "b": "Succeeded 3-6", "c": "Succeeded 6-9"}),
    ("Skip", {"a": "Succeeded 0-3", "b": "Skipped(ConcurrencySkipped)", "c": "Skipped(ConcurrencySkipped)"}),
]


@pytest.mark.parametrize(("policy", "expected"), KEY)
def test_a_concurrency_key_is_shared_by_its_name(policy: str, expected: dict[str, str]) -> None:
    key = f"concurrency: {{key: 'deploy-${{{{ params.region }}}}', policy: {policy}}}"
    ran = simulate(
        f"""
        failurePolicy: Continue
        parameters: [{{name: region, default: eu}}]
        nodes: [{{name: a, {key}, job: J}}, {{name: b, {key}, job: J}}, {{name: c, {key}, job: J}}]
        """,
        "default: {durationSeconds: 3}",
    )
    assert ran.nodes == expected


def test_cancel_running_takes_the_key_from_its_oldest_holder() -> None:
    ran = simulate(
        """
        failurePolicy: Continue
        nodes:
        - {name: a, concurrency: {key: k, policy: CancelRunning}, job: J}
        - {name: first, job: J}
        - {name: b, dependsOn: [first], concurrency: {key: k, policy: CancelRunning}, job: J}
        """,
        "events: [{node: a, durationSeconds: 50}]",
    )
    assert ran.nodes["a"] == "Cancelled(ConcurrencyCancelled) 0-1"
    assert ran.nodes["b"] == "Succeeded 1-2"
    assert ran.report["outcome"] == "Failed"
    assert ran.report["message"] == "a was cancelled (ConcurrencyCancelled)"


def test_who_lost_a_key_has_failed_its_graph_unless_that_is_allowed() -> None:
    workflow = """
        failurePolicy: {policy}
        nodes:
        - {{name: inner, allowFailure: {allowed}, graph: {{name: g}}}}
        - {{name: next, dependsOn: [inner], job: J}}
        - {{name: first, job: J}}
        - {{name: beside, job: J}}
        - {{name: taker, dependsOn: [first], concurrency: {{key: k, policy: CancelRunning}}, job: J}}
        graphs: [{{name: g, nodes: [{{name: a, concurrency: {{key: k, policy: CancelRunning}}, job: J}}]}}]
        """
    scenario = "events: [{node: inner/a, durationSeconds: 50}, {node: beside, durationSeconds: 5}]"
    ran = simulate(workflow.format(policy="Cancel", allowed="false"), scenario)
    assert ran.nodes["inner/a"] == "Cancelled(ConcurrencyCancelled) 0-1"
    assert ran.nodes["inner"] == "Failed(GraphFailed) 0-1"
    assert ran.nodes["next"] == "Skipped(UpstreamFailed)"
    assert ran.nodes["beside"] == "Cancelled(RunFailed) 0-1"
    assert ran.report["outcome"] == "Failed"
    forgiven = simulate(workflow.format(policy="Cancel", allowed="true"), scenario)
    assert forgiven.nodes["next"] == "Succeeded 1-2"
    assert forgiven.nodes["beside"] == "Succeeded 0-5"
    assert forgiven.report["outcome"] == "Succeeded"


def test_a_loop_whose_item_lost_a_key_is_cancelled() -> None:
    ran = simulate(
        """
        failurePolicy: Continue
        nodes:
        - {name: loop, forEach: {range: 2}, concurrency: {key: 'k${{ item }}', policy: CancelRunning}, job: J}
        - {name: first, job: J}
        - {name: b, dependsOn: [first], concurrency: {key: k1, policy: CancelRunning}, job: J}
        """,
        "events: [{node: loop, durationSeconds: 9}]",
    )
    assert ran.nodes["loop"] == "Cancelled(ConcurrencyCancelled) 0-9 x2"
    assert ran.nodes["b"] == "Succeeded 1-2"
    assert ran.report["outcome"] == "Failed"


def test_a_cached_success_is_not_run_again() -> None:
    ran = simulate(
        """
        nodes:
        - name: loop
          while: {condition: "iteration < 2"}
          graph: {name: g}
        graphs: [{name: g, nodes: [{name: a, cache: {key: "'same'"}, job: J}]}]
        """,
        "events: [{node: loop/a, outputs: {n: 1}}]",
    )
    assert ran.jobs == ["loop/a<0>#1 0-1"]
    assert ran.nodes["loop/a"].startswith("Succeeded(Cached)")
    assert ran.outputs("loop/a") == {"n": 1}


CHILD = """
kind: Workflow
apiVersion: weft.dev/v1alpha1
metadata: {name: child}
spec:
  parameters: [{name: n, type: integer}]
  nodes: [{name: x, job: J}, {name: y, dependsOn: [x], expr: {twice: params.n * 2}}]
  finally: [{name: f, job: J}]
  outputs: [{name: twice, value: nodes.y.outputs.twice}]
"""


def test_a_child_run_takes_place_in_the_same_time() -> None:
    ran = simulate(
        "nodes: [{name: a, job: J}, {name: sub, dependsOn: [a], workflow: {name: child, parameters: {n: 21}}}]",
        "events: [{node: sub/x, durationSeconds: 4}]",
        others=CHILD,
    )
    assert ran.nodes == {
        "a": "Succeeded 0-1", "sub": "Succeeded 1-6", "sub/x": "Succeeded 1-5", "sub/y": "Succeeded 5-5",
        "sub/f": "Succeeded 5-6",
    }  # fmt: skip
    assert ran.outputs("sub") == {"twice": 42}
    assert ran.jobs == ["a#1 0-1", "sub/x#1 1-5", "sub/f#1 5-6"]


def test_a_failing_child_run_fails_its_node() -> None:
    ran = simulate(
        "nodes: [{name: sub, workflow: {name: child, parameters: {n: 1}}}]",
        "events: [{node: sub/x, exitCode: 1}]",
        others=CHILD,
    )
    assert ran.nodes["sub"] == "Failed(ChildFailed) 0-2"


CHILD_MISTAKES = [
    ("{name: nobody}", "WorkflowNotFound"),
    ("{name: child}", "InvalidParameters"),
    ("{name: child, parameters: {n: many}}", "InvalidParameters"),
]


@pytest.mark.parametrize(("body", "reason"), CHILD_MISTAKES)
def test_a_child_run_that_cannot_start_fails_its_node(body: str, reason: str) -> None:
    ran = simulate(f"nodes: [{{name: sub, workflow: {body}}}]", others=CHILD)
    assert ran.nodes["sub"] == f"Failed({reason}) 0-0"
    assert "sub" in ran.message()


def test_a_workflow_that_starts_itself_comes_to_an_end() -> None:
    ran = simulate("nodes: [{name: again, workflow: {name: test}}]")
    assert ran.report["outcome"] == "Failed"


CHILD_STOPS = [
    ("stop: Cancel", "Cancelled(Stopped) 0-3", "Cancelled(Stopped) 0-2"),
    ("stop: Drain", "Cancelled(Stopped) 0-11", "Succeeded 0-10"),
    ("stop: Terminate", "Cancelled(Stopped) 0-2", "Cancelled(Stopped) 0-2"),
]


@pytest.mark.parametrize(("action", "node", "inner"), CHILD_STOPS)
def test_a_stop_reaches_child_runs(action: str, node: str, inner: str) -> None:
    ran = simulate(
        "nodes: [{name: sub, workflow: {name: child, parameters: {n: 1}}}]",
        f"{{events: [{{node: sub/x, durationSeconds: 10}}], actions: [{{at: 2, {action}}}]}}",
        others=CHILD,
    )
    assert ran.nodes["sub"] == node
    assert ran.nodes["sub/x"] == inner
    assert ran.report["outcome"] == "Cancelled"


UNDOING = """
apiVersion: weft.dev/v1alpha1
kind: Workflow
metadata: {name: undoing}
spec:
  nodes:
  - {name: j, job: J, compensate: {job: J}}
  - {name: k, dependsOn: [j], %s}
  finally: [{name: fin, job: J}]
"""


def test_terminate_undoes_nothing_in_a_child_run_that_only_waits() -> None:
    ran = simulate(
        "nodes: [{name: ch, workflow: {name: undoing}}]",
        "actions: [{at: 5, stop: Terminate}]",
        others=UNDOING % "wait: {seconds: 50}",
    )
    assert ran.jobs == ["ch/j#1 0-1"]
    assert ran.outcome == "Cancelled(Stopped) 5"


WAITING = """
apiVersion: weft.dev/v1alpha1
kind: Workflow
metadata: {name: waiting}
spec: {nodes: [{name: w, wait: {seconds: 50}}]}
"""
TWO = """
apiVersion: weft.dev/v1alpha1
kind: Workflow
metadata: {name: two}
spec: {nodes: [{name: x, job: J}, {name: y, dependsOn: [x], job: J}]}
"""


@pytest.mark.parametrize("stop", ["Cancel", "Terminate"])
@pytest.mark.parametrize("loop", ["", "forEach: {range: 2, maxFailed: 2}, "])
def test_a_node_is_cancelled_whose_child_run_only_waits(stop: str, loop: str) -> None:
    ran = simulate(
        f"nodes: [{{name: ch, {loop}workflow: {{name: waiting}}}}]",
        f"actions: [{{at: 5, stop: {stop}}}]",
        others=WAITING,
    )
    assert ran.nodes["ch"].startswith("Cancelled(Stopped) 0-5")


@pytest.mark.parametrize("stop", ["Cancel", "Terminate"])
def test_a_child_run_that_is_suspended_begins_nothing_when_it_is_stopped(stop: str) -> None:
    ran = simulate(
        "nodes: [{name: ch, workflow: {name: two}}]",
        f"actions: [{{at: 0.5, suspend: true}}, {{at: 5, stop: {stop}}}]",
        others=TWO,
    )
    assert ran.jobs == ["ch/x#1 0-1"]


@pytest.mark.parametrize(
    ("node", "action"),
    [
        ("", "{at: 5, stop: Cancel}, "),
        ("timeoutSeconds: 5, ", ""),
    ],
)
def test_terminate_reaches_a_child_run_that_is_being_cancelled(node: str, action: str) -> None:
    ran = simulate(
        f"nodes: [{{name: ch, {node}workflow: {{name: undoing}}}}]",
        f"""
        events: [{{node: ch/k, durationSeconds: 50}}, {{node: ch/j, role: compensate, durationSeconds: 10}}]
        actions: [{action}{{at: 7, stop: Terminate}}]
        """,
        others=UNDOING % "job: J",
    )
    assert ran.jobs == ["ch/j#1 0-1", "ch/k#1 1-5", "~ch/j#1 5-7"]
    assert ran.report["makespanSeconds"] == 7


def test_a_drain_leaves_the_child_runs_of_finally_alone() -> None:
    ran = simulate(
        "{nodes: [{name: a, job: J}], finally: [{name: ch, workflow: {name: undoing}}]}",
        "{events: [{node: a, durationSeconds: 5}], actions: [{at: 2, stop: Drain}]}",
        others=UNDOING % "job: J",
    )
    assert ran.nodes["ch"] == "Succeeded 5-8"


def test_a_suspension_reaches_child_runs() -> None:
    ran = simulate(
        "nodes: [{name: sub, workflow: {name: child, parameters: {n: 1}}}]",
        "actions: [{at: 0.5, suspend: true}, {at: 10, suspend: false}]",
        others=CHILD,
    )
    assert ran.nodes["sub/f"] == "Succeeded 10-11"


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
