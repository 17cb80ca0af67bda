"""From a stored Job to its one Pod, as the built-in Job controller would make it.

The Pod is made from what the API server stored, so that what admission put into the Job's template counts. Its name
follows from the Job's UID: making it twice is a conflict, and a new Job of the same name never meets the old Pod. The
finalizer keeps a finished Pod, whoever deletes it, until its result is recorded.
"""

from typing import Any

from weft.api.objects import Obj, key_of, uid_of
from weft.render.job import MANAGED_BY
from weft.render.names import short_hash

TRACKING_FINALIZER = "batch.kubernetes.io/job-tracking"


def is_managed(job: Obj) -> bool:
    """Say whether Weft is the controller of a stored Job (an older API server drops the field that says so)."""
    return bool(job["spec"].get("managedBy") == MANAGED_BY)


def is_tracked(pod: Obj) -> bool:
    """Say whether a Pod bears the finalizer that keeps it until its result is recorded."""
    return TRACKING_FINALIZER in (pod["metadata"].get("finalizers") or ())


def pod_name(job: Obj) -> str:
    """Give the name of a stored Job's Pod."""
    return f"{key_of(job).name}-{short_hash(uid_of(job), 5)}"


def pod_for(job: Obj) -> Obj:
    """Give the Pod of a stored Job; raises ValueError while the Job is suspended, since it must not have one."""
    namespace, name = key_of(job)
    uid = uid_of(job)
    if job["spec"].get("suspend"):
        raise ValueError(f"Job {namespace}/{name} is suspended; it has no Pod until spec.suspend is false")
    template = job["spec"]["template"]
    metadata: dict[str, Any] = template.get("metadata") or {}
    controller = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(job),
            "namespace": namespace,
            "labels": {**(metadata.get("labels") or {}), **controller},
            "annotations": metadata.get("annotations") or {},
            "ownerReferences": [owner],
            "finalizers": [TRACKING_FINALIZER],
        },
        "spec": template["spec"],
    }
