"""What is kept of a Job and of a Pod: what somebody here asks for, a fifth of what the API server tells.

A run of ten thousand nodes has as many Jobs and Pods in the caches, and most of each is the Pod's template, field
ownership and conditions that nobody reads. What is cut off here and wanted after all (the template of a Job whose Pod
is still to be made, long after the Job was) is read from the API server again.

Texts that many objects share (a run's UID, a Job's name in its Pod) are kept once.

The parts of an object are replaced, never changed: whoever holds the whole object keeps it whole.
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from weft.api.base import GROUP
from weft.api.objects import Obj

_METADATA = (
    "name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp",
    "deletionGracePeriodSeconds", "finalizers",
)  # fmt: skip
_OWNER = ("kind", "name", "uid", "controller")
_JOB_CONDITIONS = frozenset({"Complete", "Failed", "Suspended"})
_POD_CONDITIONS = frozenset({"PodScheduled", "Ready", "DisruptionTarget"})
_CONDITION = ("type", "status", "reason", "message", "lastTransitionTime")
_POD_STATUS = ("phase", "reason", "message", "startTime")
_POD_SPEC = ("nodeName", "terminationGracePeriodSeconds", "activeDeadlineSeconds")
_STATES = {
    "waiting": ("reason", "message"),
    "running": (),
    "terminated": ("exitCode", "reason", "message", "finishedAt"),
}
_OURS = f"{GROUP}/"


def trim_job(job: Obj) -> None:
    """Keep of a Job who it is, whose it is, who carries it out and how it ended."""
    job["metadata"] = _metadata(job["metadata"])
    job["spec"] = _picked(job.get("spec") or {}, ("suspend", "managedBy"))
    job["status"] = {"conditions": _conditions(job.get("status") or {}, _JOB_CONDITIONS)}


def trim_pod(pod: Obj) -> None:
    """Keep of a Pod who it is, whose it is, where it runs and how it fares."""
    pod["metadata"] = _metadata(pod["metadata"])
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    kept = pod["spec"] = _picked(spec, _POD_SPEC)
    if spec.get("initContainers"):
        kept["initContainers"] = [_picked(each, ("name", "restartPolicy")) for each in spec["initContainers"]]
    told = pod["status"] = _picked(status, _POD_STATUS)
    told["conditions"] = _conditions(status, _POD_CONDITIONS)
    for name in ("containerStatuses", "initContainerStatuses"):
        if status.get(name):
            told[name] = [_container(each) for each in status[name]]


def has_template(job: Obj) -> bool:
    """Say whether a Job is still whole, so that its Pod can be made from it."""
    return "template" in job["spec"]


def _metadata(whole: Obj) -> dict[str, Any]:
    kept = _picked(whole, _METADATA)
    if owners := whole.get("ownerReferences"):
        kept["ownerReferences"] = [_picked(owner, _OWNER) for owner in owners]
    annotations = whole.get("annotations") or {}
    kept["annotations"] = _picked(annotations, [key for key in annotations if key.startswith(_OURS)])
    return kept


def _conditions(status: Mapping[str, Any], wanted: frozenset[str]) -> list[dict[str, Any]]:
    return [_picked(each, _CONDITION) for each in status.get("conditions") or () if each.get("type") in wanted]


def _container(status: Mapping[str, Any]) -> dict[str, Any]:
    kept = _picked(status, ("name", "image"))
    states = status.get("state") or {}
    kept["state"] = {name: _picked(states[name] or {}, fields) for name, fields in _STATES.items() if name in states}
    return kept


def _picked(whole: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: sys.intern(value) if type(value := whole[name]) is str else value for name in names if name in whole}
