"""A run's status as people and kubectl read it: phases, conditions, counts, progress, durations, the names of Jobs."""

from typing import Any

import pytest
from support.engine import START, Driven, drive
from weft.api.times import moment
from weft.engine import advance, restore, status
from weft.engine.actions import Start
from weft.engine.observation import AttemptEnded, Controls
from weft.render.names import RunRef, job_name

PAIR = {"nodes": [{"name": "a", "job": "J"}, {"name": "b", "dependsOn": ["a"], "job": "J"}]}


def written(run: Driven, previous: dict[str, Any] | None = None) -> dict[str, Any]:
    return status.make(run.state, previous=previous or {}, generation=4, now=run.now).status


def conditions(found: dict[str, Any]) -> dict[str, str]:
    return {condition["type"]: condition["status"] for condition in found["conditions"]}


ACTIVE = {"Succeeded": "Unknown", "Finished": "False", "Reconciling": "True", "Stalled": "False"}
ENDS = {
    "Succeeded": {"Succeeded": "True", "Finished": "True", "Reconciling": "False", "Stalled": "False"},
    "Failed": {"Succeeded": "False", "Finished": "True", "Reconciling": "False", "Stalled": "True"},
    "Cancelled": {"Succeeded": "False", "Finished": "True", "Reconciling": "False", "Stalled": "False"},
}


def test_an_active_run() -> None:
    run = drive(PAIR)
    found = written(run)
    assert (found["phase"], found["progress"], found["observedGeneration"]) == ("Running", "0/2", 4)
    assert found["counts"] == {"pending": 1, "running": 1, "succeeded": 0, "failed": 0, "skipped": 0}
    assert conditions(found) == ACTIVE
    assert found["conditions"][0]["reason"] == "Running"
    assert found["conditions"][0]["message"] == "0 of 2 nodes done"
    assert found["completionTime"] is None
    run.succeed("a", at=2)
    assert written(run)["progress"] == "1/2"
    assert written(run)["duration"] == "2s"


@pytest.mark.parametrize(
    ("phase", "reason"), [("Succeeded", "Succeeded"), ("Failed", "NodeFailed"), ("Cancelled", "Stopped")]
)
def test_an_ended_run(phase: str, reason: str) -> None:
    run = drive(PAIR)
    if phase == "Cancelled":
        run.see(Controls(stop="Cancel"))
        run.fail("a", at=3, reason="Stopped")
    elif phase == "Failed":
        run.fail("a", at=3, message="exit code 1")
    else:
        run.succeed("a", at=1)
        run.succeed("b", at=3)
    found = written(run)
    assert found["phase"] == phase
    assert conditions(found) == ENDS[phase]
    assert found["conditions"][0]["reason"] == reason
    assert (moment(found["completionTime"]) or 0) - (moment(found["startTime"]) or 0) == 3
    assert found["duration"] == "3s"


def test_a_suspended_run_and_one_that_stops() -> None:
    run = drive(PAIR)
    run.see(Controls(suspend=True))
    found = written(run)
    assert (found["phase"], found["conditions"][0]["reason"]) == ("Suspended", "Suspended")
    assert conditions(found) == ACTIVE
    run.see(Controls(suspend=True, stop="Drain"))
    found = written(run)
    assert (found["phase"], found["conditions"][0]["reason"]) == ("Running", "Stopping")


def test_a_condition_keeps_the_time_of_its_last_change() -> None:
    run = drive(PAIR)
    first = written(run)
    run.succeed("a", at=5)
    second = written(run, first)
    assert second["conditions"][0]["lastTransitionTime"] == first["conditions"][0]["lastTransitionTime"]
    run.succeed("b", at=9)
    third = written(run, second)
    assert third["conditions"][0]["lastTransitionTime"] > second["conditions"][0]["lastTransitionTime"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (0.9, "0s"), (1, "1s"), (59.9, "59s"), (60, "1m"), (61, "1m1s"), (250, "4m10s"), (3599, "59m59s"),
        (3600, "1h"), (3659, "1h"), (3660, "1h1m"), (11_100, "3h5m"), (86_399, "23h59m"), (86_400, "1d"),
        (89_999, "1d"), (90_000, "1d1h"), (187_200, "2d4h"), (31_536_000, "365d"),
    ],
)  # fmt: skip
def test_a_duration_reads_as_kubectl_writes_it(seconds: float, text: str) -> None:
    assert status.duration_text(seconds) == text


BROKEN = [
    {"forEach": {"items": "[1].map(x, {}.nothing)"}}, {"forEach": {"range": "[1].map(x, {}.nothing)"}},
    {"when": "{}.nothing"}, {"forEach": {"range": 2}, "when": "{}.nothing"},
]  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_a_node_that_failed_before_it_could_begin_reads_the_same_after_restarts_and_a_rerun(
    broken: dict[str, Any],
) -> None:
    run = drive({"nodes": [{"name": "a", "job": "J", **broken}]})
    for generation in (1, 2):
        found = written(run)
        assert [node["phase"] for node in found["nodes"]] == ["Failed"]
        for _ in range(2):
            run.state = restore.restore(run.state.workflow, run.state.context, found, found["nodes"], start=START)
            assert written(run, found)["nodes"] == found["nodes"]
        advance.restart(run.state, generation=generation, mode="All", nodes=(), now=run.now)


@pytest.mark.parametrize("starting", [True, False])
def test_a_job_is_asked_for_again_only_if_it_was_told_of_before_it_could_be_made(starting: bool) -> None:
    run = drive(PAIR)
    run.state.active[run.attempt("a")].unmade = starting
    found = written(run)
    assert found["nodes"][0]["phase"] == "Running"
    again = restore.restore(run.state.workflow, run.state.context, found, found["nodes"], start=START)
    actions = restore.resume(again, run.now).actions
    assert [action.id.path for action in actions if isinstance(action, Start)] == (["a"] if starting else [])
    assert "unmade" not in status.make(again, previous=found, generation=4, now=run.now).status["nodes"][0]


def test_finally_counts_from_the_start() -> None:
    run = drive(PAIR | {"finally": [{"name": "f", "job": "J"}]})
    assert written(run)["progress"] == "0/3"
    assert [entry["name"] for entry in written(run)["nodes"]] == ["a", "b", "f"]


def test_a_node_names_the_job_of_its_latest_attempt() -> None:
    run = drive({"nodes": [{"name": "a", "job": "J", "retry": {"limit": 1, "backoff": {"initialSeconds": 1}}}]})
    ref = RunRef("default", "run", "uid", "test")
    entry = written(run)["nodes"][0]
    assert entry["job"] == job_name(ref, run.attempt("a"))
    run.fail("a", at=1)
    run.see(at=60)
    entry = written(run)["nodes"][0]
    assert (entry["attempts"], run.attempt("a").attempt) == (2, 2)
    assert entry["job"] == job_name(ref, run.attempt("a"))


def test_a_node_names_its_child_run() -> None:
    nodes = [{"name": "c", "workflow": {"name": "child"}}, {"name": "a", "job": "J"}]
    run = drive({"nodes": nodes})
    child, job = written(run)["nodes"]
    assert child["run"] == job_name(RunRef("default", "run", "uid", "test"), run.attempt("c"))
    assert ("job" in child, "run" in job) == (False, False)


def test_only_jobs_have_jobs_and_only_those_that_were_started() -> None:
    nodes = [{"name": "w", "wait": {"seconds": 5}}, {"name": "e", "expr": {"x": "1"}}, {"name": "a", "job": "J"}]
    run = drive({"parallelism": 1, "nodes": [*nodes, {"name": "b", "job": "J"}]})
    assert [entry["name"] for entry in written(run)["nodes"] if "job" in entry] == ["a"]


def test_in_a_large_run_only_what_did_not_simply_succeed_names_its_job() -> None:
    nodes = [{"name": f"n{number}", "job": "J", "allowFailure": True} for number in range(501)]
    run = drive({"nodes": nodes})
    run.succeed("n0", at=1)
    run.fail("n1", at=1)
    with_job = {entry["name"] for entry in written(run)["nodes"] if "job" in entry}
    assert with_job == {f"n{number}" for number in range(1, 501)}


def test_a_node_tells_what_a_person_wants_to_know() -> None:
    run = drive({"nodes": [{"name": "a", "job": "J"}]})
    id_ = run.attempt("a")
    run.see(
        AttemptEnded(
            id_, run.now, succeeded=False, reason="Error", message="main exited with code 3", exit_code=3, text="n=1"
        ),
        at=7,
    )
    entry = {k: v for k, v in written(run)["nodes"][0].items() if k != "job"}
    assert entry == {
        "name": "a", "phase": "Failed", "reason": "Error", "message": "main exited with code 3", "attempts": 1,
        "startTime": "1970-01-01T00:16:40.000Z", "completionTime": "1970-01-01T00:16:47.000Z", "exitCode": 3,
        "outputs": {"n": "1"},
    }  # fmt: skip


def test_a_very_long_message_is_cut() -> None:
    run = drive({"nodes": [{"name": "a", "job": "J"}]})
    run.fail("a", at=1, message="x" * 100_000)
    found = written(run)
    assert len(found["nodes"][0]["message"]) == 1024
    assert all(len(condition["message"]) < 1200 for condition in found["conditions"])


def test_the_run_says_where_its_failure_came_from() -> None:
    run = drive({"nodes": [{"name": "a", "job": "J"}], "outputs": [{"name": "x", "value": "nodes.a.outputs.missing"}]})
    run.succeed("a", at=1)
    found = written(run)
    assert (found["phase"], found["conditions"][0]["reason"]) == ("Failed", "ExpressionError")
    assert "outputs" in found["conditions"][0]["message"]


def test_a_giant_output_of_the_run_fails_it_and_the_end_is_written() -> None:
    # each item is within its limit; together they are not
    spec: dict[str, Any] = {
        "nodes": [{"name": "a", "forEach": {"range": 100}, "job": "J"}],
        "outputs": [{"name": "all", "value": "nodes.a.outputs.v"}],
    }
    run = drive(spec)
    for number in range(100):
        run.see(AttemptEnded(run.attempt("a", number), run.now, succeeded=True, text="v=" + "x" * 4000))
    found = written(run)
    assert (found["phase"], found["conditions"][0]["reason"]) == ("Failed", "OutputsTooLarge")
    assert advance.advance(run.state, [], run.now).actions == []
