"""When the built-in Job controller, where it does the work, gives a Job another Pod, and when it never will.

It counts a Pod that bears its finalizer once the phase says that it has ended, and one is enough for a Job of Weft's
(`backoffLimit: 0`). When a Job is suspended, as Kueue preempts it, the finalizer goes off its Pod first and the Pod is
deleted, uncounted: once the suspension ends, the same attempt gets another one.
"""

from __future__ import annotations

from weft.api.objects import Obj
from weft.render.observe import JobState, has_ended, job_fact
from weft.render.pod import is_managed, is_tracked


def passed_over(job: Obj, pod: Obj, *, gone: bool) -> bool:
    """Whether a Pod that has ended or is gone is not the end of its Job: another one is to come."""
    if not _is_open(job):
        return False
    suspended = job_fact(job).state is JobState.Suspended
    if gone and (suspended or not has_ended(pod)):
        return True
    return bool(pod["metadata"].get("deletionTimestamp")) and (suspended or not is_tracked(pod))


def goes_on(job: Obj, pods: tuple[Obj, ...]) -> bool:
    """Whether a Job of which nothing runs is not over by that: none of its Pods has ended so that it counts."""
    return _is_open(job) and not any(has_ended(pod) and not passed_over(job, pod, gone=False) for pod in pods)


def _is_open(job: Obj) -> bool:
    return not is_managed(job) and job_fact(job).state in (JobState.Active, JobState.Suspended)
