"""Edges and joins of design section 3, seen from outside: what a dependent does, given how its upstream ended."""

import pytest
from support.simulation import simulate

RUNS, BROKEN, VOID = "Succeeded", "Skipped(UpstreamFailed)", "Skipped(UpstreamSkipped)"

UPSTREAM = {
    "Succeeded": "{name: up, job: J}",
    "Failed": "{name: up, job: J}",
    "Skipped(UpstreamFailed)": "{name: up, dependsOn: [bad], job: J}",
    "Skipped(UpstreamSkipped)": "{name: up, dependsOn: [idle], job: J}",
    "Skipped(ConditionFalse)": "{name: up, when: 'false', job: J}",
}

TABLE = [
    ("Succeeded", [RUNS, BROKEN, BROKEN, VOID, VOID]),
    ("Failed", [VOID, RUNS, VOID, VOID, VOID]),
    ("Done", [RUNS, RUNS, RUNS, RUNS, RUNS]),
]


@pytest.mark.parametrize(
    ("outcome", "upstream", "expected"),
    [(outcome, up, want) for outcome, row in TABLE for up, want in zip(UPSTREAM, row, strict=True)],
)
@pytest.mark.parametrize("join", ["All", "Any"])
def test_an_edge_is_worth_what_the_table_says(outcome: str, upstream: str, expected: str, join: str) -> None:
    ran = simulate(
        f"""
        failurePolicy: Continue
        nodes:
        - {{name: bad, job: J}}
        - {{name: "idle", when: "false", job: J}}
        - {UPSTREAM[upstream]}
        - {{name: down, dependsOn: ["up:{outcome}"], join: {join}, job: J}}
        """,
        {
            "events": [
                {"node": "bad", "exitCode": 1},
                *([{"node": "up", "exitCode": 1}] if upstream == "Failed" else []),
            ]
        },
    )
    assert ran.nodes["up"].startswith(upstream)
    assert ran.nodes["down"].partition(" ")[0] == expected


@pytest.mark.parametrize(
    ("switch", "expected"),
    [
        ("{cases: [{name: x, when: 'true'}]}", RUNS),
        ("{cases: [{name: x, when: 'false'}], default: x}", RUNS),
        ("{cases: [{name: x, when: 'false'}, {name: z, when: 'true'}]}", VOID),
        ("{cases: [{name: z, when: 'true'}, {name: x, when: 'true'}]}", VOID),
        ("{cases: [{name: x, when: 'false'}]}", VOID),
        ("{cases: [{name: x, when: 'params.missing.y'}]}", BROKEN),
    ],
)
def test_a_case_edge_is_met_by_the_case_chosen(switch: str, expected: str) -> None:
    ran = simulate(
        f"""
        failurePolicy: Continue
        parameters: [{{name: missing, type: object, default: {{}}}}]
        nodes:
        - {{name: route, switch: {switch}}}
        - {{name: down, dependsOn: ["route:x"], job: J}}
        """
    )
    assert ran.nodes["down"].partition(" ")[0] == expected


def test_a_case_edge_of_a_skipped_switch_is_void_or_broken() -> None:
    ran = simulate(
        """
        failurePolicy: Continue
        nodes:
        - {name: bad, job: J}
        - {name: "idle", when: "false", switch: {cases: [{name: x, when: "true"}]}}
        - {name: cut, dependsOn: [bad], switch: {cases: [{name: x, when: "true"}]}}
        - {name: after-idle, dependsOn: ["idle:x"], job: J}
        - {name: after-cut, dependsOn: ["cut:x"], job: J}
        """,
        "events: [{node: bad, exitCode: 1}]",
    )
    assert ran.nodes["after-idle"] == VOID
    assert ran.nodes["after-cut"] == BROKEN


def test_both_edges_of_an_allowed_failure_are_met() -> None:
    ran = simulate(
        """
        nodes:
        - {name: up, allowFailure: true, job: J}
        - {name: good, dependsOn: [up], job: J}
        - {name: bad, dependsOn: ["up:Failed"], job: J}
        """,
        "events: [{node: up, exitCode: 1}]",
    )
    assert ran.outcome == "Succeeded(Succeeded) 2"
    assert ran.nodes == {"up": "Failed(Error) 0-1", "good": "Succeeded 1-2", "bad": "Succeeded 1-2"}


JOINS = [
    # join, edges of: ok (1 s), late (5 s), bad (fails at 1 s), idle (skipped by its condition) -> how the node goes
    ("All", ["ok", "late"], "Succeeded 5-6"),
    ("All", ["ok", "idle"], "Succeeded 1-2"),
    ("All", ["ok", "bad"], BROKEN),
    ("All", ["idle", "bad"], BROKEN),
    ("All", ["idle"], VOID),
    ("All", ["ok:Failed", "idle"], VOID),
    ("All", ["ok:Failed", "bad:Failed"], "Succeeded 1-2"),
    ("Any", ["ok", "late"], "Succeeded 1-2"),
    ("Any", ["bad", "late"], "Succeeded 5-6"),
    ("Any", ["bad", "idle"], BROKEN),
    ("Any", ["ok:Failed", "idle"], VOID),
    ("Any", ["ok", "bad:Failed"], "Succeeded 1-2"),
]


@pytest.mark.parametrize(("join", "edges", "expected"), JOINS)
def test_a_join_decides_by_its_edges(join: str, edges: list[str], expected: str) -> None:
    ran = simulate(
        f"""
        failurePolicy: Continue
        nodes:
        - {{name: ok, job: J}}
        - {{name: late, job: J}}
        - {{name: bad, job: J}}
        - {{name: "idle", when: "false", job: J}}
        - {{name: down, dependsOn: {edges}, join: {join}, job: J}}
        """,
        "events: [{node: bad, exitCode: 1}, {node: late, durationSeconds: 5}]",
    )
    assert ran.nodes["down"] == expected


def test_rejoining_after_a_handler_is_join_any() -> None:
    workflow = """
        nodes:
        - {name: work, job: J}
        - {name: repair, dependsOn: ["work:Failed"], job: J}
        - {name: after, dependsOn: [work, repair], join: Any, job: J}
        """
    assert simulate(workflow).nodes == {"work": "Succeeded 0-1", "repair": VOID, "after": "Succeeded 1-2"}
    failed = simulate(workflow, "events: [{node: work, exitCode: 3}]")
    assert failed.nodes == {"work": "Failed(Error) 0-1", "repair": "Succeeded 1-2", "after": "Succeeded 2-3"}
    assert failed.outcome == "Succeeded(Succeeded) 3"


def test_when_is_asked_once_the_join_is_met_and_an_error_in_it_fails_the_node() -> None:
    ran = simulate(
        """
        failurePolicy: Continue
        nodes:
        - {name: a, job: J}
        - {name: yes, dependsOn: [a], when: "nodes.a.outputs.n == 7", job: J}
        - {name: "no", dependsOn: [a], when: "${{ nodes.a.outputs.n > 7 }}", job: J}
        - {name: broken, dependsOn: [a], when: "nodes.a.outputs.absent > 7", job: J}
        """.replace("name: yes", 'name: "yes"'),
        "events: [{node: a, outputs: {n: 7}}]",
    )
    assert ran.nodes["yes"] == "Succeeded 1-2"
    assert ran.nodes["no"] == "Skipped(ConditionFalse)"
    assert ran.nodes["broken"] == "Failed(ExpressionError) 1-1"
    assert ran.outcome.startswith("Failed")
