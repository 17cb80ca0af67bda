"""What comes after the graph, and what bounds it: finally, timeouts, outputs that cannot be computed."""

from support.simulation import BAD, simulate


def test_finally_sees_the_outcome_and_the_failures() -> None:
    workflow = """
        nodes: [{name: bad, job: J}]
        finally: [{name: f, expr: {outcome: run.outcome, failed: "run.failures.map(f, f.node)"}}]
        """
    assert simulate(workflow).outputs("f") == {"outcome": "Succeeded", "failed": []}
    assert simulate(workflow, BAD).outputs("f") == {"outcome": "Failed", "failed": ["bad"]}
    stopped = simulate(workflow, "actions: [{at: 0.5, stop: Cancel}]")
    assert stopped.outputs("f")["outcome"] == "Cancelled"


def test_a_failing_finally_node_fails_the_run() -> None:
    ran = simulate("{nodes: [{name: a, job: J}], finally: [{name: f, job: J}]}", "events: [{node: f, exitCode: 1}]")
    assert ran.report["outcome"] == "Failed"


def test_what_comes_after_the_graph_has_a_timeout_of_its_own() -> None:
    ran = simulate(
        "{finallyTimeoutSeconds: 5, nodes: [{name: a, job: J}], finally: [{name: f, job: J}]}",
        "events: [{node: f, durationSeconds: 100}]",
    )
    assert ran.outcome == "Failed(DeadlineExceeded) 6"
    assert ran.nodes["f"] == "Cancelled(DeadlineExceeded) 1-6"
    undoing = simulate(
        "{finallyTimeoutSeconds: 5, nodes: [{name: a, job: J, compensate: {job: J}}, {name: bad, dependsOn: [a], job:"
        " J}], finally: [{name: f, job: J}]}",
        "events: [{node: bad, exitCode: 1}, {node: a, role: compensate, durationSeconds: 100}]",
    )
    assert undoing.nodes["f"] == "Skipped(DeadlineExceeded)"


def test_what_a_graph_out_of_time_runs_is_cancelled_for_that() -> None:
    ran = simulate(
        "{nodes: [{name: g, timeoutSeconds: 2, graph: {name: g}}],"
        " graphs: [{name: g, nodes: [{name: a, job: J}, {name: b, dependsOn: [a], job: J}]}]}",
        "events: [{node: g/a, durationSeconds: 9}]",
    )
    assert ran.nodes == {
        "g": "Failed(DeadlineExceeded) 0-2", "g/a": "Cancelled(DeadlineExceeded) 0-2", "g/b": "Skipped(UpstreamFailed)",
    }  # fmt: skip


def test_a_graph_given_something_wrong_is_not_entered() -> None:
    ran = simulate(
        """
        nodes:
        - {name: e, expr: {x: "'text'"}}
        - {name: g, dependsOn: [e], graph: {name: g, parameters: {n: "${{ nodes.e.outputs.x }}"}}}
        graphs: [{name: g, parameters: [{name: n, type: integer}], nodes: [{name: a, job: J}]}]
        """
    )
    assert ran.nodes == {"e": "Succeeded 0-0", "g": "Failed(InvalidParameters) 0-0"}


def test_the_runs_timeout_bounds_the_graph() -> None:
    ran = simulate(
        "{timeoutSeconds: 5, nodes: [{name: a, job: J}, {name: b, dependsOn: [a], job: J}], finally: [{name: f,"
        " job: J}]}",
        "events: [{node: a, durationSeconds: 100}]",
    )
    assert ran.outcome == "Failed(DeadlineExceeded) 6"
    assert ran.nodes["f"] == "Succeeded 5-6"
    assert ran.nodes["a"].startswith("Cancelled")


ROWS = "{name: rows, value: nodes.m.outputs.rows}"
DONE = "{name: m, job: J, compensate: {job: J}}"


def test_an_output_of_the_run_that_cannot_be_computed_is_named() -> None:
    ran = simulate(f"{{nodes: [{DONE}], outputs: [{{name: ok, value: nodes.m.phase}}, {ROWS}]}}")
    assert ran.report["reason"] == "ExpressionError"
    assert ran.report["message"] == "outputs[1] rows: no such key: rows at column 16 of `nodes.m.outputs.rows`"
    assert ran.nodes == {"m": "Compensated(Compensated) 0-1"}  # the run has failed, so what it did is undone


def test_so_is_an_output_of_a_graph() -> None:
    ran = simulate(
        f"{{nodes: [{{name: sub, graph: {{name: g}}}}], graphs: [{{name: g, nodes: [{DONE}], outputs: [{ROWS}]}}]}}"
    )
    assert ran.report["nodes"]["sub"]["reason"] == "ExpressionError"
    message = ran.report["message"]
    assert message.startswith(
        "sub failed (ExpressionError: graph g: outputs[0] rows: no such key: rows at column 16 of"
    )
