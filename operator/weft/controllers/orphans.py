"""Jobs and Pods whose run is not in hand: finished, deleted, or ended while the operator was down.

Their finalizer would keep them for ever. A Pod is let go when it has ended or is being deleted, and a
Job that Weft controls gets its final status from its Pod. Nothing here decides anything about a run:
while a run is active, its own loop does all this, after the result has been written down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from weft.api.conditions import Reason
from weft.kube.client import Client
from weft.kube.clock import Clock
from weft.kube.errors import Conflict, Invalid, NotFound
from weft.kube.objects import Obj, annotation, key_of, owner_of, uid_of
from weft.kube.resources import JOBS, PODS
from weft.kube.store import RUN_UID_ANNOTATION, ChildStore
from weft.render.facts import PodFact, epoch
from weft.render.job_status import failed_status, succeeded_status
from weft.render.observe import JobState, PodState, job_fact, pod_fact
from weft.render.pod import TRACKING_FINALIZER, is_managed


class PodKey(NamedTuple):
    """A Pod by name."""

    namespace: str
    name: str


class Orphans:
    """Lets go of what no run holds. `reconcile` is called by a work queue for Pods that changed."""

    def __init__(
        self,
        client: Client,
        store: ChildStore,
        *,
        active: Callable[[str], bool],
        clock: Clock,
    ) -> None:
        """Take whether the run of a UID is active: then its own loop looks after its children."""
        self._client = client
        self._store = store
        self._active = active
        self._clock = clock

    async def reconcile(self, key: PodKey) -> None:
        """Let the Pod go if it may."""
        pod = self._store.pods.get(*key)
        if pod is None or self._active(annotation(pod, RUN_UID_ANNOTATION) or ""):
            return
        fact = pod_fact(pod)
        owner = owner_of(pod, "Job")
        job = self._store.jobs.get(key.namespace, owner["name"]) if owner else None
        if job is not None and owner is not None and uid_of(job) != owner["uid"]:
            job = None
        if not fact.ended and job is not None and not pod["metadata"].get("deletionTimestamp"):
            return  # it runs, and its Job stands: deleting the run deletes both
        if TRACKING_FINALIZER in (pod["metadata"].get("finalizers") or ()) and (job is None or is_managed(job)):
            await strip(self._client, pod)
        if job is not None and fact.ended and is_managed(job) and job_fact(job).state is JobState.Active:
            await self._finish(job, fact)

    async def _finish(self, job: Obj, fact: PodFact) -> None:
        now = self._clock.now()
        start = epoch(job["metadata"].get("creationTimestamp")) or now
        if fact.state is PodState.Succeeded:
            body = succeeded_status(start, now)
        else:
            body = failed_status(start, now, fact.reason or Reason.Error, fact.message)
        namespace, name = key_of(job)
        try:
            await self._client.patch_status(JOBS, name, body, namespace=namespace)
        except (NotFound, Invalid):
            return  # gone, or finished already


async def strip(client: Client, pod: Obj) -> Obj | None:
    """Take our finalizer off a Pod; gives it as stored, None when it is gone or another one of that name."""
    namespace, name = key_of(pod)
    rest = [finalizer for finalizer in pod["metadata"].get("finalizers") or () if finalizer != TRACKING_FINALIZER]
    body = {"metadata": {"uid": uid_of(pod), "finalizers": rest or None}}
    try:
        return await client.patch(PODS, name, body, namespace=namespace)
    except (NotFound, Conflict, Invalid):
        return None
