"""How an ended attempt is let go: our finalizer off its Pod, the final status onto its Job. Both may be done twice."""

from __future__ import annotations

from weft.api.conditions import Reason
from weft.api.objects import Obj, annotation, key_of, uid_of
from weft.api.times import moment
from weft.engine.units import SERVICE_DONE
from weft.kube.client import Client
from weft.kube.errors import Conflict, Invalid, NotFound
from weft.kube.resources import JOBS, PODS
from weft.render.facts import PodFact, PodState
from weft.render.job_status import failed_status, succeeded_status
from weft.render.names import STOP_ANNOTATION
from weft.render.pod import TRACKING_FINALIZER


def has_done_its_work(pod: Obj, fact: PodFact) -> bool:
    """Say whether an ended Pod's Job has succeeded: so has that of a service which was stopped as no longer needed."""
    return fact.state is PodState.Succeeded or annotation(pod, STOP_ANNOTATION) == SERVICE_DONE


async def strip(client: Client, pod: Obj) -> Obj | None:
    """Take our finalizer off a Pod; gives it as stored, None when it is gone or another one of that name."""
    namespace, name = key_of(pod)
    rest = [finalizer for finalizer in pod["metadata"].get("finalizers") or () if finalizer != TRACKING_FINALIZER]
    body = {"metadata": {"uid": uid_of(pod), "finalizers": rest or None}}
    try:
        return await client.patch(PODS, name, body, namespace=namespace)
    except (NotFound, Conflict, Invalid):
        return None


async def finish_job(
    client: Client, job: Obj, *, succeeded: bool, reason: str | None, message: str, now: float
) -> Obj | None:
    """Give a Job that Weft controls its final status; gives it as stored, None when it is gone or has one already."""
    namespace, name = key_of(job)
    start = moment(job["metadata"].get("creationTimestamp")) or now
    body = succeeded_status(start, now) if succeeded else failed_status(start, now, reason or Reason.Error, message)
    try:
        return await client.patch_status(JOBS, name, body, namespace=namespace)
    except (NotFound, Invalid):
        return None
