"""Retries, disruptions, timeouts and deadlines of design section 3, in virtual seconds."""

import pytest
from support.simulation import simulate


def fails(*attempts: int, **more: object) -> dict[str, object]:
    return {"events": [{"node": "a", "attempt": n, "exitCode": 1, **more} for n in attempts]}


BACKOFFS = [
    # retry, attempts that fail, how the attempts go
    ("{limit: 3, backoff: {initialSeconds: 2, factor: 2, maxSeconds: 60}}", 4, ["0-1", "3-4", "8-9", "17-18"]),
    ("{limit: 3, backoff: {initialSeconds: 2, factor: 2, maxSeconds: 3}}", 4, ["0-1", "3-4", "7-8", "11-12"]),
    ("{limit: 2, backoff: {initialSeconds: 0, factor: 1, maxSeconds: 0}}", 2, ["0-1", "1-2", "2-3"]),
    ("{limit: 2, backoff: {initialSeconds: 0.5, factor: 3, maxSeconds: 9}}", 3, ["0-1", "1.5-2.5", "4-5"]),
    ("{}", 9, ["0-1", "3-4", "8-9", "17-18"]),
    ("{limit: 0}", 9, ["0-1"]),
]


@pytest.mark.parametrize(("retry", "failing", "attempts"), BACKOFFS)
def test_backoff_grows_by_the_factor_up_to_the_maximum(retry: str, failing: int, attempts: list[str]) -> None:
    ran = simulate(f"nodes: [{{name: a, retry: {retry}, job: J}}]", fails(*range(1, failing + 1)))
    assert ran.jobs == [f"a#{number} {times}" for number, times in enumerate(attempts, start=1)]
    assert ran.report["nodes"]["a"]["attempts"] == len(attempts)
    assert ran.report["outcome"] == ("Failed" if failing >= len(attempts) else "Succeeded")


def test_without_retry_there_is_one_attempt_and_defaults_give_one() -> None:
    assert simulate("nodes: [{name: a, job: J}]", fails(1)).nodes == {"a": "Failed(Error) 0-1"}
    inherited = simulate(
        "{defaults: {retry: {limit: 1, backoff: {initialSeconds: 4}}}, nodes: [{name: a, job: J}]}", fails(1)
    )
    assert inherited.nodes == {"a": "Succeeded 0-6 x2"}


def test_retry_when_decides_by_what_happened() -> None:
    workflow = "nodes: [{name: a, retry: {limit: 3, when: 'exitCode != 2'}, job: J}]"
    assert simulate(workflow, fails(1)).nodes == {"a": "Succeeded 0-4 x2"}
    assert simulate(workflow, "events: [{node: a, exitCode: 2}]").nodes == {"a": "Failed(Error) 0-1"}
    by_all = (
        "nodes: [{name: a, retry: {limit: 9, when: \"reason == 'Error' && attempt < 3 && outputs.again\"}, job: J}]"
    )
    ran = simulate(by_all, "events: [{node: a, exitCode: 1, outputs: {again: true}}]")
    assert ran.report["nodes"]["a"]["attempts"] == 3


def test_an_error_in_retry_when_ends_the_node_and_hides_nothing() -> None:
    ran = simulate("nodes: [{name: a, retry: {when: 'outputs.none > 1'}, job: J}]", fails(1))
    assert ran.nodes == {"a": "Failed(Error) 0-1"}
    assert ran.report["message"] == (
        "a failed (Error: exit code 1; ExpressionError in retry.when: no such key: none at column 8 of"
        " `outputs.none > 1`)"
    )


@pytest.mark.parametrize("reason", ["Evicted", "NodeLost", "Preempted", "PodDeleted", "JobDeleted"])
def test_a_disruption_is_tried_again_at_once_and_is_no_failure(reason: str) -> None:
    ran = simulate("nodes: [{name: a, job: J}]", f"events: [{{node: a, attempt: 1, reason: {reason}}}]")
    assert ran.jobs == ["a#1 0-1", "a#2 1-2"]
    assert ran.nodes == {"a": "Succeeded 0-2 x2"}


def test_disruptions_have_a_budget_of_their_own() -> None:
    always = "events: [{node: a, reason: Evicted}]"
    assert simulate("nodes: [{name: a, job: J}]", always).nodes == {"a": "Failed(Evicted) 0-6 x6"}
    assert simulate("nodes: [{name: a, retry: {limit: 9, disruptions: 2}, job: J}]", always).nodes == {
        "a": "Failed(Evicted) 0-3 x3"
    }
    mixed = simulate(
        "nodes: [{name: a, retry: {limit: 1, backoff: {initialSeconds: 10}}, job: J}]",
        "events: [{node: a, attempt: 1, reason: NodeLost}, {node: a, attempt: 2, exitCode: 1},"
        " {node: a, attempt: 3, reason: NodeLost}]",
    )
    assert mixed.jobs == ["a#1 0-1", "a#2 1-2", "a#3 12-13", "a#4 13-14"]
    assert mixed.report["outcome"] == "Succeeded"


def test_out_of_memory_is_a_failure_like_any_other() -> None:
    oom = "events: [{node: a, attempt: 1, reason: OOMKilled}]"
    assert simulate("nodes: [{name: a, job: J}]", oom).nodes == {"a": "Failed(OOMKilled) 0-1"}
    assert simulate("nodes: [{name: a, retry: {when: 'exitCode == 137'}, job: J}]", oom).nodes == {
        "a": "Succeeded 0-4 x2"
    }


def test_jitter_is_nothing_without_a_seed_and_the_same_with_the_same_seed() -> None:
    workflow = "nodes: [{name: a, retry: {limit: 5, backoff: {jitter: 0.5, initialSeconds: 10}}, job: J}]"
    assert simulate(workflow, fails(1)).jobs == ["a#1 0-1", "a#2 11-12"]
    starts = {seed: simulate(workflow, fails(1), seed=seed).report["jobs"][1]["start"] for seed in (1, 2)}
    assert starts[1] != starts[2]
    assert all(6 <= start <= 16 for start in starts.values())
    assert simulate(workflow, fails(1), seed=1).report["jobs"][1]["start"] == starts[1]


def test_an_attempt_that_takes_too_long_fails_and_may_be_tried_again() -> None:
    late = "events: [{node: a, attempt: 1, durationSeconds: 100}]"
    assert simulate("nodes: [{name: a, timeoutSeconds: 5, job: J}]", late).nodes == {
        "a": "Failed(DeadlineExceeded) 0-5"
    }
    again = simulate("nodes: [{name: a, timeoutSeconds: 5, retry: {limit: 1}, job: J}]", late)
    assert again.jobs == ["a#1 0-5", "a#2 7-8"]
    just = simulate("nodes: [{name: a, timeoutSeconds: 5, job: J}]", "events: [{node: a, durationSeconds: 5}]")
    assert just.nodes == {"a": "Succeeded 0-5"}


def test_a_deadline_holds_over_attempts_and_backoffs() -> None:
    workflow = (
        "nodes: [{name: a, deadlineSeconds: 10, retry: {limit: 9, backoff: {initialSeconds: 4, factor: 1}}, job: J}]"
    )
    in_backoff = simulate(workflow, "events: [{node: a, exitCode: 1, durationSeconds: 4}]")
    assert in_backoff.jobs == ["a#1 0-4", "a#2 8-10"]
    assert in_backoff.nodes == {"a": "Failed(DeadlineExceeded) 0-10 x2"}
    waiting = simulate(workflow, "events: [{node: a, exitCode: 1, durationSeconds: 3}]")
    assert waiting.jobs == ["a#1 0-3", "a#2 7-10"]


@pytest.mark.parametrize("reason", ["ImagePullFailed", "Unschedulable"])
def test_a_pod_that_does_not_run_waits_for_pending_timeout(reason: str) -> None:
    ran = simulate("nodes: [{name: a, pendingTimeoutSeconds: 30, job: J}]", f"events: [{{node: a, reason: {reason}}}]")
    assert ran.nodes == {"a": f"Failed({reason}) 0-30"}
    again = simulate(
        "nodes: [{name: a, pendingTimeoutSeconds: 30, retry: {limit: 1}, job: J}]",
        f"events: [{{node: a, attempt: 1, reason: {reason}}}]",
    )
    assert again.jobs == ["a#1 0-30", "a#2 32-33"]


def test_a_pod_that_runs_after_all_takes_its_usual_time() -> None:
    ran = simulate(
        "nodes: [{name: a, pendingTimeoutSeconds: 30, job: J}]",
        "{default: {durationSeconds: 7}, events: [{node: a, reason: Unschedulable, durationSeconds: 20,"
        " outputs: {n: 1}}]}",
    )
    assert ran.nodes == {"a": "Succeeded 0-27"}
    assert ran.outputs("a") == {"n": 1}


def test_retries_of_items_are_counted_per_item() -> None:
    ran = simulate(
        "nodes: [{name: a, forEach: {range: 2}, retry: {limit: 1, backoff: {initialSeconds: 2}}, job: J}]",
        "events: [{node: a, attempt: 1, exitCode: 1}]",
    )
    assert ran.jobs == ["a[0]#1 0-1", "a[1]#1 0-1", "a[0]#2 3-4", "a[1]#2 3-4"]
    assert ran.nodes == {"a": "Succeeded 0-4 x4"}
    assert ran.items("a") == ["Succeeded 0-4 x2", "Succeeded 0-4 x2"]


def test_a_retried_graph_does_not_repeat_what_succeeded() -> None:
    ran = simulate(
        """
        nodes: [{name: g, retry: {limit: 1, backoff: {initialSeconds: 5}}, graph: {name: g}}]
        graphs: [{name: g, nodes: [{name: a, job: J}, {name: b, dependsOn: [a], job: J}]}]
        """,
        "events: [{node: g/b, attempt: 1, exitCode: 1}]",
    )
    assert ran.jobs == ["g/a#1 0-1", "g/b#1 1-2", "g/b#2 7-8"]
    assert ran.report["outcome"] == "Succeeded"


def test_outputs_of_an_earlier_attempt_are_not_those_of_a_later_one() -> None:
    ran = simulate(
        "nodes: [{name: a, timeoutSeconds: 10, retry: {limit: 1, backoff: {initialSeconds: 0}}, job: J}]",
        """
        events:
        - {node: a, attempt: 1, exitCode: 3, outputs: {x: 1}}
        - {node: a, attempt: 2, durationSeconds: 100}
        """,
    )
    assert ran.nodes == {"a": "Failed(DeadlineExceeded) 0-11 x2"}
    assert ran.outputs("a") == {}


def test_a_round_taken_from_the_cache_does_not_start_the_deadline_anew() -> None:
    workflow = """
    nodes:
    - {name: a, deadlineSeconds: 10, while: {condition: "iteration < 5"}, job: J,
       cache: {key: "iteration % 2 == 0 ? 'even' : 'odd' + string(iteration)"}}
    """
    assert simulate(workflow, "default: {durationSeconds: 4}").nodes == {"a": "Failed(DeadlineExceeded) 0-10 x3"}


def test_rounds_that_succeeded_before_a_graph_was_tried_again_are_undone_once() -> None:
    """The second time, the first round fails: that it was done the first time is not forgotten."""
    ran = simulate(
        """
        nodes: [{name: g, retry: {limit: 1, backoff: {initialSeconds: 0}}, graph: {name: inner}}]
        graphs:
        - name: inner
          nodes: [{name: w, while: {condition: "iteration < 3"}, job: J, compensate: {job: J}}]
        """,
        """
        events:
        - {node: g/w, iteration: 2, attempt: 1, exitCode: 1}
        - {node: g/w, iteration: 0, attempt: 2, exitCode: 1}
        """,
    )
    assert [job for job in ran.jobs if job.startswith("~")] == ["~g/w<1>#1 4-5", "~g/w<0>#1 5-6"]
