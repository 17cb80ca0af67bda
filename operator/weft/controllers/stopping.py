"""How a Pod is stopped: by its own deadline, so that it ends as any other and its logs stay."""

from __future__ import annotations

from weft.kube.client import Client
from weft.kube.objects import Obj, key_of, uid_of
from weft.kube.resources import JOBS, PODS
from weft.render.names import STOP_ANNOTATION
from weft.render.pod import is_managed

_END_NOW = {"spec": {"activeDeadlineSeconds": 1}}


async def stop_pod(client: Client, pod: Obj, reason: str) -> None:
    """Have the kubelet end a Pod, and leave word why; one that no kubelet has seen is deleted.

    Raises NotFound or Conflict when it is gone, and any other ApiError.
    """
    namespace, name = key_of(pod)
    if pod["spec"].get("nodeName"):
        said = {"metadata": {"annotations": {STOP_ANNOTATION: reason}}}
        await client.patch(PODS, name, said | _END_NOW, namespace=namespace)
    else:
        await client.delete(PODS, name, namespace=namespace, uid=uid_of(pod))


def made_again(job: Obj, pods: tuple[Obj, ...]) -> bool:
    """Whether the built-in Job controller would make the Job a Pod in place of one that is deleted."""
    return not is_managed(job) and not any(pod["spec"].get("nodeName") for pod in pods)


async def stop_job(client: Client, job: Obj) -> None:
    """Have the built-in Job controller end a Job. Raises NotFound when it is gone, and any other ApiError."""
    namespace, name = key_of(job)
    await client.patch(JOBS, name, _END_NOW, namespace=namespace)
