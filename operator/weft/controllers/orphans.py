"""Jobs and Pods whose run is not in hand: finished, deleted, or ended while the operator was down.

Their finalizer would keep them for ever. A Pod is let go when it has ended or is being deleted; one that runs on
although its run has ended (an operator that had lost its leadership made it) is stopped. A Job that Weft controls gets
its final status from its Pod; where no Pod is left to ask (the operator died between the two, and somebody deleted it),
from what the run's status has recorded. Nothing here decides anything about a run: while a run is active, its own loop
does all this, after the result has been written down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from weft.api.conditions import Reason
from weft.api.objects import Key, Obj, annotation, key_of, owner_of, uid_of, version_of
from weft.controllers.releasing import finish_job, has_done_its_work, strip
from weft.controllers.run_facts import at_rest
from weft.controllers.stopping import made_again, stop_job, stop_pod
from weft.engine.budget import read_nodes
from weft.engine.state import COMPENSATE, COMPENSATED, SUCCEEDED
from weft.kube.client import Client
from weft.kube.clock import Clock
from weft.kube.errors import Conflict, NotFound
from weft.kube.resources import PODS, WORKFLOW_RUNS
from weft.kube.store import ChildStore, RunKey, run_key_of
from weft.render.facts import POD_GONE, PodFact
from weft.render.names import IDENTITY_ANNOTATION, Identity, parse_identity
from weft.render.observe import JobState, PodState, job_fact, pod_fact
from weft.render.pod import is_managed, is_tracked


class ChildKey(NamedTuple):
    """A Pod or a Job by name."""

    kind: str
    namespace: str
    name: str


def child_key(obj: Obj) -> ChildKey:
    """Give the key of a Pod or a Job."""
    return ChildKey(obj["kind"], *key_of(obj))


class Orphans:
    """Lets go of what no run holds. `reconcile` is called by a work queue for Pods and Jobs that changed."""

    def __init__(
        self,
        client: Client,
        store: ChildStore,
        *,
        active: Callable[[RunKey], bool],
        find_run: Callable[[RunKey], Obj | None],
        clock: Clock,
    ) -> None:
        """Take whether a run is active (then its own loop looks after its children), and who knows the run itself."""
        self._client = client
        self._store = store
        self._active = active
        self._find_run = find_run
        self._clock = clock

    async def reconcile(self, key: ChildKey) -> None:
        """Let the Pod go, or finish the Job, if it may."""
        place = Key(key.namespace, key.name)
        child = (self._store.pods if key.kind == "Pod" else self._store.jobs).get(*place)
        if child is None or self._active(run_key_of(child)):
            return
        if key.kind == "Pod":
            await self._let_go(place, child)
        elif is_managed(child) and job_fact(child).state is JobState.Active and not self._store.pods_of(child):
            await self._finish_without_pod(child)

    async def _let_go(self, key: Key, pod: Obj) -> None:
        fact = pod_fact(pod)
        job = self._store.job_of(pod)
        if not fact.ended and not pod["metadata"].get("deletionTimestamp"):
            if job is not None:
                await self._stop(job, pod)
                return
            if owner_of(pod, "Job") is not None:
                # Its creation arrived when the Job was over and deleted, or the Job has just gone: nobody wants it.
                # Where the Job was deleted and its Pods were to stay, the version has changed.
                with suppress(Conflict):
                    await self._client.delete(
                        PODS, key.name, namespace=key.namespace, uid=uid_of(pod), version=version_of(pod)
                    )
        if is_tracked(pod) and (job is None or is_managed(job)):
            await strip(self._client, pod)
        if job is not None and fact.ended and is_managed(job) and job_fact(job).state is JobState.Active:
            await self._finish(job, PodFact(PodState.Succeeded) if has_done_its_work(pod, fact) else fact)

    async def _stop(self, job: Obj, pod: Obj) -> None:
        """Stop a Pod of a run that has ended; what the cache says of the run may be old."""
        run = self._find_run(run_key_of(job))
        if run is None:
            return  # deleting the run deletes both
        namespace, name = key_of(run)
        with suppress(NotFound, Conflict):
            found = await self._client.get(WORKFLOW_RUNS, name, namespace=namespace)
            if uid_of(found) != uid_of(run) or not at_rest(found):
                return
            if made_again(job, (pod,)):
                await stop_job(self._client, job)
            else:
                await stop_pod(self._client, pod, Reason.Stopped)

    async def _finish_without_pod(self, job: Obj) -> None:
        text = annotation(job, IDENTITY_ANNOTATION)
        identity, run = parse_identity(text or ""), self._find_run(run_key_of(job))
        if run is None or identity is None:
            return  # a deleted run takes its Jobs along
        if succeeded_by(run.get("status") or {}, identity[1]):
            await self._finish(job, PodFact(PodState.Succeeded))
        else:
            await self._finish(job, POD_GONE)

    async def _finish(self, job: Obj, fact: PodFact) -> None:
        succeeded, now = fact.state is PodState.Succeeded, self._clock.now()
        await finish_job(self._client, job, succeeded=succeeded, reason=fact.reason, message=fact.message, now=now)


def succeeded_by(status: Mapping[str, Any], attempt: Identity) -> bool:
    """Say whether a run's status tells that this attempt of a node or an item has succeeded."""
    path, index, iteration, role, number = attempt
    entry = next((node for node in read_nodes(status, {}) if node["name"] == path), {})
    if index is not None:
        entry = next((item for item in entry.get("items") or () if item["index"] == index), {})
    phase = entry.get("phase")
    if role == COMPENSATE:
        return bool(phase == COMPENSATED)
    before = iteration is not None and iteration < entry.get("iteration", 0)
    latest = entry.get("attempts", 0) - entry.get("spent", 0) == number
    return before or (latest and phase in (SUCCEEDED, COMPENSATED))
