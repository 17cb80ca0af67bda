"""Why is it waiting? The sentence in the run's condition, for everything a run may wait for."""

from typing import Any

import pytest
from support.engine import START, Driven, drive
from weft.api.times import timestamp
from weft.engine.judge import judge_resource
from weft.engine.observation import AttemptPending, AttemptReady, Controls, Decision
from weft.engine.summary import counts, explain, progress

JOBS = {"nodes": [{"name": "a", "job": "J"}, {"name": "b", "dependsOn": ["a"], "job": "J"}]}


def told(run: Driven) -> tuple[str, str]:
    done, total = progress(counts(run.state))
    reason, message = explain(run.state, done=done, total=total)
    return str(reason), message


def clock(seconds: float) -> str:
    return timestamp(START + seconds)


def node(**fields: Any) -> dict[str, Any]:
    return {"nodes": [{"name": "price", **fields}]}


def approval(quorum: int) -> dict[str, Any]:
    return node(approval={"quorum": quorum})


PENDING = [
    ("Unschedulable", "0/3 nodes are available", "price cannot start: Unschedulable: 0/3 nodes are available"),
    ("ImagePullFailed", "not found", "price cannot start: ImagePullFailed: not found"),
    ("QuotaExceeded", "pods=10", "price cannot start: QuotaExceeded: pods=10"),
]


@pytest.mark.parametrize(("reason", "message", "says"), PENDING)
def test_a_pod_that_cannot_run(reason: str, message: str, says: str) -> None:
    run = drive(node(job="J"))
    assert told(run) == ("Running", "0 of 1 nodes done")
    run.see(AttemptPending(run.attempt("price"), reason, message, run.now))
    assert told(run) == ("Running", f"0 of 1 nodes done; {says}")
    run.see(AttemptPending(run.attempt("price"), None, "", run.now))
    assert told(run) == ("Running", "0 of 1 nodes done")


def test_a_pod_that_is_merely_starting_is_no_news_for_half_a_minute() -> None:
    run = drive(node(job="J"))
    run.see(AttemptPending(run.attempt("price"), "WaitingForPod", "pulling", run.now))
    run.see(at=29)
    assert told(run) == ("Running", "0 of 1 nodes done")
    run.see(at=30)
    assert told(run) == ("Running", "0 of 1 nodes done; price waits for its Pod: pulling")
    run.see(AttemptPending(run.attempt("price"), None, "", run.now), at=31)
    assert told(run) == ("Running", "0 of 1 nodes done")


def test_people() -> None:
    run = drive(approval(2))
    assert told(run)[1] == "0 of 1 nodes done; price waits for approval by 2 people"
    run.see(Decision(run.attempt("price"), "ann", "Approve", run.now))
    assert told(run)[1] == "0 of 1 nodes done; price waits for approval by 1 person"


def test_a_backoff_says_what_went_wrong() -> None:
    run = drive(node(job="J", retry={"limit": 1, "backoff": {"initialSeconds": 30}}))
    run.fail("price", at=1, message="exit code 1")
    says = f"price waits for its next attempt at {clock(31)} (attempt 1 ended with Error: exit code 1)"
    assert told(run)[1] == f"0 of 1 nodes done; {says}"


def test_items_of_which_none_runs_say_when_the_first_does() -> None:
    retry = {"limit": 1, "backoff": {"initialSeconds": 30, "jitter": 0}}
    run = drive(node(forEach={"range": 3}, job="J", retry=retry))
    run.fail("price", 1, at=1, message="exit code 1")
    assert told(run)[1] == "0 of 1 nodes done"
    run.succeed("price", 0, at=2)
    run.fail("price", 2, at=3, message="exit code 2")
    first = f"the first at {clock(31)} (item 1: attempt 1 ended with Error: exit code 1)"
    assert told(run)[1] == f"0 of 1 nodes done; price has 2 items wait for their next attempt, {first}"


def test_a_service_that_is_not_ready() -> None:
    run = drive(
        {"nodes": [{"name": "db", "service": True, "job": "J"}, {"name": "a", "dependsOn": ["db:Ready"], "job": "J"}]}
    )
    assert told(run)[1] == "0 of 2 nodes done; db is not Ready yet"
    run.see(AttemptReady(run.attempt("db"), run.now))
    assert told(run)[1] == "0 of 2 nodes done"


def test_an_object() -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    run = drive(node(resource={"manifest": manifest, "successWhen": "object.data.done == 'yes'"}))
    assert told(run)[1] == "0 of 1 nodes done; price waits for its object: successWhen is not true yet"
    judge_resource(run.state, next(iter(run.state.active.values())), manifest, run.now)
    assert "; price waits for its object: successWhen: no such key: data at column 7" in told(run)[1]


def test_time() -> None:
    assert told(drive(node(wait={"seconds": 60})))[1] == f"0 of 1 nodes done; price waits until {clock(60)}"


def test_a_time_that_no_status_can_show_is_the_last_that_one_can() -> None:
    run = drive(node(wait={"until": "9999-12-31T23:59:59-05:00"}))
    assert told(run)[1] == "0 of 1 nodes done; price waits until 9999-12-31T23:59:59Z"


def test_a_time_before_all_others_is_over() -> None:
    run = drive(node(wait={"until": "0001-01-01T00:00:00+01:00"}))
    assert told(run)[1] == "0 of 1 nodes done; price waits until 1970-01-01T00:00:00Z"
    run.see()
    assert run.state.outcome == "Succeeded"


def test_a_key() -> None:
    run = drive(node(job="J", concurrency={"key": "db"}))
    assert told(run)[1] == "0 of 1 nodes done; price waits for the concurrency key db"


def test_parallelism() -> None:
    run = drive({"parallelism": 1, "nodes": [{"name": "a", "job": "J"}, {"name": "b", "job": "J"}]})
    assert told(run)[1] == "0 of 2 nodes done; b waits for the running Pod to end"


def test_nodes_of_subgraphs_are_named_by_their_path() -> None:
    graphs = [{"name": "g", "nodes": [{"name": "ok", "approval": {}}]}]
    run = drive({"nodes": [{"name": "publish", "graph": {"name": "g"}}], "graphs": graphs})
    assert told(run)[1] == "0 of 1 nodes done; publish/ok waits for approval by 1 person"


def test_only_the_first_three_are_named() -> None:
    run = drive({"nodes": [{"name": f"n{number}", "wait": {"seconds": 9}} for number in range(6)]})
    names = "; ".join(f"n{number} waits until {clock(9)}" for number in range(3))
    assert told(run)[1] == f"0 of 6 nodes done; {names}; and 3 more wait"


def test_items_are_named_in_their_order() -> None:
    graphs = [{"name": "g", "nodes": [{"name": "ok", "approval": {}}]}]
    run = drive({"nodes": [{"name": "n", "forEach": {"range": 3}, "graph": {"name": "g"}}], "graphs": graphs})
    names = "; ".join(f"n[{number}]/ok waits for approval by 1 person" for number in range(3))
    assert told(run)[1] == f"0 of 1 nodes done; {names}"


def test_a_suspended_run() -> None:
    run = drive(JOBS)
    run.see(Controls(suspend=True))
    assert told(run) == ("Suspended", "suspended; set spec.suspend to false to go on; 0 of 2 nodes done")


def test_a_run_that_is_being_stopped() -> None:
    run = drive(JOBS)
    run.see(Controls(stop="Cancel"))
    assert told(run) == ("Stopping", "stopping (Cancel), nodes that have not ended yet: 1")


def test_compensation_and_finally() -> None:
    nodes = [{"name": "a", "compensate": {"job": "J"}, "job": "J"}, {"name": "b", "dependsOn": ["a"], "job": "J"}]
    run = drive({"nodes": nodes, "finally": [{"name": "f", "job": "J"}]})
    run.succeed("a", at=1)
    run.fail("b", at=2, message="exit code 1")
    failed = "b failed (Error: exit code 1)"
    assert told(run) == ("Compensating", f"undoing what succeeded, compensations left: 1; {failed}")
    run.succeed("a", at=3)
    assert told(run) == ("RunningFinally", "2 of 3 nodes done; running finally, outcome Failed")


def test_counts_have_every_node_once() -> None:
    nodes = [
        {"name": "a", "job": "J"},
        {"name": "w", "wait": {"seconds": 5}},
        {"name": "s", "when": "false", "job": "J"},
        {"name": "p", "dependsOn": ["a"], "job": "J"},
    ]
    run = drive({"nodes": nodes, "finally": [{"name": "f", "job": "J"}]})
    found = counts(run.state)
    assert found == {"pending": 2, "running": 1, "waiting": 1, "succeeded": 0, "failed": 0, "skipped": 1}
    assert progress(found) == (1, 5)
    run.fail("a", at=1)
    assert counts(run.state)["failed"] == 1
