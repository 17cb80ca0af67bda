"""What the real API server refuses of an update, as far as Weft's safety leans on it; held to it by the contract tests.

A Job whose `managedBy` is not the built-in controller's has its status held to that controller's own transitions. A
WorkflowRun's spec is fixed but for its controls. A Pod is bound once, and its deadline only comes nearer.
"""

from typing import Any

from weft.api.objects import Obj
from weft.kube.resources import JOBS, PODS, WORKFLOW_RUNS, Resource

_ENDS = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}
_STOPS = (None, "Drain", "Cancel", "Terminate")


def refusal_of(resource: Resource, old: Obj, new: Obj) -> str | None:
    """Why the update of an object is refused; None when it is not."""
    if old["metadata"].get("deletionTimestamp"):
        added = set(new["metadata"].get("finalizers") or ()) - set(old["metadata"].get("finalizers") or ())
        if added:
            return f"metadata.finalizers: Forbidden: no new finalizers can be added: {sorted(added)}"
    if resource is JOBS:
        return _job_spec(old["spec"], new["spec"]) or _job_status(new, old.get("status") or {}, new.get("status") or {})
    if resource is WORKFLOW_RUNS:
        return _run_spec(old, new)
    if resource is PODS:
        return _pod(old, new)
    return None


def _job_spec(old: Obj, new: Obj) -> str | None:
    for field in ("template", "managedBy"):
        if old.get(field) != new.get(field):
            return f"spec.{field}: Invalid value: field is immutable"
    return None


def _job_status(job: Obj, old: Obj, new: Obj) -> str | None:
    if job["spec"].get("managedBy") in (None, "kubernetes.io/job-controller") or old == new:
        return None
    before, after = _true(old), _true(new)
    for kind in sorted(before - after):
        return f"status.conditions: Invalid value: cannot remove or disable the {kind} condition"
    if {"Complete", "Failed"} <= after or {"Complete", "FailureTarget"} <= after:
        return "status.conditions: Invalid value: cannot be Complete and Failed"
    for end, announced in _ENDS.items():
        if end in after - before and announced not in after:
            return f"status.conditions: Invalid value: cannot set {end} without {announced}"
    for count in ("succeeded", "failed"):
        if new.get(count, 0) < old.get(count, 0):
            return f"status.{count}: Invalid value: cannot decrease"
    ended = after & _ENDS.keys()
    if ended and not new.get("startTime"):
        return "status.startTime: Required value: startTime is required for finished jobs"
    if ended and (new.get("active") or new.get("terminating")):
        return "status.active: Invalid value: active and terminating must be 0 for finished jobs"
    if ended and any((new.get("uncountedTerminatedPods") or {}).values()):
        return "status.uncountedTerminatedPods: Invalid value: must be empty for finished jobs"
    return _job_times(job, old, new, complete="Complete" in after)


def _job_times(job: Obj, old: Obj, new: Obj, *, complete: bool) -> str | None:
    started, completed = new.get("startTime"), new.get("completionTime")
    if old.get("startTime") not in (None, started) and not job["spec"].get("suspend"):
        return "status.startTime: Required value: startTime cannot be removed or changed for unsuspended job"
    if complete and not completed:
        return "status.completionTime: Required value: completionTime is required for Complete jobs"
    if completed and not complete:
        return "status.completionTime: Invalid value: completionTime cannot be set for a job that is not Complete"
    if completed and old.get("completionTime") not in (None, completed):
        return "status.completionTime: Invalid value: completionTime cannot be mutated"
    if completed and completed < started:
        return "status.completionTime: Invalid value: completionTime cannot be set before startTime"
    return None


def _true(status: Obj) -> set[str]:
    """Conditions that can never be taken back, as far as they hold."""
    lasting = {"Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"}
    return {one["type"] for one in status.get("conditions") or () if one.get("status") == "True"} & lasting


def _run_spec(run: Obj, changed: Obj) -> str | None:
    old, new = run["spec"], changed["spec"]
    for field in ("workflowRef", "workflow", "parameters", "queue"):
        if old.get(field) != new.get(field):
            return f"spec.{field}: Invalid value: cannot be changed"
    had, has = old.get("rerun"), new.get("rerun")
    raised = has is not None and _generation(has) > _generation(had)
    if had is not None and has != had and not raised:
        return "spec.rerun: Invalid value: changes only together with a higher rerun.generation"
    stopped = _STOPS.index(old.get("stop")), _STOPS.index(new.get("stop"))
    if stopped[1] < stopped[0] and not (raised and stopped[1] == 0):
        return "spec.stop: Invalid value: may only escalate, or be cleared with a higher rerun.generation"
    if raised and (run.get("status") or {}).get("phase") not in ("Succeeded", "Failed", "Cancelled"):
        return "spec.rerun: Invalid value: the run is active; it can be rerun when it has ended"
    if raised and stopped[1]:
        return "spec.stop: Invalid value: clear stop in the same edit: a stopped run cannot be rerun"
    return None


def _generation(rerun: Any) -> int:
    return int(rerun["generation"]) if rerun else 0


def _pod(old: Obj, new: Obj) -> str | None:
    before, after = (pod.get("spec", {}).get("activeDeadlineSeconds") for pod in (old, new))
    if before is not None and (after is None or after > before):
        return f"spec.activeDeadlineSeconds: Invalid value: {after}: must be less than or equal to previous value"
    return None
