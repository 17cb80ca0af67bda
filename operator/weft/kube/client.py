"""The API client of the hot path: Kubernetes' verbs over a transport, in plain dicts.

It reads no configuration and owns no socket, no clock and no randomness: all are handed in. How a call is carried out
(typed exceptions, retries, back-pressure, metrics) is `kube/sender.py`; here is what can be asked.

What is sent again by itself: reads and deletions; creates of named objects (the second answer is then AlreadyExists,
which the caller must handle anyway); merge and apply patches, which say what shall be; and JSON patches that begin by
a `test`. All else with an unknown outcome is the caller's to look at.
"""

import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from copy import copy
from enum import Enum

import orjson

from weft.api.objects import Obj, Objects
from weft.kube.clock import Clock
from weft.kube.errors import NotFound, from_status
from weft.kube.limiter import Limiter, Priority
from weft.kube.resources import Resource
from weft.kube.sender import Call, Sender
from weft.kube.transport import Transport
from weft.metrics import Metrics

FIELD_MANAGER = "weft"
PAGE_SIZE = 500
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


class PatchType(Enum):
    """How a patch's body is meant; the value is its content type."""

    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"
    APPLY = "application/apply-patch+yaml"


class Client:
    """Get, list, watch, create, patch and delete objects. Every method raises ApiError (see `kube/errors.py`)."""

    def __init__(
        self,
        transport: Transport,
        *,
        clock: Clock,
        rng: random.Random,
        metrics: Metrics,
        limiter: Limiter,
        attempts: int = 5,
    ):
        """Take what it works with; `attempts` bounds each call."""
        self._sender = Sender(transport, clock=clock, rng=rng, metrics=metrics, limiter=limiter, attempts=attempts)

    def acting_as(self, user: str) -> "Client":
        """Give a client that impersonates the user (`system:serviceaccount:NAMESPACE:NAME`), else the same."""
        client = copy(self)
        client._sender = self._sender.with_headers({"Impersonate-User": user})
        return client

    def of_metadata(self) -> "Client":
        """Give a client whose lists have nothing of the objects but their metadata: it may be a hundredth of them."""
        client = copy(self)
        client._sender = self._sender.with_headers({"Accept": _METADATA_ONLY})
        return client

    async def get(self, resource: Resource, name: str, *, namespace: str = "") -> Obj:
        """Read one object."""
        return await self._sender.send(Call("get", resource, "GET", resource.path(namespace=namespace, name=name)))

    async def get_path(self, path: str) -> Obj:
        """Read what is no resource's object: `/version`, or a group's discovery document."""
        return await self._sender.send(Call("get", Resource("", "", "paths", ""), "GET", path))

    async def page(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        continue_token: str = "",
    ) -> Obj:
        """Read one page of a list as the server gives it; `metadata.continue` leads to the next (Gone if too late)."""
        params = {**_selected(label_selector), "limit": str(PAGE_SIZE)}
        if field_selector:
            params["fieldSelector"] = field_selector
        if continue_token:
            params["continue"] = continue_token
        return await self._sender.send(Call("list", resource, "GET", resource.path(namespace=namespace), params))

    async def pages(
        self, resource: Resource, *, namespace: str = "", label_selector: str = ""
    ) -> AsyncGenerator[Obj, None]:
        """Read a list page by page, each as the server gives it."""
        token = ""
        while True:
            page = await self.page(resource, namespace=namespace, label_selector=label_selector, continue_token=token)
            yield page
            token = page.get("metadata", {}).get("continue", "")
            if not token:
                return

    async def list(self, resource: Resource, *, namespace: str = "", label_selector: str = "") -> Objects:
        """Read all pages of a list; its items are completed with their apiVersion and kind."""
        items: Objects = []
        async for page in self.pages(resource, namespace=namespace, label_selector=label_selector):
            items += items_of(page, resource)
        return items

    async def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        namespace: str = "",
        label_selector: str = "",
        timeout_seconds: int,
        idle_timeout: float,
        skip: Callable[[bytes], bool] | None = None,
    ) -> AsyncGenerator[tuple[str, Obj], None]:
        """Give (type, object) of each change after the version, BOOKMARKs too, until the server ends the watch.

        An ERROR event is raised as the exception it stands for (Gone, mostly); silence for `idle_timeout` as TimedOut.
        Lines that `skip` picks out are passed over before they are parsed.
        """
        params = {
            **_selected(label_selector),
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
        }
        events = self._sender.lines(resource.path(namespace=namespace), params, idle_timeout=idle_timeout, skip=skip)
        async with aclosing(events):
            async for event in events:
                kind, obj = event.get("type", ""), event.get("object", {})
                if kind == "ERROR":
                    raise from_status(int(obj.get("code") or 500), obj)
                yield kind, obj

    async def create(
        self, resource: Resource, obj: Obj, *, priority: Priority = Priority.START, strict: bool = False
    ) -> Obj:
        """Create the object in its own namespace and give it as stored.

        A field that its kind does not have is dropped; when `strict`, BadRequest is raised.
        """
        namespace = obj.get("metadata", {}).get("namespace", "")
        validation = {"fieldValidation": "Strict"} if strict else {}
        return await self._sender.send(
            Call(
                "create",
                resource,
                "POST",
                resource.path(namespace=namespace),
                {"fieldManager": FIELD_MANAGER, **validation},
                orjson.dumps(obj),
                "application/json",
                replayable=bool(obj.get("metadata", {}).get("name")),
                priority=priority,
            )
        )

    async def patch(
        self,
        resource: Resource,
        name: str,
        body: Obj | Sequence[Obj],
        *,
        namespace: str = "",
        patch_type: PatchType = PatchType.MERGE,
        subresource: str = "",
        priority: Priority = Priority.FINISH,
    ) -> Obj:
        """Patch the object (a `metadata.resourceVersion` in a merge patch makes it conditional) and give it as stored.

        An apply patch takes over fields that others own: what Weft applies is Weft's.
        """
        params = {"fieldManager": FIELD_MANAGER}
        if patch_type is PatchType.APPLY:
            params["force"] = "true"
        return await self._sender.send(
            Call(
                "patch_status" if subresource == "status" else "patch",
                resource,
                "PATCH",
                resource.path(namespace=namespace, name=name, subresource=subresource),
                params,
                orjson.dumps(body),
                patch_type.value,
                replayable=patch_type is not PatchType.JSON or _begins_with_test(body),
                priority=priority,
            )
        )

    async def patch_status(self, resource: Resource, name: str, body: Obj, *, namespace: str = "") -> Obj:
        """Merge-patch the object's status subresource; the body is the whole patch (`{"status": {...}}`)."""
        return await self.patch(resource, name, body, namespace=namespace, subresource="status")

    async def delete(
        self, resource: Resource, name: str, *, namespace: str = "", uid: str = "", version: str = ""
    ) -> bool:
        """Delete the object; False when it was gone already.

        With a UID only that one, with a version only as it was then, else Conflict.
        """
        options: Obj = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        conditions = {"uid": uid, "resourceVersion": version}
        if conditions := {name: value for name, value in conditions.items() if value}:
            options["preconditions"] = conditions
        call = Call(
            "delete",
            resource,
            "DELETE",
            resource.path(namespace=namespace, name=name),
            body=orjson.dumps(options),
            content_type="application/json",
            priority=Priority.FINISH,
        )
        try:
            await self._sender.send(call)
        except NotFound:
            return False
        return True


def items_of(page: Obj, resource: Resource) -> Objects:
    """Give a list page's items with their apiVersion and kind, which the server leaves out there."""
    items: Objects = page.get("items") or []
    for item in items:
        item.setdefault("apiVersion", resource.api_version)
        item.setdefault("kind", resource.kind)
    return items


def _selected(label_selector: str) -> dict[str, str]:
    return {"labelSelector": label_selector} if label_selector else {}


def _begins_with_test(body: Obj | Sequence[Obj]) -> bool:
    return not isinstance(body, dict) and len(body) > 0 and body[0].get("op") == "test"
