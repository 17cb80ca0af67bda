"""A cluster node and its neighbours: they bind Pods, run them as their fates say, and clean up as Kubernetes does.

    kubelet = Kubelet(api, clock, behave=lambda pod: Fate(seconds=3, code=1))
    await kubelet.close()

It hears of each change at once and acts on the clock alone. A Pod with `activeDeadlineSeconds: 1`, or one that is being
deleted, ends as the real ones do. What is owned by nothing is deleted `collect` seconds later, if given, and Pods of a
deleted Job lose the tracking finalizer, as the built-in controllers do it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from support.clock import VirtualClock
from support.fakeapi import FakeApi
from support.storage import Event
from weft.api.objects import Key, Obj, key_of, owner_of, uid_of
from weft.api.times import timestamp
from weft.kube.resources import JOBS, PODS
from weft.render.facts import has_sandbox
from weft.render.pod import TRACKING_FINALIZER

GRACE_SECONDS = 0.5
"""From being told to stop to having stopped."""

MOUNTING = "ContainerCreating"


@dataclass(frozen=True)
class Fate:
    """What becomes of a Pod: bound after `bind`, running after `pending`, then for `seconds`, then its end.

    `reason` is the Pod's own (Evicted, NodeLost, OOMKilled, DeadlineExceeded); `waits` why it is pending
    (Unschedulable, ErrImagePull; ContainerCreating: a volume that cannot be mounted, during which the kubelet heeds no
    deadline, only the Pod's deletion). `vanish`: somebody tears it out of the API at its end, finalizers and all.
    `deaf`: its node is cut off, and nobody there hears that it has to stop until all is calm. `beside`: for how long
    another container runs beside main. `grace`: from being told to stop to having stopped.
    """

    seconds: float = 1.0
    code: int = 0
    text: str = ""
    pending: float = 0.0
    reason: str | None = None
    waits: str | None = None
    vanish: bool = False
    bind: float = 0.0
    deaf: bool = False
    beside: float = 0.0
    grace: float = GRACE_SECONDS


class Kubelet:
    """Runs every Pod of a FakeApi."""

    def __init__(
        self, api: FakeApi, clock: VirtualClock, behave: Callable[[Obj], Fate], *, collect: float | None = None
    ) -> None:
        self.behave = behave
        self._api = api
        self._clock = clock
        self._collect = collect
        self._ended: set[str] = set()
        self._left: dict[str, Obj] = {}  # how main has ended, by the UIDs of Pods whose other container runs
        self._tasks: set[asyncio.Task[None]] = set()
        self.calm = asyncio.Event()
        """Once set, nothing keeps a Pod from starting any more."""
        api.listeners.append(self._heard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _heard(self, event: Event) -> None:
        if event.resource is PODS:
            if event.type == "ADDED":
                self._spawn(self._live(event.obj))
            elif event.type == "MODIFIED" and uid_of(event.obj) not in self._ended:
                if event.obj["metadata"].get("deletionTimestamp"):
                    self._spawn(self._stop(event.obj, None))
                elif event.obj["spec"].get("activeDeadlineSeconds") == 1 and not _mounts(event.obj):
                    self._spawn(self._stop(event.obj, "DeadlineExceeded"))
        if self._collect is not None:
            if event.type == "DELETED" and event.resource is JOBS:
                self._spawn(self._let_go_of(event.obj))
            elif event.type == "ADDED" and event.resource is not None and event.obj["metadata"].get("ownerReferences"):
                owners = {owner["uid"] for owner in event.obj["metadata"]["ownerReferences"]}
                if not self._api.exists(owners):
                    self._spawn(self._delete(event.resource, event.obj))

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- one Pod ---

    async def _live(self, pod: Obj) -> None:
        fate = self.behave(pod)
        await self._clock.sleep(fate.bind or 0.05)
        if fate.waits is not None:
            self._wait_state(pod, fate.waits)
            await self._unless_calm(fate.pending)
        elif fate.pending:
            await self._clock.sleep(fate.pending)
        current = self._current(pod)
        if current is None or current["metadata"].get("deletionTimestamp") or uid_of(pod) in self._ended:
            return
        running = {"running": {"startedAt": self._now()}}
        self._set(pod, phase="Running", state=running, ready=True, bind=True)
        limit = current["spec"].get("activeDeadlineSeconds", float("inf"))
        await self._clock.sleep(min(limit, fate.seconds))
        if fate.seconds <= limit and fate.seconds < fate.beside:
            self._leave(pod, fate.code, fate.text)
            await self._clock.sleep(min(limit, fate.beside) - fate.seconds)
        if limit < max(fate.seconds, fate.beside):
            self._end(pod, 137, "", reason="DeadlineExceeded")
        elif fate.vanish:
            self._tear_out(pod)
        else:
            self._end(pod, fate.code, fate.text, reason=fate.reason)

    async def _unless_calm(self, seconds: float) -> None:
        calm = asyncio.ensure_future(self.calm.wait())
        sleep = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({calm, sleep}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            calm.cancel()
            sleep.cancel()

    async def _stop(self, pod: Obj, reason: str | None) -> None:
        await (self.calm.wait() if self.behave(pod).deaf else self._clock.sleep(self.behave(pod).grace))
        current = self._current(pod)
        if current is not None and (current["spec"].get("nodeName") or reason is not None):
            self._end(pod, 137, "", reason=reason)

    def _wait_state(self, pod: Obj, why: str) -> None:
        if why == "Unschedulable":
            condition = {"type": "PodScheduled", "status": "False", "reason": why, "message": "0/1 nodes fit"}
            self._change(pod, lambda it: it["status"].update(conditions=[condition]))
            return
        current = self._current(pod)
        # A Pod that is being deleted is not bound any more: the API server refuses it.
        if current is not None and not current["metadata"].get("deletionTimestamp") and uid_of(pod) not in self._ended:
            state = {"waiting": {"reason": why, "message": "no"}}
            self._set(pod, phase="Pending", state=state, ready=False, bind=True, sandbox=why != MOUNTING)

    def _end(self, pod: Obj, code: int, text: str, *, reason: str | None = None) -> None:
        if uid_of(pod) in self._ended or self._current(pod) is None:
            return
        terminated = self._left.pop(uid_of(pod), None) or self._terminated(code, text, reason)
        phase = "Succeeded" if terminated["exitCode"] == 0 and reason is None else "Failed"
        self._ended.add(uid_of(pod))
        told = reason if reason != "OOMKilled" else None
        self._set(pod, phase=phase, state={"terminated": terminated}, ready=False, bind=False, reason=told)

    def _leave(self, pod: Obj, code: int, text: str) -> None:
        """Main ends, and the other container runs on."""
        if uid_of(pod) in self._ended or self._current(pod) is None:
            return
        terminated = self._left[uid_of(pod)] = self._terminated(code, text, None)
        other = {"name": "other", "image": "i", "state": {"running": {}}}
        self._set(pod, phase="Running", state={"terminated": terminated}, ready=False, bind=False, other=other)

    def _terminated(self, code: int, text: str, reason: str | None) -> Obj:
        word = "OOMKilled" if reason == "OOMKilled" else "Completed" if code == 0 else "Error"
        at = self._now()
        return {"exitCode": code, "reason": word, "message": text, "startedAt": at, "finishedAt": at}

    def _set(
        self, pod: Obj, *, phase: str, state: Obj, ready: bool, bind: bool, reason: str | None = None,
        other: Obj | None = None, sandbox: bool = True,
    ) -> bool:  # fmt: skip
        conditions = [
            {"type": "Ready", "status": str(ready)}, {"type": "PodReadyToStartContainers", "status": str(sandbox)}
        ]  # fmt: skip
        if reason in ("Evicted", "NodeLost"):
            conditions.append({"type": "DisruptionTarget", "status": "True", "reason": _DISRUPTIONS[reason]})

        def change(it: Obj) -> None:
            if bind:
                it["spec"]["nodeName"] = "k"
            it["status"] = {
                "phase": phase,
                "startTime": it["status"].get("startTime") or self._now(),
                "conditions": conditions,
                "containerStatuses": [{"name": "main", "image": "i", "state": state}, *([other] if other else ())],
                **({"reason": reason} if reason else {}),
            }

        return self._change(pod, change)

    # --- the cluster's own controllers ---

    async def _let_go_of(self, job: Obj) -> None:
        await self._clock.sleep(self._collect or 0.0)
        for pod in self._api.all(PODS):
            owner = owner_of(pod, "Job")
            if owner is not None and owner["uid"] == uid_of(job):
                self.let_go(pod)

    def let_go(self, pod: Obj) -> None:
        """Take the tracking finalizer off."""
        self._change(pod, _untrack)

    async def _delete(self, resource: Any, obj: Obj) -> None:
        await self._clock.sleep(self._collect or 0.0)
        found = self._api.read(resource, *key_of(obj))
        if found is not None and uid_of(found) == uid_of(obj):
            with self._api.acting_as("collector"):
                self._api.remove(resource, *key_of(obj))

    def _tear_out(self, pod: Obj) -> None:
        if uid_of(pod) in self._ended or self._current(pod) is None:
            return
        self._ended.add(uid_of(pod))
        self._change(pod, lambda it: it["metadata"].pop("finalizers", None))
        if self._current(pod) is not None:
            with self._api.acting_as("kubelet"):
                self._api.remove(PODS, *key_of(pod))

    # --- the wire ---

    def _current(self, pod: Obj) -> Obj | None:
        found = self._api.read(PODS, *key_of(pod))
        return found if found is not None and uid_of(found) == uid_of(pod) else None

    def _change(self, pod: Obj, change: Callable[[Obj], Any]) -> bool:
        if self._current(pod) is None:
            return False
        key: Key = key_of(pod)
        with self._api.acting_as("kubelet"):
            self._api.edit(PODS, key.namespace, key.name, change)
        return True

    def _now(self) -> str:
        return timestamp(self._clock.now())


_DISRUPTIONS = {"Evicted": "TerminationByKubelet", "NodeLost": "DeletionByPodGC"}


def _mounts(pod: Obj) -> bool:
    return has_sandbox(pod["status"]) is False


def _untrack(pod: Obj) -> None:
    rest = [one for one in pod["metadata"].get("finalizers") or () if one != TRACKING_FINALIZER]
    pod["metadata"]["finalizers"] = rest
    if not rest:
        del pod["metadata"]["finalizers"]
