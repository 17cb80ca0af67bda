"""Invariant 3 from its other side: of users' runs only those go that have ended, and whose spec or Workflow says so."""

from collections.abc import Iterator

from support.checker.reading import Specs, asked_generation, by_operator, finished, owned, status_of
from support.storage import Event
from weft.api.objects import Obj
from weft.kube.resources import WORKFLOW_RUNS, WORKFLOWS


def check_retention(history: list[Event], specs: Specs) -> Iterator[str]:
    """Walk through the history once."""
    limited: set[str] = set()  # Workflows that have ever had limits of their history
    timed: dict[str, Obj] = {}  # Workflows as they are, for runs that never began
    for event in history:
        name = event.obj["metadata"].get("name", "")
        if event.resource is WORKFLOWS:
            timed[name] = event.obj["spec"]
            limited |= {name} if event.obj["spec"].get("historyLimits") else set()
        elif event.resource is WORKFLOW_RUNS and event.type == "DELETED" and by_operator(event):
            run = event.obj
            if owned(run):
                continue
            workflow = (run["spec"].get("workflowRef") or {}).get("name", "")
            spec = specs.of(run) or timed.get(workflow) or {}
            what = f"3: at {event.at:.3f} {event.actor} deletes {name}"
            if not finished(run):
                yield f"{what}, which has not ended"
            if asked_generation(run) > (status_of(run).get("rerunGeneration") or 0):
                yield f"{what}, of which a rerun was asked for"
            if spec.get("ttlSecondsAfterFinished") is None and workflow not in limited:
                yield f"{what}, and nobody has said that it may"
