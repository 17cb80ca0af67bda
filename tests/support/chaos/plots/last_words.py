"""Plots in which what a dead process has written arrives when the next one is about to write for the first time.

Later no status of the dead is accepted any more. A creation is, whenever it comes.
"""

from typing import ClassVar

from support.asked import Asked
from support.chaos.plots.plot import JOB, Plot, attempt_of
from support.kubelet import Fate
from weft.api.objects import Obj
from weft.kube.resources import PODS, WORKFLOW_RUNS
from weft.kube.transport import Response


class ToldByTheDead(Plot):
    """The last words of a process, that a node has succeeded, arrive as the next is to tell of another attempt of it.

    That one is there because somebody deleted the Job meanwhile, and the Pod with its result.
    """

    name = "posthumous"
    spec: ClassVar[Obj] = {
        "nodes": [
            {"name": "a", "retry": {"disruptions": 3}, **JOB},
            {"name": "b", "dependsOn": ["a"], "wait": {"seconds": 60}},
        ]
    }

    def fate(self, pod: Obj) -> Fate:
        return Fate(1.0 if attempt_of(pod) == 1 else 9.0)

    async def before(self, asked: Asked) -> Response | None:
        if not self.is_about(asked, "PATCH", WORKFLOW_RUNS):
            return None
        told = (asked.body.get("status") or {}).get("nodes") or ()
        if not self.deaths and any((node["name"], node["phase"]) == ("a", "Succeeded") for node in told):
            self.delete_jobs()
            for pod in self.pods():
                self.stage.let_go(pod)
            return self.hold(asked)
        if self.deaths:
            await self.deliver()
        return None


class EndedByAWrongClock(Plot):
    """A process whose clock is ahead ends the run as overdue and dies; it arrives as the next one is to make a Job."""

    name = "overdue"
    spec: ClassVar[Obj] = {
        "timeoutSeconds": 120,
        "nodes": [{"name": "a", "wait": {"seconds": 6}}, {"name": "b", "dependsOn": ["a"], **JOB}],
    }
    jumped = False

    def fate(self, pod: Obj) -> Fate:
        return Fate(10_000.0)

    def step(self) -> None:
        nodes = ((self.run() or {}).get("status") or {}).get("nodes") or ()
        waits = any(node["phase"] == "Waiting" for node in nodes)
        if waits and not self.jumped and not self.jobs():
            self.jumped = True
            self.stage.mistake_the_time(200.0)

    async def before(self, asked: Asked) -> Response | None:
        ends = self.is_about(asked, "PATCH", WORKFLOW_RUNS) and "completionTime" in (asked.body.get("status") or {})
        if ends and self.jumped and not self.deaths and not self.jobs():
            return self.hold(asked)
        if self.deaths and self.is_about(asked, "PATCH", WORKFLOW_RUNS):
            await self.deliver()
        return None


class MadeWhenItWasOver(Plot):
    """The last word of a process, a Pod, arrives when the next one has ended the run, for somebody has stopped it."""

    name = "revenant"
    spec: ClassVar[Obj] = {"nodes": [{"name": "a", **JOB}], "jobs": {"keep": "All"}}

    def fate(self, pod: Obj) -> Fate:
        return Fate(10_000.0 if self.deaths and attempt_of(pod) == 1 and self._is_stopped() else 1.0)

    async def before(self, asked: Asked) -> Response | None:
        if not self.deaths and self.is_about(asked, "POST", PODS):
            self.stage.people.edit(self.name, stop="Cancel")
            return self.hold(asked)
        if self.ended() and not self.pods():  # else the name is taken
            await self.deliver()
        return None

    def _is_stopped(self) -> bool:
        return "stop" in (self.run() or {}).get("spec", {})  # not so when people have begun it anew
