"""People decide: by another group's escalation, by the command line, and what a stop makes of a question still open."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from e2e.harness.api import Obj
from e2e.harness.place import Place, Run
from e2e.harness.stage import node, scenario, spec

_WEFT = str(Path(sys.executable).parent / "weft")


@scenario()
def approval_escalated(place: Place) -> None:
    """When those who were asked first let their time pass, the next ones are asked, and their decision counts."""
    place.kubectl("create", "rolebinding", "bosses", "--clusterrole=edit", "--group=bosses")
    ask = {
        "from": {"groups": ["clerks"]}, "timeoutSeconds": 2, "onTimeout": "Escalate",
        "escalation": [{"from": {"groups": ["bosses"]}, "timeoutSeconds": 120}],
    }  # fmt: skip
    run = place.start("escalated", spec([node("review", approval=ask), node("next", after=["review"])]))
    run.until(lambda run: run.node("review").get("level") == 1, "nobody asks the bosses")
    run.decide("review", "Approve", by="eva", groups=("bosses",))
    run.finish()
    assert run.node("review")["outputs"]["by"] == ["eva"]


@scenario()
def approval_by_command(place: Place) -> None:
    """`weft approve` and `weft reject` decide as whoever calls them is known to the API server."""
    nodes = [node("good", approval={}), node("bad", approval={}, allowFailure=True)]
    run = place.start("by-command", spec(nodes))
    for name in ("good", "bad"):
        run.reaches(name, "Waiting")
    for command, name in (("approve", "good"), ("reject", "bad")):
        words = [_WEFT, command, run.name, name, "--namespace", place.name, "-m", "because"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
    run.finish()
    assert run.node("good")["phase"] == "Succeeded"
    assert (run.node("bad")["phase"], run.node("bad")["reason"]) == ("Failed", "Rejected")


def _questions() -> Obj:
    """A success to undo, and all that can be open for long: a question, a wait, a back-off."""
    never = {"limit": 5, "backoff": {"initialSeconds": 600, "maxSeconds": 600}}
    nodes = [
        node("quick", expr={"x": "1"}, compensate={"expr": {"undone": "true"}}),
        node("ask", after=["quick"], approval={}),
        node("wait", after=["quick"], wait={"seconds": 600}),
        node("again", "exit 1", after=["quick"], retry=never),
        node("next", after=["ask"]),
    ]
    return spec(nodes, **{"finally": [node("report", expr={"outcome": "run.outcome"})]})


def _open(place: Place, name: str) -> Run:
    run = place.start(name, _questions())
    run.reaches("ask", "Waiting")
    run.until(lambda run: run.node("again").get("reason") == "BackOff", "`again` does not wait for its next attempt")
    return run


def _stopped(run: Run, stop: str) -> None:
    run.edit(stop=stop)
    run.finish("Cancelled")
    assert {run.node(name)["phase"] for name in ("ask", "wait")} == {"Cancelled"}, run.describe()
    assert run.node("next")["phase"] == "Skipped"
    over = stop == "Terminate"
    assert run.node("quick")["phase"] == ("Succeeded" if over else "Compensated")
    assert run.node("report").get("outputs") == (None if over else {"outcome": "Cancelled"})
    assert len(run.jobs("again")) == 1


@scenario()
def stop_with_questions_open(place: Place) -> None:
    """Drain, Cancel and Terminate end approvals, waits and back-offs."""
    runs = {stop: _open(place, f"open-{stop.lower()}") for stop in ("Drain", "Cancel", "Terminate")}
    for stop, run in runs.items():
        _stopped(run, stop)


@scenario()
def stop_while_suspended_with_questions_open(place: Place) -> None:
    """The same while the run is suspended: stop beats suspend."""
    runs = {stop: _open(place, f"asleep-{stop.lower()}") for stop in ("Drain", "Cancel", "Terminate")}
    for run in runs.values():
        run.edit(suspend=True)
    for stop, run in runs.items():
        run.until(lambda run: run.phase == "Suspended", "it is not Suspended")
        _stopped(run, stop)


@scenario()
def decided_while_suspended(place: Place) -> None:
    """A decision is recorded while the run is suspended; what it releases starts when the run goes on."""
    run = place.start("asleep-decided", spec([node("ask", approval={}), node("next", after=["ask"])]))
    run.reaches("ask", "Waiting")
    run.edit(suspend=True)
    run.until(lambda run: run.phase == "Suspended", "it is not Suspended")
    run.decide("ask", "Approve", by="kubernetes-admin", groups=("system:masters",))
    run.reaches("ask", "Succeeded")
    assert not run.jobs("next")
    run.edit(suspend=False)
    run.finish()
