"""What must be undone when the operator goes: its finalizers on Pods.

Pods that nobody is left to release would stay for ever, and would keep their namespaces from being deleted. The chart
calls this from a hook after it has removed the operator; it may run while Pods still do, for the finalizer only guards
their results.
"""

import asyncio
from collections.abc import Sequence

from weft.api.objects import Obj
from weft.controllers.releasing import strip
from weft.kube.client import Client
from weft.kube.resources import PODS
from weft.render.names import MANAGED_BY_LABEL
from weft.render.pod import is_tracked

AT_ONCE = 16


async def strip_finalizers(client: Client, namespaces: Sequence[str] = ()) -> int:
    """Take Weft's finalizer off all its Pods in these namespaces (none: in all); give their number. Raises ApiError."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(pod: Obj) -> bool:
        async with slots:
            return await strip(client, pod) is not None

    found = [
        pod
        for namespace in namespaces or ("",)
        for pod in await client.list(PODS, namespace=namespace, label_selector=f"{MANAGED_BY_LABEL}=weft")
        if is_tracked(pod)
    ]
    return sum(await asyncio.gather(*(one(pod) for pod in found)))
