"""Failures of design section 3: who catches them, what each policy stops, compensation and finally."""

import pytest
from support.simulation import Ran, simulate
from support.workflows import PARAMETERS_PER_ROUND

BAD = "events: [{node: bad, exitCode: 1}, {node: slow, durationSeconds: 3}]"

POLICIES = [
    (
        "Drain",  # what runs goes on, nothing new starts
        {"bad": "Failed(Error) 0-1", "slow": "Succeeded 0-3", "next": "Skipped(RunFailed)",
         "cut": "Skipped(UpstreamFailed)"},
        "Failed(NodeFailed) 3",
    ),
    (
        "Cancel",  # what runs is stopped
        {"bad": "Failed(Error) 0-1", "slow": "Cancelled(RunFailed) 0-1",
         "next": "Skipped(UpstreamFailed)", "cut": "Skipped(UpstreamFailed)"},
        "Failed(NodeFailed) 1",
    ),
    (
        "Continue",  # every node runs that still can
        {"bad": "Failed(Error) 0-1", "slow": "Succeeded 0-3", "next": "Succeeded 3-4",
         "cut": "Skipped(UpstreamFailed)"},
        "Failed(NodeFailed) 4",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "nodes", "outcome"), POLICIES)
def test_a_failure_policy_says_how_a_graph_fails(policy: str, nodes: dict[str, str], outcome: str) -> None:
    ran = simulate(
        f"""
        failurePolicy: {policy}
        nodes:
        - {{name: bad, job: J}}
        - {{name: slow, job: J}}
        - {{name: next, dependsOn: [slow], job: J}}
        - {{name: cut, dependsOn: [bad], job: J}}
        """,
        BAD,
    )
    assert ran.nodes == nodes
    assert ran.outcome == outcome


def test_drain_is_the_default_and_skips_what_waits_for_a_place() -> None:
    ran = simulate(
        "{parallelism: 1, nodes: [{name: bad, job: J}, {name: b, job: J}]}", "events: [{node: bad, exitCode: 1}]"
    )
    assert ran.nodes == {"bad": "Failed(Error) 0-1", "b": "Skipped(RunFailed)"}


def test_what_was_held_back_starts_when_a_later_failure_is_one_that_it_follows_from() -> None:
    """All it waited for had come before that failure: nothing else would have it looked at again."""
    ran = simulate(
        """
        nodes:
        - {name: bad, job: J}
        - {name: late, job: J}
        - {name: first, job: J}
        - {name: either, dependsOn: [first, "late:Done"], join: Any, job: J}
        - {name: held, dependsOn: [either], job: J}
        """,
        """
        events:
        - {node: bad, durationSeconds: 2, exitCode: 1}
        - {node: either, durationSeconds: 2}
        - {node: late, durationSeconds: 5, exitCode: 1}
        """,
    )
    assert ran.nodes["either"] == "Succeeded 1-3"
    assert ran.nodes["held"] == "Succeeded 5-6"
    assert ran.outcome == "Failed(NodeFailed) 6"


INSTANT = """
    nodes:
    - {name: a, job: J}
    - {name: e, dependsOn: [a], %s}
    - {name: b, dependsOn: [a], job: J}
    - {name: w, dependsOn: [a], wait: {seconds: 2}}
    - {name: c, dependsOn: [b], job: J}
    """


@pytest.mark.parametrize("fails", ["expr: {x: '1 / 0'}", "when: '1 / 0 > 1', job: J", "forEach: {items: '5'}, job: J"])
def test_what_is_ready_in_the_instant_of_a_failure_starts_in_it(fails: str) -> None:
    ran = simulate(INSTANT % fails)
    assert ran.nodes == {
        "a": "Succeeded 0-1", "e": "Failed(ExpressionError) 1-1", "b": "Succeeded 1-2", "w": "Succeeded 1-3",
        "c": "Skipped(RunFailed)",
    }  # fmt: skip
    assert simulate("    failurePolicy: Cancel" + INSTANT % fails).nodes["b"] == "Skipped(RunFailed)"


def test_what_finds_no_place_in_the_instant_of_a_failure_is_held_back() -> None:
    ran = simulate("{parallelism: 1, nodes: [{name: e, expr: {x: '1 / 0'}}, {name: b, job: J}, {name: c, job: J}]}")
    assert ran.nodes == {"e": "Failed(ExpressionError) 0-0", "b": "Succeeded 0-1", "c": "Skipped(RunFailed)"}


HANDLER_WITHOUT_A_CHANCE = """
    nodes:
    - {name: a, job: J}
    - {name: b, dependsOn: [a], job: J}
    - {name: handler, dependsOn: ["a:Failed", b], job: J}
    - {name: c, dependsOn: ["b:Done"], job: J}
    - {name: d, dependsOn: ["b:Done"], graph: {name: g}}
    graphs: [{name: g, nodes: [{name: x, job: J}]}]
    """


@pytest.mark.parametrize("policy", ["Drain", "Cancel"])
def test_a_failure_that_no_handler_can_catch_any_more_lets_nothing_new_start(policy: str) -> None:
    """The handler is skipped in the instant of the failure: what only the skips of that instant let run is too late."""
    ran = simulate(f"    failurePolicy: {policy}{HANDLER_WITHOUT_A_CHANCE}", "events: [{node: a, exitCode: 1}]")
    assert ran.nodes == {
        "a": "Failed(Error) 0-1", "b": "Skipped(UpstreamFailed)", "handler": "Skipped(UpstreamFailed)",
        "c": "Skipped(RunFailed)", "d": "Skipped(RunFailed)",
    }  # fmt: skip
    assert ran.outcome == "Failed(NodeFailed) 1"


@pytest.mark.parametrize("policy", ["Drain", "Cancel"])
@pytest.mark.parametrize("outcome", ["Failed", "Done"])
def test_what_asked_for_the_failure_and_what_follows_is_never_held_back(policy: str, outcome: str) -> None:
    ran = simulate(
        f"""
        failurePolicy: {policy}
        nodes:
        - {{name: bad, job: J}}
        - {{name: clean, dependsOn: ["bad:{outcome}"], job: J}}
        - {{name: broken, dependsOn: ["bad:{outcome}"], job: J}}
        - {{name: tell, dependsOn: [clean], job: J}}
        - {{name: slow, job: J}}
        - {{name: held, dependsOn: [slow], job: J}}
        """,
        "events: [{node: bad, exitCode: 1}, {node: clean, durationSeconds: 2}, {node: broken, exitCode: 1},"
        " {node: slow, durationSeconds: 2}]",
    )
    assert ran.nodes["clean"] == "Succeeded 1-3"
    assert ran.nodes["tell"] == "Succeeded 3-4"


CLEANERS = """
    nodes:
    - {name: s, service: true, job: J}
    - {name: bad, job: J}
    - {name: clean, dependsOn: ["bad:Done", "s:Ready"], job: J}
    - {name: tell, dependsOn: [clean, "s:Ready"], job: J}
    """


@pytest.mark.parametrize("policy", ["Drain", "Cancel"])
def test_neither_is_it_left_without_the_services_that_it_needs(policy: str) -> None:
    ran = simulate(f"    failurePolicy: {policy}{CLEANERS}", "events: [{node: bad, exitCode: 1}]")
    assert ran.nodes == {
        "s": "Succeeded 0-3", "bad": "Failed(Error) 0-1", "clean": "Succeeded 1-2", "tell": "Succeeded 2-3",
    }  # fmt: skip
    assert ran.outcome == "Failed(NodeFailed) 3"


def test_a_service_that_has_not_started_yet_does_so_for_what_asked_for_the_failure() -> None:
    ran = simulate(
        """
        nodes:
        - {name: bad, job: J}
        - {name: w, wait: {seconds: 3}}
        - {name: inner, service: true, dependsOn: [w], job: J}
        - {name: outer, service: true, dependsOn: ["inner:Ready"], job: J}
        - {name: clean, dependsOn: ["bad:Done", "outer:Ready"], job: J}
        - {name: idle, service: true, dependsOn: [w], job: J}
        - {name: other, dependsOn: ["idle:Ready"], job: J}
        """,
        "events: [{node: bad, exitCode: 1}]",
    )
    assert {ran.nodes[name] for name in ("inner", "outer", "clean")} == {"Succeeded 3-4"}
    assert ran.nodes["idle"] == ran.nodes["other"] == "Skipped(RunFailed)"


CATCHES = [
    # handler edge, events, outcome
    ("Failed", "", "Succeeded"),
    ("Failed", ", {node: handler, exitCode: 1}", "Failed"),
    ("Done", "", "Failed"),
]


@pytest.mark.parametrize(("edge", "events", "outcome"), CATCHES)
def test_a_failure_is_caught_by_a_handler_that_succeeds(edge: str, events: str, outcome: str) -> None:
    ran = simulate(
        f"{{nodes: [{{name: bad, job: J}}, {{name: handler, dependsOn: ['bad:{edge}'], job: J}}]}}",
        f"events: [{{node: bad, exitCode: 1}}{events}]",
    )
    assert ran.report["outcome"] == outcome


def test_a_handler_that_is_skipped_does_not_catch() -> None:
    ran = simulate(
        "{nodes: [{name: bad, job: J}, {name: handler, dependsOn: ['bad:Failed'], when: 'false', job: J}]}", BAD
    )
    assert ran.outcome == "Failed(NodeFailed) 1"


def test_one_of_several_handlers_is_enough() -> None:
    ran = simulate(
        """
        nodes:
        - {name: bad, job: J}
        - {name: first, dependsOn: ["bad:Failed"], job: J}
        - {name: second, dependsOn: ["bad:Failed"], job: J}
        """,
        "events: [{node: bad, exitCode: 1}, {node: first, exitCode: 1}, {node: second, durationSeconds: 5}]",
    )
    assert ran.report["outcome"] == "Failed"  # bad is caught by second, but first's own failure is not
    assert ran.nodes["second"] == "Succeeded 1-6"
    caught = simulate(
        """
        nodes:
        - {name: bad, job: J}
        - {name: first, dependsOn: ["bad:Failed"], allowFailure: true, job: J}
        - {name: second, dependsOn: ["bad:Failed"], job: J}
        """,
        "events: [{node: bad, exitCode: 1}, {node: first, exitCode: 1}]",
    )
    assert caught.report["outcome"] == "Succeeded"


def test_nothing_is_held_back_while_a_handler_may_still_catch() -> None:
    ran = simulate(
        """
        nodes:
        - {name: bad, job: J}
        - {name: handler, dependsOn: ["bad:Failed"], job: J}
        - {name: slow, job: J}
        - {name: next, dependsOn: [slow], job: J}
        """,
        "events: [{node: bad, exitCode: 1}, {node: handler, durationSeconds: 9}, {node: slow, durationSeconds: 3}]",
    )
    assert ran.nodes["next"] == "Succeeded 3-4"
    assert ran.outcome == "Succeeded(Succeeded) 10"


def test_a_failure_is_judged_in_its_own_graph_and_then_in_the_outer_one() -> None:
    graphs = "graphs: [{name: g, nodes: [{name: x, job: J}, {name: y, dependsOn: [x], job: J}]}]"
    events = "events: [{node: sub/x, exitCode: 1}]"
    plain = simulate(f"{{nodes: [{{name: sub, graph: {{name: g}}}}], {graphs}}}", events)
    assert plain.nodes == {
        "sub": "Failed(GraphFailed) 0-1",
        "sub/x": "Failed(Error) 0-1",
        "sub/y": "Skipped(UpstreamFailed)",
    }
    assert plain.report["outcome"] == "Failed"
    caught = simulate(
        f"{{nodes: [{{name: sub, graph: {{name: g}}}}, {{name: h, dependsOn: ['sub:Failed'], job: J}}], {graphs}}}",
        events,
    )
    assert caught.report["outcome"] == "Succeeded"
    assert caught.nodes["h"] == "Succeeded 1-2"


def test_a_subgraph_fails_by_its_own_policy() -> None:
    ran = simulate(
        """
        failurePolicy: Continue
        nodes: [{name: sub, graph: {name: g}}, {name: other, job: J}]
        graphs:
        - {name: g, failurePolicy: Cancel, nodes: [{name: bad, job: J}, {name: slow, job: J}]}
        """,
        "events: [{node: sub/bad, exitCode: 1}, {node: sub/slow, durationSeconds: 9}, {node: other,"
        " durationSeconds: 4}]",
    )
    assert ran.nodes["sub/slow"] == "Cancelled(RunFailed) 0-1"
    assert ran.nodes["other"] == "Succeeded 0-4"


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
