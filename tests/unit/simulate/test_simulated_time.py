"""Waits, approvals, suspension, stops and reruns of design section 3, in virtual seconds."""

import pytest
from support.simulation import simulate

CHAIN = "nodes: [{name: a, job: J}, {name: b, dependsOn: [a], job: J}]"


def test_suspend_starts_nothing_new_and_running_pods_go_on() -> None:
    ran = simulate(CHAIN, "actions: [{at: 0.5, suspend: true}, {at: 10, suspend: false}]")
    assert ran.nodes == {"a": "Succeeded 0-1", "b": "Succeeded 10-11"}


def test_what_is_asked_for_at_the_start_comes_before_the_first_node() -> None:
    held = simulate(CHAIN, "actions: [{at: 0, suspend: true}, {at: 10, suspend: false}]")
    assert held.nodes == {"a": "Succeeded 10-11", "b": "Succeeded 11-12"}
    stopped = simulate(CHAIN, "actions: [{at: 0, stop: Cancel}]")
    assert stopped.nodes == {"a": "Skipped(Stopped)", "b": "Skipped(Stopped)"}
    assert stopped.outcome == "Cancelled(Stopped) 0"


def test_attempt_timeouts_go_on_during_a_suspension() -> None:
    ran = simulate(
        "nodes: [{name: a, timeoutSeconds: 5, job: J}]",
        "{events: [{node: a, durationSeconds: 50}], actions: [{at: 1, suspend: true}, {at: 20, suspend: false}]}",
    )
    assert ran.nodes == {"a": "Failed(DeadlineExceeded) 0-5"}


STANDING = [
    # what stands still for the 10 seconds of a suspension -> when the node ends
    ("{name: a, wait: {seconds: 5}}", "Succeeded 0-15"),
    ("{name: a, approval: {timeoutSeconds: 5}}", "Failed(ApprovalTimeout) 0-15"),
    ("{name: a, deadlineSeconds: 5, job: J}", "Failed(DeadlineExceeded) 0-15"),
    ("{name: a, timeoutSeconds: 5, approval: {}}", "Failed(DeadlineExceeded) 0-15"),
    ("{name: a, timeoutSeconds: 5, wait: {seconds: 4}}", "Succeeded 0-14"),
    ("{name: a, timeoutSeconds: 5, graph: {name: g}}", "Failed(DeadlineExceeded) 0-15"),
    # what goes on
    ("{name: a, wait: {until: '2026-01-01T00:00:05Z'}}", "Succeeded 0-5"),
    ("{name: a, timeoutSeconds: 5, job: J}", "Failed(DeadlineExceeded) 0-5"),
]


@pytest.mark.parametrize(("node", "expected"), STANDING)
def test_some_clocks_stand_still_during_a_suspension(node: str, expected: str) -> None:
    ran = simulate(
        f"{{nodes: [{node}], graphs: [{{name: g, nodes: [{{name: a, approval: {{}}}}]}}]}}",
        "{events: [{node: a, durationSeconds: 500}], actions: [{at: 2, suspend: true}, {at: 12, suspend: false}]}",
    )
    assert ran.nodes["a"] == expected


def test_the_runs_own_clock_stands_still_too() -> None:
    ran = simulate(
        "{timeoutSeconds: 5, nodes: [{name: a, job: J}]}",
        "{events: [{node: a, durationSeconds: 500}], actions: [{at: 2, suspend: true}, {at: 12, suspend: false}]}",
    )
    assert ran.outcome == "Failed(DeadlineExceeded) 15"


def test_decisions_count_during_a_suspension() -> None:
    ran = simulate(
        "nodes: [{name: a, approval: {}}, {name: b, dependsOn: [a], job: J}]",
        "{approvals: [{node: a, at: 5, by: p, decision: Approve}], actions: [{at: 2, suspend: true}, {at: 12,"
        " suspend: false}]}",
    )
    assert ran.nodes["b"] == "Succeeded 12-13"
    assert ran.nodes["a"].startswith("Succeeded 0-")


def test_a_run_that_nobody_resumes_is_reported_as_stuck() -> None:
    ran = simulate(CHAIN, "actions: [{at: 0.5, suspend: true}]")
    assert ran.outcome.startswith("Failed(Stuck)")
    assert "suspended" in ran.message()
    assert ran.nodes["b"] == "Pending"


STOPS = [
    # stop at 2.5, while a slow job, a wait, an approval and a back-off are on
    ("Drain", "Succeeded 0-10", "Cancelled(Stopped) 0-2.5", 11.0),
    ("Cancel", "Cancelled(Stopped) 0-2.5", "Cancelled(Stopped) 0-2.5", 3.5),
    ("Terminate", "Cancelled(Stopped) 0-2.5", "Cancelled(Stopped) 0-2.5", 2.5),
]


@pytest.mark.parametrize("suspended", [False, True])
@pytest.mark.parametrize(("stop", "job", "other", "end"), STOPS)
def test_a_stop_says_what_it_ends(stop: str, job: str, other: str, end: float, suspended: bool) -> None:
    ran = simulate(
        """
        nodes:
        - {name: slow, job: J}
        - {name: after, dependsOn: [slow], job: J}
        - {name: pause, wait: {seconds: 100}}
        - {name: ask, approval: {}}
        - {name: again, retry: {limit: 1, backoff: {initialSeconds: 60}}, job: J}
        finally: [{name: f, job: J}]
        """,
        {
            "events": [{"node": "slow", "durationSeconds": 10}, {"node": "again", "exitCode": 1}],
            "actions": [*([{"at": 2, "suspend": True}] if suspended else []), {"at": 2.5, "stop": stop}],
        },
    )
    assert ran.nodes["slow"] == job
    assert {ran.nodes[name] for name in ("pause", "ask", "again")} == {other}
    assert ran.nodes["after"].startswith("Skipped")
    assert ran.outcome == f"Cancelled(Stopped) {end:g}"
    assert ran.nodes["f"].startswith("Skipped" if stop == "Terminate" else "Succeeded")


def test_a_drain_takes_nothing_from_a_foreach_whose_items_all_run() -> None:
    drain = "actions: [{at: 0.5, stop: Drain}]"
    whole = simulate("nodes: [{name: a, forEach: {range: 2}, job: J}, {name: b, dependsOn: [a], job: J}]", drain)
    assert whole.nodes == {"a": "Succeeded 0-1 x2", "b": "Skipped(Stopped)"}
    assert whole.outcome == "Cancelled(Stopped) 1"
    part = simulate("nodes: [{name: a, forEach: {range: 3, maxParallel: 2}, job: J}]", drain)
    assert part.nodes == {"a": "Cancelled(Stopped) 0-1 x2"}


def test_a_stop_may_only_grow() -> None:
    ran = simulate(
        "nodes: [{name: a, job: J}]",
        "{events: [{node: a, durationSeconds: 50}], actions: [{at: 1, stop: Drain}, {at: 5, stop: Cancel},"
        " {at: 6, stop: Drain}]}",
    )
    assert ran.nodes["a"] == "Cancelled(Stopped) 0-5"


QUORUM = "nodes: [{name: a, approval: {quorum: 2, timeoutSeconds: 100}}]"


def decides(*decisions: tuple[float, str, str]) -> dict[str, object]:
    return {"approvals": [{"node": "a", "at": at, "by": by, "decision": word} for at, by, word in decisions]}


def test_an_approval_takes_a_quorum_of_different_people() -> None:
    ran = simulate(QUORUM, decides((10, "ann", "Approve"), (20, "ann", "Approve"), (30, "bob", "Approve")))
    assert ran.nodes == {"a": "Succeeded 0-30"}
    assert ran.outputs("a") == {"decision": "Approve", "by": ["ann", "bob"], "at": "2026-01-01T00:00:30Z"}


def test_one_rejection_is_enough() -> None:
    ran = simulate(QUORUM, decides((10, "ann", "Approve"), (20, "bob", "Reject")))
    assert ran.nodes == {"a": "Failed(Rejected) 0-20"}


def test_a_decision_made_early_counts_once_it_is_asked_for() -> None:
    ran = simulate(
        "nodes: [{name: work, job: J}, {name: a, dependsOn: [work], approval: {}}]", decides((0, "ann", "Approve"))
    )
    assert ran.nodes["a"] == "Succeeded 1-1"


CHILD_ASKS = """
apiVersion: weft.dev/v1alpha1
kind: Workflow
metadata: {name: child}
spec: {nodes: [{name: ok, approval: {}}]}
"""


def test_a_decision_is_for_one_child_run_and_the_next_attempts_run_asks_anew() -> None:
    """As in a cluster, where an Approval names the UID of the run."""
    ran = simulate(
        "nodes: [{name: c, retry: {limit: 1}, workflow: {name: child}}]",
        """
        approvals:
        - {node: c/ok, at: 5, by: ana, decision: Reject}
        - {node: c/ok, at: 20, by: ana, decision: Approve}
        """,
        others=CHILD_ASKS,
    )
    assert ran.nodes["c/ok"] == "Succeeded 7-20"
    assert ran.nodes["c"] == "Succeeded 0-20 x2"


TIMEOUTS = [
    ("Approve", "Succeeded 0-10"),
    ("Reject", "Failed(ApprovalTimeout) 0-10"),
]


@pytest.mark.parametrize(("word", "expected"), TIMEOUTS)
def test_on_timeout_decides_for_nobody(word: str, expected: str) -> None:
    assert simulate(f"nodes: [{{name: a, approval: {{timeoutSeconds: 10, onTimeout: {word}}}}}]").nodes["a"] == expected


def test_escalation_asks_the_next_group_and_then_rejects() -> None:
    workflow = """
        nodes:
        - name: a
          approval:
            timeoutSeconds: 10
            onTimeout: Escalate
            escalation: [{from: {users: [boss]}, timeoutSeconds: 20}]
        """
    assert simulate(workflow).nodes["a"] == "Failed(ApprovalTimeout) 0-30"
    assert simulate(workflow, decides((25, "boss", "Approve"))).nodes["a"] == "Succeeded 0-25"


def test_an_approval_that_nobody_gives_is_stuck() -> None:
    ran = simulate("nodes: [{name: a, approval: {}}]")
    assert ran.outcome == "Failed(Stuck) 0"
    assert "a waits for approval" in ran.message()


def test_waits_take_seconds_or_last_until_a_time() -> None:
    ran = simulate(
        """
        parameters: [{name: delay, type: integer, default: 31536000}]
        nodes:
        - {name: fixed, wait: {seconds: 5}}
        - {name: given, wait: {seconds: "${{ params.delay }}"}}
        - {name: until, wait: {until: "2026-01-01T00:01:00Z"}}
        - {name: past, wait: {until: "2020-01-01T00:00:00Z"}}
        """
    )
    assert ran.nodes == {
        "fixed": "Succeeded 0-5", "given": "Succeeded 0-3.1536e+07", "until": "Succeeded 0-60", "past": "Succeeded 0-0",
    }  # fmt: skip


RERUN = """
    nodes:
    - {name: a, job: J}
    - {name: b, dependsOn: [a], job: J}
    - {name: c, dependsOn: [b], job: J}
    - {name: skipped, when: "false", job: J}
    finally: [{name: f, job: J}]
    """


def test_a_rerun_from_failed_keeps_what_succeeded() -> None:
    ran = simulate(RERUN, "{events: [{node: b, attempt: 1, exitCode: 1}], actions: [{at: 100, rerun: Failed}]}")
    assert ran.jobs == ["a#1 0-1", "b#1 1-2", "f#1 2-3", "b#2 100-101", "c#1 101-102", "f#2 102-103"]
    assert ran.outcome == "Succeeded(Succeeded) 103"
    assert ran.nodes["skipped"] == "Skipped(ConditionFalse)"
    assert ran.nodes["a"] == "Succeeded 0-1"


def test_a_rerun_that_is_asked_for_too_early_comes_when_the_run_has_ended() -> None:
    ran = simulate(RERUN, "{events: [{node: b, attempt: 1, exitCode: 1}], actions: [{at: 1, rerun: Failed}]}")
    assert ran.jobs[3:] == ["b#2 3-4", "c#1 4-5", "f#2 5-6"]


NODES = ["{from: Nodes, nodes: [b]}", "{generation: 7, from: Nodes, nodes: [b]}", "Nodes, nodes: [b]"]


@pytest.mark.parametrize("rerun", NODES)
def test_a_rerun_of_nodes_takes_their_descendants_along(rerun: str) -> None:
    ran = simulate(RERUN, f"actions: [{{at: 100, rerun: {rerun}}}]")
    assert [job for job in ran.jobs if "100" in job or "10" in job.split()[1]] == [
        "b#2 100-101",
        "c#2 101-102",
        "f#2 102-103",
    ]


def test_a_rerun_of_all_does_everything_again() -> None:
    ran = simulate(RERUN, "actions: [{at: 100, rerun: All}]")
    assert ran.jobs[4:] == ["a#2 100-101", "b#2 101-102", "c#2 102-103", "f#2 103-104"]


def test_retry_budgets_start_anew_and_attempt_numbers_go_on() -> None:
    ran = simulate(
        "nodes: [{name: a, retry: {limit: 1, backoff: {initialSeconds: 2}}, job: J}]",
        "{events: [{node: a, attempt: 4}, {node: a, exitCode: 1}], actions: [{at: 100, rerun: Failed}]}",
    )
    assert ran.jobs == ["a#1 0-1", "a#2 3-4", "a#3 100-101", "a#4 103-104"]
    assert ran.outcome == "Succeeded(Succeeded) 104"


def test_of_a_foreach_only_failed_items_are_done_again() -> None:
    ran = simulate(
        "nodes: [{name: a, forEach: {range: 3, maxFailed: 3}, job: J}, {name: bad, dependsOn: [a], job: J}]",
        "{events: [{node: a, index: 1, attempt: 1, exitCode: 1}, {node: bad, attempt: 1, exitCode: 1}],"
        " actions: [{at: 50, rerun: Failed}]}",
    )
    assert ran.report["outcome"] == "Succeeded"
    assert ran.jobs[4:] == ["bad#2 50-51"]  # the node itself had succeeded
    failed = simulate(
        "nodes: [{name: a, forEach: {range: 3}, job: J}]",
        "{events: [{node: a, index: 1, attempt: 1, exitCode: 1}], actions: [{at: 50, rerun: Failed}]}",
    )
    assert failed.jobs[3:] == ["a[1]#2 50-51"]
    assert failed.items("a") == ["Succeeded 0-1", "Succeeded 50-51 x2", "Succeeded 0-1"]


def test_a_stopped_run_is_rerun_with_stop_cleared() -> None:
    ran = simulate(RERUN, "actions: [{at: 1.5, stop: Cancel}, {at: 50, rerun: Failed}]")
    assert ran.outcome == "Succeeded(Succeeded) 53"
    assert ran.nodes["b"] == "Succeeded 50-51 x2"


def test_what_was_compensated_is_done_again() -> None:
    ran = simulate(
        "nodes: [{name: a, job: J, compensate: {job: J}}, {name: b, dependsOn: [a], job: J}]",
        "{events: [{node: b, attempt: 1, exitCode: 1}], actions: [{at: 50, rerun: Failed}]}",
    )
    assert ran.jobs == ["a#1 0-1", "b#1 1-2", "~a#1 2-3", "a#2 50-51", "b#2 51-52"]
    assert ran.report["outcome"] == "Succeeded"


def test_a_rerun_of_an_unknown_node_is_an_error_of_the_scenario() -> None:
    with pytest.raises(ValueError, match=r"actions\[0\].*'nothing'"):
        simulate(RERUN, "actions: [{at: 50, rerun: {from: Nodes, nodes: [nothing]}}]")


@pytest.mark.parametrize("policy", ["Queue", "Skip", "CancelRunning"])
def test_a_suspended_run_takes_no_key(policy: str) -> None:
    ran = simulate(
        f"""
        nodes:
        - {{name: a, concurrency: {{key: k}}, job: J}}
        - {{name: u, job: J}}
        - {{name: b, dependsOn: [u], concurrency: {{key: k, policy: {policy}}}, job: J}}
        """,
        """
        events: [{node: a, durationSeconds: 50}, {node: u, durationSeconds: 2}]
        actions: [{at: 1, suspend: true}, {at: 100, suspend: false}]
        """,
    )
    assert ran.nodes == {"a": "Succeeded 0-50", "u": "Succeeded 0-2", "b": "Succeeded 100-101"}


def test_what_waits_for_the_resume_may_be_stopped_before_it() -> None:
    ran = simulate(
        "nodes: [{name: u, job: J}, {name: b, dependsOn: [u], concurrency: {key: k}, job: J}]",
        "actions: [{at: 0.5, suspend: true}, {at: 10, stop: Cancel}]",
    )
    assert ran.nodes == {"u": "Succeeded 0-1", "b": "Skipped(Stopped)"}
    assert ran.outcome == "Cancelled(Stopped) 10"


def test_a_key_is_asked_for_once_where_that_decides() -> None:
    """Between two rounds another takes it: what has gone round already waits for it, and is not left half done."""
    ran = simulate(
        """
        nodes:
        - {name: w, while: {condition: "iteration < 2"}, concurrency: {key: k, policy: Skip}, job: J}
        - {name: u, job: J}
        - {name: v, dependsOn: [u], concurrency: {key: k}, job: J}
        """,
        "events: [{node: u, durationSeconds: 0.5}]",
    )
    assert ran.jobs == ["u#1 0-0.5", "w<0>#1 0-1", "v#1 1-2", "w<1>#1 2-3", "w<2>#1 3-4"]
    assert ran.report["nodes"]["w"]["phase"] == "Succeeded"
