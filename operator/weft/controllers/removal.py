"""Deletes the Jobs that nobody keeps, and their Pods ahead of them.

The garbage collector takes away the Pods of a deleted Job: it reads each, asks for its owner, and deletes it, twenty
Pods in a second at its defaults. Behind short nodes thousands would pile up, and each costs the API server three
requests where one will do. So a Pod that has ended is deleted here, before its Job. Only short runs leave theirs to
the collector, as long as they are few: the request would be the operator's eighth for a run of one node.

A Job without its Pod says no longer how it ended; the status of its run does, and was written before.
"""

import asyncio
from contextlib import suppress

from weft.api.objects import Obj, key_of, uid_of
from weft.controllers.stopping import stop_job
from weft.kube.client import Client
from weft.kube.clock import Clock
from weft.kube.errors import Conflict
from weft.kube.resources import PODS
from weft.kube.store import ChildStore
from weft.render.observe import pod_fact
from weft.render.pod import is_managed, is_tracked

LEFT_PER_SECOND = 10.0
"""Half of what the garbage collector does at its defaults: it has others to clean up after."""
LEFT_AT_ONCE = 20


class Removal:
    """Deletes Jobs for good, each only if it is still the one that was meant."""

    def __init__(self, client: Client, store: ChildStore, *, clock: Clock) -> None:
        """Take who deletes, and who knows the Jobs' Pods."""
        self._client = client
        self._store = store
        self._clock = clock
        self._left = float(LEFT_AT_ONCE)
        self._counted_at = clock.monotonic()

    async def remove(self, job: Obj) -> None:
        """Delete a Job whose attempt has ended, and its Pods before it. Raises ApiError."""
        if is_managed(job):  # else the built-in controller would make another Pod
            await asyncio.gather(*(self._remove_pod(pod) for pod in self._store.pods_of(job) if may_go(pod)))
        await self._remove_job(job)

    async def remove_one_of_few(self, job: Obj) -> None:
        """Delete a Job whose attempt has ended; its Pods before it only where many such Jobs go. Raises ApiError."""
        await (self._remove_job(job) if self._left_to_the_collector() else self.remove(job))

    async def _remove_job(self, job: Obj) -> None:
        with suppress(Conflict):  # another one of that name: not the one that was meant
            await stop_job(self._client, job)
        self._store.remember_deleted(job)

    def _left_to_the_collector(self) -> bool:
        now = self._clock.monotonic()
        self._left = min(LEFT_AT_ONCE, self._left + LEFT_PER_SECOND * (now - self._counted_at))
        self._counted_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    async def _remove_pod(self, pod: Obj) -> None:
        namespace, name = key_of(pod)
        with suppress(Conflict):
            await self._client.delete(PODS, name, namespace=namespace, uid=uid_of(pod))


def may_go(pod: Obj) -> bool:
    """Say whether a Pod has ended, its result is on record, and nobody deletes it already."""
    return pod_fact(pod).ended and not is_tracked(pod) and "deletionTimestamp" not in pod["metadata"]
