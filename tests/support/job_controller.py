"""The built-in Job controller, for the Jobs that Weft leaves to it: those that Kueue holds, or all of them.

It does for one Pod, `backoffLimit: 0` and `podReplacementPolicy: Failed` what job_controller.go does: it counts a Pod
that bears its finalizer once that has ended; a Pod of a suspended Job it lets go of, uncounted, and deletes it; a
deadline is none while the Job is suspended. A Pod is let go of when its Job is gone, too.
"""

import asyncio
from typing import Any

from support.clock import VirtualClock
from support.fakeapi import FakeApi
from weft.api.objects import Obj, key_of, owner_of, uid_of
from weft.api.times import moment, timestamp
from weft.kube.resources import JOBS, PODS
from weft.render.facts import condition
from weft.render.pod import is_tracked, pod_for

LOOK_SECONDS = 0.5
_GRACE = "support/grace"
"""Holds a Pod that its kubelet has still to end, as the grace of its deletion does on a real API server."""


class JobController:
    """Carries out every Job of a FakeApi that is not managed by another."""

    def __init__(self, api: FakeApi, clock: VirtualClock) -> None:
        self._api = api
        self._clock = clock
        self._made = 0
        self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            with self._api.acting_as("job-controller"):
                self._look()

    def _look(self) -> None:
        jobs = {uid_of(job): job for job in self._api.all(JOBS)}
        pods: dict[str, list[Obj]] = {uid: [] for uid in jobs}
        for pod in self._api.all(PODS):
            owner = (owner_of(pod, "Job") or {}).get("uid", "")
            pods.setdefault(owner, []).append(pod)
            if owner not in jobs or (_over(pod) and not is_tracked(pod)):
                self._let_go(pod)
        for uid, job in jobs.items():
            status = job.get("status") or {}
            ended = condition(status, "Complete") or condition(status, "Failed")
            if not job["spec"].get("managedBy") and not ended and not job["metadata"].get("deletionTimestamp"):
                self._sync(job, status, pods[uid])

    def _sync(self, job: Obj, status: Obj, pods: list[Obj]) -> None:
        active = [pod for pod in pods if not _over(pod) and not pod["metadata"].get("deletionTimestamp")]
        counted = next((pod for pod in pods if _over(pod) and is_tracked(pod)), None)
        limit, start = job["spec"].get("activeDeadlineSeconds"), status.get("startTime")
        if counted is not None:
            self._let_go(counted)
            done = counted["status"]["phase"] == "Succeeded"
            self._tell(job, *(("Complete", "CompletionsReached") if done else ("Failed", "BackoffLimitExceeded")))
        elif job["spec"].get("suspend"):
            for pod in active:
                self._let_go(pod)
                self._api.remove(PODS, *key_of(pod))
            if start or not status:
                self._tell(job, "Suspended", "JobSuspended", "Job suspended", startTime=None)
        elif start is None:
            self._tell(job, "Suspended", "JobResumed", holds=False, startTime=timestamp(self._clock.now()))
        elif limit is not None and self._clock.now() - (moment(start) or 0.0) >= limit:
            for pod in active:
                self._api.remove(PODS, *key_of(pod))
            if all(_over(pod) for pod in pods):
                self._tell(job, "Failed", "DeadlineExceeded")
        elif all(_over(pod) for pod in pods):
            self._made += 1
            pod = pod_for(job)
            pod["metadata"]["name"] = f"{key_of(job).name}-x{self._made}"
            self._api.add(pod)

    def _let_go(self, pod: Obj) -> None:
        metadata = pod["metadata"]
        running = pod["spec"].get("nodeName") and not _over(pod) and metadata.get("deletionGracePeriodSeconds") != 0
        finalizers = [_GRACE] if running else []
        if metadata.get("finalizers", []) != finalizers:
            self._api.edit(PODS, *key_of(pod), lambda it: it["metadata"].update(finalizers=finalizers))

    def _tell(self, job: Obj, kind: str, reason: str, message: str = "", *, holds: bool = True, **status: Any) -> None:
        told = [{"type": kind, "status": str(holds), "reason": reason, "message": message}]
        now = (job.get("status") or {}) | {"conditions": told} | status
        self._api.edit(JOBS, *key_of(job), lambda it: it.update(status=now))


def _over(pod: Obj) -> bool:
    return pod["status"]["phase"] in ("Succeeded", "Failed")
