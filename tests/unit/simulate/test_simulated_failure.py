"""Failures of design section 3: who catches them, and what each policy stops."""

import pytest
from support.simulation import BAD, simulate

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


ALIKE = """
failurePolicy: Cancel
nodes:
- {name: a, BODY}
- {name: b, BODY}
- {name: handler, dependsOn: ["WHOSE:Failed"], job: J}
graphs:
- {name: g, nodes: [{name: x, job: J}, {name: y, dependsOn: [x], job: J}]}
- {name: deep, nodes: [{name: x, graph: {name: g}}]}
"""
WAYS_TO_FAIL = [  # body, events
    ("job: J", "{node: a, exitCode: 1}, {node: b, exitCode: 1}"),
    ("graph: {name: g}", "{node: a/x, exitCode: 1}, {node: b/x, exitCode: 1}"),
    ("graph: {name: deep}", "{node: a/x/x, exitCode: 1}, {node: b/x/x, exitCode: 1}"),
    ("timeoutSeconds: 1, job: J", "{node: a, durationSeconds: 5}, {node: b, durationSeconds: 5}"),
    ("timeoutSeconds: 1, graph: {name: g}", "{node: a/x, durationSeconds: 5}, {node: b/x, durationSeconds: 5}"),
    ("deadlineSeconds: 1, wait: {seconds: 5}", ""),
]


@pytest.mark.parametrize("whose", ["a", "b"])
@pytest.mark.parametrize(("body", "events"), WAYS_TO_FAIL)
def test_of_two_that_fail_in_one_instant_neither_is_stopped_for_the_other(body: str, events: str, whose: str) -> None:
    ran = simulate(ALIKE.replace("BODY", body).replace("WHOSE", whose), f"events: [{events}]")
    assert ran.nodes["a"].startswith("Failed(")
    assert ran.nodes["b"].startswith("Failed(")
    assert ran.nodes["handler"] == "Succeeded 1-2"


def test_nor_is_one_that_has_come_to_another_limit() -> None:
    limits = ("deadlineSeconds", "timeoutSeconds")
    nodes = ", ".join(f"{{name: {limit.lower()}, {limit}: 1, wait: {{seconds: 5}}}}" for limit in limits)
    ran = simulate(f"{{failurePolicy: Cancel, nodes: [{nodes}]}}")
    assert set(ran.nodes.values()) == {"Failed(DeadlineExceeded) 0-1"}


@pytest.mark.parametrize("order", [("shallow", "deep"), ("deep", "shallow")])
def test_however_deep_in_a_graph_a_failure_is_it_is_one_of_its_instant(order: tuple[str, str]) -> None:
    nodes = {"shallow": "{name: shallow, job: J}", "deep": "{name: deep, graph: {name: deep}}"}
    ran = simulate(
        f"""
        failurePolicy: Cancel
        nodes: [{", ".join(nodes[name] for name in order)}, {{name: handler, dependsOn: ["deep:Failed"], job: J}}]
        graphs:
        - {{name: g, nodes: [{{name: x, job: J}}, {{name: y, dependsOn: [x], job: J}}]}}
        - {{name: deep, nodes: [{{name: x, graph: {{name: g}}}}]}}
        """,
        "events: [{node: shallow, exitCode: 1}, {node: deep/x/x, exitCode: 1}]",
    )
    assert ran.nodes["deep"] == "Failed(GraphFailed) 0-1"
    assert ran.nodes["handler"] == "Succeeded 1-2"


def test_nothing_new_starts_in_the_instant_in_which_a_graph_fails_that_skips_what_it_held_back() -> None:
    ran = simulate(
        """
        nodes:
        - {name: sub, graph: {name: g}}
        - {name: slow, job: J}
        - {name: next, dependsOn: [slow], job: J}
        graphs:
        - name: g
          nodes:
          - {name: bad, job: J}
          - {name: slow, job: J}
          - {name: held, dependsOn: [slow], job: J}
        """,
        "{default: {durationSeconds: 2}, events: [{node: sub/bad, durationSeconds: 1, exitCode: 1}]}",
    )
    assert ran.nodes["sub/held"] == "Skipped(RunFailed)"
    assert ran.nodes["sub"] == "Failed(GraphFailed) 0-2"
    assert ran.nodes["next"] == "Skipped(RunFailed)"
