"""Bodies without a Pod of their own: HTTP requests, other resources, child runs.

Requests and watched resources run as tasks that put what they saw into the run's inbox and wake its
loop. A request that was in flight when the operator died is sent again: its receiver must be able to
take it twice, which the page on http nodes says. An object whose attempt is stopped is deleted, as the
account that has applied it; one whose attempt has ended by itself stays as long as the run.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import orjson

from weft.api.base import API_VERSION, GROUP
from weft.api.conditions import Reason
from weft.controllers.jobs import TAKEN_SECONDS
from weft.controllers.live import LiveRun
from weft.controllers.patience import REFUSALS, hold, passing, refusal, taken, wait_out
from weft.controllers.run_facts import finished
from weft.engine import rendering
from weft.engine.actions import Start
from weft.engine.observation import AttemptEnded, AttemptPending
from weft.engine.state import AttemptId
from weft.expr.cel import ExpressionError
from weft.expr.template import to_text
from weft.kube.client import Client, PatchType
from weft.kube.clock import Clock, Spawn
from weft.kube.discovery import Discovery
from weft.kube.errors import AlreadyExists, ApiError, BadRequest, Conflict, Forbidden, Invalid, NotFound
from weft.kube.objects import Key, Obj, annotation, key_of, uid_of
from weft.kube.resources import PODS, WORKFLOW_RUNS
from weft.notify.guarded_http import GuardedHttp, RequestFailed
from weft.render.names import (
    RUN_LABEL,
    bears_identity,
    child_annotations,
    child_labels,
    job_name,
    label_value,
    run_owner,
)
from weft.render.observe import pod_fact

_log = logging.getLogger(__name__)

SUSPENDED_ANNOTATION = f"{GROUP}/suspended-with-parent"
"""On a child run: it is resumed with the run that started it."""
POLL_SECONDS = 2.0
"""How often a resource node's object is looked at, and what a deleted child run has left behind."""

Wake = Callable[[Key], None]


class Runs(Protocol):
    """The cache of WorkflowRuns."""

    def get(self, namespace: str, name: str) -> Obj | None:
        """The run, or None."""
        ...

    def owner_of(self, obj: Obj, kind: str) -> Obj | None:
        """The run that owns an object, or None."""
        ...


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
        self._client = client
        self._runs = runs
        self._http = http
        self._discovery = Discovery(client)
        self._remember = remember
        self._wake = wake
        self._clock = clock
        self._spawn = spawn
        self._impersonate = impersonate

    async def start(self, live: LiveRun, action: Start) -> None:
        """Start an attempt of an http, resource or workflow body."""
        if action.id in live.tasks:
            return
        if action.kind == "workflow":
            await self._start_run(live, action)
        elif action.kind == "http":
            self._task(live, action.id, self._request(live, action))
        elif not self._impersonate:
            message = "resource nodes are off; set resourceNodes.enabled in the chart"
            self._end(live, action.id, succeeded=False, reason=Reason.Forbidden, message=message, fatal=True)
        else:
            self._task(live, action.id, self._resource(live, action))

    async def stop_child(self, live: LiveRun, child: Obj) -> None:
        """Have a child run end as hard as its parent is told to, and at least be cancelled."""
        await self.control(child, stop="Terminate" if live.state.stop == "Terminate" else "Cancel")

    async def stop(self, live: LiveRun, id_: AttemptId, kind: str) -> None:
        """Stop an attempt; its end goes into the inbox, at once or when the child run has ended."""
        if kind == "workflow":
            child = await self._child(live, id_)
            if child is None:
                live.forget(id_)
                self._end(live, id_, succeeded=False, reason=Reason.Stopped, message="the child run is gone")
            elif not finished(child):
                await self.stop_child(live, child)
            return
        if kind == "resource":
            await self._delete(live, id_)
        live.forget(id_)
        self._end(live, id_, succeeded=False, reason=Reason.Stopped, message="stopped")

    async def _delete(self, live: LiveRun, id_: AttemptId) -> None:
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
            if any(owner["uid"] == live.ref.uid for owner in obj["metadata"].get("ownerReferences") or ()):
                await client.delete(resource, name, namespace=namespace, uid=uid_of(obj))
        except (Conflict, NotFound):
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

    async def _child(self, live: LiveRun, id_: AttemptId) -> Obj | None:
        """The attempt's child run; one that was only just made is asked for, since the cache may not know it yet."""
        known = self._known_child(live, id_)
        if known is not None:
            return known
        try:
            child = await self._client.get(WORKFLOW_RUNS, job_name(live.ref, id_), namespace=live.key.namespace)
        except NotFound:
            return None
        self._remember(child)
        return child if bears_identity(child, live.ref.uid, id_) else None

    def _known_child(self, live: LiveRun, id_: AttemptId) -> Obj | None:
        """The attempt's child run, if the cache knows it. A stranger of that name is none: its outputs are not ours."""
        child = self._runs.get(live.key.namespace, job_name(live.ref, id_))
        return child if child is not None and bears_identity(child, live.ref.uid, id_) else None

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

    def child_seen(self, live: LiveRun, id_: AttemptId, *, known: bool) -> AttemptEnded | None:
        """What the child run of an attempt tells; `known` says that it had been seen before."""
        child = self._known_child(live, id_)
        now = self._clock.now()
        if child is None:
            if not known or any(isinstance(action, Start) and action.id == id_ for action in live.pending):
                return None
            message = "the child run was deleted by somebody"
            return AttemptEnded(id_, now, succeeded=False, reason=Reason.JobDeleted, message=message, disruption=True)
        if not finished(child):
            return None
        status = child["status"]
        name = child["metadata"]["name"]
        if status.get("phase") == "Succeeded":
            return AttemptEnded(id_, now, succeeded=True, outputs=status.get("outputs") or None)
        told = next((c.get("message", "") for c in status.get("conditions", ()) if c.get("type") == "Succeeded"), "")
        message = f"run {name} ended {status.get('phase')}: {told}"
        return AttemptEnded(id_, now, succeeded=False, reason=Reason.ChildFailed, message=message)

    async def _start_run(self, live: LiveRun, action: Start) -> None:
        now, name = self._clock.now(), job_name(live.ref, action.id)
        if not await self._free(live, action):
            message = "the child run of the attempt before, or a Pod of it, has not ended yet"
            hold(live, action, "PreviousPodRunning", message, now=now, seconds=POLL_SECONDS)
            return
        payload = action.payload
        parent = self._runs.get(live.key.namespace, live.key.name) or {"spec": {}}
        spec: dict[str, Any] = {"workflowRef": {"name": payload["name"]}, "parameters": payload["parameters"]}
        for inherited in ("queue", "priority"):
            if inherited in parent["spec"]:
                spec[inherited] = parent["spec"][inherited]
        body = {
            "apiVersion": API_VERSION,
            "kind": "WorkflowRun",
            "metadata": {
                "name": name,
                "namespace": live.key.namespace,
                "labels": child_labels(live.ref, action.id.path, action.id.attempt),
                "annotations": child_annotations(live.ref.uid, action.id),
                "ownerReferences": [run_owner(live.ref)],
            },
            "spec": spec,
        }
        try:
            self._remember(await self._client.create(WORKFLOW_RUNS, body))
        except AlreadyExists:
            found = await self._child(live, action.id)  # made by an earlier try, or somebody passes his off as it
            if found is None or found["spec"].get("workflowRef") != spec["workflowRef"]:
                message = f"a WorkflowRun {name} that is not this run's is in the way; delete it"
                hold(live, action, "NameTaken", message, now=now, seconds=TAKEN_SECONDS)
                return
        except REFUSALS as error:
            if not wait_out(live, action, error, now=now):
                reason = refusal(error, otherwise=Reason.ChildFailed)
                self._end(live, action.id, succeeded=False, reason=reason, message=error.message, fatal=True)
            return
        taken(live, action.id, now=self._clock.now())

    async def _free(self, live: LiveRun, action: Start) -> bool:
        """Whether the child run of the attempt before has ended, or is gone with all its Pods.

        Somebody may have deleted it, and its Pods end a while later. They are asked for by the name of their run, which
        is no other's.
        """
        if action.after is None:
            return True
        before = self._known_child(live, action.after)
        if before is not None:
            return finished(before)
        selector = f"{RUN_LABEL}={label_value(job_name(live.ref, action.after))}"
        pods = await self._client.list(PODS, namespace=live.key.namespace, label_selector=selector)
        return all(pod_fact(pod).ended for pod in pods)

    async def _request(self, live: LiveRun, action: Start) -> None:
        body, payload = action.node.body, action.payload
        headers = {header["name"]: to_text(header["value"]) for header in payload.get("headers", ())}
        data = payload.get("body")
        raw: bytes | None = None
        if data is not None:
            raw = data.encode() if isinstance(data, str) else orjson.dumps(data)
            if not isinstance(data, str) and not any(name.lower() == "content-type" for name in headers):
                headers["content-type"] = "application/json"
        try:
            answer = await self._http.request(
                payload["method"], to_text(payload["url"]), headers=headers, body=raw,
                timeout_seconds=body.timeout or 30.0, max_bytes=body.max_bytes,
            )  # fmt: skip
        except RequestFailed as error:
            reason = {"AddressRefused": Reason.AddressRefused, "TooLarge": Reason.ResponseTooLarge}.get(
                str(error.reason), Reason.RequestFailed
            )
            fatal = reason is Reason.AddressRefused
            self._end(live, action.id, succeeded=False, reason=reason, message=str(error), fatal=fatal)
            return
        outputs = {"status": answer.status, "body": _body(answer.body), "headers": dict(answer.headers)}
        self._end(live, action.id, succeeded=True, outputs=outputs)

    async def _resource(self, live: LiveRun, action: Start) -> None:
        """Apply the object as the run's service account, then look at it until its conditions decide."""
        client, manifest = self._acting(live), _manifest(live, action.id, action.payload)
        metadata = manifest["metadata"]
        if metadata["namespace"] != live.key.namespace:
            message = f"metadata.namespace must be the run's own, {live.key.namespace}"
            self._end(live, action.id, succeeded=False, reason=Reason.Forbidden, message=message, fatal=True)
            return
        live.manifests[action.id] = manifest
        while True:
            try:
                resource = await self._discovery.resource(str(manifest["apiVersion"]), str(manifest["kind"]))
                if not resource.namespaced:
                    message = f"{resource.kind} is cluster-scoped; a resource node makes objects of the run's namespace"
                    self._end(live, action.id, succeeded=False, reason=Reason.Forbidden, message=message, fatal=True)
                    return
                obj = await client.patch(
                    resource, metadata["name"], manifest, namespace=live.key.namespace, patch_type=PatchType.APPLY
                )
                taken(live, action.id, now=self._clock.now())
                while True:
                    live.objects[action.id] = obj
                    self._wake(live.key)
                    await self._clock.sleep(POLL_SECONDS)
                    obj = await client.get(resource, metadata["name"], namespace=live.key.namespace)
            except REFUSALS as error:
                if pending := passing(live, action.id, error, now=self._clock.now()):
                    live.inbox.append(AttemptPending(action.id, pending, error.message, self._clock.now()))
                    self._wake(live.key)
                    await self._clock.sleep(live.refused(action.id))
                    continue
                gone = isinstance(error, NotFound) and action.id in live.objects
                message = "the object was deleted by somebody" if gone else error.message
                reason = Reason.ResourceFailed if gone or not isinstance(error, Forbidden) else Reason.Forbidden
                self._end(live, action.id, succeeded=False, reason=reason, message=message, fatal=not gone)
                return
            except ApiError as error:
                _log.warning("resource of %s %s: %s", live.key, action.id.path, error)
                await self._clock.sleep(POLL_SECONDS)

    def _task(self, live: LiveRun, id_: AttemptId, work: Any) -> None:
        live.tasks[id_] = self._spawn(self._guarded(live, id_, work), name=f"{live.key.name}:{id_.path}")

    async def _guarded(self, live: LiveRun, id_: AttemptId, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:
            _log.exception("%s %s failed", live.key, id_.path)
            self._end(live, id_, succeeded=False, reason=Reason.Error, message=f"{type(error).__name__}: {error}")

    def _end(self, live: LiveRun, id_: AttemptId, *, succeeded: bool, **told: Any) -> None:
        live.tasks.pop(id_, None)
        live.inbox.append(AttemptEnded(id_, self._clock.now(), succeeded=succeeded, **told))
        live.urgent = True
        self._wake(live.key)


def _manifest(live: LiveRun, id_: AttemptId, payload: Obj) -> Obj:
    """The object that an attempt applies, as the run's."""
    manifest: Obj = dict(payload)
    metadata = manifest["metadata"] = dict(manifest.get("metadata") or {})
    metadata.setdefault("namespace", live.key.namespace)
    if not metadata.get("name"):
        metadata["name"] = job_name(live.ref, id_)
    metadata["labels"] = (metadata.get("labels") or {}) | child_labels(live.ref, id_.path, id_.attempt)
    metadata["ownerReferences"] = [run_owner(live.ref) | {"controller": False, "blockOwnerDeletion": False}]
    return manifest


def _suspended(patch: Obj, *, now: bool) -> Obj:
    """Add to a patch of a child run that it is suspended with its parent, or resumed with it."""
    metadata = {"annotations": {SUSPENDED_ANNOTATION: "true" if now else None}}
    return {"metadata": metadata, "spec": {**patch.get("spec", {}), "suspend": now}}


def _body(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode("utf-8", "replace")


def _beyond(has: Any, wanted: Any) -> bool:
    order = ("Drain", "Cancel", "Terminate")
    return has in order and wanted in order and order.index(has) > order.index(wanted)
