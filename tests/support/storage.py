"""What the API server in memory stores: objects with versions, how they are deleted, and everything that ever happened.

Tests look and act behind the wire with `add`, `read`, `all`, `edit` and `remove`; `history` tells each change and who
made it. What the real server refuses is raised as `Refusal`. Stored objects are never changed, but replaced, so that
history can hold them as they were.
"""

import random
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import orjson
from support.admission import refusal_of
from support.asked import BY_KIND, RESOURCES
from support.clock import VirtualClock
from support.numbers import through_go
from support.transport import status
from weft.api.base import GROUP
from weft.api.objects import Key, Obj, key_of
from weft.api.times import timestamp
from weft.kube.resources import JOBS, NAMESPACES, PODS, Resource

_SERVER_SIDE = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "generation", "resourceVersion")


_FOREGROUND = "foregroundDeletion"


class Event(NamedTuple):
    """One change: what is there since then and what was before, who did it, and when on the monotonic clock."""

    version: int
    type: str
    resource: Resource | None  # None: a bookmark, for everybody
    obj: Obj
    old: Obj | None
    actor: str
    at: float


Listener = Callable[[Event], None]
"""Sees each change at once; synchronous, and must not change anything by itself."""


class Refusal(Exception):
    """What the server says no with."""

    def __init__(self, code: int, reason: str, message: str, *, causes: list[Obj] | None = None):
        self.response = status(code, reason, message, causes=causes)


class Storage:
    """The objects. Who changes them is `actor`, for `history`."""

    def __init__(self, *, clock: VirtualClock | None = None, seed: int = 0):
        self.clock = clock or VirtualClock()
        self.terminating: set[str] = set()
        """Namespaces that are being deleted: nothing can be created in them."""
        self.history: list[Event] = []
        self.listeners: list[Listener] = []
        self.actor = "somebody"
        """Who acts behind the wire."""
        self._rng = random.Random(seed)
        self._version = 100
        self._objects: dict[Resource, dict[Key, Obj]] = {resource: {} for resource in RESOURCES.values()}

    @contextmanager
    def acting_as(self, actor: str) -> Iterator[None]:
        """What changes within is the doing of this actor."""
        before, self.actor = self.actor, actor
        try:
            yield
        finally:
            self.actor = before

    def add(self, obj: Obj) -> Obj:
        """Create an object as it is, with its status and without hooks; give it as stored."""
        resource = BY_KIND[obj["kind"]]
        namespace = obj["metadata"].get("namespace", "")
        stored = copied(self._create(resource, namespace, copied(obj)))
        if "status" in obj:
            name = stored["metadata"]["name"]
            stored = self.edit(resource, namespace, name, lambda made: made.update(status=copied(obj["status"])))
        return stored

    def read(self, resource: Resource, namespace: str, name: str) -> Obj | None:
        """Give a copy of an object, or None."""
        found = self._objects[resource].get(Key(namespace, name))
        return copied(found) if found is not None else None

    def all(self, resource: Resource, namespace: str | None = None) -> list[Obj]:
        """Give copies of all objects of a resource, in order of creation."""
        found = self._objects[resource].items()
        return [copied(obj) for key, obj in found if namespace in (None, key.namespace)]

    def edit(self, resource: Resource, namespace: str, name: str, change: Callable[[Obj], Any]) -> Obj:
        """Change an object, spec and status alike, as somebody else would; give it as stored."""
        old = self._objects[resource][Key(namespace, name)]
        new = copied(old)
        change(new)
        return copied(self._replace(resource, old, new))

    def remove(self, resource: Resource, namespace: str, name: str, *, policy: str = "Background") -> None:
        """Delete an object; finalizers hold it back as ever, in the Foreground what it owns does, too."""
        self._delete(resource, Key(namespace, name), {"propagationPolicy": policy})

    def exists(self, uids: Collection[str]) -> bool:
        """Say whether an object with one of the UIDs is there."""
        return any(uid in uids for uid in self._uids())

    # ---- what requests do; each raises Refusal

    def _create(self, resource: Resource, namespace: str, obj: Obj) -> Obj:
        metadata = obj.setdefault("metadata", {})
        if namespace in self.terminating:
            cause = {"reason": "NamespaceTerminating"}
            raise Refusal(403, "Forbidden", f"namespace {namespace} is being terminated", causes=[cause])
        if not metadata.get("name"):
            if not metadata.get("generateName"):
                raise Refusal(422, "Invalid", "name or generateName is required")
            metadata["name"] = metadata["generateName"] + "".join(self._rng.choices("bcdfghjklmnpqrstvwxz2456789", k=5))
        key = Key(namespace, metadata["name"])
        if key in self._objects[resource]:
            raise Refusal(409, "AlreadyExists", f'{resource.plural} "{key.name}" already exists')
        obj |= {"apiVersion": resource.api_version, "kind": resource.kind}
        if has_status(resource):
            obj.pop("status", None)
        if resource is PODS:
            obj["status"] = {"phase": "Pending"}
        self._version += 1
        metadata |= {
            "uid": f"{self._version:08x}-0000-4000-8000-000000000000",
            "resourceVersion": str(self._version),
            "generation": 1,
            "creationTimestamp": timestamp(self.clock.now()),
        }
        if namespace:
            metadata["namespace"] = namespace
        metadata.pop("deletionTimestamp", None)
        obj = _as_written(resource, obj)
        self._objects[resource][key] = obj
        self._emit("ADDED", resource, obj, None)
        return obj

    def _replace(self, resource: Resource, old: Obj, new: Obj) -> Obj:
        kept = {name: old["metadata"][name] for name in _SERVER_SIDE if name in old["metadata"]}
        rest = {name: value for name, value in new["metadata"].items() if name not in _SERVER_SIDE}
        new = _as_written(resource, new | {"metadata": rest | kept})
        if new == old:
            return old
        if resource.kind == "ControllerRevision" and new.get("data") != old.get("data"):
            raise Refusal(422, "Invalid", "data: Invalid value: field is immutable")
        if old.get("immutable") and new.get("data") != old.get("data"):
            raise Refusal(422, "Invalid", "data: Forbidden: field is immutable when `immutable` is set")
        if problem := refusal_of(resource, old, new):
            raise Refusal(422, "Invalid", problem)
        if _desired(new) != _desired(old):
            new["metadata"]["generation"] += 1
        self._version += 1
        new["metadata"]["resourceVersion"] = str(self._version)
        key = key_of(new)
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            self._vanish(resource, key, new)
        else:
            self._objects[resource][key] = new
            self._emit("MODIFIED", resource, new, old)
        return new

    def _delete(self, resource: Resource, key: Key, options: Obj) -> Obj:
        old = self._find(resource, key)
        foreground = options.get("propagationPolicy", "Background") == "Foreground" and self._owned_by(old)
        for name, wanted in options.get("preconditions", {}).items():
            if wanted != old["metadata"][name]:
                raise Refusal(409, "Conflict", f"the {name} in the precondition ({wanted}) is not the object's")
        self._version += 1
        new = old | {"metadata": old["metadata"] | {"resourceVersion": str(self._version)}}
        if not old["metadata"].get("finalizers") and not foreground:
            self._vanish(resource, key, new)
        elif not old["metadata"].get("deletionTimestamp"):
            if foreground:
                new["metadata"]["finalizers"] = [*(old["metadata"].get("finalizers") or ()), _FOREGROUND]
            new["metadata"]["deletionTimestamp"] = timestamp(self.clock.now())
            new["metadata"]["generation"] += 1
            self._objects[resource][key] = new
            self._emit("MODIFIED", resource, new, old)
            for other, dependent in foreground or ():
                with suppress(Refusal):
                    self._delete(other, dependent, options)
        return new

    def _owned_by(self, owner: Obj) -> list[tuple[Resource, Key]]:
        uid = owner["metadata"]["uid"]
        return [
            (resource, key)
            for resource, objects in self._objects.items()
            for key, obj in objects.items()
            if any(each["uid"] == uid for each in obj["metadata"].get("ownerReferences") or ())
        ]

    def _let_owners_go(self, last: Obj) -> None:
        """What was deleted in the foreground goes with the last that it owned."""
        uids = {owner["uid"] for owner in last["metadata"].get("ownerReferences") or ()}
        held = [
            (resource, obj)
            for resource, objects in self._objects.items()
            for obj in objects.values()
            if obj["metadata"]["uid"] in uids and _FOREGROUND in (obj["metadata"].get("finalizers") or ())
        ]
        for resource, owner in held:
            if not self._owned_by(owner):
                rest = [each for each in owner["metadata"]["finalizers"] if each != _FOREGROUND]
                self._replace(resource, owner, owner | {"metadata": owner["metadata"] | {"finalizers": rest}})

    def _vanish(self, resource: Resource, key: Key, last: Obj) -> None:
        old = self._objects[resource].pop(key)
        self._emit("DELETED", resource, last, old)
        for other, objects in self._objects.items():
            for dependent, obj in list(objects.items()):
                owners = {owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ()}
                if last["metadata"]["uid"] in owners and not owners & set(self._uids()):
                    with suppress(Refusal):  # gone by an earlier turn of this loop
                        self._delete(other, dependent, {})
        self._let_owners_go(last)

    def _find(self, resource: Resource, key: Key) -> Obj:
        obj = self._objects[resource].get(key)
        if obj is None:
            raise Refusal(404, "NotFound", f'{resource.plural} "{key.name}" not found')
        return obj

    def _uids(self) -> Iterator[str]:
        return (obj["metadata"]["uid"] for objects in self._objects.values() for obj in objects.values())

    def _emit(self, kind: str, resource: Resource | None, obj: Obj, old: Obj | None) -> None:
        event = Event(self._version, kind, resource, obj, old, self.actor, self.clock.monotonic())
        self.history.append(event)
        for listener in self.listeners:
            listener(event)


def copied(obj: Obj) -> Obj:
    """Give a copy to change."""
    copy: Obj = orjson.loads(orjson.dumps(obj))
    return copy


def _as_written(resource: Resource, obj: Obj) -> Obj:
    """An object as the server writes it down. Of ours alone: in others nobody's values stand."""
    written: Obj = through_go(obj) if resource.group == GROUP else obj
    return written


def has_status(resource: Resource) -> bool:
    """Whether status is written apart from the rest."""
    return resource.group == GROUP or resource in (PODS, JOBS, NAMESPACES)


def _desired(obj: Obj) -> Obj:
    return {name: value for name, value in obj.items() if name not in ("metadata", "status")}
