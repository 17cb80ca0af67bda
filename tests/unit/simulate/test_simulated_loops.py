"""forEach and while of design section 3."""

import pytest
from support.simulation import simulate


def test_foreach_runs_once_per_item_and_its_outputs_are_lists() -> None:
    ran = simulate(
        """
        nodes:
        - {name: make, job: J}
        - {name: each, dependsOn: [make], forEach: {items: nodes.make.outputs.list, as: word},
           expr: {loud: "word + '!'", at: index}}
        outputs: [{name: all, value: nodes.each.outputs.loud}]
        """,
        "events: [{node: make, outputs: {list: [a, b, c]}}]",
    )
    assert ran.outputs("each") == {"loud": ["a!", "b!", "c!"], "at": [0, 1, 2]}
    assert ran.report["outputs"] == {"all": ["a!", "b!", "c!"]}


def test_a_failed_item_leaves_null_in_the_outputs() -> None:
    ran = simulate(
        "nodes: [{name: each, forEach: {range: 3, maxFailed: 1}, job: J}]",
        "events: [{node: each, index: 1, exitCode: 1}, {node: each, outputs: {n: 5}}]",
    )
    assert ran.nodes["each"].startswith("Succeeded")
    assert ran.outputs("each") == {"n": [5, None, 5]}
    assert [item.partition("(")[0].partition(" ")[0] for item in ran.items("each")] == [
        "Succeeded",
        "Failed",
        "Succeeded",
    ]


def test_one_failed_item_too_many_cancels_the_rest() -> None:
    ran = simulate(
        "nodes: [{name: each, forEach: {range: 5, maxParallel: 3, maxFailed: 0}, job: J}]",
        "events: [{node: each, index: 1, exitCode: 1}, {node: each, durationSeconds: 10}]",
    )
    assert ran.nodes["each"].startswith("Failed(TooManyFailedItems) 0-1")
    assert [item.partition("(")[0].partition(" ")[0] for item in ran.items("each")] == [
        "Cancelled", "Failed", "Cancelled", "Cancelled", "Cancelled",
    ]  # fmt: skip
    assert len(ran.jobs) == 3


def test_max_parallel_bounds_the_items() -> None:
    ran = simulate("nodes: [{name: each, forEach: {range: 5, maxParallel: 2}, job: J}]")
    assert ran.jobs == ["each[0]#1 0-1", "each[1]#1 0-1", "each[2]#1 1-2", "each[3]#1 1-2", "each[4]#1 2-3"]


def test_batches_are_lists() -> None:
    ran = simulate("nodes: [{name: each, forEach: {items: [1, 2, 3, 4, 5], batchSize: 2}, expr: {got: item}}]")
    assert ran.outputs("each") == {"got": [[1, 2], [3, 4], [5]]}
    counted = simulate("nodes: [{name: each, forEach: {items: {range: 3}, batchSize: 2}, expr: {got: item}}]")
    assert counted.outputs("each") == {"got": [[0, 1], [2]]}


def test_an_empty_list_succeeds_at_once() -> None:
    ran = simulate("nodes: [{name: each, forEach: {items: []}, job: J}, {name: after, dependsOn: [each], job: J}]")
    assert ran.nodes == {"each": "Succeeded 0-0", "after": "Succeeded 0-1"}
    assert ran.items("each") == []


def test_a_list_that_is_none_fails_the_node() -> None:
    ran = simulate(
        "nodes: [{name: a, job: J}, {name: each, dependsOn: [a], forEach: {items: nodes.a.outputs.n}, job: J}]",
        "events: [{node: a, outputs: {n: 5}}]",
    )
    assert ran.nodes["each"].startswith("Failed(ExpressionError)")


def test_timeouts_and_deadlines_hold_per_item() -> None:
    ran = simulate(
        "nodes: [{name: each, forEach: {range: 3, maxParallel: 1, maxFailed: 3}, timeoutSeconds: 4,"
        " deadlineSeconds: 9, job: J}]",
        "events: [{node: each, index: 1, durationSeconds: 50}, {node: each, durationSeconds: 3}]",
    )
    assert ran.items("each") == ["Succeeded 0-3", "Failed 3-7", "Succeeded 7-10"]


def test_items_of_a_graph_report_their_nodes_once_with_items() -> None:
    ran = simulate(
        """
        nodes: [{name: each, forEach: {items: [x, y]}, graph: {name: g, parameters: {word: "${{ item }}"}}}]
        graphs:
        - name: g
          parameters: [{name: word, type: string}]
          nodes: [{name: a, job: J}, {name: b, dependsOn: [a], expr: {said: params.word}}]
          outputs: [{name: said, value: nodes.b.outputs.said}]
        """,
        "events: [{node: each/a, index: 1, durationSeconds: 4}]",
    )
    assert ran.nodes == {"each": "Succeeded 0-4 x2", "each/a": "Succeeded 0-4 x2", "each/b": "Succeeded 1-4 x2"}
    assert ran.items("each/a") == ["Succeeded 0-1", "Succeeded 0-4"]
    assert [item["index"] for item in ran.report["nodes"]["each/a"]["items"]] == [0, 1]
    assert ran.outputs("each") == {"said": ["x", "y"]}
    assert ran.jobs == ["each/a[0]#1 0-1", "each/a[1]#1 0-4"]


def test_while_asks_after_each_round_with_the_outputs_before() -> None:
    ran = simulate(
        """
        nodes:
        - name: poll
          while: {condition: "previous.left > 0", maxIterations: 10}
          job: {image: i, env: [{name: ROUND, expr: iteration}]}
        """,
        "events: [{node: poll, iteration: 0, outputs: {left: 2}}, {node: poll, iteration: 1, outputs: {left: 1}},"
        " {node: poll, outputs: {left: 0}}]",
    )
    assert ran.jobs == ["poll<0>#1 0-1", "poll<1>#1 1-2", "poll<2>#1 2-3"]
    assert ran.nodes == {"poll": "Succeeded 0-3 x3"}
    assert ran.outputs("poll") == {"left": 0}


def test_a_while_runs_at_least_once_and_fails_past_its_maximum() -> None:
    assert len(simulate("nodes: [{name: a, while: {condition: 'false'}, job: J}]").jobs) == 1
    ran = simulate("nodes: [{name: a, while: {condition: 'true', maxIterations: 3}, job: J}]")
    assert ran.nodes == {"a": "Failed(MaxIterationsExceeded) 0-3 x3"}


def test_a_failing_round_fails_the_while_and_retries_are_per_round() -> None:
    failed = simulate(
        "nodes: [{name: a, while: {condition: 'true', maxIterations: 5}, job: J}]",
        "events: [{node: a, iteration: 1, exitCode: 1}]",
    )
    assert failed.nodes == {"a": "Failed(Error) 0-2 x2"}
    retried = simulate(
        "nodes: [{name: a, while: {condition: 'iteration < 1'}, retry: {limit: 1, backoff: {initialSeconds: 1}},"
        " job: J}]",
        "events: [{node: a, attempt: 1, exitCode: 1}]",
    )
    assert retried.jobs == ["a<0>#1 0-1", "a<0>#2 2-3", "a<1>#1 3-4", "a<1>#2 5-6"]


def test_rounds_of_a_graph_are_counted_together() -> None:
    ran = simulate(
        """
        nodes: [{name: loop, while: {condition: "previous.n < 3"}, graph: {name: g,
           parameters: {round: "${{ iteration }}"}}}]
        graphs:
        - name: g
          parameters: [{name: round, type: integer}]
          nodes: [{name: a, job: J}, {name: b, dependsOn: [a], expr: {n: params.round + 1}}]
          outputs: [{name: n, value: nodes.b.outputs.n}]
        """
    )
    assert ran.outputs("loop") == {"n": 3}
    assert ran.jobs == ["loop/a<0>#1 0-1", "loop/a<1>#1 1-2", "loop/a<2>#1 2-3"]
    assert ran.nodes["loop/a"] == "Succeeded 0-3 x3"


def test_an_item_may_loop_inside_its_graph() -> None:
    ran = simulate(
        """
        nodes: [{name: each, forEach: {range: 2}, graph: {name: g}}]
        graphs: [{name: g, nodes: [{name: loop, while: {condition: "iteration < 1"}, job: J}]}]
        """,
        "events: [{node: each/loop, index: 1, iteration: 1, durationSeconds: 7}]",
    )
    assert [(job["index"], job["iteration"], job["start"], job["end"]) for job in ran.report["jobs"]] == [
        (0, 0, 0, 1), (1, 0, 0, 1), (0, 1, 1, 2), (1, 1, 1, 8),
    ]  # fmt: skip


ALIKE = [  # body, events
    ("job: J", "{node: each, exitCode: 1}"),
    ("graph: {name: g}", "{node: each/x, exitCode: 1}"),
    ("timeoutSeconds: 1, graph: {name: g}", "{node: each/x, durationSeconds: 5}"),
    ("graph: {name: cut}", "{node: each/bad, exitCode: 1}"),
]


@pytest.mark.parametrize(("body", "events"), ALIKE)
def test_items_that_fail_in_one_instant_have_all_failed(body: str, events: str) -> None:
    """Whatever they do: a graph has come to its end in that instant as much as a Job has."""
    ran = simulate(
        f"""
        nodes: [{{name: each, forEach: {{range: 3, maxFailed: 1}}, {body}}}]
        graphs:
        - {{name: g, nodes: [{{name: x, job: J}}, {{name: y, dependsOn: [x], job: J}}]}}
        - {{name: cut, failurePolicy: Cancel, nodes: [{{name: bad, job: J}}, {{name: slow, expr: {{x: "1"}},
             dependsOn: [long]}}, {{name: long, wait: {{seconds: 5}}}}]}}
        """,
        f"events: [{events}]",
    )
    assert ran.items("each") == ["Failed 0-1"] * 3
    assert "3 of 3 items failed (maxFailed 1); item 0:" in ran.message()
