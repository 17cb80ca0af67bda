"""Weft is the Job's controller: the Job of an attempt, its Pod, its stop, its final status.

Everything here may be done twice. A Job and a Pod have names that follow from what they are for; an
answer that never came is answered by the conflict of the second try, and what stands there is
compared before it is taken for ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weft.api.base import GROUP
from weft.api.conditions import Reason
from weft.api.objects import Obj, key_of, uid_of
from weft.controllers.gather import attempt_of, job_of, overtaken
from weft.controllers.leftovers import crowded, overbooked
from weft.controllers.live import LiveRun, Release
from weft.controllers.locks import Locks
from weft.controllers.patience import REFUSALS, hold, passing, refusal, wait_out
from weft.controllers.pod_security import PodSecurity
from weft.controllers.releasing import finish_job, strip
from weft.controllers.removal import Removal
from weft.controllers.replacing import goes_on
from weft.controllers.stopping import made_again, stop_job, stop_pod
from weft.engine.actions import Start
from weft.engine.observation import AttemptEnded, AttemptPending
from weft.engine.state import AttemptId
from weft.kube.client import Client
from weft.kube.clock import Clock
from weft.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    NotFound,
    ServerError,
)
from weft.kube.resources import JOBS, PODS
from weft.kube.store import ChildStore
from weft.kube.trim import has_template
from weft.render.job import JobTemplate
from weft.render.names import (
    ATTEMPT_LABEL,
    NODE_LABEL,
    RUN_LABEL,
    bears_identity,
    child_labels,
    job_name,
)
from weft.render.observe import pod_fact
from weft.render.pod import is_managed, pod_for, pod_name

TAKEN_SECONDS = 2.0
"""How often a foreign object in the place of ours is looked at again."""

MAX_TEMPLATES = 1000
"""So many nodes of a Workflow have their Job templates kept: a large graph hardly needs its first ones again."""

LOCK_ANNOTATION = f"{GROUP}/lock"
"""The concurrency key an attempt runs under, on Job and Pod: a restart finds the holder though no status told of it."""


class Jobs:
    """Makes, stops and releases Jobs and Pods. `hop` is told the seconds from a Pod's end to the next Pod's POST."""

    def __init__(
        self, client: Client, store: ChildStore, removal: Removal, locks: Locks, security: PodSecurity, *,
        clock: Clock, managed: bool, hop: Callable[[float], None],
    ) -> None:  # fmt: skip
        self._client = client
        self._store = store
        self._removal = removal
        self._locks = locks
        self._security = security
        self._clock = clock
        self._managed = managed
        self._hop = hop

    async def start(self, live: LiveRun, action: Start) -> None:
        """Create the attempt's Job and Pod, or hold it back while something is in the way."""
        if self._has_pod(live, action.id):
            return  # it was made before a crash: its end will tell, even if somebody has deleted its Job meanwhile
        if overtaken(live, self._store, action.id, now=self._clock.now()):
            return
        if not await self._free(live, action):
            self._hold(live, action, Reason.PreviousPodRunning, "the Pod of the attempt before has not ended yet", 30.0)
            return
        if crowded(live, self._store):
            self._hold(
                live, action, Reason.PreviousPodRunning, "Pods from before a restart run, up to the parallelism", 1.0
            )
            return
        job = job_of(live, self._store, action.id)  # by an earlier try; somebody may have deleted it since
        if job is None and action.id in live.unanswered:
            await self._look(live, action.id)  # the next pass is told what is left: another Job would be one too many
            return
        if job is None and (job := await self._create(live, action)) is None:
            return
        live.held.pop(action.id, None)
        live.accepted(action.id)
        await self.make_pod(live, action.id, job)

    async def _create(self, live: LiveRun, action: Start) -> Obj | None:
        """Create the attempt's Job, or find the one that is there; None when it is refused or its name is taken."""
        restricted = await self._security.restricted(live.key.namespace)
        manifest = self._template(live, action, restricted).render(
            live.ref, action.id, action.payload, memory=action.memory, managed=self._managed
        )
        unit = live.state.active.get(action.id)
        if unit is not None and unit.lock is not None:
            for metadata in (manifest["metadata"], manifest["spec"]["template"]["metadata"]):
                metadata["annotations"][LOCK_ANNOTATION] = unit.lock
        try:
            job = await self._client.create(JOBS, manifest)
        except AlreadyExists:
            return await self._adopt(live, action)
        except REFUSALS as error:
            if not wait_out(live, action, error, now=self._clock.now()):
                self._refused(live, action.id, error)
            elif isinstance(error, ServerError):
                live.doubted.add(action.id)
            return None
        self._store.remember_created(job)
        return job

    def _template(self, live: LiveRun, action: Start, restricted: bool) -> JobTemplate:
        key = id(action.node), restricted
        template = live.templates.get(key)
        if template is None:
            job = action.node.body.job
            spec: dict[str, Any] = job.spec if job is not None else {}
            template = JobTemplate(spec, timeout=action.node.timeout, restricted=restricted)
            while len(live.templates) >= MAX_TEMPLATES:
                del live.templates[next(iter(live.templates))]
            live.templates[key] = template
        return template

    def _has_pod(self, live: LiveRun, id_: AttemptId) -> bool:
        """Whether a Pod of the attempt stands that no status has told of."""
        pods = [name for kind, name in live.ahead.get(id_, ()) if kind == "Pod"]
        return any(self._store.pods.get(live.key.namespace, name) is not None for name in pods)

    async def _free(self, live: LiveRun, action: Start) -> bool:
        """Whether the Pod of the attempt before is gone or terminal: never two Pods of one node item at once.

        And none may come any more: a Job that its own controller would give another one is deleted.
        """
        if action.after is None:
            return True
        if action.after in live.unanswered:  # a try may have made it anew after it was gone
            await self._look(live, action.after)
            del live.unanswered[action.after]
        job = job_of(live, self._store, action.after)
        if job is None:
            return not any(
                attempt_of(pod, live.ref.uid) == action.after and not pod_fact(pod).ended
                for pod in self._store.children(*live.run_key).orphans
            )
        pods = self._store.pods_of(job)
        if all(pod_fact(pod).ended for pod in pods) and goes_on(job, pods):
            pods = await self._remove(live, action.after, job)
        return all(pod_fact(pod).ended for pod in pods)

    async def _adopt(self, live: LiveRun, action: Start) -> Obj | None:
        """The name is taken: by our own earlier try (give it), or by a stranger (wait until it is gone)."""
        name = job_name(live.ref, action.id)
        try:
            job = await self._client.get(JOBS, name, namespace=live.key.namespace)
        except NotFound:
            self._hold(live, action, Reason.NameTaken, f"Job {name} has just gone", 0.0)
            return None
        if bears_identity(job, live.ref.uid, action.id):
            self._found(live, job)
            return job
        message = f"a Job {name} that is not this run's is in the way; delete it"
        self._hold(live, action, Reason.NameTaken, message, TAKEN_SECONDS)
        return None

    def _hold(self, live: LiveRun, action: Start, reason: str, message: str, seconds: float) -> None:
        hold(live, action, reason, message, now=self._clock.now(), seconds=seconds)

    def _refused(self, live: LiveRun, id_: AttemptId, error: ApiError) -> None:
        """The API server will never take it: the attempt has failed, and no retry can help."""
        reason = refusal(error, otherwise=Reason.InvalidJob)
        live.forget(id_)
        live.inbox.append(
            AttemptEnded(id_, self._clock.now(), succeeded=False, reason=reason, message=error.message, fatal=True)
        )

    async def make_pod(self, live: LiveRun, id_: AttemptId, job: Obj) -> None:
        """Create the Pod of a stored Job, unless it stands already or somebody else does it."""
        live.podless.pop(id_, None)
        if is_managed(job) and not has_template(job):  # an earlier pass could not make it
            known = uid_of(job)
            try:
                job = await self._client.get(JOBS, key_of(job).name, namespace=live.key.namespace)
            except NotFound:
                return  # its deletion will be heard of
            if uid_of(job) != known:
                return
        if not is_managed(job) or job["spec"].get("suspend"):
            live.unheard[id_] = self._clock.now()
            return
        if overbooked(live, self._store, self._locks, id_):
            now = self._clock.now()
            live.podless[id_] = now + 1.0
            message = "the concurrency key is still used, by one who had it before a restart"
            live.inbox.append(AttemptPending(id_, Reason.PreviousPodRunning, message, now, podless=True))
            return
        if live.ended_at is not None:
            self._hop(self._clock.monotonic() - live.ended_at)
        live.unanswered[id_] = None
        try:
            pod = await self._client.create(PODS, pod_for(job))
        except AlreadyExists:
            self._found(live, await self._client.get(PODS, pod_name(job), namespace=live.key.namespace))
            del live.unanswered[id_]
            return
        except REFUSALS as error:
            if not isinstance(error, ServerError):  # else it may have been made
                del live.unanswered[id_]
            if reason := passing(live, id_, error, now=self._clock.now()):
                live.podless[id_] = self._clock.now() + live.refused(id_)
                live.inbox.append(AttemptPending(id_, reason, error.message, self._clock.now(), podless=True))
                return
            live.releases.append(Release(job, None, False, Reason.Forbidden, error.message))
            self._refused(live, id_, error)
            return
        del live.unanswered[id_]
        live.accepted(id_)
        self._store.remember_created(pod)
        live.unheard[id_] = self._clock.now()

    async def stop(self, live: LiveRun, id_: AttemptId, reason: str) -> None:
        """Stop the attempt's Pod so that its logs stay; what no kubelet has seen is deleted."""
        if id_ in live.held and id_ not in live.doubted:
            self._never_made(live, id_, reason)
            return
        live.held.pop(id_, None)
        job = job_of(live, self._store, id_)
        pods = self._store.pods_of(job) if job is not None else ()
        if not pods:
            job, pods = await self._look(live, id_)
        if job is None:
            if not pods:  # nothing of it exists, and nothing may come of it any more
                self._never_made(live, id_, reason)
            return  # otherwise its Pod is on its way out
        if made_again(job, pods):
            pods = await self._remove(live, id_, job)
            if not pods:
                self._never_made(live, id_, reason)
        elif not pods:
            live.look_at("Job", key_of(job).name)  # `gather` ends an attempt that never got a Pod
        for pod in pods:
            try:
                await stop_pod(self._client, pod, reason)
            except (NotFound, Conflict):
                live.look_at("Pod", key_of(pod).name, pod)

    async def _remove(self, live: LiveRun, id_: AttemptId, job: Obj) -> tuple[Obj, ...]:
        """Delete a Job that would be given another Pod; gives the Pods that it has been given until then."""
        await stop_job(self._client, job)
        self._store.remember_deleted(job)
        return (await self._look(live, id_))[1]

    async def find_pods(self, live: LiveRun, jobs: list[Obj]) -> None:
        """Ask for the Pods of Jobs that somebody has deleted: one may have ended, and nobody told us so (yet)."""
        for job in jobs:
            id_ = attempt_of(job, live.ref.uid)
            if id_ in live.state.active and not self._store.pods_of(job):
                await self._look(live, id_)

    async def _look(self, live: LiveRun, id_: AttemptId) -> tuple[Obj | None, tuple[Obj, ...]]:
        """The attempt's Job and Pods as the API server has them: one that was just made may not be known yet."""
        labels = child_labels(live.ref, id_.path, id_.attempt)
        selector = ",".join(f"{name}={labels[name]}" for name in (RUN_LABEL, NODE_LABEL, ATTEMPT_LABEL))
        namespace = live.key.namespace
        jobs = await self._client.list(JOBS, namespace=namespace, label_selector=selector)
        pods = await self._client.list(PODS, namespace=namespace, label_selector=selector)
        for child in (*jobs, *pods):
            self._found(live, child)
        job = next((job for job in jobs if bears_identity(job, live.ref.uid, id_)), None)
        return job, tuple(pod for pod in pods if attempt_of(pod, live.ref.uid) == id_)

    def _found(self, live: LiveRun, child: Obj) -> None:
        """Take in what was read: its news, even an end, will not be told any more by a watch that is behind."""
        self._store.remember_created(child)
        live.look_at(child["kind"], key_of(child).name)

    def _never_made(self, live: LiveRun, id_: AttemptId, reason: str) -> None:
        for start in [action for action in live.pending if isinstance(action, Start) and action.id == id_]:
            live.pending.remove(start)
        live.forget(id_)
        live.inbox.append(AttemptEnded(id_, self._clock.now(), succeeded=False, reason=reason))

    async def release(self, live: LiveRun, release: Release, *, job_goes: bool) -> None:
        """Let an ended attempt go: the finalizer off its Pod, the final status onto its Job (or the Job away)."""
        now = self._clock.now()
        if release.pod is not None:
            await self._strip(release.pod)
        job = release.job
        vanishes = release.pod is not None and "deletionTimestamp" in release.pod["metadata"]
        if job is None:
            return
        if job_goes and not vanishes:  # it needs no status any more
            await self._removal.remove_one_of_few(job)
            return
        stored = await finish_job(
            self._client, job, succeeded=release.succeeded, reason=release.reason, message=release.message, now=now
        )
        if stored is not None:
            self._store.remember_created(stored)

    async def _strip(self, pod: Obj) -> None:
        stored = await strip(self._client, pod)
        if stored is not None and not stored["metadata"].get("deletionTimestamp"):
            self._store.remember_created(stored)
