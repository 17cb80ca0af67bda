"""Fifty runs at once, for something to happen to; and what must be true of them whatever has happened.

Each run has all that a crash can hurt: a Job whose outputs others need, a value computed from them, a wait, in every
fifth run a second Job that takes two attempts, and a result that can be told beforehand. (A real Pod costs a small
machine more than half a second of CPU: not every run needs more than one.) What is judged is the cluster's own
objects, by the checker that judges the simulation of the whole operator (tests/support/checker), and how many Jobs
there were: nothing lost, nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from e2e.harness.api import Obj
from e2e.harness.chronicle import Entry
from e2e.harness.place import Place, no_attempt_twice
from e2e.harness.stage import node, spec
from support.checker.attempts import check_attempts
from support.checker.joins import check_joins
from support.checker.limits import check_limits
from support.checker.reading import FINALIZER, Specs
from support.checker.statuses import check_statuses
from support.storage import Event
from weft.kube.resources import CONTROLLER_REVISIONS, JOBS, PODS, WORKFLOW_RUNS, Resource
from weft.render.names import ATTEMPT_LABEL, NODE_LABEL

RUNS = 50
EXTRA = 5
"""One in so many has a second Job."""
UNDER_WAY = 10
"""So many runs have a node behind them when it happens, and most have not."""
SECONDS = 240.0

_KINDS = {"Run": WORKFLOW_RUNS, "Job": JOBS, "Pod": PODS}
_RETRY = {"limit": 1, "backoff": {"initialSeconds": 1, "jitter": 0}}
_SPEC = spec(
    [
        node("first", 'sleep 1; echo "{\\"n\\": $N}" > $WEFT_OUTPUTS', env={"N": "${{ params.n }}"}),
        node("twice", after=["first"], expr={"n": "nodes.first.outputs.n * 2"}),
        node("pause", after=["first"], wait={"seconds": 2}),
        node("last", 'echo "{\\"n\\": $((N + 1))}" > $WEFT_OUTPUTS; [ $WEFT_ATTEMPT -gt 1 ]',
             after=["twice", "pause"], when=f"params.n % {EXTRA} == 0", retry=_RETRY,
             env={"N": "${{ nodes.twice.outputs.n }}"}),
    ],
    parameters=[{"name": "n", "type": "integer"}],
    outputs=[{"name": "n", "value": "has(nodes.last.outputs.n) ? nodes.last.outputs.n : nodes.twice.outputs.n"}],
    jobs={"keep": "All"},
)  # fmt: skip


class Crowd:
    """The runs, from their start to the verdict."""

    def __init__(self, place: Place) -> None:
        self._place = place
        place.define("crowd", _SPEC)
        self.began = time.time()
        self.runs = [place.start("crowd", parameters={"n": number}) for number in range(RUNS)]

    def get_under_way(self) -> None:
        """Wait until some runs have a node behind them."""
        self._place.wait(lambda: self._count("first", "Succeeded") >= UNDER_WAY, "the runs do not get under way")

    def finish(self) -> None:
        """Wait until all have ended; see that all succeeded, nothing was done twice, and no status went backwards."""
        for run in self.runs:
            run.finish(seconds=max(1.0, self.began + SECONDS - time.time()))
        for number, run in enumerate(self.runs):
            assert run.outputs == {"n": 2 * number + (number % EXTRA == 0)}, run.describe()
            assert run.obj["metadata"]["generation"] == 1, "somebody has written a user's spec"
            no_attempt_twice(run)
        wanted = RUNS + 2 * len(range(0, RUNS, EXTRA)) + self._never_started()
        made = sum(len(run.jobs()) for run in self.runs)
        assert made == wanted, f"{made} Jobs instead of {wanted}"
        self._place.wait(self._settled, "a Job has no end, or a Pod keeps our finalizer")
        assert not (problems := self.problems()), "\n".join(problems)

    def problems(self) -> list[str]:
        """What the checker says of all that was seen."""
        history = self._history()
        specs = Specs(history)
        checks: tuple[Callable[[], object], ...] = (
            partial(check_attempts, history, specs), partial(check_statuses, history),
            partial(check_joins, history, specs), partial(check_limits, history, specs),
        )  # fmt: skip
        return [text for check in checks for text in check()]  # type: ignore[attr-defined]

    def recovery(self, since: float) -> dict[str, float | None]:
        """How long after a moment a Job that was made later was seen, and a Pod that ended later; and all it took."""
        chronicle, name = self._place.cluster.chronicle, self._place.name
        jobs = [entry.at for entry in chronicle.journal("Job", name) if _made(entry) > since]
        ends = [entry.at for entry in chronicle.journal("Pod", name) if _ended(entry) > since]
        done = [entry.at for entry in chronicle.journal("Run", name)]
        return {
            "next_job_seconds": round(min(jobs) - since, 1) if jobs else None,
            "next_pod_end_seconds": round(min(ends) - since, 1) if ends else None,
            "all_done_seconds": round(done[-1] - self.began, 1),
        }

    def _count(self, name: str, phase: str) -> int:
        return sum(run.node(name).get("phase") == phase for run in self.runs)

    def _never_started(self) -> int:
        """How many containers the kubelet's death kept from starting, each of which is a further attempt.

        Not the first of `last`: its second attempt, which it has in any case, succeeds.
        """
        pods = [pod for run in self.runs for pod in run.pods() if not _fails_anyway(pod)]
        states = [each["state"] for pod in pods for each in pod["status"].get("containerStatuses") or ()]
        return sum(state.get("terminated", {}).get("reason") == "StartError" for state in states)

    def _settled(self) -> bool:
        jobs = [job for run in self.runs for job in run.jobs()]
        pods = [pod for run in self.runs for pod in run.pods()]
        over = all((job.get("status") or {}).get("conditions") for job in jobs if not self._gone("Job", job))
        return over and not any(FINALIZER in (pod["metadata"].get("finalizers") or ()) for pod in pods)

    def _gone(self, kind: str, obj: Obj) -> bool:
        return self._place.gone(kind, obj["metadata"]["name"])

    def _history(self) -> list[Event]:
        """All that was seen, in the order of the API server: the versions of all kinds are of one series."""
        chronicle, name = self._place.cluster.chronicle, self._place.name
        found = self._place.cluster.api.get(f"/apis/apps/v1/namespaces/{name}/controllerrevisions")["items"]
        history = [_event("ADDED", CONTROLLER_REVISIONS, obj, None, self.began) for obj in found]
        for kind, resource in _KINDS.items():
            last: dict[str, Obj] = {}
            for entry in chronicle.journal(kind, name):
                old = last.get(entry.obj["metadata"]["uid"])
                history.append(_event(entry.type, resource, entry.obj, old, entry.at))
                last[entry.obj["metadata"]["uid"]] = entry.obj
        return sorted(history, key=lambda event: event.version)


def _event(type_: str, resource: Resource, obj: Obj, old: Obj | None, at: float) -> Event:
    return Event(int(obj["metadata"]["resourceVersion"]), type_, resource, obj, old, "somebody", at)


def _fails_anyway(pod: Obj) -> bool:
    labels = pod["metadata"]["labels"]
    return (labels[NODE_LABEL], labels[ATTEMPT_LABEL]) == ("last", "1")


def _made(entry: Entry) -> float:
    return datetime.fromisoformat(entry.obj["metadata"]["creationTimestamp"]).timestamp()


def _ended(entry: Entry) -> float:
    """When the Pod's container ended; 0 when it has not."""
    states = [each["state"] for each in entry.obj.get("status", {}).get("containerStatuses") or ()]
    moments = [state["terminated"]["finishedAt"] for state in states if "terminated" in state]
    return max((datetime.fromisoformat(moment).timestamp() for moment in moments if moment), default=0.0)
