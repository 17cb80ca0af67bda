"""Compensation of design section 3: what succeeded is undone, last done first, item by item and round by round."""

import pytest
from support.simulation import BAD, Ran, simulate
from support.workflows import PARAMETERS_PER_ROUND

UNDO = """
    nodes:
    - {name: a, job: J, compensate: {job: J}}
    - {name: b, dependsOn: [a], job: J, compensate: {job: J}}
    - {name: plain, dependsOn: [b], job: J}
    - {name: c, dependsOn: [plain], job: J, compensate: {job: J}}
    finally: [{name: report, job: J}]
    """


def test_succeeded_work_is_undone_last_done_first_and_then_comes_finally() -> None:
    ran = simulate(UNDO, "events: [{node: c, exitCode: 1}]")
    assert ran.jobs == [
        "a#1 0-1", "b#1 1-2", "plain#1 2-3", "c#1 3-4", "~b#1 4-5", "~a#1 5-6", "report#1 6-7",
    ]  # fmt: skip
    assert {name: text.partition("(")[0].partition(" ")[0] for name, text in ran.nodes.items()} == {
        "a": "Compensated", "b": "Compensated", "plain": "Succeeded", "c": "Failed", "report": "Succeeded",
    }  # fmt: skip
    assert ran.outcome == "Failed(NodeFailed) 7"


def test_nothing_is_undone_after_success() -> None:
    ran = simulate(UNDO)
    assert ran.outcome == "Succeeded(Succeeded) 5"
    assert not [job for job in ran.jobs if job.startswith("~")]


@pytest.mark.parametrize(
    ("stop", "undone"), [("Drain", ["~b#1 3-4", "~a#1 4-5"]), ("Cancel", ["~b#1 2.5-3.5", "~a#1 3.5-4.5"])]
)
def test_a_stopped_run_is_undone_too(stop: str, undone: list[str]) -> None:
    ran = simulate(UNDO, f"actions: [{{at: 2.5, stop: {stop}}}]")
    assert [job for job in ran.jobs if job.startswith("~")] == undone
    assert ran.report["outcome"] == "Cancelled"
    assert ran.nodes["report"].startswith("Succeeded")


def test_terminate_skips_compensation_and_finally() -> None:
    ran = simulate(UNDO, "actions: [{at: 2.5, stop: Terminate}]")
    assert ran.jobs == ["a#1 0-1", "b#1 1-2", "plain#1 2-2.5"]
    assert ran.outcome == "Cancelled(Stopped) 2.5"
    assert ran.nodes["report"] == "Skipped(Stopped)"


@pytest.mark.parametrize("at", [1.5, 3.5])
def test_a_run_terminated_while_it_cleans_up_says_so(at: float) -> None:
    """Before, it had failed, or it had been cancelled."""
    ran = simulate(UNDO, f"actions: [{{at: {at - 0.5}, stop: Cancel}}, {{at: {at}, stop: Terminate}}]")
    assert ran.outcome.startswith("Cancelled(Stopped)")
    assert ran.message() == "stopped by the user (Terminate)"


def test_items_and_iterations_that_succeeded_are_undone_one_by_one() -> None:
    ran = simulate(
        """
        failurePolicy: Continue
        nodes:
        - {name: each, forEach: {items: [1, 2, 3], maxFailed: 3}, job: J, compensate: {job: J}}
        - {name: again, dependsOn: [each], while: {condition: "iteration < 1"}, job: J, compensate: {job: J}}
        - {name: bad, dependsOn: [again], job: J}
        """,
        "events: [{node: bad, exitCode: 1}, {node: each, index: 1, exitCode: 1}, {node: each, index: 0,"
        " durationSeconds: 2}]",
    )
    assert [job.partition(" ")[0] for job in ran.jobs if job.startswith("~")] == [
        "~again<1>#1", "~again<0>#1", "~each[0]#1", "~each[2]#1",
    ]  # fmt: skip


ROUNDS = """
    nodes:
    - {name: loop, while: {condition: "iteration < 1", maxIterations: 5}, graph: {name: g}}
    - {name: bad, dependsOn: [loop], job: J}
    graphs: [{name: g, nodes: [%s]}]
    """


def undone(ran: Ran) -> list[str]:
    return [job.partition(" ")[0] for job in ran.jobs if job.startswith("~")]


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("{name: a, job: J, compensate: {job: J}}", ["~loop/a<1>#1", "~loop/a<0>#1"]),
        (
            "{name: a, forEach: {range: 2, maxParallel: 1}, job: J, compensate: {job: J}}",
            ["~loop/a[1]<1>#1", "~loop/a[0]<1>#1", "~loop/a[1]<0>#1", "~loop/a[0]<0>#1"],
        ),
        (
            "{name: a, job: J, compensate: {job: J}}, {name: b, dependsOn: [a], job: J, compensate: {job: J}}",
            ["~loop/b<1>#1", "~loop/a<1>#1", "~loop/b<0>#1", "~loop/a<0>#1"],
        ),
        ("{name: a, job: J}", []),
    ],
    ids=["a node", "a forEach", "two nodes", "nothing"],
)
def test_what_a_while_did_in_its_subgraph_is_undone_round_by_round(inside: str, expected: list[str]) -> None:
    ran = simulate(ROUNDS % inside, BAD)
    assert undone(ran) == expected
    assert ran.nodes["loop/a"].startswith("Compensated" if expected else "Succeeded")  # the last round counts
    assert set(ran.nodes) - {"loop/b"} == {"loop", "loop/a", "bad"}


def test_rounds_within_rounds_are_undone_too() -> None:
    ran = simulate(
        """
        nodes:
        - {name: out, while: {condition: "iteration < 1"}, graph: {name: h}}
        - {name: bad, dependsOn: [out], job: J}
        graphs:
        - {name: g, nodes: [{name: a, job: J, compensate: {job: J}}]}
        - {name: h, nodes: [{name: in, while: {condition: "iteration < 1"}, graph: {name: g}}]}
        """,
        BAD,
    )
    expected = [job for job in ran.report["jobs"] if job["role"] == "compensate"]
    assert [(job["node"], job["iteration"], job["start"]) for job in expected] == [
        ("out/in/a", 1, 5), ("out/in/a", 0, 6), ("out/in/a", 1, 7), ("out/in/a", 0, 8),
    ]  # fmt: skip


def test_a_graph_is_undone_before_what_is_in_it() -> None:
    """They end in one instant, the graph last."""
    job = "job: J, compensate: {job: J}"
    ran = simulate(
        f"""
        nodes:
        - {{name: g, graph: {{name: gg}}, compensate: {{job: J}}}}
        - {{name: bad, dependsOn: [g], job: J}}
        graphs: [{{name: gg, nodes: [{{name: a, {job}}}, {{name: b, dependsOn: [a], {job}}}]}}]
        """,
        BAD,
    )
    assert undone(ran) == ["~g#1", "~g/b#1", "~g/a#1"]


def test_so_is_each_round_of_a_while() -> None:
    ran = simulate(
        """
        nodes:
        - {name: l, while: {condition: "iteration < 1"}, graph: {name: gg}, compensate: {job: J}}
        - {name: bad, dependsOn: [l], job: J}
        graphs: [{name: gg, nodes: [{name: a, job: J, compensate: {job: J}}]}]
        """,
        BAD,
    )
    assert undone(ran) == ["~l<1>#1", "~l/a<1>#1", "~l<0>#1", "~l/a<0>#1"]


def test_earlier_rounds_are_undone_even_where_the_last_one_cannot_be() -> None:
    ran = simulate(
        ROUNDS % "{name: a, job: J, compensate: {job: J}}",
        "events: [{node: bad, exitCode: 1}, {node: loop/a, iteration: 1, role: compensate, exitCode: 1}]",
    )
    assert undone(ran) == ["~loop/a<1>#1", "~loop/a<0>#1"]
    assert ran.nodes["loop/a"].startswith("Succeeded(CompensationFailed)")


def test_a_rerun_goes_on_with_the_numbers_of_earlier_rounds() -> None:
    ran = simulate(
        ROUNDS % "{name: a, job: J, compensate: {job: J, retry: {limit: 1, backoff: {initialSeconds: 0}}}}",
        "{events: [{node: bad, exitCode: 1}, {node: loop/a, iteration: 0, attempt: 1, role: compensate, exitCode: 1}],"
        " actions: [{at: 50, rerun: All}]}",
    )
    first = ["~loop/a<1>#1", "~loop/a<0>#1", "~loop/a<0>#2"]
    assert undone(ran) == [*first, "~loop/a<1>#3", "~loop/a<0>#3"]
    assert [job for job in ran.jobs if job.startswith("loop/a")][2:] == ["loop/a<0>#3 50-51", "loop/a<1>#3 51-52"]


def test_a_compensation_of_an_earlier_round_is_given_the_parameters_of_its_round() -> None:
    ran = simulate(PARAMETERS_PER_ROUND, BAD)
    assert ran.outputs("loop") == {"n": 3}
    assert ran.report["makespanSeconds"] == 4 + 21 + 11 + 1


def test_a_compensation_may_fail_and_the_others_still_run() -> None:
    ran = simulate(UNDO, "events: [{node: c, exitCode: 1}, {node: b, role: compensate, exitCode: 1}]")
    assert [job for job in ran.jobs if job.startswith("~")] == ["~b#1 4-5", "~a#1 5-6"]
    assert ran.nodes["a"].startswith("Compensated")
    assert ran.nodes["b"].startswith("Succeeded")


def test_why_a_compensation_failed_is_told() -> None:
    ran = simulate(
        """
        nodes:
        - {name: a, job: J, compensate: {expr: {x: nodes.a.outputs.id}}}
        - {name: bad, dependsOn: [a], job: J}
        """,
        BAD,
    )
    assert ran.report["nodes"]["a"]["reason"] == "CompensationFailed"
    message = "compensation failed with ExpressionError: no such key: id at column 16 of `nodes.a.outputs.id`"
    assert ran.report["nodes"]["a"]["message"] == message
    assert "message" not in ran.report["nodes"]["bad"]


def test_what_is_undone_of_a_for_each_is_found_by_its_index() -> None:
    ran = simulate(
        """
        nodes:
        - name: a
          forEach: {items: "['x', 'y', 'z']", maxFailed: 1}
          job: J
          compensate: {expr: {found: "{'x is one': 1, 'z is three': 1}[item + ' is ' + nodes.a.outputs.id[index]]"}}
        - {name: bad, dependsOn: [a], job: J}
        """,
        """
        events:
        - {node: bad, exitCode: 1}
        - {node: a, index: 1, exitCode: 1}
        - {node: a, index: 0, outputs: {id: one}}
        - {node: a, index: 2, outputs: {id: three}}
        """,
    )
    assert ran.nodes["a"].startswith("Compensated")
