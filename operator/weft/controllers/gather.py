"""From children to observations: what the Jobs, Pods, child runs and approvals of a run tell the engine.

Only what changed since the last pass is looked at (`live.touched`); after a restart everything is,
once. An end that is seen is also queued for its release: after the status that records it has been
written, the Pod's finalizer goes and the Job gets its final status.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from weft.api.conditions import Reason, message_for
from weft.api.objects import Obj, annotation, key_of, owner_of
from weft.controllers.live import LiveRun, Release
from weft.controllers.releasing import has_done_its_work
from weft.controllers.replacing import passed_over
from weft.engine.actions import Start, Stop
from weft.engine.lookup import reckon, settled
from weft.engine.observation import AttemptEnded, AttemptPending, AttemptReady, Observation
from weft.engine.restore import RESEND
from weft.engine.state import STOPPING, AttemptId, Unit
from weft.kube.store import ChildStore
from weft.render.facts import POD_GONE, PodFact, PodState
from weft.render.names import IDENTITY_ANNOTATION, MAIN_ENDED_ANNOTATION, STOP_ANNOTATION, job_name, parse_identity
from weft.render.observe import JobFact, JobState, is_starting, job_fact, pod_fact
from weft.render.pod import is_managed, is_tracked

SILENT_SECONDS = 3.0
"""A Pod of which nothing is told for so long after it was made is looked at: most are bound by then."""
GRACE_SECONDS = 10.0
"""A Pod that has been starting on its cluster node for so long takes long: its Events may say why."""


def attempt_of(obj: Obj, run_uid: str) -> AttemptId | None:
    """Which attempt of the run a Job or Pod is; None for a stranger."""
    text = annotation(obj, IDENTITY_ANNOTATION)
    found = parse_identity(text) if text else None
    return AttemptId(*found[1]) if found and found[0] == run_uid else None


def job_of(live: LiveRun, store: ChildStore, id_: AttemptId) -> Obj | None:
    """The attempt's Job, as far as it is known."""
    job = store.jobs.get(live.key.namespace, job_name(live.ref, id_))
    return job if job is not None and attempt_of(job, live.ref.uid) == id_ else None


def attempt_by(live: LiveRun, store: ChildStore, child: Obj) -> AttemptId | None:
    """Which attempt of the run speaks by a Job or Pod; None for a stranger, and for a copy that somebody has made.

    A copy has the annotations, too, and under another name: of the Job, or of a Pod that is no Job's while the
    attempt's own Job stands. Of a Job that is deleted, Pods may be left that nobody owns any more.
    """
    id_ = attempt_of(child, live.ref.uid)
    if id_ is None:
        return None
    name = job_name(live.ref, id_)
    if child["kind"] == "Job":
        return id_ if key_of(child).name == name else None
    owner = owner_of(child, "Job")
    if owner is not None:
        return id_ if owner["name"] == name else None
    job = job_of(live, store, id_)
    return id_ if job is None or job["metadata"].get("deletionTimestamp") else None


def children_seen(live: LiveRun, store: ChildStore, *, now: float) -> list[Observation]:
    """What the touched Jobs and Pods tell; `now` in epoch seconds."""
    seen: list[Observation] = []
    touched, live.touched = live.touched, {}
    for (kind, name), gone in touched.items():
        cache = store.pods if kind == "Pod" else store.jobs
        held = cache.get(live.key.namespace, name)
        obj = held if held is not None else gone
        if obj is None:
            continue
        id_ = attempt_by(live, store, obj)
        if id_ is not None:
            reader = _pod_seen if kind == "Pod" else _job_seen
            seen.extend(reader(live, store, id_, obj, gone=held is None, now=now))
    return seen


def catch_up(live: LiveRun) -> None:
    """Have those children looked at whose attempts have started by now, or will not any more."""
    for id_ in [id_ for id_ in live.ahead if id_ in live.state.active or settled(live.state, id_)]:
        for child in live.ahead.pop(id_):
            live.look_at(*child)


def overtaken(live: LiveRun, store: ChildStore, id_: AttemptId, *, now: float) -> bool:
    """Whether the next attempt was begun before a crash: then this one was over, though no status told of it.

    Where its Pod is gone, so has its result: it has ended as a Pod that was deleted.
    """
    if id_._replace(attempt=id_.attempt + 1) not in live.ahead:
        return False
    _release(live, job_of(live, store, id_), None, POD_GONE, succeeded=False)
    live.forget(id_)
    live.inbox.append(_ended(id_, POD_GONE, now, stopped=None))
    return True


def silent(live: LiveRun, store: ChildStore, *, now: float) -> Iterator[Observation]:
    """What stands of those of which nothing was told since they were made, and never may be.

    No scheduler may have taken the Pod, nor the Job controller the Job: their patience began when they were made.
    """
    while live.unheard and silent_until(live) <= now:
        id_ = next(iter(live.unheard))
        made = live.unheard.pop(id_)
        job = job_of(live, store, id_)
        if job is None or id_ not in live.state.active:
            continue
        for pod in store.pods_of(job):
            yield from _pod_seen(live, store, id_, pod, gone=False, now=made)
        yield from _job_seen(live, store, id_, job, gone=False, now=made)


def silent_until(live: LiveRun) -> float:
    """When the first of them is looked at."""
    return next(iter(live.unheard.values()), float("inf")) + SILENT_SECONDS


def slow_start_at(live: LiveRun) -> float:
    """When the first of the Pods that are starting takes long."""
    return next(iter(live.starting.values()), float("inf"))


def touch_all(live: LiveRun, store: ChildStore) -> None:
    """Have every child looked at: after a restart, or to be sure."""
    children = store.children(*live.run_key)
    for family in children.jobs:
        live.look_at("Job", key_of(family.job).name)
        for pod in family.pods:
            live.look_at("Pod", key_of(pod).name)
    for pod in children.orphans:
        live.look_at("Pod", key_of(pod).name)


def missing_jobs(live: LiveRun, store: ChildStore) -> Iterator[Observation]:
    """Attempts in flight without any child: their Job was deleted while nobody looked."""
    children = store.children(*live.run_key)
    present = {attempt_by(live, store, family.job) for family in children.jobs}
    present |= {attempt_by(live, store, pod) for pod in children.orphans}
    present |= {action.id for action in live.pending if isinstance(action, Start)}  # about to be made
    for id_, unit in live.state.active.items():
        expected = id_.attempt > 0 and unit.node.body.kind == "job" and unit.pending not in RESEND
        if expected and id_ not in present and id_ not in live.held:
            yield _job_deleted(id_)


def _job_deleted(id_: AttemptId) -> AttemptEnded:
    message = message_for(Reason.JobDeleted)
    return AttemptEnded(id_, 0.0, succeeded=False, reason=Reason.JobDeleted, message=message, disruption=True)


def _pod_seen(
    live: LiveRun, store: ChildStore, id_: AttemptId, pod: Obj, *, gone: bool, now: float
) -> Iterable[Observation]:
    job = store.job_of(pod)
    unit = live.state.active.get(id_)
    if unit is None and not settled(live.state, id_):
        # The cluster knows more than the status that was restored.
        live.ahead.setdefault(id_, set()).add(("Pod", key_of(pod).name))
        return ()
    fact = pod_fact(pod)
    if gone and not fact.ended:
        fact = POD_GONE
    if fact.ended and unit is not None and job is not None and passed_over(job, pod, gone=gone):
        return _replaced(live, store, id_, unit, job, now)
    if fact.ended:
        _release(live, job, None if gone else pod, fact, succeeded=has_done_its_work(pod, fact))
    if unit is None:
        _note_stray(live, id_, ended=fact.ended)
        return ()
    if fact.ended:
        live.forget(id_)
        return (_ended(id_, fact, now, stopped=annotation(pod, STOP_ANNOTATION)),)
    live.unheard.pop(id_, None)
    if is_starting(pod, fact):
        live.starting.setdefault(id_, now + GRACE_SECONDS)
    else:
        live.starting.pop(id_, None)
        live.causes.pop(id_, None)
    if fact.state is PodState.MainEnded:
        _stop_the_others(live, id_, unit, pod)
    if fact.state in (PodState.Pending, PodState.MainEnded):
        return (AttemptPending(id_, fact.reason, _with_cause(live, id_, unit, fact.message), now),)
    running = AttemptPending(id_, None, "", now)
    return (running, AttemptReady(id_, now)) if fact.state is PodState.Ready else (running,)


def _with_cause(live: LiveRun, id_: AttemptId, unit: Unit, message: str) -> str:
    """Add what the Pod's Events tell of it; nobody having asked since a restart, what the status told before."""
    cause = live.causes.get(id_)
    if cause is None:
        return unit.pending_text if unit.pending_text.startswith(f"{message}: ") else message
    return f"{message}: {cause}" if cause else message


def _replaced(
    live: LiveRun, store: ChildStore, id_: AttemptId, unit: Unit, job: Obj, now: float
) -> Iterable[Observation]:
    """What the attempt comes to whose Pod is over, and whose Job is to be given another one, or has it already."""
    if unit.stage == STOPPING:  # the stop has met the Pod alone
        live.pending.append(Stop(id_, unit.node.body.kind, unit.stop_reason or ""))
        return ()
    if not all(pod_fact(pod).ended for pod in store.pods_of(job)):
        return ()
    return _told_by_job(live, id_, job_fact(job), now)


def _stop_the_others(live: LiveRun, id_: AttemptId, unit: Unit, pod: Obj) -> None:
    """Have the containers stopped that keep a Pod although its main has ended, unless they have been told to."""
    stop = Stop(id_, unit.node.body.kind, Reason.MainEnded)
    if annotation(pod, MAIN_ENDED_ANNOTATION) is None and stop not in live.pending:
        live.pending.append(stop)


def _note_stray(live: LiveRun, id_: AttemptId, *, ended: bool) -> None:
    """A Pod although the engine has had its say: it was begun before a crash. One that runs is not wanted any more."""
    reckon(live.state, id_)
    if ended:
        live.strays.pop(id_, None)
    elif id_ not in live.strays:
        live.strays[id_] = False


def _ended(id_: AttemptId, fact: PodFact, now: float, *, stopped: str | None) -> AttemptEnded:
    return AttemptEnded(
        id_, now, succeeded=fact.state is PodState.Succeeded, reason=fact.reason, message=fact.message,
        exit_code=fact.exit_code, text=fact.text, disruption=fact.disruption,
        stopped=stopped,
    )  # fmt: skip


def _release(live: LiveRun, job: Obj | None, pod: Obj | None, fact: PodFact, *, succeeded: bool) -> None:
    ours = pod is not None and is_tracked(pod)
    unfinished = job is not None and is_managed(job) and job_fact(job).state in (JobState.Active, JobState.Suspended)
    if (job is None or is_managed(job)) and (ours or unfinished):
        live.releases.append(
            Release(job if unfinished else None, pod if ours else None, succeeded, str(fact.reason or ""), fact.message)
        )


def _job_seen(
    live: LiveRun, store: ChildStore, id_: AttemptId, job: Obj, *, gone: bool, now: float
) -> Iterable[Observation]:
    unit = live.state.active.get(id_)
    if unit is None:
        if settled(live.state, id_):
            reckon(live.state, id_)  # it may have been made before a crash, and its Pod be gone
        elif not gone:
            live.ahead.setdefault(id_, set()).add(("Job", key_of(job).name))
        return ()
    has_pod = bool(store.pods_of(job))
    if id_ in live.doubted:  # it was made after all
        live.held.pop(id_, None)
        live.accepted(id_)
    if gone:
        if has_pod or id_ in live.held:
            return ()  # the Pod's end will tell
        live.forget(id_)
        return (_job_deleted(id_),)
    fact = job_fact(job)
    if not is_managed(job) or fact.state in (JobState.Succeeded, JobState.Failed):
        return () if has_pod else _told_by_job(live, id_, fact, now)
    if not has_pod:
        if unit.stage == STOPPING:  # it never got a Pod, and will not get one
            live.releases.append(Release(job, None, False, Reason.Stopping, "stopped before its Pod was made"))
            live.forget(id_)
            return (AttemptEnded(id_, now, succeeded=False, reason=Reason.Stopping, message="stopped"),)
        if fact.state is JobState.Suspended:
            return (AttemptPending(id_, fact.reason, fact.message, now),)
        live.podless.setdefault(id_, now)
    return ()


def _told_by_job(live: LiveRun, id_: AttemptId, fact: JobFact, now: float) -> Iterable[Observation]:
    """The word of the built-in controller, or of whoever else has ended the Job, counts when no Pod is left to ask."""
    if fact.state is JobState.Suspended:
        return (AttemptPending(id_, fact.reason, fact.message, now),)
    if fact.state is JobState.Active:
        live.unheard.pop(id_, None)
        return (AttemptPending(id_, Reason.WaitingForPod, "the Job has no Pod; its Events say why", now),)
    live.forget(id_)
    succeeded = fact.state is JobState.Succeeded
    return (AttemptEnded(id_, now, succeeded=succeeded, reason=fact.reason, message=fact.message),)
