"""What was over before something happened counts before it, also when an operator that was down sees both at once."""

import pytest
from support.engine import START, Driven, drive
from weft.engine.observation import AttemptEnded, Controls, Decision
from weft.engine.status import make


def phases(run: Driven) -> dict[str, str]:
    nodes = make(run.state, previous={}, generation=1, now=run.now).status["nodes"]
    return {node["name"]: node["phase"] + (f"({node['reason']})" if node.get("reason") else "") for node in nodes}


@pytest.mark.parametrize("at", [10, 60])
def test_a_wait_that_is_over_is_done_whatever_failed_meanwhile(at: float) -> None:
    run = drive(
        {"failurePolicy": "Cancel", "nodes": [{"name": "w", "wait": {"seconds": 10}}, {"name": "b", "job": "J"}]}
    )
    run.fail("b", at=at)
    assert phases(run) == {"w": "Succeeded", "b": "Failed(Error)"}


def test_one_that_is_not_is_stopped() -> None:
    run = drive(
        {"failurePolicy": "Cancel", "nodes": [{"name": "w", "wait": {"seconds": 10}}, {"name": "b", "job": "J"}]}
    )
    run.fail("b", at=9.9)
    assert phases(run) == {"w": "Cancelled(RunFailed)", "b": "Failed(Error)"}


@pytest.mark.parametrize("at", [10, 60])
def test_a_stop_comes_too_late_for_it_and_it_is_undone(at: float) -> None:
    run = drive(
        {"nodes": [{"name": "w", "wait": {"seconds": 10}, "compensate": {"job": "J"}}, {"name": "b", "job": "J"}]}
    )
    run.see(Controls(stop="Cancel"), at=at)
    run.see(AttemptEnded(run.attempt("b"), run.now, succeeded=False, reason="Stopped"))
    run.succeed("w", at=at + 1)
    assert phases(run) == {"w": "Compensated(Compensated)", "b": "Cancelled(Stopped)"}


def test_one_whose_clock_stands_still_is_not_over() -> None:
    run = drive({"nodes": [{"name": "w", "wait": {"seconds": 10}}, {"name": "b", "job": "J"}]})
    run.see(Controls(suspend=True), at=5)
    run.see(Controls(suspend=False), at=50)
    run.see(Controls(stop="Cancel"), at=54)
    assert phases(run)["w"] == "Cancelled(Stopped)"


@pytest.mark.parametrize(("made", "phase"), [(20.0, "Succeeded"), (30.0, "Failed(ApprovalTimeout)")])
def test_a_decision_counts_by_when_it_was_made(made: float, phase: str) -> None:
    run = drive({"nodes": [{"name": "q", "approval": {"timeoutSeconds": 20}}]})
    run.see(Decision(run.attempt("q"), "ann", "Approve", START + made), at=60)
    assert phases(run) == {"q": phase}


def test_a_decision_that_came_after_the_question_went_to_others_is_asked_for_anew() -> None:
    approval = {"timeoutSeconds": 20, "onTimeout": "Escalate", "escalation": [{"from": {"users": ["bob"]}}]}
    run = drive({"nodes": [{"name": "q", "approval": approval}]})
    run.see(Decision(run.attempt("q"), "ann", "Approve", START + 30), at=60)
    assert phases(run) == {"q": "Waiting(AwaitingApproval)"}
    run.see(Decision(run.attempt("q"), "bob", "Approve", START + 65), at=65)
    assert phases(run) == {"q": "Succeeded"}
