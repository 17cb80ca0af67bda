import pytest
from support.apiserver import workflow_run
from weft.cli import runs


@pytest.mark.parametrize(("phase", "code"), [("Succeeded", 0), ("Failed", 1), ("Cancelled", 2)])
def test_the_exit_code_is_the_verdict(phase, code):
    assert runs.exit_code(workflow_run("r", phase=phase)) == code


@pytest.mark.parametrize(
    ("run", "generation", "ended"),
    [
        ({"spec": {}}, 0, False),
        (workflow_run("r"), 0, False),
        (workflow_run("r", phase="Failed"), 0, True),
        (workflow_run("r", phase="Failed"), 1, False),
        (workflow_run("r", phase="Failed", status={"rerunGeneration": 1}), 1, True),
    ],
)
def test_a_rerun_has_ended_only_when_it_was_carried_out(run, generation, ended):
    assert runs.has_ended(run, generation=generation) is ended


def test_the_summary_says_where_it_stands_and_why():
    run = workflow_run("listing-1", phase="Failed", parameters={"limit": 5, "mode": "urgent", "tags": ["a"]})
    assert dict(runs.summary(run, now=0)) == {
        "Run": "listing-1",
        "Workflow": "listing",
        "Status": "Failed, 1/3 nodes, 4m10s",
        "Reason": "NodeFailed: Failed it is",
        "Started": "2023-11-14T22:00:00Z",
        "Parameters": 'limit=5  mode=urgent  tags=["a"]',
    }


def test_a_run_that_nobody_has_seen_says_so():
    lines = dict(runs.summary({"metadata": {"name": "r"}, "spec": {"workflow": {}}}, now=0))
    assert lines == {
        "Run": "r", "Workflow": "(inline)", "Status": "Pending", "Reason": "no operator has taken it up yet"
    }  # fmt: skip


def test_next_steps_lead_to_the_question_and_to_the_logs():
    entries = [
        {"name": "review", "phase": "Waiting", "reason": "AwaitingApproval"},
        {"name": "publish", "phase": "Failed", "reason": "GraphFailed", "exitCode": 3},
        {"name": "publish/upload", "phase": "Failed", "exitCode": 3},
    ]
    assert runs.next_steps(workflow_run("r", phase="Suspended"), entries) == [
        ("approve", "r", "review"), ("logs", "r", "publish/upload"), ("resume", "r")
    ]  # fmt: skip
