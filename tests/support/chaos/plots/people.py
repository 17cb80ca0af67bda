"""Plots in which people ask for something just when it is hard to take in."""

from typing import Any, ClassVar

from support.asked import Asked
from support.chaos.plan import NAMESPACE, Plan, document_of, run_of
from support.chaos.plots.plot import JOB, Plot
from weft.api.objects import Obj
from weft.kube.resources import CONTROLLER_REVISIONS, WORKFLOW_RUNS
from weft.kube.transport import Response


class HeldBackAtTheStart(Plot):
    """A run that has its place in the queue is suspended while it is being begun, and another gets the place."""

    name = "crowd"
    spec: ClassVar[Obj] = {"nodes": [{"name": "a", **JOB}]}

    def prepare(self, plan: Plan) -> None:
        plan.documents = [each for each in plan.documents if each["kind"] != "WorkflowQueue"]
        plan.documents.append(document_of("WorkflowQueue", "default", {"maxActiveRuns": 1}))
        for number in range(4):  # of a Workflow each: the start of each freezes one
            name = f"{self.name}-{number}"
            plan.documents.append(document_of("Workflow", name, self.spec))
            plan.runs.append((self.dice.between(0, 5), run_of(name, name, self.dice)))

    async def before(self, asked: Asked) -> Response | None:
        if (asked.method, asked.resource) == ("POST", CONTROLLER_REVISIONS) and self.dice.chance(0.7):
            name = asked.body["metadata"]["labels"]["weft.dev/workflow"]
            if name.startswith(self.name) and self.stage.api.read(WORKFLOW_RUNS, NAMESPACE, name) is not None:
                self.acts()
                self.stage.people.edit(name, suspend=True)
                self.stage.later(self.dice.between(2, 9), lambda: self.stage.people.edit(name, suspend=False))
                await self.stage.api.clock.sleep(self.dice.between(0.2, 2))
        return None


class AskedForTwice(Plot):
    """A rerun is asked for while another is being begun, and no Pod ends that would wake the run up."""

    name = "clerk"
    spec: ClassVar[Obj] = {"nodes": [{"name": "a", "wait": {"seconds": 1}}]}
    settings: ClassVar[dict[str, Any]] = {"resync_seconds": 600.0}

    def step(self) -> None:
        if (run := self.ended()) and self.asked < 6 and self.dice.chance(0.3):
            self.ask_again(run)

    async def before(self, asked: Asked) -> Response | None:
        run = self.run()
        generation = ((run or {}).get("spec", {}).get("rerun") or {}).get("generation", 0)
        if (
            run is not None
            and self.is_about(asked, "PATCH", WORKFLOW_RUNS)
            and generation % 2
            and self.dice.chance(0.7)
        ):
            self.acts()
            self.ask_again(run)
        return None


class NoUseAskingAgain(Plot):
    """A rerun fails in the step that begins it, and a key that another node wanted comes afterwards."""

    name = "pointless"
    spec: ClassVar[Obj] = {
        "nodes": [
            {"name": "a", "concurrency": {"key": "k"}, **JOB},
            {"name": "b", "forEach": {"items": "[1].map(x, {}.nothing)"}, **JOB},
        ]
    }

    def step(self) -> None:
        if (run := self.ended()) and self.asked < 4 and self.dice.chance(0.3):
            self.acts()
            if self.dice.chance(0.5):
                self.ask_again(run)
            else:
                self.ask_for_nothing(run)

    def ask_for_nothing(self, run: Obj) -> None:
        """A rerun that is refused, for it names a node that is not there."""
        self.asked += 1
        generation = (run["spec"].get("rerun") or {}).get("generation", 0) + 1
        rerun = {"generation": generation, "from": "Nodes", "nodes": ["nowhere"]}
        self.stage.people.edit(self.name, rerun=rerun, stop=None)


class ExpiredWhenAskedAgain(Plot):
    """A run's time to live is over, and in the instant of its deletion somebody asks for it again."""

    name = "expired"
    spec: ClassVar[Obj] = {"nodes": [{"name": "a", **JOB}], "ttlSecondsAfterFinished": 2}

    async def before(self, asked: Asked) -> Response | None:
        run = self.run()
        if run is not None and self.is_about(asked, "DELETE", WORKFLOW_RUNS) and self.asked < 2:
            self.acts()
            self.ask_again(run)
        return None
