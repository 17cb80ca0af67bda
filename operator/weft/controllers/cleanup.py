"""Deletes what `retention` decides: finished runs whose time has come, and Jobs nobody wants to keep.

A run is looked at when it ends, when its time to live has passed, and when its Workflow changes. Each object is deleted
by itself and only if it is still the one that was meant (its UID); what belongs to it goes in the background. Not more
than a few deletions are under way at once: there is no hurry, and a history of thousands must not crowd out live runs.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from weft.api.objects import Key, Obj, key_of, uid_of, version_of
from weft.controllers.catalog import Catalog, spec_changed
from weft.controllers.removal import Removal
from weft.controllers.retention import expires_at, jobs_to_delete, kept_jobs, runs_to_delete
from weft.controllers.revisions import Revisions
from weft.controllers.run_facts import deleted, identity, is_over, parent_uid, workflow_of
from weft.kube.client import Client
from weft.kube.clock import Clock, Spawn
from weft.kube.errors import Conflict, NotFound
from weft.kube.resources import WORKFLOW_RUNS, WORKFLOWS, Resource
from weft.kube.store import ChildStore
from weft.kube.workqueue import WorkQueue
from weft.metrics import Metrics

PAUSE_SECONDS = 1.0
"""From a run's end to looking at it: its own loop first lets its Pods and Jobs go."""
AT_ONCE = 4


class _Place(NamedTuple):
    kind: Resource  # a run, or a Workflow whose history is to be cut
    key: Key


class Cleanup:
    """Deletes finished runs and their Jobs. Call `follow` before the catalog is filled, `start` after."""

    def __init__(
        self,
        client: Client,
        catalog: Catalog,
        store: ChildStore,
        removal: Removal,
        revisions: Revisions,
        *,
        clock: Clock,
        rng: random.Random,
        spawn: Spawn,
        metrics: Metrics,
    ):
        """Take what it works with."""
        self._client = client
        self._catalog = catalog
        self._store = store
        self._removal = removal
        self._revisions = revisions
        self._clock = clock
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._queue: WorkQueue[_Place] = WorkQueue(
            "cleanup", self._look, workers=2, clock=clock, rng=rng, spawn=spawn, metrics=metrics
        )

    def follow(self) -> None:
        """Hear of every change from now on."""
        self._catalog.subscribe(WORKFLOW_RUNS, self._on_run)
        self._catalog.subscribe(WORKFLOWS, self._on_workflow)

    def start(self) -> None:
        """Start the workers and look at every run that is over, and every Workflow, once."""
        self._queue.start()
        for run in self._catalog.runs:
            self._on_run("ADDED", run, None)
        for workflow in self._catalog.workflows:
            self._on_workflow("ADDED", workflow, None)

    async def shutdown(self) -> None:
        """Finish what is due and stop."""
        await self._queue.shutdown()

    def _on_run(self, event_type: str, run: Obj, old: Obj | None) -> None:
        key, soon = key_of(run), self._clock.now() + PAUSE_SECONDS
        if event_type == "DELETED":
            self._queue.forget(_Place(WORKFLOW_RUNS, key))  # its time to live may have been weeks
        elif is_over(run):
            self._queue.add_after(_Place(WORKFLOW_RUNS, key), soon)
            workflow = workflow_of(run)
            if workflow is not None and parent_uid(run) is None:
                self._queue.add_after(_Place(WORKFLOWS, Key(key.namespace, workflow)), soon)

    def _on_workflow(self, event_type: str, workflow: Obj, old: Obj | None) -> None:
        if event_type != "DELETED" and spec_changed(workflow, old):
            self._queue.add(_Place(WORKFLOWS, key_of(workflow)))

    async def _look(self, place: _Place) -> None:
        if place.kind is WORKFLOWS:
            limits = self._workflow_spec(place.key).get("historyLimits")
            if limits:
                runs = self._catalog.runs_of_workflow(*place.key)
                await self._few_at_once(self._delete, runs_to_delete(runs, limits))
            return
        run = self._catalog.runs.get(*place.key)
        if run is not None and is_over(run) and not deleted(run):
            await self._look_at_run(place, run)

    async def _look_at_run(self, place: _Place, run: Obj) -> None:
        spec = await self._spec(run)
        families = self._store.children(place.key.namespace, uid_of(run)).jobs
        await self._few_at_once(self._removal.remove, jobs_to_delete(kept_jobs(spec), families))
        due = expires_at(run["status"], spec.get("ttlSecondsAfterFinished"))
        if due is None or parent_uid(run) is not None:
            return
        if due <= self._clock.now():
            await self._few_at_once(self._delete, [run])
        elif self._catalog.run(identity(run)) is not None:  # else it has gone just now, and nobody would forget it
            self._queue.add_after(place, due)

    async def _spec(self, run: Obj) -> dict[str, Any]:
        """Give the spec the run was started with; one that never started has its Workflow's, or its own."""
        namespace = key_of(run).namespace
        revision = run["status"].get("workflowRevision")
        if revision:
            try:
                return await self._revisions.spec(namespace, revision)
            except NotFound:
                return {}  # somebody deleted it: nobody can say how long the run was to be kept
        inline: dict[str, Any] = run["spec"].get("workflow") or {}
        return inline or self._workflow_spec(Key(namespace, workflow_of(run) or ""))

    def _workflow_spec(self, key: Key) -> dict[str, Any]:
        workflow = self._catalog.workflows.get(*key)
        return {} if workflow is None else workflow["spec"]

    async def _delete(self, run: Obj) -> None:
        """Delete a run only as it was judged: somebody may just have asked for a rerun."""
        namespace, name = key_of(run)
        with suppress(Conflict):  # else it is looked at again when the change is heard of
            await self._client.delete(
                WORKFLOW_RUNS, name, namespace=namespace, uid=uid_of(run), version=version_of(run)
            )

    async def _few_at_once(self, delete: Callable[[Obj], Awaitable[None]], objects: Iterable[Obj]) -> None:
        async def in_turn(obj: Obj) -> None:
            async with self._slots:
                await delete(obj)

        await asyncio.gather(*map(in_turn, objects))
