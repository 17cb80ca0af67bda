"""Plots in which an answer or a piece of news does not come, or comes too late."""

from typing import Any, ClassVar

from support.asked import Asked
from support.chaos.plots.plot import JOB, Plot, attempt_of
from support.kubelet import Fate
from support.transport import status
from weft.api.objects import Obj, key_of
from weft.kube.resources import JOBS, PODS, WORKFLOW_RUNS
from weft.kube.transport import Dropped, Response


class RefusedAtTheStart(Plot):
    """The status that begins a run cannot be written, however often it is tried, until it can."""

    name = "unwritten"
    spec: ClassVar[Obj] = {"nodes": [{"name": "a", **JOB}]}
    settings: ClassVar[dict[str, Any]] = {"resync_seconds": 600.0}
    refusals = 0

    async def before(self, asked: Asked) -> Response | None:
        run = self.run()
        begun = run is None or "startTime" in (run.get("status") or {})
        if begun or not self.is_about(asked, "PATCH", WORKFLOW_RUNS) or self.refusals > 9:
            return None
        self.acts()
        self.refusals += 1
        return status(500, "InternalError", "no leader")


class RunThoughItHasEnded(Plot):
    """A Pod ends of which the operator hears nothing: no answer to its creation, no news. Then its Job is deleted."""

    name = "unheard"
    spec: ClassVar[Obj] = {"nodes": [{"name": "a", "retry": {"disruptions": 3}, **JOB}]}
    settings: ClassVar[dict[str, Any]] = {"resync_seconds": 600.0}
    collect_seconds = 20.0

    def fate(self, pod: Obj) -> Fate:
        return Fate(0.1)

    async def after(self, asked: Asked) -> None:
        if self.is_about(asked, "POST", PODS) and attempt_of(asked.body) == 1:
            if not self.held:
                self.held = asked
                self.acts()
                self.stage.deafen(asked.actor, "pods", 15.0)
                self.stage.later(2.0, self.delete_jobs)
            raise Dropped("connection reset")


class OldNews(Plot):
    """The answer to a Pod's creation takes so long that the Pod is gone by then, and everybody has been told so."""

    name = "late"
    spec: ClassVar[Obj] = {"nodes": [{"name": "a", "retry": {"limit": 1, "disruptions": 5}, **JOB}]}
    settings: ClassVar[dict[str, Any]] = {"resync_seconds": 600.0}
    deletions = 0

    def fate(self, pod: Obj) -> Fate:
        return Fate(9.0)

    async def after(self, asked: Asked) -> None:
        if self.is_about(asked, "POST", PODS) and self.deletions < 3 and (jobs := self.jobs()):
            self.acts()
            self.deletions += 1
            self.stage.people.delete(JOBS, key_of(jobs[-1]))
            await self.stage.api.clock.sleep(self.dice.between(3, 8))
