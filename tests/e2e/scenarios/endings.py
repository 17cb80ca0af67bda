"""How runs end when something goes wrong: timeouts, failure policies, finally and compensation."""

from __future__ import annotations

from e2e.harness.place import Place
from e2e.harness.stage import node, scenario, spec


@scenario(builtin=True)
def attempt_timeout(place: Place) -> None:
    """An attempt that takes too long fails, its logs stay readable, and the next attempt has its own time."""
    script = "echo here I am; [ $WEFT_ATTEMPT -ge 2 ] || sleep 600"
    retry = {"limit": 1, "backoff": {"initialSeconds": 0}}
    run = place.start(
        "attempt-timeout", spec([node("slow", script, timeoutSeconds=20, retry=retry)], jobs={"keep": "All"})
    )
    run.finish()
    assert run.node("slow")["attempts"] == 2
    assert "here I am" in run.log("slow")


@scenario(builtin=True)
def attempt_timeout_fails(place: Place) -> None:
    """Without a retry, a timed out attempt fails the node, and the message names the field and its value."""
    run = place.start("timeout-fails", spec([node("slow", "sleep 60", timeoutSeconds=2)])).finish("Failed")
    assert run.node("slow")["reason"] == "DeadlineExceeded"
    assert "timeoutSeconds (2 s)" in run.node("slow")["message"]


@scenario()
def node_deadline(place: Place) -> None:
    """deadlineSeconds bounds all attempts and the waits between them."""
    retry = {"limit": 50, "backoff": {"initialSeconds": 1, "factor": 1, "jitter": 0}}
    run = place.start("deadline", spec([node("never", "exit 1", deadlineSeconds=5, retry=retry)])).finish("Failed")
    assert run.node("never")["reason"] == "DeadlineExceeded"
    assert "deadlineSeconds (5 s)" in run.node("never")["message"]


@scenario(builtin=True)
def run_timeout(place: Place) -> None:
    """A run that takes too long fails; what ran is stopped, what waited is skipped, and finally runs."""
    nodes = [node("slow", "sleep 60"), node("next", after=["slow"])]
    last = node("report", env={"OUTCOME": "${{ run.outcome }}"}, script='echo "outcome=$OUTCOME" > $WEFT_OUTPUTS')
    run = place.start("run-timeout", spec(nodes, timeoutSeconds=4, **{"finally": [last]})).finish("Failed")
    assert run.condition("Succeeded")["reason"] == "DeadlineExceeded"
    assert run.phases() == {"slow": "Cancelled", "next": "Skipped", "report": "Succeeded"}
    assert run.node("report")["outputs"] == {"outcome": "Failed"}


@scenario()
def unschedulable(place: Place) -> None:
    """A Pod no cluster node can take is told while it waits, and given up after pendingTimeoutSeconds."""
    one = node("picky", pendingTimeoutSeconds=5)
    one["job"]["nodeSelector"] = {"weft.dev/there-is": "none"}
    run = place.start("unschedulable", spec([one]))
    run.until(lambda run: run.node("picky").get("reason") == "Unschedulable", "nobody says that it cannot be scheduled")
    run.finish("Failed")
    assert run.node("picky")["reason"] == "Unschedulable"
    assert "pendingTimeoutSeconds (5 s)" in run.node("picky")["message"]


@scenario(killed=False)
def volume_that_is_not_there(place: Place) -> None:
    """Why a volume cannot be mounted is told, though it stands in Events alone, and stands there after the end."""
    one = node("shut", pendingTimeoutSeconds=25)
    one["job"]["volumes"] = [{"name": "keys", "secret": {"secretName": "not-there"}}]
    one["job"]["volumeMounts"] = [{"name": "keys", "mountPath": "/keys"}]
    run = place.start("no-volume", spec([one])).finish("Failed")
    assert run.node("shut")["reason"] == "PendingTimeout"
    assert 'secret "not-there" not found' in run.node("shut")["message"]


@scenario(killed=False)
def late_service_account(place: Place) -> None:
    """A service account that is applied after the run: the node says what it waits for, and runs once it is there."""
    run = place.start("late-account", spec([node("work")], defaults={"serviceAccountName": "late"}))
    run.until(lambda run: run.node("work").get("reason") == "Forbidden", "nobody says that the account is missing")
    assert 'serviceaccount "late" not found' in run.node("work")["message"]
    place.kubectl("create", "serviceaccount", "late")
    run.finish()
    assert run.node("work")["attempts"] == 1


@scenario()
def finally_timeout(place: Place) -> None:
    """finallyTimeoutSeconds bounds what comes after the graph, and fails the run."""
    last = {"finally": [node("endless", "sleep 60")], "finallyTimeoutSeconds": 3}
    run = place.start("finally-timeout", spec([node("a", expr={"x": "1"})], **last)).finish("Failed")
    assert run.node("a")["phase"] == "Succeeded"
    assert run.node("endless")["phase"] in ("Failed", "Cancelled")


@scenario(builtin=True)
def policy_cancel(place: Place) -> None:
    """failurePolicy Cancel: an uncaught failure stops what runs."""
    nodes = [node("bad", "sleep 2; exit 1"), node("slow", "sleep 60"), node("later", after=["slow"])]
    run = place.start("policy-cancel", spec(nodes, failurePolicy="Cancel")).finish("Failed")
    assert run.phases() == {"bad": "Failed", "slow": "Cancelled", "later": "Skipped"}


@scenario(builtin=True)
def policy_drain(place: Place) -> None:
    """failurePolicy Drain: what runs may end, nothing new starts."""
    nodes = [
        node("bad", "exit 1"),
        node("slow", "sleep 5"),
        node("later", after=["slow"]),
        node("child", after=["bad"]),
    ]
    run = place.start("policy-drain", spec(nodes, failurePolicy="Drain")).finish("Failed")
    assert run.phases() == {"bad": "Failed", "slow": "Succeeded", "later": "Skipped", "child": "Skipped"}
    assert (run.node("later")["reason"], run.node("child")["reason"]) == ("RunFailed", "UpstreamFailed")


@scenario()
def policy_continue(place: Place) -> None:
    """failurePolicy Continue: every node runs that still can; the run fails all the same."""
    nodes = [
        node("bad", "exit 1"),
        node("slow", "sleep 3"),
        node("later", after=["slow"]),
        node("child", after=["bad"]),
    ]
    run = place.start("policy-continue", spec(nodes, failurePolicy="Continue")).finish("Failed")
    assert run.phases() == {"bad": "Failed", "slow": "Succeeded", "later": "Succeeded", "child": "Skipped"}


@scenario()
def failure_caught(place: Place) -> None:
    """A failure that a :Failed handler or allowFailure catches does not fail the run; rejoining is join Any."""
    nodes = [
        node("bad", "exit 3"),
        node(
            "handler",
            'echo "code=$CODE" > $WEFT_OUTPUTS',
            after=["bad:Failed"],
            env={"CODE": "${{ nodes.bad.exitCode }}"},
        ),
        node("rejoin", after=["bad", "handler"], join="Any"),
        node("tolerated", "exit 1", allowFailure=True),
        node("after", after=["tolerated"]),
    ]
    run = place.start("caught", spec(nodes)).finish()
    assert run.phases() == {
        "bad": "Failed", "handler": "Succeeded", "rejoin": "Succeeded", "tolerated": "Failed", "after": "Succeeded",
    }  # fmt: skip
    assert str(run.node("handler")["outputs"]["code"]) == "3"


@scenario()
def finally_after_success(place: Place) -> None:
    """finally runs after success, too, and sees the outcome; its failure fails the run."""
    last = [node("report", 'echo "outcome=$OUTCOME" > $WEFT_OUTPUTS', env={"OUTCOME": "${{ run.outcome }}"})]
    good = place.start("finally-good", spec([node("a")], **{"finally": last})).finish()
    assert good.node("report")["outputs"] == {"outcome": "Succeeded"}
    bad = place.start("finally-bad", spec([node("a", expr={"x": "1"})], **{"finally": [node("report", "exit 1")]}))
    bad.finish("Failed")
    assert bad.condition("Succeeded")["reason"] == "FinallyFailed"


@scenario()
def finally_after_failure(place: Place) -> None:
    """finally sees which nodes failed and why."""
    env = {"OUTCOME": "${{ run.outcome }}", "FAILURES": "${{ run.failures }}"}
    last = node("report", 'echo "$OUTCOME $FAILURES"', env=env)
    run = place.start("finally-failure", spec([node("bad", "exit 9")], jobs={"keep": "All"}, **{"finally": [last]}))
    run.finish("Failed")
    assert run.node("report")["phase"] == "Succeeded"
    said = run.log("report")
    assert said.startswith("Failed ")
    assert "bad" in said


@scenario()
def compensation(place: Place) -> None:
    """What succeeded is undone in reverse order of completion, seeing what it undoes; then finally runs."""

    def undo(script: str, **env: str) -> dict[str, object]:
        values = [{"name": key, "value": value} for key, value in env.items()]
        return {"job": {"script": script, "env": values}}

    nodes = [
        node("reserve", "echo id=R1 > $WEFT_OUTPUTS",
             compensate=undo("echo releasing $ID", ID="${{ nodes.reserve.outputs.id }}")),
        node("charge", after=["reserve"], compensate=undo("echo refunding")),
        node("plain", after=["charge"]),
        node("ship", "exit 1", after=["plain"], compensate=undo("echo never")),
    ]  # fmt: skip
    last = [node("report", 'echo "$OUTCOME"', env={"OUTCOME": "${{ run.outcome }}"})]
    run = place.start("compensation", spec(nodes, jobs={"keep": "All"}, **{"finally": last})).finish("Failed")
    undone = {"reserve": "Compensated", "charge": "Compensated"}
    assert run.phases() == {**undone, "plain": "Succeeded", "ship": "Failed", "report": "Succeeded"}
    names = [job["metadata"]["labels"]["weft.dev/node"] for job in run.jobs()]
    assert names == ["reserve", "charge", "plain", "ship", "charge", "reserve", "report"]
    assert "releasing R1" in run.log("reserve")
