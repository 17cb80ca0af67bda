"""What a run's suspension and stop mean for its child runs: they are passed on, in the child's own spec.

A child that is suspended with its parent bears a mark, for it is resumed with it; one that somebody has suspended by
itself is left as it is. A stop may only grow.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

from weft.api.base import GROUP
from weft.api.objects import Obj, annotation, key_of, uid_of
from weft.controllers.live import LiveRun
from weft.controllers.run_facts import finished
from weft.kube.client import Client
from weft.kube.errors import BadRequest, Invalid, NotFound
from weft.kube.resources import WORKFLOW_RUNS

_log = logging.getLogger(__name__)

SUSPENDED_ANNOTATION = f"{GROUP}/suspended-with-parent"
"""On a child run: it is resumed with the run that started it."""


class Owners(Protocol):
    """The cache of WorkflowRuns, by what they own."""

    def owner_of(self, obj: Obj, kind: str) -> Obj | None:
        """The run that owns an object, or None."""
        ...


class ChildControls:
    """Passes controls on to child runs."""

    def __init__(self, client: Client, runs: Owners) -> None:
        self._client = client
        self._runs = runs

    async def stop(self, live: LiveRun, child: Obj) -> None:
        """Have a child run end as hard as its parent is told to, and at least be cancelled."""
        await self.control(child, stop="Terminate" if live.state.stop == "Terminate" else "Cancel")

    async def control(self, child: Obj, *, suspend: bool | None = None, stop: str | None = None) -> None:
        """Pass controls on to a child run, unless it says so already (or more); None: as it is.

        Only what was suspended with its parent is resumed with it: somebody may have suspended the child by itself.
        """
        patch: Obj = {}
        if stop is not None and child["spec"].get("stop") != stop and not _beyond(child["spec"].get("stop"), stop):
            patch = {"spec": {"stop": stop}}
        if suspend and not child["spec"].get("suspend"):
            patch = _suspended(patch, now=True)
        elif suspend is False and child["spec"].get("suspend") and annotation(child, SUSPENDED_ANNOTATION):
            patch = _suspended(patch, now=False)
        if patch:
            namespace, name = key_of(child)
            try:
                await self._client.patch(WORKFLOW_RUNS, name, patch, namespace=namespace)
            except (NotFound, Invalid, BadRequest):
                _log.info("child run %s/%s does not take %s", namespace, name, patch)

    async def with_its_parents(self, run: Obj) -> Obj:
        """Suspend a run that is read anew when a run above it is suspended; gives the run as it is then.

        The user may have suspended the parent while no operator was there to pass it on, and the child would go on.
        """
        parent, seen = self._parent(run), {uid_of(run)}
        while parent is not None and not run["spec"].get("suspend") and uid_of(parent) not in seen:
            seen.add(uid_of(parent))  # runs that own each other, as somebody may have written, lead nowhere
            if parent["spec"].get("suspend") and not parent["spec"].get("stop"):
                namespace, name = key_of(run)
                return await self._client.patch(WORKFLOW_RUNS, name, _suspended({}, now=True), namespace=namespace)
            parent = self._parent(parent)
        return run

    def _parent(self, run: Obj) -> Obj | None:
        """The run that a child run belongs to, while it is active."""
        parent = self._runs.owner_of(run, WORKFLOW_RUNS.kind)
        return None if parent is None or finished(parent) else parent


def _suspended(patch: Obj, *, now: bool) -> Obj:
    """Add to a patch of a child run that it is suspended with its parent, or resumed with it."""
    metadata = {"annotations": {SUSPENDED_ANNOTATION: "true" if now else None}}
    return {"metadata": metadata, "spec": {**patch.get("spec", {}), "suspend": now}}


def _beyond(has: Any, wanted: Any) -> bool:
    order = ("Drain", "Cancel", "Terminate")
    return has in order and wanted in order and order.index(has) > order.index(wanted)
