"""Bodies without a Pod of their own: HTTP requests, other resources, child runs.

One door to all three: an attempt is started and stopped here by its kind, and what concerns one kind alone is behind it
(`http_nodes`, `resource_nodes`, `child_runs`). Requests and watched resources run as tasks (`attempts`); a child run
carries itself out.
"""

from __future__ import annotations

from weft.api.conditions import Reason
from weft.controllers.attempts import Attempts, Wake
from weft.controllers.child_runs import ChildRuns
from weft.controllers.http_nodes import HttpNodes
from weft.controllers.live import LiveRun
from weft.controllers.resource_nodes import ResourceNodes
from weft.engine.actions import Start
from weft.engine.state import AttemptId
from weft.kube.client import Client
from weft.kube.clock import Clock
from weft.notify.guarded_http import GuardedHttp


class Outside:
    """Starts and stops what runs outside of Pods."""

    def __init__(
        self,
        client: Client,
        attempts: Attempts,
        child_runs: ChildRuns,
        http: GuardedHttp,
        *,
        wake: Wake,
        clock: Clock,
        impersonate: bool,
    ) -> None:
        self._attempts = attempts
        self._child_runs = child_runs
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
