"""Which Jobs and Pods belong to which run: the index the run loop reads its children from.

Two informers feed it. Jobs name their run by the annotation `weft.dev/run-uid` or, lacking it, by their owner; Pods by
the same annotation or through the Job that owns them, whichever of the two is heard of first. A Pod may outlive its
Job (a finalizer holds it until its result is recorded), so Pods without a Job are reported too, as orphans.

Answers to our own writes go in through `remember_created` at once: a worker that runs again before the watch has
caught up sees what it made, and never makes it twice.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from weft.api.objects import RUN_UID_ANNOTATION, Key, Obj, annotation, key_of, owner_of, uid_of
from weft.kube.cache import Cache, Change
from weft.kube.trim import trim_job, trim_pod

Group = TypeVar("Group")


class RunKey(NamedTuple):
    """A run by identity: one that is deleted and made again under its name is another."""

    namespace: str
    uid: str


class JobFamily(NamedTuple):
    """A Job and its Pods."""

    job: Obj
    pods: tuple[Obj, ...]


class Children(NamedTuple):
    """All children of a run: its Jobs with their Pods, and Pods whose Job is gone."""

    jobs: tuple[JobFamily, ...]
    orphans: tuple[Obj, ...]

    @property
    def pods(self) -> list[Obj]:
        """Give all Pods, with a Job or without."""
        return [*(pod for family in self.jobs for pod in family.pods), *self.orphans]


class ChildStore:
    """Jobs and Pods by run. Give `jobs` and `pods` to the informers as caches, `on_job` and `on_pod` as handlers."""

    def __init__(self, *, monotonic: Callable[[], float]):
        """Take the clock by which the caches forget the dead."""
        self.jobs = Cache(monotonic=monotonic)
        self.pods = Cache(monotonic=monotonic)
        self._jobs_of_run: dict[RunKey, dict[Key, Obj]] = {}
        self._pods_of_run: dict[RunKey, dict[Key, Obj]] = {}
        self._pods_of_job: dict[str, dict[Key, Obj]] = {}
        self._run_of_job: dict[str, RunKey] = {}

    def children(self, namespace: str, run_uid: str) -> Children:
        """Give the run's children as known now, at a cost of their number."""
        run = RunKey(namespace, run_uid)
        jobs = tuple(JobFamily(job, self.pods_of(job)) for job in self._jobs_of_run.get(run, {}).values())
        known = {uid_of(family.job) for family in jobs}
        orphans = tuple(pod for pod in self._pods_of_run.get(run, {}).values() if _job_uid(pod) not in known)
        return Children(jobs, orphans)

    def job_count(self, namespace: str, run_uid: str) -> int:
        """Give the number of the run's Jobs."""
        return len(self._jobs_of_run.get(RunKey(namespace, run_uid), ()))

    def pods_of(self, job: Obj) -> tuple[Obj, ...]:
        """Give the Pods of a Job, whoever made and named them."""
        return tuple(self._pods_of_job.get(uid_of(job), {}).values())

    def job_of(self, pod: Obj) -> Obj | None:
        """Give the Job that a Pod is of; None when it is gone, even where another one has its name."""
        return self.jobs.owner_of(pod, "Job")

    def remember_created(self, obj: Obj) -> None:
        """Take in the answer to our own POST or PATCH of a Job or Pod.

        The object stays whole; what is kept of it is a trimmed copy.
        """
        job = obj["kind"] == "Job"
        kept, cache = dict(obj), self.jobs if job else self.pods
        (trim_job if job else trim_pod)(kept)
        for change in cache.remember(kept):
            (self._index_job if job else self._index_pod)(change)

    def remember_deleted(self, job: Obj) -> None:
        """Take in that our own DELETE of a Job was carried out: nobody writes to it while the watch lags behind."""
        for change in self.jobs.apply("DELETED", job):
            self._index_job(change)

    def on_job(self, event_type: str, job: Obj, old: Obj | None) -> None:
        """Take in one change of a Job: the handler of the informer that feeds `jobs`."""
        self._index_job(Change(event_type, job, old))

    def on_pod(self, event_type: str, pod: Obj, old: Obj | None) -> None:
        """Take in one change of a Pod: the handler of the informer that feeds `pods`."""
        self._index_pod(Change(event_type, pod, old))

    def _index_job(self, change: Change) -> None:
        job = change.obj
        run, uid = _run_of(job), uid_of(job)
        if run is None:
            return
        if change.type == "DELETED":
            _remove(self._jobs_of_run, run, key_of(job))
            if uid not in self._pods_of_job:
                self._run_of_job.pop(uid, None)
            return
        self._jobs_of_run.setdefault(run, {})[key_of(job)] = job
        if uid not in self._run_of_job:
            self._run_of_job[uid] = run
            for key, pod in self._pods_of_job.get(uid, {}).items():
                self._pods_of_run.setdefault(run, {})[key] = pod

    def _index_pod(self, change: Change) -> None:
        pod = change.obj
        job_uid, key = _job_uid(pod), key_of(pod)
        run = _run_of(pod) or self._run_of_job.get(job_uid)
        if change.type == "DELETED":
            _remove(self._pods_of_job, job_uid, key)
            if run is not None:
                _remove(self._pods_of_run, run, key)
            if job_uid not in self._pods_of_job and self.job_of(pod) is None:
                self._run_of_job.pop(job_uid, None)
            return
        if job_uid:
            self._pods_of_job.setdefault(job_uid, {})[key] = pod
        if run is not None:
            self._pods_of_run.setdefault(run, {})[key] = pod


def run_uid_of(obj: Obj) -> str:
    """Give the UID of the run that a Job or Pod says it is of; empty when it does not say."""
    return annotation(obj, RUN_UID_ANNOTATION) or ""


def run_key_of(obj: Obj) -> RunKey:
    """Give the run that a Job or Pod says it is of: one of its own namespace, whatever anybody wrote."""
    return RunKey(key_of(obj).namespace, run_uid_of(obj))


def _run_of(obj: Obj) -> RunKey | None:
    """Give the run an object names by itself: by annotation, or by its owner (Jobs)."""
    uid = run_uid_of(obj)
    if not uid:
        owner = owner_of(obj, "WorkflowRun")
        uid = owner["uid"] if owner else ""
    return RunKey(key_of(obj).namespace, uid) if uid else None


def _job_uid(pod: Obj) -> str:
    owner = owner_of(pod, "Job")
    return owner["uid"] if owner else ""


def _remove(index: dict[Group, dict[Key, Obj]], group: Group, key: Key) -> None:
    members = index.get(group, {})
    members.pop(key, None)
    if not members:
        index.pop(group, None)
