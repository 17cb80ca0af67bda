"""`Ready`: whether a Workflow, a NodeType or a NotificationChannel can be used, told in its status before it is tried.

Each is checked when its spec changes, as `weft validate` would, a Workflow also when a NodeType it uses changes. What
is wrong stands in the condition with its path; becoming wrong is an Event, too. A valid Workflow's spec is frozen at
once and named in its status: the first run finds its revision made, and people see what a run would be started with.
"""

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from weft.api.conditions import ConditionType, Reason, find_condition, ready_condition
from weft.api.objects import Key, Obj, key_of
from weft.api.problems import Problem, summary
from weft.controllers.catalog import Catalog, spec_changed, write_status
from weft.controllers.compiler import Compiler
from weft.controllers.enforcement import Enforcement
from weft.controllers.revisions import Revisions
from weft.graph.compile import InvalidWorkflow
from weft.graph.types import used_types
from weft.graph.validate import validate
from weft.kube.client import Client
from weft.kube.clock import Clock, Spawn
from weft.kube.errors import NamespaceTerminating
from weft.kube.events import Recorder
from weft.kube.resources import NODE_TYPES, NOTIFICATION_CHANNELS, WORKFLOWS, Resource
from weft.kube.workqueue import WorkQueue
from weft.metrics import Metrics

KINDS = (NODE_TYPES, WORKFLOWS, NOTIFICATION_CHANNELS)
_GOOD_FOR = {
    WORKFLOWS: "a run can be started",
    NODE_TYPES: "Workflows can use it",
    NOTIFICATION_CHANNELS: "deliveries can be made",
}


class _Place(NamedTuple):
    kind: Resource
    key: Key


class Readiness:
    """Keeps `Ready` true to the spec. Call `follow` before the catalog is filled, `start` after."""

    def __init__(
        self,
        client: Client,
        catalog: Catalog,
        compiler: Compiler,
        revisions: Revisions,
        recorder: Recorder,
        enforcement: Enforcement,
        *,
        clock: Clock,
        rng: random.Random,
        spawn: Spawn,
        metrics: Metrics,
    ):
        """Take what it works with."""
        self._client = client
        self._catalog = catalog
        self._compiler = compiler
        self._revisions = revisions
        self._recorder = recorder
        self._enforcement = enforcement
        self._clock = clock
        self._caches = {
            WORKFLOWS: catalog.workflows,
            NODE_TYPES: catalog.node_types,
            NOTIFICATION_CHANNELS: catalog.channels,
        }
        self._queue: WorkQueue[_Place] = WorkQueue(
            "workflows", self._look, workers=2, clock=clock, rng=rng, spawn=spawn, metrics=metrics
        )

    def follow(self) -> None:
        """Hear of every change from now on."""
        self._catalog.subscribe(WORKFLOWS, lambda event, obj, old: self._changed(WORKFLOWS, event, obj, old))
        self._catalog.subscribe(NODE_TYPES, lambda event, obj, old: self._changed(NODE_TYPES, event, obj, old))
        self._catalog.subscribe(
            NOTIFICATION_CHANNELS, lambda event, obj, old: self._changed(NOTIFICATION_CHANNELS, event, obj, old)
        )

        self._enforcement.subscribe(self._look_again)

    def start(self) -> None:
        """Start the workers and look at everything once."""
        self._queue.start()
        self._look_at(*self._caches)

    def _look_again(self) -> None:
        """Put what has become known of admission into every Workflow and NodeType."""
        self._look_at(WORKFLOWS, NODE_TYPES)

    def _look_at(self, *kinds: Resource) -> None:
        for kind in kinds:
            for obj in self._caches[kind]:
                self._queue.add(_Place(kind, key_of(obj)))

    async def shutdown(self) -> None:
        """Finish what is due and stop."""
        await self._queue.shutdown()

    def _changed(self, kind: Resource, event_type: str, obj: Obj, old: Obj | None) -> None:
        if event_type == "MODIFIED" and not spec_changed(obj, old):
            return
        key = key_of(obj)
        if event_type != "DELETED":
            self._queue.add(_Place(kind, key))
        if kind is NODE_TYPES:
            for workflow in self._catalog.workflows_using(*key):
                self._queue.add(_Place(WORKFLOWS, key_of(workflow)))

    async def _look(self, place: _Place) -> None:
        obj = self._caches[place.kind].get(*place.key)
        if obj is None:
            return
        before: Obj = obj.get("status") or {}
        types = self._catalog.node_type_specs(place.key.namespace, used_types(obj["spec"]))
        problems = await self._problems(obj, types) if place.kind is WORKFLOWS else validate(obj)
        status = self._status(place.kind, obj, before, problems)
        if place.kind is WORKFLOWS:
            try:
                frozen = None if problems else await self._revisions.freeze(*place.key, obj["spec"], types)
            except NamespaceTerminating:
                return  # it goes, and its Workflows with it
            status["revision"] = frozen
        was = find_condition(before.get("conditions") or (), ConditionType.Ready) or {}
        if problems and was.get("status") != "False":
            self._recorder.record(obj, "Warning", Reason.Invalid, summary(problems))
        if {name: value for name, value in (before | status).items() if value is not None} != before:
            await write_status(self._client, self._catalog, place.kind, place.key, status)

    async def _problems(self, workflow: Obj, types: dict[str, dict[str, Any]]) -> Sequence[Problem]:
        try:
            await self._compiler.compile(workflow["spec"], types)
        except InvalidWorkflow as error:
            return error.problems
        return ()

    def _status(self, kind: Resource, obj: Obj, before: Obj, problems: Sequence[Problem]) -> dict[str, Any]:
        generation = obj["metadata"].get("generation", 1)
        reason = Reason.Invalid if problems else Reason.Valid
        previous = before.get("conditions") or ()
        conditions = ready_condition(
            ready=not problems,
            reason=reason,
            message=summary(problems) if problems else _GOOD_FOR[kind],
            previous=previous,
            now=self._clock.now(),
            generation=generation,
        )
        if kind is not NOTIFICATION_CHANNELS:
            conditions += self._enforcement.conditions(previous, generation)
        return {"observedGeneration": generation, "conditions": conditions}
