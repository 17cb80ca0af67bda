"""What is kept of a Job and of a Pod: what somebody here asks for, a fifth of what the API server tells.

A run of ten thousand nodes has as many Jobs and Pods in the caches, and most of each is the Pod's template, field
ownership and conditions that nobody reads. What is cut off here and wanted after all (the template of a Job whose Pod
is still to be made, long after the Job was) is read from the API server again.

The parts of an object are replaced, never changed: whoever holds the whole object keeps it whole.
"""

from collections.abc import Iterable
from typing import Any

from weft.api.base import GROUP
from weft.kube.objects import Obj

_METADATA = (
    "name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp",
    "deletionGracePeriodSeconds", "ownerReferences", "finalizers",
)  # fmt: skip
_POD_STATUS = ("phase", "reason", "message")
_POD_CONDITIONS = frozenset({"PodScheduled", "Ready", "DisruptionTarget"})
_OURS = f"{GROUP}/"


def trim_job(job: Obj) -> None:
    """Keep of a Job who it is, whose it is, who carries it out and how it ended."""
    job["metadata"] = _metadata(job["metadata"])
    job["spec"] = _picked(job.get("spec") or {}, ("suspend", "managedBy"))


def trim_pod(pod: Obj) -> None:
    """Keep of a Pod who it is, whose it is, where it runs and how it fares."""
    pod["metadata"] = _metadata(pod["metadata"])
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    kept = pod["spec"] = _picked(spec, ("nodeName", "terminationGracePeriodSeconds"))
    if spec.get("initContainers"):
        kept["initContainers"] = [_picked(each, ("name", "restartPolicy")) for each in spec["initContainers"]]
    told = pod["status"] = _picked(status, _POD_STATUS)
    told["conditions"] = [each for each in status.get("conditions") or () if each.get("type") in _POD_CONDITIONS]
    for name in ("containerStatuses", "initContainerStatuses"):
        if status.get(name):
            told[name] = [_picked(each, ("name", "image", "state")) for each in status[name]]


def has_template(job: Obj) -> bool:
    """Say whether a Job is still whole, so that its Pod can be made from it."""
    return "template" in job["spec"]


def _metadata(whole: Obj) -> dict[str, Any]:
    kept = _picked(whole, _METADATA)
    annotations = whole.get("annotations") or {}
    kept["annotations"] = {key: value for key, value in annotations.items() if key.startswith(_OURS)}
    return kept


def _picked(whole: Obj, names: Iterable[str]) -> dict[str, Any]:
    return {name: whole[name] for name in names if name in whole}
