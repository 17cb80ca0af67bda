"""Which clocks stand still while a run is suspended, which go on, and how long a quota may keep a Pod away.

A test's own clock is a run that waits: so no test sleeps, and a slow machine is slow for both.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from e2e.harness.place import Place, Run
from e2e.harness.stage import node, scenario, spec

SUSPENDED_SECONDS = 18
LESS_SECONDS = 16
PAUSE_SECONDS = 10


def _pass_time(place: Place, seconds: int) -> None:
    """Let time pass, by the operator's clock."""
    clock = spec([node("tick", wait={"seconds": "${{ params.n }}"})],
                 parameters=[{"name": "n", "type": "integer"}])  # fmt: skip
    place.create_run({"workflow": clock, "parameters": {"n": seconds}}, "clock-").finish()


@scenario()
def clocks_stand_still_while_suspended(place: Place) -> None:
    """Suspended for longer than what a node's deadline, an approval and a wait would have allowed."""
    retry = {"limit": 9, "backoff": {"initialSeconds": 1, "factor": 1, "jitter": 0}}
    nodes = [
        node("ask", approval={"timeoutSeconds": LESS_SECONDS, "onTimeout": "Reject"}),
        node("pause", wait={"seconds": PAUSE_SECONDS}),
        node("work", "[ $WEFT_ATTEMPT -ge 2 ]", retry=retry, deadlineSeconds=LESS_SECONDS),
    ]
    run = place.start("clocks", spec(nodes, timeoutSeconds=LESS_SECONDS + PAUSE_SECONDS))
    run.reaches("ask", "Waiting")
    run.edit(suspend=True)
    run.until(lambda run: run.phase == "Suspended", "it is not Suspended")
    _pass_time(place, SUSPENDED_SECONDS)
    assert (run.node("ask")["phase"], run.node("pause")["phase"]) == ("Waiting", "Waiting"), run.describe()
    run.edit(suspend=False)
    run.decide("ask", "Approve", by="kubernetes-admin", groups=("system:masters",))
    run.finish()
    assert run.node("work")["attempts"] == 2
    took = _moment(run.node("pause")["completionTime"]) - _moment(run.node("pause")["startTime"])
    assert took >= timedelta(seconds=SUSPENDED_SECONDS), took


@scenario()
def absolute_times_go_on_while_suspended(place: Place) -> None:
    """A wait until a moment ends at that moment, suspended or not; what follows waits for the run to go on."""
    moment = datetime.now(UTC) + timedelta(seconds=8)
    nodes = [node("moment", wait={"until": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}), node("next", after=["moment"])]
    run = place.start("until", spec(nodes))
    run.reaches("moment", "Waiting")
    run.edit(suspend=True)
    run.reaches("moment", "Succeeded")
    assert run.phase == "Suspended"
    assert _moment(run.node("moment")["completionTime"]) >= moment.replace(microsecond=0)
    assert not run.jobs("next")
    run.edit(suspend=False)
    run.finish()


@scenario()
def quota(place: Place) -> None:
    """A Pod that the quota refuses is told while it waits, and given up after pendingTimeoutSeconds; others run."""
    run = _start_greedy(place, "quota", "thingy")
    run.until(lambda run: run.node("greedy").get("reason") == "QuotaExceeded", "nobody says that the quota is used up")
    run.finish("Failed")
    assert (run.node("greedy")["phase"], run.node("greedy")["reason"]) == ("Failed", "QuotaExceeded")
    assert "pendingTimeoutSeconds (6 s)" in run.node("greedy")["message"]
    assert run.node("modest")["phase"] == "Succeeded"


@scenario(killed=False, builtin=True)
def refused_pods(place: Place) -> None:
    """A Job whose Pod the quota refuses is given up after pendingTimeoutSeconds, whoever makes the Pod; others run."""
    run = _start_greedy(place, "refused", "gadget")
    run.finish("Failed")
    assert (run.node("greedy")["phase"], run.node("greedy")["reason"]) in GIVEN_UP
    assert "pendingTimeoutSeconds (6 s)" in run.node("greedy")["message"]
    assert run.node("modest")["phase"] == "Succeeded"


GIVEN_UP = (("Failed", "QuotaExceeded"), ("Failed", "PendingTimeout"))
"""The built-in Job controller tells of a quota in Events only."""


def _start_greedy(place: Place, name: str, thing: str) -> Run:
    """A run of two nodes, one of which asks for a thing of which the namespace's quota allows none."""
    place.kubectl("create", "quota", thing, f"--hard=requests.weft.dev/{thing}=0")
    one, wanted = node("greedy", pendingTimeoutSeconds=6), {f"weft.dev/{thing}": "1"}
    one["job"]["resources"] = {"requests": wanted, "limits": wanted}
    return place.start(name, spec([one, node("modest")], failurePolicy="Continue"))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
