"""Why a Pod failed: whether the work failed or the platform cut it short (a disruption: the work is not to blame).

What main had reached before it was cut short stays its result, and so does an exit with 0 after a deletion; after an
eviction or a deadline it does not, since well-behaved programs exit with 0 when they are told to stop. The API's times
are whole seconds: an end in the very second of a deletion is taken for the deletion's. A Pod that Weft has stopped
since main had ended says so: whatever has become of it since, main's end was its own.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from weft.api.conditions import Reason, message_for
from weft.api.objects import Obj, annotation
from weft.api.times import moment
from weft.render.facts import PodFact, PodState, condition, container_state, ending, in_time, never_ran, start_cut_short
from weft.render.names import MAIN_ENDED_ANNOTATION
from weft.render.overlay import MAIN

_BY_STATUS = {
    "Evicted": Reason.Evicted,
    "Preempting": Reason.Preempted,
    "NodeLost": Reason.NodeLost,
    "Terminated": Reason.NodeLost,
    "Shutdown": Reason.NodeLost,
    "NodeShutdown": Reason.NodeLost,
}
"""The Pod's status.reason, where the platform ended it. The last three are a cluster node's shutdown."""

_BY_CONDITION = {"PreemptionByScheduler": Reason.Preempted, "DeletionByPodGC": Reason.NodeLost}
"""The reason of the condition DisruptionTarget; all others are evictions of one kind or another."""

KUBELET_SECONDS = 10
"""How long after a container's end the kubelet may take to delete the Pod for good."""


def failed_fact(pod: Obj) -> PodFact:
    """Read a Pod whose phase is Failed; the order of the questions is the rule."""
    status: dict[str, Any] = pod["status"]
    why, told = status.get("reason") or "", status.get("message") or ""
    main = container_state(status, MAIN)
    last = main.get("terminated") or {}
    init, failure = _failed_init(pod, status)
    target = condition(status, "DisruptionTarget")
    disrupted = target.get("status") == "True"
    deleted = bool(pod["metadata"].get("deletionTimestamp"))
    finished = moment((last or failure).get("finishedAt"))
    cut = list(_cut_times(pod, target if disrupted else {}))
    left = bool(last) and annotation(pod, MAIN_ENDED_ANNOTATION) is not None
    stands = left or (finished is not None and bool(cut) and finished < min(cut))

    if why == "DeadlineExceeded" and not (left or in_time(pod, last)):
        return ending(PodState.Failed, main, Reason.DeadlineExceeded, told or "the Pod's activeDeadlineSeconds passed")
    if why in _BY_STATUS and not stands:
        return _disruption(_BY_STATUS[why], told, pod, main)
    if last.get("exitCode") == 0:
        return ending(PodState.Succeeded, main)
    if disrupted and not stands:
        reason = _BY_CONDITION.get(target.get("reason", ""), Reason.Evicted)
        return _disruption(reason, target.get("message") or "", pod, main)
    if deleted and not stands:
        return _disruption(Reason.PodDeleted, "", pod, main)
    if last.get("reason") == "ContainerStatusUnknown":
        return _disruption(Reason.NodeLost, "", pod, main)
    if start_cut_short(last or failure):
        host = pod["spec"].get("nodeName", "unknown")
        message = f"cluster node {host} lost its kubelet or container runtime before the container had started"
        return ending(PodState.Failed, main, Reason.NodeLost, message)
    if last:
        return ending(PodState.Failed, main, *_blame(last))
    if failure:
        said = (failure.get("message") or "no message").strip()
        message = f"init container {init} exited with code {failure['exitCode']}: {said}"
        return PodFact(PodState.Failed, Reason.Error, message)
    if why:
        return _disruption(Reason.Evicted, f"the cluster node did not admit it: {why}: {told}", pod, main)
    return _disruption(Reason.NodeLost, "", pod, main)


def _disruption(reason: Reason, told: str, pod: Obj, main: Mapping[str, Any]) -> PodFact:
    host = pod["spec"].get("nodeName", "unknown")
    return ending(PodState.Failed, main, reason, message_for(reason, message=told or "no reason was given", host=host))


def _blame(last: Mapping[str, Any]) -> tuple[Reason, str]:
    if last.get("reason") == "OOMKilled":
        return Reason.OOMKilled, message_for(Reason.OOMKilled)
    if never_ran(last):
        return Reason.Error, f"main could not start: {last.get('message') or last['reason']}"
    return Reason.Error, message_for(Reason.Error, exitCode=last.get("exitCode"))


def _failed_init(pod: Obj, status: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Give the init container that failed and how it ended; a sidecar that was stopped with the Pod is none."""
    declared = pod["spec"].get("initContainers") or ()
    sidecars = {container["name"] for container in declared if container.get("restartPolicy") == "Always"}
    for container in status.get("initContainerStatuses") or ():
        ended = (container.get("state") or {}).get("terminated") or {}
        if container["name"] not in sidecars and ended.get("exitCode"):
            return container["name"], ended
    return "", {}


def _cut_times(pod: Obj, target: Mapping[str, Any]) -> Iterator[float]:
    """Give the moments at which the platform or a person began to end the Pod."""
    metadata = pod["metadata"]
    if (at := moment(target.get("lastTransitionTime"))) is not None:
        yield at
    if (at := moment(metadata.get("deletionTimestamp"))) is not None:  # when grace ends, so it was asked for earlier
        yield at - _grace(pod)


def _grace(pod: Obj) -> float:
    """Give how long before the deletionTimestamp the deletion was asked for, at most.

    A Pod that the kubelet has ended is deleted by it once more, with a grace of 0; where a finalizer keeps the Pod, the
    API server then puts that moment and that grace in the place of what was asked for (measured on 1.35).
    """
    told: float = pod["metadata"].get("deletionGracePeriodSeconds") or 0
    return told or pod["spec"].get("terminationGracePeriodSeconds", 30) + KUBELET_SECONDS
