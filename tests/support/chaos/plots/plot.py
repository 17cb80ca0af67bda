"""A plot: a small run of its own, and people (or a process) who act in the one moment when it hurts.

All of it is over with the storm's time. The weather is fair meanwhile, for a storm would tear most plots apart.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import orjson
from support.asked import Asked
from support.chaos.dice import Dice
from support.chaos.people import People, has_ended
from support.chaos.plan import NAMESPACE, Plan, document_of, run_of
from support.fakeapi import FakeApi
from support.kubelet import Fate
from support.transport import status
from weft.api.objects import Obj, key_of
from weft.kube.resources import JOBS, PODS, WORKFLOW_RUNS, Resource
from weft.kube.transport import Response
from weft.render.names import ATTEMPT_LABEL

JOB: Obj = {"job": {"image": "i"}}
COLLECT_SECONDS = 3.0
"""How long the cluster's own controllers take to let go of what nobody owns any more."""


class Stage(Protocol):
    """What a plot may use of the world; times are in seconds."""

    api: FakeApi
    people: People

    def later(self, seconds: float, deed: Callable[[], Any]) -> None:
        """Do that after so long."""
        ...

    def note(self, text: str) -> None:
        """Put a line into the story."""
        ...

    def kill(self, name: str) -> None:
        """End that process."""
        ...

    def deafen(self, name: str, plural: str, seconds: float) -> None:
        """Let that process hear nothing of a resource for so long."""
        ...

    def let_go(self, pod: Obj) -> None:
        """Have the cluster's own controllers take their finalizer off a Pod."""
        ...

    def mistake_the_time(self, seconds: float) -> None:
        """Let the clock of the process that leads jump."""
        ...


class Plot:
    """One run of one Workflow under its own name; the hooks see each request of an operator while the storm lasts."""

    name: ClassVar[str]
    spec: ClassVar[Obj]
    settings: ClassVar[dict[str, Any]] = {}
    held: Asked | None = None
    deaths = 0
    asked = 0
    collect_seconds: ClassVar[float] = COLLECT_SECONDS

    def __init__(self, stage: Stage, dice: Dice) -> None:
        self.stage = stage
        self.dice = dice

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

    def kill(self, asked: Asked) -> None:
        """End the process that has asked for this."""
        self.deaths += 1
        self.stage.kill(asked.actor)

    def ask_again(self, run: Obj) -> None:
        """Somebody asks for the run once more."""
        self.asked += 1
        self.stage.people.ask_again(run)

    def ended(self) -> Obj | None:
        """The run, if it has ended."""
        run = self.run()
        return run if run is not None and has_ended(run) else None

    def delete_jobs(self) -> None:
        """Somebody deletes its Jobs."""
        for job in self.jobs():
            self.stage.people.delete(JOBS, key_of(job))

    def hold(self, asked: Asked) -> Response:
        """Let a write be its process's last, and arrive when it is delivered."""
        self.held = asked
        self.kill(asked)
        return status(500, "InternalError")

    async def deliver(self) -> None:
        """Let the last words of the dead arrive, if there are any."""
        if self.held is None:
            return
        (held, self.held), body = (self.held, None), orjson.dumps(self.held.body)
        answer = await self.stage.api.request(
            held.method, held.path, params=held.params, headers=held.headers, body=body,
            content_type=held.content_type, time_limit=1.0, actor=held.actor,
        )  # fmt: skip
        if answer.status in (200, 201):
            self.acts()

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


def attempt_of(child: Obj) -> int:
    """Which attempt a Job or Pod is, by its label."""
    return int(child["metadata"]["labels"][ATTEMPT_LABEL])
