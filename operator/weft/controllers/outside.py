"""Bodies without a Pod of their own: HTTP requests, other resources, child runs.

One door to all three: an attempt is started and stopped here by its kind, and what concerns one kind alone is behind it
(`http_nodes`, `resource_nodes`, `child_runs` with `child_controls`). Requests and watched resources run as tasks
(`attempts`); a child run carries itself out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from weft.api.conditions import Reason
from weft.api.objects import Obj
from weft.controllers import child_controls, child_runs
from weft.controllers.attempts import Attempts, Wake
from weft.controllers.child_controls import ChildControls
from weft.controllers.child_runs import ChildRuns
from weft.controllers.http_nodes import HttpNodes
from weft.controllers.live import LiveRun
from weft.controllers.resource_nodes import ResourceNodes
from weft.engine.actions import Start
from weft.engine.observation import AttemptEnded
from weft.engine.state import AttemptId
from weft.kube.client import Client
from weft.kube.clock import Clock, Spawn
from weft.notify.guarded_http import GuardedHttp


class Runs(child_runs.Runs, child_controls.Owners, Protocol):
    """The cache of WorkflowRuns."""


class Outside:
    """Starts and stops what runs outside of Pods."""

    def __init__(
        self,
        client: Client,
        runs: Runs,
        http: GuardedHttp,
        *,
        remember: Callable[[Obj], None],
        wake: Wake,
        clock: Clock,
        spawn: Spawn,
        impersonate: bool,
    ) -> None:
        self._attempts = attempts = Attempts(wake=wake, clock=clock, spawn=spawn)
        self._controls = ChildControls(client, runs)
        self._child_runs = ChildRuns(client, runs, self._controls, attempts, remember=remember, clock=clock)
        self._http_nodes = HttpNodes(http, attempts)
        self._resource_nodes = ResourceNodes(client, attempts, wake=wake, clock=clock, impersonate=impersonate)

    async def start(self, live: LiveRun, action: Start) -> None:
        """Start an attempt of an http, resource or workflow body."""
        if action.id in live.tasks:
            return
        if action.kind == "workflow":
            await self._child_runs.start(live, action)
        elif action.kind == "http":
            self._http_nodes.start(live, action)
        else:
            self._resource_nodes.start(live, action)

    async def stop(self, live: LiveRun, id_: AttemptId, kind: str) -> None:
        """Stop an attempt; its end goes into the inbox, at once or when the child run has ended."""
        if kind == "workflow":
            await self._child_runs.stop(live, id_)
            return
        if kind == "resource":
            await self._resource_nodes.delete(live, id_)
        live.forget(id_)  # which ends its task
        self._attempts.end(live, id_, succeeded=False, reason=Reason.Stopped, message="stopped")

    def child_seen(self, live: LiveRun, id_: AttemptId, *, known: bool) -> AttemptEnded | None:
        """What the child run of an attempt tells; see `ChildRuns.seen`."""
        return self._child_runs.seen(live, id_, known=known)

    async def stop_child(self, live: LiveRun, child: Obj) -> None:
        """Have a child run end with its parent; see `ChildControls.stop`."""
        await self._controls.stop(live, child)

    async def control(self, child: Obj, *, suspend: bool | None = None, stop: str | None = None) -> None:
        """Pass controls on to a child run; see `ChildControls.control`."""
        await self._controls.control(child, suspend=suspend, stop=stop)

    async def with_its_parents(self, run: Obj) -> Obj:
        """Suspend a run that is read anew when a run above it is suspended; see `ChildControls.with_its_parents`."""
        return await self._controls.with_its_parents(run)
