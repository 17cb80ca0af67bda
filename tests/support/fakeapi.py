"""An API server in memory, small and honest: what it does, it does as the real one; what it cannot, it refuses loudly.

    api = FakeApi(clock=clock)
    client = api.client()
    api.fail(TooManyRequests, method="POST", plural="jobs")       # the next such request is answered by 429
    api.fail(Dropped("cut"), plural="pods", after=True)           # done, but the answer is lost

It has create (409, generateName), get, list with selectors, merge patches (conditional on resourceVersion), JSON and
apply patches (apply merges: it keeps no field owners), spec and status apart, generations, no-op writes that change
nothing, finalizers, deletion with a UID precondition and background collection of dependents, watches with
bookmarks, 410 and time limits, and the admission of updates that Weft's safety leans on (`support.admission`). Nothing
carries out Jobs or Pods, and schemas are not checked. This is the wire and its faults; what is stored, and how tests
look and act behind the wire, is `support.storage`.
"""

import asyncio
import random
from bisect import bisect_right
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from inspect import isawaitable

import orjson
from support.asked import Asked, selected, take_apart
from support.clock import VirtualClock
from support.patches import PatchDoesNotFit, json_patched, merged
from support.storage import Event, Refusal, Storage, has_status
from support.transport import status
from weft.api.objects import Key, Obj
from weft.kube.client import Client, PatchType
from weft.kube.limiter import Limiter
from weft.kube.resources import Resource
from weft.kube.transport import Response, StreamRefused
from weft.metrics import Metrics

Hook = Callable[[Asked], Response | Awaitable[Response | None] | None]
"""Sees a request; gives an answer to put in the real one's place, or None, or raises (NotSent, Dropped, a crash)."""

_REASONS = {403: "Forbidden", 404: "NotFound", 409: "Conflict", 422: "Invalid", 429: "TooManyRequests"}


class FakeApi(Storage):
    """A `Transport`. `requests` is the log; hooks in `before` and `after` see each request, the first answer counts."""

    def __init__(self, *, clock: VirtualClock | None = None, seed: int = 0):
        super().__init__(clock=clock, seed=seed)
        self.requests: list[Asked] = []
        self.before: list[Hook] = []
        self.after: list[Hook] = []
        self.documents: dict[str, Obj] = {}
        self._oldest = self._version
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

    # ---- the transport

    def asked(self, method: str, plural: str, *, subresource: str = "") -> list[Asked]:
        """Give the requests of that kind."""
        wanted = (method, plural, subresource)
        return [each for each in self.requests if (each.method, each.resource.plural, each.subresource) == wanted]

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
        asked = take_apart(method, path, dict(params), dict(headers), parsed, content_type, actor)
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
        asked = take_apart("WATCH", path, dict(params), dict(headers), None, None, actor)
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
                return _answer(self._create(asked.resource, asked.namespace, asked.body), code=201)
            if asked.method == "GET" and not asked.name:
                return self._list(asked)
            if asked.method == "GET":
                return _answer(self._find(asked.resource, key))
            if asked.method == "PATCH":
                return self._patch(asked, key)
            if asked.method == "DELETE":
                return _answer(self._delete(asked.resource, key, asked.body or {}))
        except Refusal as refusal:
            return refusal.response
        except PatchDoesNotFit as problem:
            return status(422, "Invalid", str(problem))
        raise AssertionError(f"this API server does not know {asked.method} {asked.path}")

    def _list(self, asked: Asked) -> Response:
        items = [obj for obj in self._objects[asked.resource].values() if selected(obj, asked)]
        bare = [{name: value for name, value in obj.items() if name not in ("kind", "apiVersion")} for obj in items]
        if "as=PartialObjectMetadataList" in asked.headers.get("Accept", ""):
            bare = [{"metadata": obj["metadata"]} for obj in items]
        return _answer(
            {
                "kind": f"{asked.resource.kind}List",
                "apiVersion": asked.resource.api_version,
                "metadata": {"resourceVersion": str(self._version)},
                "items": bare,
            }
        )

    def _patch(self, asked: Asked, key: Key) -> Response:
        kind = PatchType(asked.content_type)
        if kind is PatchType.APPLY and key not in self._objects[asked.resource]:
            made = merged({"metadata": {"name": key.name}}, asked.body)
            return _answer(self._create(asked.resource, key.namespace, made), code=201)
        old = self._find(asked.resource, key)
        if kind is PatchType.JSON:
            new = json_patched(old, asked.body)
        else:
            wanted = asked.body.get("metadata", {})
            if wanted.get("resourceVersion") not in (None, old["metadata"]["resourceVersion"]):
                raise Refusal(409, "Conflict", "the object has been modified; please apply your changes to the latest")
            if wanted.get("uid") not in (None, old["metadata"]["uid"]):
                raise Refusal(422, "Invalid", "metadata.uid: Invalid value: field is immutable")
            new = merged(old, asked.body)
        if asked.subresource == "status":
            new = old | {"status": new.get("status")}
        elif has_status(asked.resource):
            new = new | {"status": old.get("status")}
        if new.get("status") is None:
            new = {name: value for name, value in new.items() if name != "status"}
        return _answer(self._replace(asked.resource, old, new))

    def _emit(self, kind: str, resource: Resource | None, obj: Obj, old: Obj | None) -> None:
        super()._emit(kind, resource, obj, old)
        self._tell()

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


async def _hooked(hooks: list[Hook], asked: Asked) -> Response | None:
    for hook in hooks:
        found = hook(asked)
        answer = await found if isawaitable(found) else found
        if answer is not None:
            return answer
    return None


def _answer(obj: Obj, *, code: int = 200) -> Response:
    return Response(code, orjson.dumps(obj))


def _as_seen(event: Event, asked: Asked) -> Iterator[tuple[str, Obj]]:
    """What a watch with selectors sees of an event: an object that leaves the selection is DELETED there."""
    if event.resource is None:
        yield "BOOKMARK", {"kind": asked.resource.kind, "apiVersion": asked.resource.api_version, **event.obj}
    elif event.resource is asked.resource:
        now, then = selected(event.obj, asked), event.old is not None and selected(event.old, asked)
        if event.type == "DELETED":
            if now or then:
                yield "DELETED", event.obj
        elif now:
            yield "MODIFIED" if then else "ADDED", event.obj
        elif then:
            yield "DELETED", event.obj
