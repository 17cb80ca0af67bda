"""Plots in which the operator dies, and something happens before the next one has looked."""

from typing import Any, ClassVar

from support.asked import Asked
from support.chaos.plan import Plan, run_of
from support.chaos.plots.plot import JOB, Plot, attempt_of
from support.kubelet import Fate
from weft.api.objects import Obj, key_of
from weft.kube.resources import JOBS, PODS, WORKFLOW_RUNS
from weft.render.names import ATTEMPT_LABEL


class StandsWithoutItsJob(Plot):
    """The operator dies with a Pod's creation, and somebody deletes the Job; the Pod's node does not hear of it."""

    name = "lonely"
    spec: ClassVar[Obj] = {"nodes": [{"name": "a", **JOB}]}
    collect_seconds = 20.0

    def fate(self, pod: Obj) -> Fate:
        return Fate(60.0, deaf=True)

    async def after(self, asked: Asked) -> None:
        if self.is_about(asked, "POST", PODS) and not self.deaths:
            self.acts()
            self.kill(asked)
            self.stage.later(1.0, self.delete_jobs)


class BesideItsSuccessor(Plot):
    """A Pod is torn out, and the operator dies with the creation of the next attempt's; no status tells of either."""

    name = "torn"
    spec: ClassVar[Obj] = {"nodes": [{"name": "a", "retry": {"disruptions": 1}, **JOB}]}

    def fate(self, pod: Obj) -> Fate:
        return Fate(1.0, vanish=True) if attempt_of(pod) == 1 else Fate(20.0)

    async def after(self, asked: Asked) -> None:
        if self.is_about(asked, "POST", PODS) and len(self.jobs()) == 2 and not self.deaths:
            self.acts()
            self.kill(asked)


class NeededAgain(Plot):
    """Two nodes have had a key in turn and no status tells of it; then the first one's Job and Pod are deleted."""

    name = "keyed"
    spec: ClassVar[Obj] = {
        "nodes": [
            {"name": "a", "concurrency": {"key": "keyed"}, **JOB},
            {"name": "b", "dependsOn": ["a"], "concurrency": {"key": "keyed"}, **JOB},
        ]
    }
    settings: ClassVar[dict[str, Any]] = {"status_interval_seconds": 60.0}

    def fate(self, pod: Obj) -> Fate:
        return Fate(0.2)

    async def after(self, asked: Asked) -> None:
        if self.is_about(asked, "POST", PODS) and len(self.jobs()) == 2 and not self.deaths:
            self.acts()
            self.kill(asked)
            first = min(self.jobs(), key=lambda job: int(job["metadata"]["resourceVersion"]))
            self.stage.people.delete(JOBS, key_of(first))
            for pod in self.pods():
                if pod["metadata"].get("deletionTimestamp"):
                    self.stage.let_go(pod)


class StoppedWithItsKey(Plot):
    """A run is stopped while no operator is there, and no status tells of its Pod; another run waits for its key."""

    name = "locked"
    spec: ClassVar[Obj] = {"nodes": [{"name": "a", "concurrency": {"key": "locked"}, **JOB}]}
    settings: ClassVar[dict[str, Any]] = {"status_interval_seconds": 60.0}

    def prepare(self, plan: Plan) -> None:
        super().prepare(plan)
        plan.runs.append((self.dice.between(5, 10), run_of(f"{self.name}-next", self.name, self.dice)))

    def fate(self, pod: Obj) -> Fate:
        first = attempt_of(pod) == 1 and "-next-" not in key_of(pod).name
        return Fate(100.0 if first else 1.0)

    async def after(self, asked: Asked) -> None:
        if self.is_about(asked, "POST", PODS) and not self.deaths:
            self.acts()
            self.kill(asked)
            self.stage.people.edit(self.name, stop="Cancel")


class UndoneUnseen(Plot):
    """A run begins to undo what it has done, by a graph, and the operator dies; no status tells of it."""

    name = "undone"
    spec: ClassVar[Obj] = {
        "nodes": [
            {"name": "a", "compensate": {"graph": {"name": "undo"}}, **JOB},
            {"name": "bad", "dependsOn": ["a"], **JOB},
        ],
        "graphs": [{"name": "undo", "nodes": [{"name": "x", **JOB}]}],
    }
    settings: ClassVar[dict[str, Any]] = {"status_interval_seconds": 60.0}

    def fate(self, pod: Obj) -> Fate:
        return Fate(0.2, code=int("-bad-" in key_of(pod).name))

    async def after(self, asked: Asked) -> None:
        if self.is_about(asked, "POST", PODS) and len(self.jobs()) == 3 and not self.deaths:
            self.acts()
            self.kill(asked)


class GoneWhileItIsRead(Plot):
    """While no operator is there, a Job is deleted and the run stopped; its Pod goes while the stop is reading it."""

    name = "unread"
    spec: ClassVar[Obj] = {"nodes": [{"name": "a", **JOB}]}
    settings: ClassVar[dict[str, Any]] = {"resync_seconds": 600.0}
    collect_seconds = 20.0

    def fate(self, pod: Obj) -> Fate:
        return Fate(waits="ErrImagePull", pending=10_000.0, deaf=True)

    async def after(self, asked: Asked) -> None:
        if self.is_about(asked, "PATCH", WORKFLOW_RUNS) and self.pods() and not self.deaths:
            self.kill(asked)
            self.stage.people.edit(self.name, stop="Cancel")
            self.delete_jobs()
        elif asked.resource is PODS and ATTEMPT_LABEL in asked.params.get("labelSelector", ""):
            await self.stage.api.clock.sleep(self.dice.between(0, 2))
            for pod in self.pods():
                self.acts()
                self.stage.let_go(pod)
            await self.stage.api.clock.sleep(self.dice.between(0, 2))
