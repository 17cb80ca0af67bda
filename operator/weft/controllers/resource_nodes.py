"""The body `resource`: an object of any kind, created and then watched as the run's own service account.

What it says of itself is judged by the pass (`judge_resource`); here it is looked at every few seconds. An object whose
attempt is stopped is deleted, as the account that has made it; one whose attempt has ended by itself stays as long
as the run.

An object that is there already is the run's only if a resource node of the run has made it, an attempt before or this
one before a crash; then it is applied once more. Any other is not touched: whoever may start a run would otherwise
overwrite it, and have it deleted with the run. So nobody looks first: creating tells, and what is found then is applied
by its UID, so that another in its place is not touched either.
"""

from __future__ import annotations

import logging

from weft.api.conditions import Reason
from weft.api.objects import Obj, uid_of
from weft.controllers.attempts import Attempts, Wake
from weft.controllers.in_flight import InFlight
from weft.controllers.live import LiveRun
from weft.controllers.patience import REFUSALS, passing, taken
from weft.engine import rendering
from weft.engine.actions import Start
from weft.engine.observation import AttemptPending
from weft.engine.state import AttemptId
from weft.expr.cel import ExpressionError
from weft.kube.client import Client, PatchType
from weft.kube.clock import Clock
from weft.kube.discovery import Discovery
from weft.kube.errors import AlreadyExists, ApiError, BadRequest, Conflict, Forbidden, Invalid, NotFound
from weft.kube.resources import Resource
from weft.render.names import child_labels, object_name, run_owner

_log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
"""How often an attempt's object is looked at."""


class ResourceNodes:
    """Creates the objects, watches them, and deletes those that are stopped."""

    def __init__(self, client: Client, attempts: Attempts, *, wake: Wake, clock: Clock, impersonate: bool) -> None:
        self._client = client
        self._discovery = Discovery(client)
        self._attempts = attempts
        self._wake = wake
        self._clock = clock
        self._impersonate = impersonate
        self._in_flight = InFlight()

    def start(self, live: LiveRun, action: Start) -> None:
        """Apply the attempt's object and watch it, where the operator may act as a run's account."""
        if not self._impersonate:
            message = "resource nodes are off; set resourceNodes.enabled in the chart"
            self._attempts.end(live, action.id, succeeded=False, reason=Reason.Forbidden, message=message, fatal=True)
        else:
            self._attempts.begin(live, action.id, self._resource(live, action))

    async def delete(self, live: LiveRun, id_: AttemptId) -> None:
        """Delete the object that an attempt has applied, if it is there and the run's."""
        task = live.tasks.get(id_)
        if task is not None:
            task.cancel()  # else it would apply the object again
        manifest = self._asked_for(live, id_)
        if manifest is None:
            return
        name, namespace = manifest["metadata"]["name"], live.key.namespace
        client = self._acting(live)
        try:
            resource = await self._discovery.resource(str(manifest["apiVersion"]), str(manifest["kind"]))
            obj = await client.get(resource, name, namespace=namespace)
            if _is_of_a_node(live, obj):
                await client.delete(resource, name, namespace=namespace, uid=uid_of(obj))
        except (Conflict, NotFound, Invalid, BadRequest):  # of what cannot be asked for, nothing has been made
            return
        except Forbidden as error:
            _log.warning("%s %s: the object stays as long as the run: %s", live.key, id_.path, error)

    def _asked_for(self, live: LiveRun, id_: AttemptId) -> Obj | None:
        """What the attempt's object was asked to be; rendered anew where a process that has died has applied it."""
        manifest, unit = live.manifests.get(id_), live.state.active.get(id_)
        if manifest is not None or unit is None or not self._impersonate:
            return manifest
        try:
            return _manifest(live, id_, rendering.payload(live.state, unit))
        except ExpressionError as error:  # outputs that it needs have been lost
            _log.warning("%s %s: the object stays as long as the run: %s", live.key, id_.path, error)
            return None

    def _acting(self, live: LiveRun) -> Client:
        """A client that may do what the run's service account may do."""
        account = (live.frozen.get("defaults") or {}).get("serviceAccountName") or "default"
        return self._client.acting_as(f"system:serviceaccount:{live.key.namespace}:{account}")

    async def _resource(self, live: LiveRun, action: Start) -> None:
        """Make the object as the run's service account, then look at it until its conditions decide."""
        client, manifest = self._acting(live), _manifest(live, action.id, action.payload)
        metadata = manifest["metadata"]
        if metadata["namespace"] != live.key.namespace:
            message = f"metadata.namespace must be the run's own, {live.key.namespace}"
            self._attempts.end(live, action.id, succeeded=False, reason=Reason.Forbidden, message=message, fatal=True)
            return
        live.manifests[action.id] = manifest
        while True:
            try:
                resource = await self._discovery.resource(str(manifest["apiVersion"]), str(manifest["kind"]))
                if not resource.namespaced:
                    message = f"{resource.kind} is cluster-scoped; a resource node makes objects of the run's namespace"
                    self._attempts.end(
                        live, action.id, succeeded=False, reason=Reason.Forbidden, message=message, fatal=True
                    )
                    return
                async with self._in_flight.room(live.key.namespace):
                    obj = await _made(live, client, resource, manifest)
                taken(live, action.id, now=self._clock.now())
                while True:
                    live.objects[action.id] = obj
                    self._wake(live.key)
                    await self._clock.sleep(POLL_SECONDS)
                    async with self._in_flight.room(live.key.namespace):
                        obj = await client.get(resource, metadata["name"], namespace=live.key.namespace)
            except _Taken as error:
                self._attempts.end(
                    live, action.id, succeeded=False, reason=Reason.ResourceFailed, message=str(error), fatal=True
                )
                return
            except REFUSALS as error:
                if pending := passing(live, action.id, error, now=self._clock.now()):
                    live.inbox.append(AttemptPending(action.id, pending, error.message, self._clock.now()))
                    self._wake(live.key)
                    await self._clock.sleep(live.refused(action.id))
                    continue
                gone = isinstance(error, NotFound) and action.id in live.objects
                message = "the object was deleted by somebody" if gone else error.message
                reason = Reason.ResourceFailed if gone or not isinstance(error, Forbidden) else Reason.Forbidden
                self._attempts.end(live, action.id, succeeded=False, reason=reason, message=message, fatal=not gone)
                return
            except ApiError as error:
                _log.warning("resource of %s %s: %s", live.key, action.id.path, error)
                await self._clock.sleep(POLL_SECONDS)


class _Taken(Exception):
    """The object's name is another's."""


async def _made(live: LiveRun, client: Client, resource: Resource, manifest: Obj) -> Obj:
    """The object, created, or applied to what a node of the run has made. Raises _Taken, and ApiError."""
    metadata = manifest["metadata"]
    resource.path(namespace=live.key.namespace, name=metadata["name"])  # Invalid for a name that leads elsewhere
    try:
        return await client.create(resource, manifest, strict=True)  # as kubectl asks, and as applying is
    except AlreadyExists:
        pass
    try:
        there = await client.get(resource, metadata["name"], namespace=live.key.namespace)
    except NotFound as error:
        raise Conflict(f"{resource.kind} {metadata['name']} has just gone", code=409) from error
    if not _is_of_a_node(live, there):
        raise _Taken(
            f"{resource.kind} {metadata['name']} is there already and not this run's: choose another name, or delete it"
        )
    wanted = manifest | {"metadata": metadata | {"uid": uid_of(there)}}
    return await client.patch(
        resource, metadata["name"], wanted, namespace=live.key.namespace, patch_type=PatchType.APPLY
    )


def _is_of_a_node(live: LiveRun, obj: Obj) -> bool:
    """Whether a resource node of the run has made the object; what the run controls (its Jobs) none has."""
    owners = obj["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == live.ref.uid and not owner.get("controller") for owner in owners)


def _manifest(live: LiveRun, id_: AttemptId, payload: Obj) -> Obj:
    """The object that an attempt makes, as the run's."""
    manifest: Obj = dict(payload)
    metadata = manifest["metadata"] = dict(manifest.get("metadata") or {})
    metadata.setdefault("namespace", live.key.namespace)
    metadata["name"] = object_name(live.ref, id_, payload)
    metadata["labels"] = (metadata.get("labels") or {}) | child_labels(live.ref, id_.path, id_.attempt)
    metadata["ownerReferences"] = [run_owner(live.ref) | {"controller": False, "blockOwnerDeletion": False}]
    return manifest
