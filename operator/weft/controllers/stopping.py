"""How an attempt is stopped: its Pod by its own deadline, so that it ends as any other and its logs stay.

So is a Pod whose container main has ended and that others keep. Both words stay on it, whichever came first: what main
had reached by itself counts, although the attempt was to be stopped as well.

A Pod whose containers cannot have begun, since a volume is not there yet, is deleted as well: a kubelet that waits for
volumes heeds no deadline for up to two minutes, but the deletion at once, and there are no logs to be kept.

A Job that would be given a Pod in place of one that is deleted is deleted itself. A deadline would not end it as long
as it is suspended, and there are no logs to be kept.
"""

from __future__ import annotations

from contextlib import suppress

from weft.api.conditions import Reason
from weft.api.objects import Obj, key_of, uid_of, version_of
from weft.controllers.replacing import goes_on, passed_over
from weft.kube.client import Client
from weft.kube.errors import Conflict
from weft.kube.resources import JOBS, PODS
from weft.render.facts import has_sandbox
from weft.render.names import MAIN_ENDED_ANNOTATION, STOP_ANNOTATION
from weft.render.pod import is_tracked


async def stop_pod(client: Client, pod: Obj, reason: str) -> None:
    """Have the kubelet end a Pod, and leave word why; one that no kubelet has seen is deleted.

    Raises NotFound or Conflict when it is gone, and any other ApiError.
    """
    namespace, name = key_of(pod)
    if pod["spec"].get("nodeName"):
        word = {MAIN_ENDED_ANNOTATION: "true"} if reason == Reason.MainEnded else {STOP_ANNOTATION: reason}
        said = {"metadata": {"annotations": word}, "spec": {"activeDeadlineSeconds": 1}}
        told = await client.patch(PODS, name, said, namespace=namespace)
        if _has_no_sandbox(told):
            with suppress(Conflict):  # it has changed, and may have begun: then it heeds its deadline
                await client.delete(PODS, name, namespace=namespace, uid=uid_of(told), version=version_of(told))
    else:
        await client.delete(PODS, name, namespace=namespace, uid=uid_of(pod))


def _has_no_sandbox(pod: Obj) -> bool:
    """Whether no container can have begun. Without the finalizer the word on the Pod would go before it is read."""
    status = pod.get("status") or {}
    return has_sandbox(status) is False and status.get("phase") == "Pending" and is_tracked(pod)


def made_again(job: Obj, pods: tuple[Obj, ...]) -> bool:
    """Whether the built-in Job controller would make the Job a Pod in place of one that is deleted or stopped."""
    at_work = any(pod["spec"].get("nodeName") and not passed_over(job, pod, gone=False) for pod in pods)
    return goes_on(job, pods) and not at_work


async def stop_job(client: Client, job: Obj) -> None:
    """Delete a Job. Raises Conflict when another one has its name, and any other ApiError."""
    namespace, name = key_of(job)
    await client.delete(JOBS, name, namespace=namespace, uid=uid_of(job))
