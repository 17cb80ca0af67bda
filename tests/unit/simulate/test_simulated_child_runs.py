"""Child runs: their time, their failures, and the stops and suspensions that reach them."""

import pytest
from support.simulation import simulate

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
