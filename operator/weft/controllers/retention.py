"""What becomes of finished runs and of their Jobs: decisions only, free of I/O.

A run goes when its time to live has passed, or when its Workflow keeps enough younger ones of its outcome (cancelled
runs count as failed). A run that somebody asked to rerun is not finished. Child runs are never judged by themselves:
they go with the run that started them. Jobs may go earlier than their run: by default only failed ones stay, for their
logs.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from weft.api.conditions import RunPhase
from weft.api.objects import Obj, Objects
from weft.api.times import moment
from weft.controllers.releasing import has_done_its_work
from weft.controllers.run_facts import deleted, is_over, parent_uid
from weft.kube.store import JobFamily
from weft.render.observe import JobState, job_fact, pod_fact


def kept_jobs(workflow: Mapping[str, Any]) -> str:
    """Give which Jobs of its finished runs a Workflow's spec keeps: All | Failed | None."""
    return str((workflow.get("jobs") or {}).get("keep") or "Failed")


def jobs_to_delete(keep: str, jobs: Iterable[JobFamily]) -> Objects:
    """Give the Jobs of a finished run that are not kept.

    One whose result is not known counts as failed. One that is being deleted already is left out.
    """
    if keep == "All":
        return []
    standing = [family for family in jobs if not family.job["metadata"].get("deletionTimestamp")]
    return [family.job for family in standing if keep == "None" or _succeeded(family)]


def runs_to_delete(runs: Iterable[Obj], limits: Mapping[str, Any]) -> Objects:
    """Give the finished runs of one Workflow beyond its historyLimits, the oldest ends first."""
    finished: dict[str, Objects] = {"succeeded": [], "failed": []}
    for run in runs:
        if is_over(run) and parent_uid(run) is None:
            finished["succeeded" if run["status"]["phase"] == RunPhase.Succeeded else "failed"].append(run)
    return [
        run
        for kind, those in finished.items()
        if (limit := limits.get(kind)) is not None and len(those) > limit
        for run in sorted(those, key=_completion)[: len(those) - limit]
        if not deleted(run)
    ]


def expires_at(status: Mapping[str, Any], ttl: float | None) -> float | None:
    """Give when (epoch seconds) a finished run goes by its time to live; None: it stays."""
    ended = moment(status.get("completionTime"))
    return None if ttl is None or ended is None else ended + ttl


def _succeeded(family: JobFamily) -> bool:
    state = job_fact(family.job).state
    if state in (JobState.Succeeded, JobState.Failed):
        return state is JobState.Succeeded
    return any(has_done_its_work(pod, pod_fact(pod)) for pod in family.pods)


def _completion(run: Obj) -> tuple[str, str]:
    return run["status"].get("completionTime") or "", run["metadata"]["name"]
