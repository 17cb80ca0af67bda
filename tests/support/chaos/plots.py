"""Some seeds have a plot: a small run of its own, and people (or a process) who act in the one moment when it hurts.

Chance alone finds most of what can go wrong, but not what needs three rare things in a row. Each plot here is a
coincidence that has once found a bug, or could have: it makes the coincidence likely and leaves the rest to the dice.
The weather is fair meanwhile, for a storm would tear most plots apart; all of it is over with the storm's time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson
from support.chaos.dice import Dice
from support.chaos.people import People, has_ended
from support.chaos.plan import NAMESPACE, Plan, document_of, run_of
from support.fakeapi import Asked, FakeApi
from support.kubelet import Fate
from support.transport import over_quota, status
from weft.kube.objects import Obj, key_of
from weft.kube.resources import CONTROLLER_REVISIONS, JOBS, PODS, WORKFLOW_RUNS, Resource
from weft.kube.transport import Response
from weft.render.names import ATTEMPT_LABEL

_JOB: Obj = {"job": {"image": "i"}}


COLLECT_SECONDS = 3.0
"""How long the cluster's own controllers take to let go of what nobody owns any more."""


@dataclass
class Stage:
    """What a plot may use of the world; times are in seconds."""

    api: FakeApi
    people: People
    dice: Dice
    later: Callable[[float, Callable[[], Any]], None]
    """Do that after so long."""
    note: Callable[[str], None]
    """Put a line into the story."""
    kill: Callable[[str], None]
    """End that process."""
    let_go: Callable[[Obj], None]
    """Have the cluster's own controllers take their finalizer off a Pod."""
    mistake_the_time: Callable[[float], None]
    """The clock of the process that leads jumps."""


class Plot:
    """One run of one Workflow under its own name; the hooks see each request of an operator while the storm lasts."""

    name: ClassVar[str]
    spec: ClassVar[Obj]
    settings: ClassVar[dict[str, Any]] = {}
    collect_seconds: ClassVar[float] = COLLECT_SECONDS

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.dice = stage.dice

    def prepare(self, plan: Plan) -> None:
        """Put it into the cluster, where nothing keeps it waiting."""
        plan.documents = [each for each in plan.documents if each["kind"] != "WorkflowQueue"]
        plan.documents.append(document_of("Workflow", self.name, self.spec))
        plan.runs.append((self.dice.between(0, 5), run_of(self.name, self.name, self.dice)))

    def fate(self, pod: Obj) -> Fate | None:
        """What becomes of a Pod of it; None: what becomes of any."""
        return None

    async def before(self, asked: Asked) -> Response | None:
        """A request is about to be carried out; an answer given here is its answer."""

    async def after(self, asked: Asked) -> None:
        """It has been, and is about to be answered."""

    def step(self) -> None:
        """A moment passes."""

    def acts(self) -> None:
        """Say in the story that it is happening."""
        self.stage.note(f"plot: {self.name}")

    def run(self) -> Obj | None:
        """The run as it is."""
        return self.stage.api.read(WORKFLOW_RUNS, NAMESPACE, self.name)

    def jobs(self) -> list[Obj]:
        """Its Jobs."""
        return self._children(JOBS)

    def pods(self) -> list[Obj]:
        """Its Pods."""
        return self._children(PODS)

    def _children(self, resource: Resource) -> list[Obj]:
        found = self.stage.api.all(resource, NAMESPACE)
        return [each for each in found if (each["metadata"].get("labels") or {}).get("weft.dev/run") == self.name]

    def is_about(self, asked: Asked, method: str, resource: Resource) -> bool:
        """Whether the request is of that kind, and about this run or a child of it."""
        labels = ((asked.body or {}).get("metadata") or {}).get("labels") or {} if method == "POST" else {}
        ours = self.name in (asked.name, labels.get("weft.dev/run"))
        return ours and (asked.method, asked.resource) == (method, resource)


class HeldBackAtTheStart(Plot):
    """A run that has its place in the queue is suspended while it is being begun, and another gets the place."""

    name = "crowd"
    spec: ClassVar[Obj] = {"nodes": [{"name": "a", **_JOB}]}

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
    asked = 0

    def step(self) -> None:
        run = self.run()
        if run is not None and has_ended(run) and self.asked < 6 and self.dice.chance(0.3):
            self._ask(run)

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
            self._ask(run)
        return None

    def _ask(self, run: Obj) -> None:
        self.asked += 1
        self.stage.people.ask_again(run)


class NoUseAskingAgain(Plot):
    """A rerun fails in the step that begins it, and a key that another node wanted comes afterwards."""

    name = "pointless"
    spec: ClassVar[Obj] = {
        "nodes": [
            {"name": "a", "concurrency": {"key": "k"}, **_JOB},
            {"name": "b", "expr": {"x": "{}.nothing"}},
        ]
    }
    asked = 0

    def step(self) -> None:
        run = self.run()
        if run is not None and has_ended(run) and self.asked < 3 and self.dice.chance(0.3):
            self.acts()
            self.asked += 1
            self.stage.people.ask_again(run)


class RefusedThoughItStands(Plot):
    """The operator dies with a Pod's creation; the next asks for the Job anew, a quota answers, and a stop comes."""

    name = "lonely"
    spec: ClassVar[Obj] = {"nodes": [{"name": "a", **_JOB}]}
    deaths = 0

    def fate(self, pod: Obj) -> Fate:
        return Fate(60.0)

    async def before(self, asked: Asked) -> Response | None:
        if not self.deaths or not self.is_about(asked, "POST", JOBS):
            return None
        self.acts()
        self.stage.people.edit(self.name, stop="Cancel")
        return over_quota()

    async def after(self, asked: Asked) -> None:
        if self.is_about(asked, "POST", PODS) and not self.deaths:
            self.deaths += 1
            self.stage.kill(asked.actor)


class BesideItsSuccessor(Plot):
    """A Pod is torn out, and the operator dies with the creation of the next attempt's; no status tells of either."""

    name = "torn"
    spec: ClassVar[Obj] = {"nodes": [{"name": "a", "retry": {"disruptions": 1}, **_JOB}]}
    deaths = 0

    def fate(self, pod: Obj) -> Fate:
        return Fate(1.0, vanish=True) if pod["metadata"]["labels"]["weft.dev/attempt"] == "1" else Fate(20.0)

    async def after(self, asked: Asked) -> None:
        if self.is_about(asked, "POST", PODS) and len(self.jobs()) == 2 and not self.deaths:
            self.acts()
            self.deaths += 1
            self.stage.kill(asked.actor)


class NeededAgain(Plot):
    """Two nodes have had a key in turn and no status tells of it; then the first one's Job and Pod are deleted."""

    name = "keyed"
    spec: ClassVar[Obj] = {
        "nodes": [
            {"name": "a", "concurrency": {"key": "keyed"}, **_JOB},
            {"name": "b", "dependsOn": ["a"], "concurrency": {"key": "keyed"}, **_JOB},
        ]
    }
    settings: ClassVar[dict[str, Any]] = {"status_interval_seconds": 60.0}
    deaths = 0

    def fate(self, pod: Obj) -> Fate:
        return Fate(0.2)

    async def after(self, asked: Asked) -> None:
        if self.is_about(asked, "POST", PODS) and len(self.jobs()) == 2 and not self.deaths:
            self.acts()
            self.deaths += 1
            self.stage.kill(asked.actor)
            first = min(self.jobs(), key=lambda job: int(job["metadata"]["resourceVersion"]))
            self.stage.people.delete(JOBS, key_of(first))
            for pod in self.pods():
                if pod["metadata"].get("deletionTimestamp"):
                    self.stage.let_go(pod)


class GoneWhileItIsRead(Plot):
    """While no operator is there, a Job is deleted and the run stopped; its Pod goes while the stop is reading it."""

    name = "unread"
    spec: ClassVar[Obj] = {"nodes": [{"name": "a", **_JOB}]}
    settings: ClassVar[dict[str, Any]] = {"resync_seconds": 600.0}
    collect_seconds = 20.0
    deaths = 0

    def fate(self, pod: Obj) -> Fate:
        return Fate(waits="ErrImagePull", pending=10_000.0, deaf=True)

    async def after(self, asked: Asked) -> None:
        if self.is_about(asked, "PATCH", WORKFLOW_RUNS) and self.pods() and not self.deaths:
            self.deaths += 1
            self.stage.kill(asked.actor)
            self.stage.people.edit(self.name, stop="Cancel")
            for job in self.jobs():
                self.stage.people.delete(JOBS, key_of(job))
        elif asked.resource is PODS and ATTEMPT_LABEL in asked.params.get("labelSelector", ""):
            await self.stage.api.clock.sleep(self.dice.between(0, 2))
            for pod in self.pods():
                self.acts()
                self.stage.let_go(pod)
            await self.stage.api.clock.sleep(self.dice.between(0, 2))


class OldNews(Plot):
    """The answer to a Pod's creation takes so long that the Pod is gone by then, and everybody has been told so."""

    name = "late"
    spec: ClassVar[Obj] = {"nodes": [{"name": "a", "retry": {"limit": 1, "disruptions": 5}, **_JOB}]}
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


class EndedByAWrongClock(Plot):
    """A process whose clock is ahead ends the run as overdue and dies; it arrives when the next one makes a Job."""

    name = "overdue"
    spec: ClassVar[Obj] = {
        "timeoutSeconds": 120,
        "nodes": [{"name": "a", "wait": {"seconds": 6}}, {"name": "b", "dependsOn": ["a"], **_JOB}],
    }
    jumped = False
    held: Asked | None = None

    def fate(self, pod: Obj) -> Fate:
        return Fate(10_000.0)

    def step(self) -> None:
        run = self.run()
        waits = run is not None and bool((run.get("status") or {}).get("nodes"))
        if waits and not self.jumped and not self.jobs():
            self.jumped = True
            self.stage.mistake_the_time(200.0)

    async def before(self, asked: Asked) -> Response | None:
        ends = self.is_about(asked, "PATCH", WORKFLOW_RUNS) and "completionTime" in (asked.body.get("status") or {})
        if ends and self.jumped and not self.held and not self.jobs():
            self.held = asked
            self.stage.kill(asked.actor)
            return status(500, "InternalError")
        if self.held and self.is_about(asked, "POST", JOBS):
            held, body = self.held, orjson.dumps(self.held.body)
            answer = await self.stage.api.request(
                held.method, held.path, params=held.params, headers=held.headers, body=body,
                content_type=held.content_type, time_limit=1.0, actor=held.actor,
            )  # fmt: skip
            if answer.status == 200:
                self.acts()
        return None


PLOTS: tuple[type[Plot], ...] = (
    HeldBackAtTheStart, AskedForTwice, NoUseAskingAgain, RefusedThoughItStands, OldNews, BesideItsSuccessor,
    NeededAgain, *(GoneWhileItIsRead,) * 2, *(EndedByAWrongClock,) * 3,
)  # fmt: skip
"""As often as it takes for each to come to its point."""
