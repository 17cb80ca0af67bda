"""What Weft's own resources are right now, as the API server last told: the one place where controllers look them up.

kopf tells of each change (`apply`); answers to our own writes go in by `remember`. kopf does not tell what was deleted
while its watch was down, so everything is listed at the start and again from time to time (`replace`): what the list
lacks has vanished. All three feed caches that never step back in time, and subscribers hear of each change once.
Indexes answer what would otherwise cost a walk over all runs.
"""

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

from weft.api.objects import Key, Obj, Objects, key_of, version_of
from weft.controllers.history import remembered
from weft.controllers.run_facts import at_rest, identity, parent_of, workflow_of
from weft.graph.types import used_types
from weft.kube.cache import Cache, Change
from weft.kube.client import Client, items_of
from weft.kube.errors import NotFound
from weft.kube.resources import (
    APPROVALS,
    NODE_TYPES,
    NOTIFICATION_CHANNELS,
    WORKFLOW_QUEUES,
    WORKFLOW_RUNS,
    WORKFLOWS,
    Resource,
)
from weft.kube.store import RunKey

_log = logging.getLogger(__name__)

KINDS = (NODE_TYPES, WORKFLOW_QUEUES, NOTIFICATION_CHANNELS, WORKFLOWS, WORKFLOW_RUNS, APPROVALS)
"""Every kind of Weft's, what others refer to first."""

_WHAT_PEOPLE_WRITE = ("generation", "deletionTimestamp", "labels", "annotations", "ownerReferences", "finalizers")

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

Subscriber = Callable[[str, Obj, Obj | None], None]
"""Told of ADDED, MODIFIED or DELETED, the object and what was held before; synchronous and fast."""


class Index:
    """Objects by something else than their name."""

    def __init__(self, of: Callable[[Obj], Hashable | None]):
        """Take what an object is found by; None: it is not found here."""
        self._of = of
        self._found: dict[Hashable, dict[Key, Obj]] = {}

    def get(self, value: Hashable) -> Objects:
        """Give the objects found by the value, in the order they were first seen."""
        return list(self._found.get(value, {}).values())

    def update(self, change: Change) -> None:
        """Take a change of the cache in."""
        value, key = self._of(change.obj), key_of(change.obj)
        before = self._of(change.old) if change.old is not None else None
        if before is not None and (change.type == "DELETED" or before != value):
            members = self._found.get(before, {})
            members.pop(key, None)
            if not members:
                self._found.pop(before, None)
        if value is not None and change.type != "DELETED":
            self._found.setdefault(value, {})[key] = change.obj


class Catalog:
    """Caches, indexes and subscribers of all of Weft's kinds."""

    def __init__(self, *, monotonic: Callable[[], float]):
        """Take the clock by which the caches forget the dead."""
        self._caches = {kind: Cache(monotonic=monotonic) for kind in KINDS}
        self._subscribers: dict[Resource, list[Subscriber]] = {kind: [] for kind in KINDS}
        self._by_identity = Index(identity)
        self._by_workflow = Index(lambda run: _in_namespace(run, workflow_of(run)))
        self._by_owner = Index(lambda run: None if at_rest(run) else parent_of(run))
        self._by_run = Index(lambda approval: RunKey(key_of(approval).namespace, approval["spec"]["run"]["uid"]))
        self._indexes = {
            WORKFLOW_RUNS: (self._by_identity, self._by_workflow, self._by_owner),
            APPROVALS: (self._by_run,),
        }
        self.runs = self._caches[WORKFLOW_RUNS]
        self.workflows = self._caches[WORKFLOWS]
        self.node_types = self._caches[NODE_TYPES]
        self.approvals = self._caches[APPROVALS]
        self.queues = self._caches[WORKFLOW_QUEUES]
        self.channels = self._caches[NOTIFICATION_CHANNELS]

    def subscribe(self, kind: Resource, subscriber: Subscriber) -> None:
        """Tell the subscriber of every change from now on."""
        self._subscribers[kind].append(subscriber)

    def apply(self, kind: Resource, event_type: str | None, obj: Obj) -> None:
        """Take one event in; its type is None for an object of kopf's initial listing."""
        obj.setdefault("apiVersion", kind.api_version)
        obj.setdefault("kind", kind.kind)
        self._tell(kind, self._caches[kind].apply(event_type or "MODIFIED", _kept(kind, obj)))

    def remember(self, kind: Resource, obj: Obj) -> None:
        """Take the answer to one of our own writes in, so that the next look finds it; subscribers hear of it too."""
        self.apply(kind, "MODIFIED", obj)

    def replace(self, kind: Resource, objects: Objects, *, version: str) -> None:
        """Take a whole list in (of `list_kind`) and tell of what was missed."""
        self._tell(kind, self._caches[kind].replace(objects, version=version))

    def run(self, run: RunKey) -> Obj | None:
        """Give the run of that namespace and UID."""
        return next(iter(self._by_identity.get(run)), None)

    def runs_of_workflow(self, namespace: str, workflow: str) -> Objects:
        """Give the runs of a Workflow, child runs among them."""
        return self._by_workflow.get((namespace, workflow))

    def workflows_using(self, namespace: str, node_type: str) -> Objects:
        """Give the Workflows that use a NodeType."""
        found = (workflow for workflow in self.workflows if key_of(workflow).namespace == namespace)
        return [workflow for workflow in found if node_type in used_types(workflow["spec"])]

    def child_runs(self, run: RunKey) -> Objects:
        """Give the runs that this run has started and that have not ended, or are to run again."""
        return self._by_owner.get(run)

    def approvals_of(self, run: RunKey) -> Objects:
        """Give the Approvals for the run."""
        return self._by_run.get(run)

    def node_type_specs(self, namespace: str, names: Iterable[str]) -> dict[str, Obj]:
        """Give the specs of those NodeTypes that exist."""
        found = {name: self.node_types.get(namespace, name) for name in names}
        return {name: node_type["spec"] for name, node_type in found.items() if node_type is not None}

    def _tell(self, kind: Resource, changes: Iterable[Change]) -> None:
        for change in changes:
            for index in self._indexes.get(kind, ()):
                index.update(change)
            for subscriber in self._subscribers[kind]:
                try:
                    subscriber(*change)
                except Exception:
                    _log.exception("a subscriber of %s failed", kind.plural)


async def list_kind(client: Client, kind: Resource, namespaces: Sequence[str] = ()) -> tuple[Objects, str]:
    """List a kind (in these namespaces; none: all); gives the objects and the version of the list. Raises ApiError."""
    objects: Objects = []
    version = ""
    for namespace in namespaces or ("",):
        async for page in client.pages(kind, namespace=namespace):
            # The oldest version of all pages and namespaces: what is newer than it cannot be missing.
            version = version or version_of(page)
            objects += (_kept(kind, obj) for obj in items_of(page, kind))
    return objects, version


async def write_status(client: Client, catalog: Catalog, kind: Resource, key: Key, status: Mapping[str, Any]) -> None:
    """Write the status of one of our resources, if it still stands, and take the answer in. Raises ApiError."""
    try:
        written = await client.patch_status(kind, key.name, {"status": status}, namespace=key.namespace)
    except NotFound:
        return
    catalog.remember(kind, written)


def spec_changed(obj: Obj, old: Obj | None) -> bool:
    """Say whether more than the status has changed: what our own status writes do wakes nobody."""
    if old is None:
        return True
    now, before = obj["metadata"], old["metadata"]
    return any(now.get(name) != before.get(name) for name in _WHAT_PEOPLE_WRITE)


def _kept(kind: Resource, obj: Obj) -> Obj:
    """Give what is kept of an object: not who owns which field, nor kubectl's copy of it, nor all of an old run."""
    metadata = obj["metadata"]
    metadata.pop("managedFields", None)
    if annotations := metadata.get("annotations"):
        annotations.pop(_LAST_APPLIED, None)
    return remembered(obj) if kind is WORKFLOW_RUNS else obj


def _in_namespace(run: Obj, name: str | None) -> Hashable | None:
    return None if name is None else (key_of(run).namespace, name)
