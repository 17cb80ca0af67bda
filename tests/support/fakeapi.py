"""An API server in memory, small and honest: what it does, it does as the real one; what it cannot, it refuses loudly.

    api = FakeApi(clock=clock)
    client = api.client()
    api.fail(TooManyRequests, method="POST", plural="jobs")       # the next such request is answered by 429
    api.fail(Dropped("cut"), plural="pods", after=True)           # done, but the answer is lost

It has create (409, generateName), get, list with selectors, merge patches (conditional on resourceVersion), JSON and
apply patches (apply merges: it keeps no field owners), spec and status apart, generations, no-op writes that change
nothing, finalizers, deletion with a UID precondition and background collection of dependents, watches with
bookmarks, 410 and time limits, and the admission of updates that Weft's safety leans on (`support.admission`). Nothing
carries out Jobs or Pods, and schemas are not checked. Tests look and act behind the wire with `add`, `read`, `all`,
`edit` and `remove`; `history` is everything that ever happened, and who did it.
"""

import asyncio
import random
import re
from bisect import bisect_right
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any, NamedTuple
from urllib.parse import unquote

import orjson
from support.admission import refusal_of
from support.clock import VirtualClock
from support.transport import status
from weft.api.base import GROUP
from weft.api.times import timestamp
from weft.kube import resources
from weft.kube.client import Client, PatchType
from weft.kube.limiter import Limiter
from weft.kube.objects import Key, Obj, key_of
from weft.kube.resources import JOBS, NAMESPACES, PODS, Resource
from weft.kube.transport import Response, StreamRefused
from weft.metrics import Metrics

RESOURCES = {
    (resource.api_version, resource.plural): resource
    for resource in vars(resources).values()
    if isinstance(resource, Resource)
}
BY_KIND = {resource.kind: resource for resource in RESOURCES.values()}
_PATH = re.compile(
    r"(?:/api/(?P<core>v1)|/apis/(?P<group>[^/]+/[^/]+))(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[^/]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<subresource>[^/]+))?)?"
)
_SERVER_SIDE = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "generation", "resourceVersion")


@dataclass(frozen=True)
class Asked:
    """One request, taken apart. A watch has the method WATCH."""

    method: str
    path: str
    resource: Resource
    namespace: str
    name: str
    subresource: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    content_type: str | None = None
    actor: str = ""


Hook = Callable[[Asked], Response | Awaitable[Response | None] | None]
"""Sees a request; gives an answer to put in the real one's place, or None, or raises (NotSent, Dropped, a crash)."""


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


class FakeApi:
    """A `Transport`. `requests` is the log; hooks in `before` and `after` see each request, the first answer counts."""

    def __init__(self, *, clock: VirtualClock | None = None, seed: int = 0):
        self.clock = clock or VirtualClock()
        self.requests: list[Asked] = []
        self.before: list[Hook] = []
        self.after: list[Hook] = []
        self.documents: dict[str, Obj] = {}
        self.terminating: set[str] = set()
        """Namespaces that are being deleted: nothing can be created in them."""
        self._rng = random.Random(seed)
        self._version = 100
        self._oldest = self._version
        self._objects: dict[Resource, dict[Key, Obj]] = {resource: {} for resource in RESOURCES.values()}
        self.history: list[Event] = []
        self.listeners: list[Listener] = []
        self.actor = "somebody"
        """Who acts behind the wire."""
        self._held: tuple[int, Resource | None] | None = None
        self._cut: tuple[int, Exception | None] = (0, None)
        self._news: asyncio.Future[None] | None = None

    def client(self, *, metrics: Metrics | None = None, attempts: int = 5, limit: int = 64) -> Client:
        """Give a client of this server on its clock."""
        metrics = metrics or Metrics()
        limiter = Limiter(maximum=limit, metrics=metrics)
        rng = random.Random(1)
        return Client(self, clock=self.clock, rng=rng, metrics=metrics, limiter=limiter, attempts=attempts)

    # ---- faults

    def fail(
        self,
        outcome: Response | Exception | int,
        *,
        method: str | None = None,
        plural: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
        times: int = 1,
        after: bool = False,
    ) -> None:
        """Answer the next requests of that kind with a Response, an HTTP code or an exception; `after`: once done."""
        left = times
        answer = status(outcome, reason=_REASONS.get(outcome, "")) if isinstance(outcome, int) else outcome

        def hook(asked: Asked) -> Response | None:
            nonlocal left
            found = (asked.method, asked.resource.plural, asked.name, asked.subresource)
            wanted = (method, plural, name, subresource)
            if left <= 0 or any(want not in (None, have) for want, have in zip(wanted, found, strict=True)):
                return None
            left -= 1
            if isinstance(answer, Exception):
                raise answer
            return answer

        (self.after if after else self.before).append(hook)

    def expire(self) -> None:
        """Forget history: a watch from an older version is answered by 410."""
        self._oldest = self._version

    def break_watches(self, error: Exception | None = None) -> None:
        """End every open watch, in order or by the error."""
        self._cut = (self._cut[0] + 1, error)
        self._tell()

    def hold_watches(self, resource: Resource | None = None) -> None:
        """Let watches (of one resource) lag: what happens from now on is told only after `release_watches`."""
        self._held = len(self.history), resource

    def release_watches(self) -> None:
        """Tell what was held back."""
        self._held = None
        self._tell()

    def bookmark(self) -> None:
        """Send a bookmark of the newest version to every watch."""
        self._emit("BOOKMARK", None, {"metadata": {"resourceVersion": str(self._version)}}, None)

    # ---- behind the wire

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
        stored = self._stored(self._create(resource, namespace, copied(obj)))
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

    def remove(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete an object; finalizers hold it back as ever."""
        self._delete(resource, Key(namespace, name), {})

    def exists(self, uids: Collection[str]) -> bool:
        """Say whether an object with one of the UIDs is there."""
        return any(uid in uids for uid in self._uids())

    def asked(self, method: str, plural: str, *, subresource: str = "") -> list[Asked]:
        """Give the requests of that kind."""
        wanted = (method, plural, subresource)
        return [each for each in self.requests if (each.method, each.resource.plural, each.subresource) == wanted]

    # ---- the transport

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes | None,
        content_type: str | None,
        time_limit: float,
        may_leave: Callable[[], bool] | None = None,
        actor: str = "client",
    ) -> Response:
        if path in self.documents:
            return Response(200, orjson.dumps(self.documents[path]))
        parsed = orjson.loads(body) if body is not None else None
        asked = _take_apart(method, path, dict(params), dict(headers), parsed, content_type, actor)
        if asked is None:
            return status(404, "NotFound", f"{path} not found")
        self.requests.append(asked)
        # Others get a turn before the server acts and before its answer arrives.
        await asyncio.sleep(0)
        answer = await _hooked(self.before, asked)
        if answer is None:
            with self.acting_as(actor):
                answer = self._act(asked)
            answer = await _hooked(self.after, asked) or answer
        await asyncio.sleep(0)
        return answer

    async def stream(
        self,
        path: str,
        *,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        idle_timeout: float,
        actor: str = "client",
    ) -> AsyncGenerator[bytes, None]:
        asked = _take_apart("WATCH", path, dict(params), dict(headers), None, None, actor)
        assert asked is not None, path
        self.requests.append(asked)
        await asyncio.sleep(0)
        refusal = await _hooked(self.before, asked)
        if refusal is not None:
            raise StreamRefused(refusal)
        since, cuts = int(params["resourceVersion"]), self._cut[0]
        if 0 < since < self._oldest:
            gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
            yield orjson.dumps({"type": "ERROR", "object": gone})
            return
        alarm = asyncio.ensure_future(self.clock.sleep(float(params["timeoutSeconds"])))
        alarm.add_done_callback(lambda _: self._tell())
        position = bisect_right(self.history, since, key=lambda event: event.version)
        try:
            while True:
                while position < self._told(asked.resource):
                    event = self.history[position]
                    position += 1
                    for kind, obj in _as_seen(event, asked):
                        yield orjson.dumps({"type": kind, "object": obj})
                if self._cut[0] != cuts:
                    if self._cut[1] is not None:
                        raise self._cut[1]
                    return
                if alarm.done():
                    return
                if self._news is None or self._news.done():
                    self._news = asyncio.get_running_loop().create_future()
                await asyncio.shield(self._news)
        finally:
            alarm.cancel()

    def _told(self, resource: Resource) -> int:
        """How much of the history a watch of the resource tells."""
        held, of = self._held or (len(self.history), None)
        return held if of in (None, resource) else len(self.history)

    def _act(self, asked: Asked) -> Response:
        key = Key(asked.namespace, asked.name)
        try:
            if asked.method == "POST":
                return self._create(asked.resource, asked.namespace, asked.body)
            if asked.method == "GET" and not asked.name:
                return self._list(asked)
            if asked.method == "GET":
                return _answer(self._find(asked.resource, key))
            if asked.method == "PATCH":
                return self._patch(asked, key)
            if asked.method == "DELETE":
                return self._delete(asked.resource, key, asked.body or {})
        except _Refusal as refusal:
            return refusal.response
        raise AssertionError(f"this API server does not know {asked.method} {asked.path}")

    def _find(self, resource: Resource, key: Key) -> Obj:
        obj = self._objects[resource].get(key)
        if obj is None:
            raise _Refusal(404, "NotFound", f'{resource.plural} "{key.name}" not found')
        return obj

    def _list(self, asked: Asked) -> Response:
        items = [obj for obj in self._objects[asked.resource].values() if _selected(obj, asked)]
        bare = [{name: value for name, value in obj.items() if name not in ("kind", "apiVersion")} for obj in items]
        return _answer(
            {
                "kind": f"{asked.resource.kind}List",
                "apiVersion": asked.resource.api_version,
                "metadata": {"resourceVersion": str(self._version)},
                "items": bare,
            }
        )

    def _create(self, resource: Resource, namespace: str, obj: Obj) -> Response:
        metadata = obj.setdefault("metadata", {})
        if namespace in self.terminating:
            cause = {"reason": "NamespaceTerminating"}
            return status(403, "Forbidden", f"namespace {namespace} is being terminated", causes=[cause])
        if not metadata.get("name"):
            if not metadata.get("generateName"):
                return status(422, "Invalid", "name or generateName is required")
            metadata["name"] = metadata["generateName"] + "".join(self._rng.choices("bcdfghjklmnpqrstvwxz2456789", k=5))
        key = Key(namespace, metadata["name"])
        if key in self._objects[resource]:
            return status(409, "AlreadyExists", f'{resource.plural} "{key.name}" already exists')
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
        self._objects[resource][key] = obj
        self._emit("ADDED", resource, obj, None)
        return _answer(obj, code=201)

    def _patch(self, asked: Asked, key: Key) -> Response:
        kind = PatchType(asked.content_type)
        if kind is PatchType.APPLY and key not in self._objects[asked.resource]:
            return self._create(asked.resource, key.namespace, _merged({"metadata": {"name": key.name}}, asked.body))
        old = self._find(asked.resource, key)
        if kind is PatchType.JSON:
            new = _json_patched(old, asked.body)
        else:
            wanted = asked.body.get("metadata", {})
            if wanted.get("resourceVersion") not in (None, old["metadata"]["resourceVersion"]):
                raise _Refusal(409, "Conflict", "the object has been modified; please apply your changes to the latest")
            if wanted.get("uid") not in (None, old["metadata"]["uid"]):
                raise _Refusal(422, "Invalid", "metadata.uid: Invalid value: field is immutable")
            new = _merged(old, asked.body)
        if asked.subresource == "status":
            new = old | {"status": new.get("status")}
        elif has_status(asked.resource):
            new = new | {"status": old.get("status")}
        if new.get("status") is None:
            new = {name: value for name, value in new.items() if name != "status"}
        return _answer(self._replace(asked.resource, old, new))

    def _replace(self, resource: Resource, old: Obj, new: Obj) -> Obj:
        kept = {name: old["metadata"][name] for name in _SERVER_SIDE if name in old["metadata"]}
        rest = {name: value for name, value in new["metadata"].items() if name not in _SERVER_SIDE}
        new = new | {"metadata": rest | kept}
        if new == old:
            return old
        if resource.kind == "ControllerRevision" and new.get("data") != old.get("data"):
            raise _Refusal(422, "Invalid", "data: Invalid value: field is immutable")
        if old.get("immutable") and new.get("data") != old.get("data"):
            raise _Refusal(422, "Invalid", "data: Forbidden: field is immutable when `immutable` is set")
        if problem := refusal_of(resource, old, new):
            raise _Refusal(422, "Invalid", problem)
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

    def _delete(self, resource: Resource, key: Key, options: Obj) -> Response:
        old = self._find(resource, key)
        assert options.get("propagationPolicy", "Background") == "Background", options
        for name, wanted in options.get("preconditions", {}).items():
            if wanted != old["metadata"][name]:
                raise _Refusal(409, "Conflict", f"the {name} in the precondition ({wanted}) is not the object's")
        self._version += 1
        new = old | {"metadata": old["metadata"] | {"resourceVersion": str(self._version)}}
        if not old["metadata"].get("finalizers"):
            self._vanish(resource, key, new)
        elif not old["metadata"].get("deletionTimestamp"):
            new["metadata"]["deletionTimestamp"] = timestamp(self.clock.now())
            new["metadata"]["generation"] += 1
            self._objects[resource][key] = new
            self._emit("MODIFIED", resource, new, old)
        return _answer(new)

    def _vanish(self, resource: Resource, key: Key, last: Obj) -> None:
        old = self._objects[resource].pop(key)
        self._emit("DELETED", resource, last, old)
        for other, objects in self._objects.items():
            for dependent, obj in list(objects.items()):
                owners = {owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ()}
                if last["metadata"]["uid"] in owners and not owners & set(self._uids()):
                    with suppress(_Refusal):  # gone by an earlier turn of this loop
                        self._delete(other, dependent, {})

    def _uids(self) -> Iterator[str]:
        return (obj["metadata"]["uid"] for objects in self._objects.values() for obj in objects.values())

    def _emit(self, kind: str, resource: Resource | None, obj: Obj, old: Obj | None) -> None:
        event = Event(self._version, kind, resource, obj, old, self.actor, self.clock.monotonic())
        self.history.append(event)
        for listener in self.listeners:
            listener(event)
        self._tell()

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _stored(self, answer: Response) -> Obj:
        assert answer.status < 300, answer.body
        stored: Obj = orjson.loads(answer.body)
        return stored


_REASONS = {403: "Forbidden", 404: "NotFound", 409: "Conflict", 422: "Invalid", 429: "TooManyRequests"}


class _Refusal(Exception):
    def __init__(self, code: int, reason: str, message: str):
        self.response = status(code, reason, message)


def copied(obj: Obj) -> Obj:
    """Give a copy to change: what is stored is never changed, but replaced, so that history can hold it as it was."""
    copy: Obj = orjson.loads(orjson.dumps(obj))
    return copy


def has_status(resource: Resource) -> bool:
    """Whether status is written apart from the rest."""
    return resource.group == GROUP or resource in (PODS, JOBS, NAMESPACES)


async def _hooked(hooks: list[Hook], asked: Asked) -> Response | None:
    for hook in hooks:
        found = hook(asked)
        answer = await found if isawaitable(found) else found
        if answer is not None:
            return answer
    return None


def _take_apart(
    method: str,
    path: str,
    params: dict[str, str],
    headers: dict[str, str],
    body: Any,
    content_type: str | None,
    actor: str,
) -> Asked | None:
    match = _PATH.fullmatch(path)
    found = match and RESOURCES.get((match["core"] or match["group"], match["plural"]))
    if match is None or found is None:
        return None
    namespace, name, subresource = (unquote(match[part] or "") for part in ("namespace", "name", "subresource"))
    assert subresource in ("", "status"), f"this API server does not know the subresource {subresource}"
    return Asked(method, path, found, namespace, name, subresource, params, headers, body, content_type, actor)


def _answer(obj: Obj, *, code: int = 200) -> Response:
    return Response(code, orjson.dumps(obj))


def _desired(obj: Obj) -> Obj:
    return {name: value for name, value in obj.items() if name not in ("metadata", "status")}


def _as_seen(event: Event, asked: Asked) -> Iterator[tuple[str, Obj]]:
    """What a watch with selectors sees of an event: an object that leaves the selection is DELETED there."""
    if event.resource is None:
        yield "BOOKMARK", {"kind": asked.resource.kind, "apiVersion": asked.resource.api_version, **event.obj}
    elif event.resource is asked.resource:
        now, then = _selected(event.obj, asked), event.old is not None and _selected(event.old, asked)
        if event.type == "DELETED":
            if now or then:
                yield "DELETED", event.obj
        elif now:
            yield "MODIFIED" if then else "ADDED", event.obj
        elif then:
            yield "DELETED", event.obj


def _selected(obj: Obj, asked: Asked) -> bool:
    metadata = obj["metadata"]
    if asked.namespace and metadata.get("namespace", "") != asked.namespace:
        return False
    fields = {"metadata.name": metadata["name"], "metadata.namespace": metadata.get("namespace", "")}
    return _fits(asked.params.get("labelSelector", ""), metadata.get("labels") or {}) and _fits(
        asked.params.get("fieldSelector", ""), fields
    )


def _fits(selector: str, values: Mapping[str, str]) -> bool:
    for term in filter(None, selector.split(",")):
        match = re.fullmatch(r"(!?)([^=! (]+)(!=|==|=|)([^ (]*)", term)
        assert match, f"this API server does not know the selector {selector}"
        absent, name, sign, value = match.groups()
        if not sign and (name in values) == bool(absent):
            return False
        if sign and (values.get(name) == value) == (sign == "!="):
            return False
    return True


def _merged(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result


def _json_patched(old: Obj, operations: list[Obj]) -> Obj:
    """RFC 6902: test, add, remove, replace."""
    new = copied(old)
    for operation in operations:
        *path, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        try:
            place: Any = new
            for part in path:
                place = place[int(part)] if isinstance(place, list) else place[part]
            _operate(place, last, operation)
        except (KeyError, IndexError, ValueError) as error:
            raise _Refusal(422, "Invalid", f"the patch does not fit: {operation}: {error!r}") from error
    return new


def _operate(place: Any, last: str, operation: Obj) -> None:
    kind, value = operation["op"], operation.get("value")
    is_list = isinstance(place, list)
    if kind == "add" and is_list:
        place.insert(len(place) if last == "-" else int(last), value)
        return
    at: Any = int(last) if is_list else last
    if kind == "add":
        place[at] = value
        return
    found = place[at]
    if kind == "test":
        if found != value:
            raise ValueError(f"found {found!r}")
    elif kind == "replace":
        place[at] = value
    elif kind == "remove":
        del place[at]
    else:
        raise AssertionError(f"this API server does not know the operation {kind}")
