"""What a Pod or a Job tells about its attempt: its JSON, read as one fact. Pure.

The container `main` gives the result; sidecars and helpers do not, but an init container that fails keeps main from
starting. Nothing has ended before the Pod's phase says so: until then its processes may run, and no other attempt of
the same work may start. Containers that run on when main has ended (`MainEnded`) would keep the Pod for ever: they are
to be stopped. `render.postmortem` finds out why a Pod failed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from weft.api.conditions import Reason, message_for
from weft.api.objects import Obj, annotation
from weft.render.facts import POD_GONE as POD_GONE
from weft.render.facts import PodFact as PodFact
from weft.render.facts import PodState as PodState
from weft.render.facts import condition, container_state, ending, has_sandbox, in_time
from weft.render.names import MAIN_ENDED_ANNOTATION, STOP_ANNOTATION
from weft.render.overlay import MAIN
from weft.render.postmortem import failed_fact

_IMAGE = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})


def has_ended(pod: Obj) -> bool:
    """Say whether the phase of a Pod is an end."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def pod_fact(pod: Obj) -> PodFact:
    """Read a Pod. One that is gone is `POD_GONE`."""
    status: dict[str, Any] = pod.get("status") or {}
    phase = status.get("phase", "Pending")
    main = container_state(status, MAIN)
    if phase == "Succeeded":
        return ending(PodState.Succeeded, main)
    if phase == "Failed":
        return failed_fact(pod)
    if _is_given_up(pod):
        return PodFact(PodState.Failed, Reason.PodDeleted, message_for(Reason.PodDeleted))
    if phase == "Pending" or "waiting" in main:
        return _pending(pod, status)
    if phase == "Running" and "terminated" in main and (others := _others(status)) and _left(pod, main["terminated"]):
        return PodFact(PodState.MainEnded, Reason.MainEnded, message_for(Reason.MainEnded, others=", ".join(others)))
    ready = phase == "Running" and "running" in main and condition(status, "Ready").get("status") == "True"
    return PodFact(PodState.Ready if ready else PodState.Running)


def _is_given_up(pod: Obj) -> bool:
    """Say whether a Pod whose phase tells no end is over, and only our finalizer holds it.

    Nothing runs of one that was deleted before it got a cluster node: the scheduler leaves it alone. Who deletes a Pod
    by force gives the word that its node is dead: of a living one, the kubelet tells the end before it deletes the Pod
    so itself. Where the Pod asks for no grace, that is how it is deleted in order.
    """
    metadata, spec = pod["metadata"], pod["spec"]
    if not metadata.get("deletionTimestamp"):
        return False
    forced = metadata.get("deletionGracePeriodSeconds") == 0 and spec.get("terminationGracePeriodSeconds") != 0
    return forced or not spec.get("nodeName")


def _others(status: Mapping[str, Any]) -> list[str]:
    """Give the names of the containers that keep the Pod when main has ended; sidecars of initContainers do not."""
    containers = status.get("containerStatuses") or ()
    return [each["name"] for each in containers if "terminated" not in (each.get("state") or {})]


def _left(pod: Obj, terminated: Mapping[str, Any]) -> bool:
    """Say whether main has ended by itself, and not because its Pod was being ended: all others are, too, then."""
    if annotation(pod, MAIN_ENDED_ANNOTATION) is not None:
        return True
    disrupted = condition(pod["status"], "DisruptionTarget").get("status") == "True"
    over = disrupted or pod["metadata"].get("deletionTimestamp") or annotation(pod, STOP_ANNOTATION) is not None
    return not over and in_time(pod, terminated) is not False


def _pending(pod: Obj, status: Mapping[str, Any]) -> PodFact:
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    for container in containers:
        waiting = (container.get("state") or {}).get("waiting") or {}
        why = waiting.get("reason") or ""
        told = f"{why}: {waiting['message']}" if waiting.get("message") else why
        if why in _IMAGE:
            message = message_for(Reason.ImagePullFailed, image=container.get("image", ""), message=told)
            return PodFact(PodState.Pending, Reason.ImagePullFailed, message)
        if why not in _STARTING:
            message = message_for(Reason.ContainerCannotStart, container=container["name"], message=told)
            return PodFact(PodState.Pending, Reason.ContainerCannotStart, message)
    scheduled = condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        told = scheduled.get("message") or scheduled.get("reason") or ""
        return PodFact(PodState.Pending, Reason.Unschedulable, message_for(Reason.Unschedulable, message=told))
    host = pod["spec"].get("nodeName")
    message = f"the Pod is starting on cluster node {host}" if host else "the Pod waits for the scheduler"
    return PodFact(PodState.Pending, Reason.WaitingForPod, message)


def is_starting(pod: Obj, fact: PodFact) -> bool:
    """Say whether a Pod has a cluster node, none of its containers has begun, and its status does not tell why not.

    `fact` is what its status tells (`pod_fact`).
    One that has its volumes and its network waits for its image: the status tells of that.
    """
    status: dict[str, Any] = pod.get("status") or {}
    if status.get("phase", "Pending") != "Pending" or not pod["spec"].get("nodeName"):
        return False
    if has_sandbox(status):
        return False
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    begun = any("waiting" not in state for each in containers if (state := each.get("state")))
    return not begun and fact.reason == Reason.WaitingForPod


class JobState(StrEnum):
    """Where a Job stands that the built-in controller carries out."""

    Suspended = "Suspended"
    Active = "Active"
    Succeeded = "Succeeded"
    Failed = "Failed"


@dataclass(slots=True, frozen=True)
class JobFact:
    """What a Job tells by itself, for when its Pod cannot be asked any more."""

    state: JobState
    reason: Reason | None = None
    message: str = ""


def job_fact(job: Obj) -> JobFact:
    """Read a Job. Only Complete and Failed are ends; SuccessCriteriaMet and FailureTarget merely announce them."""
    status: dict[str, Any] = job.get("status") or {}
    for kind, state in (("Complete", JobState.Succeeded), ("Failed", JobState.Failed)):
        ended = condition(status, kind)
        if ended.get("status") == "True":
            if state is JobState.Succeeded:
                return JobFact(state)
            late = ended.get("reason") == "DeadlineExceeded"
            told = ended.get("message") or ended.get("reason") or ""
            return JobFact(state, Reason.DeadlineExceeded if late else Reason.Error, told)
    if job["spec"].get("suspend"):
        told = condition(status, "Suspended").get("message") or "the Job is suspended"
        return JobFact(JobState.Suspended, Reason.WaitingForPod, told)
    return JobFact(JobState.Active)
