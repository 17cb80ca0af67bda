"""Invariants 6 and 7, and what is left at the end: specs are their users', nothing of ours stays stuck, and the witness
run ends as it would have on a sunny day."""

from collections.abc import Callable, Iterator
from typing import Any

from support.chaos.plan import WITNESS_ENDS
from support.checker.reading import FINALIZER, by_operator, finished, nodes_of, owned, status_of
from support.storage import Event
from weft.api.objects import Obj
from weft.kube.resources import APPROVALS, JOBS, PODS, WORKFLOW_RUNS, Resource

_THEIRS = ("labels", "annotations", "finalizers", "ownerReferences")
_SUSPENDED = "weft.dev/suspended-with-parent"


def check_specs(history: list[Event]) -> Iterator[str]:
    """7: the operator never writes a user's spec; of its own child runs only the controls.

    It gives an Approval to the run that it names, beside whomever it belongs to.
    """
    for event in history:
        if event.resource is None or event.resource.group != "weft.dev" or not by_operator(event):
            continue
        if event.resource is WORKFLOW_RUNS and event.type == "DELETED":
            continue  # see `retention`
        what = f"7: at {event.at:.3f} {event.actor} {event.type} {event.resource.kind} {event.obj['metadata']['name']}"
        if event.type != "MODIFIED" or event.old is None:
            if not owned(event.obj):
                yield what
            continue
        then, now = event.old["spec"], event.obj["spec"]
        changed = {field for field in then.keys() | now.keys() if then.get(field) != now.get(field)}
        if changed and not (owned(event.obj) and changed <= {"suspend", "stop"}):
            yield f"{what}: spec {sorted(changed)}"
        before, after = _theirs(event.old), _theirs(event.obj)
        if owned(event.obj):  # on its child runs it marks whom it has suspended
            before["annotations"].pop(_SUSPENDED, None)
            after["annotations"].pop(_SUSPENDED, None)
        if event.resource is APPROVALS and (given := _its_run(event.old, event.obj)):
            before["ownerReferences"] = [*(before["ownerReferences"] or ()), *given]
        changed = {field for field in _THEIRS if before[field] != after[field]}
        if changed:
            yield f"{what}: metadata {sorted(changed)}"


def _its_run(old: Obj, now: Obj) -> list[Obj]:
    """The owner that an Approval has now and had not before: the run that it names."""
    had, uid = old["metadata"].get("ownerReferences") or (), now["spec"]["run"]["uid"]
    return [one for one in now["metadata"].get("ownerReferences") or () if one["uid"] == uid and one not in had]


def _theirs(obj: Obj) -> dict[str, Any]:
    metadata = obj["metadata"]
    return {field: metadata.get(field) for field in _THEIRS} | {"annotations": dict(metadata.get("annotations") or {})}


def check_leftovers(find: Callable[[Resource], list[Obj]]) -> Iterator[str]:
    """When all is over: no finalizer of ours, and every Job we control has its final status."""
    for pod in find(PODS):
        if FINALIZER in (pod["metadata"].get("finalizers") or ()):
            phase, deleted = pod["status"]["phase"], pod["metadata"].get("deletionTimestamp")
            yield f"5: our finalizer is left on Pod {pod['metadata']['name']} ({phase}, deleted {deleted})"
    for job in find(JOBS):
        if job["spec"].get("managedBy") == "weft.dev/operator":
            conditions = (job.get("status") or {}).get("conditions") or ()
            if not any(one["type"] in ("Complete", "Failed") for one in conditions):
                yield f"5: Job {job['metadata']['name']} never got its final status"


def check_witness(find: Callable[[Resource], list[Obj]]) -> Iterator[str]:
    """5 and 6: crashes, errors and other runs change the witness's timing only."""
    for run in find(WORKFLOW_RUNS):
        status = status_of(run)
        if run["metadata"]["name"] == "witness" and finished(run):
            found = {name: (node["phase"], node.get("attempts", 0)) for name, node in nodes_of(status).items()}
            wrong = {name: found.get(name) for name, want in WITNESS_ENDS.items() if found.get(name) != want}
            if wrong or status["phase"] != "Succeeded" or status.get("outputs") != {"n": 4}:
                yield f"6: the witness ended {status['phase']} {status.get('outputs')}: {wrong}"
