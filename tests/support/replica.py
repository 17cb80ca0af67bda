"""One operator process: all of `weft.single` or `weft.sharded`, as in `weft.process`, that can crash and freeze.

    replica = Replica(api, clock, name="op-0", settings=settings)
    replica.start()
    replica.compiling = 10.0                # a Workflow takes so long to compile
    replica.freeze(); replica.thaw()        # SIGSTOP and SIGCONT: time goes on, nothing of it runs
    replica.crash()                         # in the middle of whatever it does; nothing of it reaches the server
    await replica.bury()                    # its tasks are gone: another may be started

All it does goes through its `Wire` and its clock; a frozen or dead process is held there. `weather`, if given, is what
the wire suffers. Weft's own kinds are fed as kopf feeds them: a list, then a watch, and nothing about what vanished.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, Protocol, TypeVar

from support.clock import VirtualClock
from support.fakeapi import FakeApi
from weft.api.objects import version_of
from weft.app import Operator
from weft.controllers.catalog import KINDS
from weft.kube.client import Client, items_of
from weft.kube.errors import ApiError, Gone
from weft.kube.fence import Fence
from weft.kube.limiter import Limiter
from weft.kube.resources import Resource
from weft.kube.transport import Response, Transport
from weft.metrics import Metrics
from weft.outfit import Outfit
from weft.settings import Settings
from weft.sharded import Sharded
from weft.single import Single

T = TypeVar("T")

WATCH_SECONDS = 60
SPINNING = 50_000
"""How often a process may look at its clock in one instant: far more than any honest work does."""


class Weather(Protocol):
    """What happens to a process's requests and watches on their way."""

    async def request(
        self, wire: "Wire", method: str, path: str, act: Callable[[], Coroutine[Any, Any, Response]]
    ) -> Response:
        """Let the request through, or not; `act` is the server's part of it."""
        ...

    def lines(self, wire: "Wire", path: str, lines: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Give the lines of a watch, late or twice or not at all."""
        ...


class Ice:
    """Whether a process runs. What passes it waits while it does not."""

    def __init__(self) -> None:
        self._running = asyncio.Event()
        self._running.set()
        self.dead = False
        self.buried = False

    @property
    def frozen(self) -> bool:
        return not self._running.is_set()

    def freeze(self) -> None:
        self._running.clear()

    def thaw(self) -> None:
        if not self.dead:
            self._running.set()

    async def passed(self) -> None:
        if self.buried:
            raise asyncio.CancelledError
        await self._running.wait()


class Spins(BaseException):
    """A process goes round and round without ever waiting; nothing in it may catch this."""


class ProcessClock:
    """The clock of one machine: its wall may be off by `skew`; a frozen process oversleeps, a spinning one is ended."""

    def __init__(self, clock: VirtualClock, ice: Ice) -> None:
        self._clock = clock
        self._ice = ice
        self._asked = 0
        self._asked_at = 0.0
        self.skew = 0.0
        self.spins = False

    def now(self) -> float:
        return self._clock.now() + self.skew

    def monotonic(self) -> float:
        now = self._clock.monotonic()
        self._asked = self._asked + 1 if now == self._asked_at else 0
        self._asked_at = now
        if self._asked > SPINNING:
            self.spins = True
            raise Spins(f"asked {SPINNING} times what time it is, and it was always {now:.3f}")
        return now

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        await self._ice.passed()


class Threshold:
    """A `Transport` on the inner side of a process: what a frozen process does not do never begins."""

    def __init__(self, ice: Ice, transport: Transport) -> None:
        self._ice = ice
        self._transport = transport

    async def request(self, method: str, path: str, **rest: Any) -> Response:
        await self._ice.passed()
        return await self._transport.request(method, path, **rest)

    async def stream(self, path: str, **rest: Any) -> AsyncGenerator[bytes, None]:
        await self._ice.passed()
        async with aclosing(self._transport.stream(path, **rest)) as lines:
            async for line in lines:
                yield line


class Wire:
    """A `Transport` from one process to the API server: what is on its way arrives, whatever becomes of the process."""

    def __init__(self, api: FakeApi, clock: VirtualClock, actor: str, ice: Ice, weather: Weather | None) -> None:
        self.api = api
        self.clock = clock
        self.actor = actor
        self.ice = ice
        self._weather = weather

    async def request(self, method: str, path: str, **rest: Any) -> Response:
        act = partial(self.api.request, method, path, actor=self.actor, **rest)
        answer = await (self._weather.request(self, method, path, act) if self._weather is not None else act())
        await self.ice.passed()
        return answer

    async def stream(
        self, path: str, *, params: Mapping[str, str], headers: Mapping[str, str], idle_timeout: float
    ) -> AsyncGenerator[bytes, None]:
        lines = self.api.stream(path, params=params, headers=headers, idle_timeout=idle_timeout, actor=self.actor)
        if self._weather is not None:
            lines = self._weather.lines(self, path, lines)
        async with aclosing(lines):
            async for line in lines:
                await self.ice.passed()
                yield line


class Replica:
    """A process that runs the operator, until it crashes or ends by itself."""

    def __init__(
        self, api: FakeApi, clock: VirtualClock, *, name: str, settings: Settings, http: Any, seed: int = 0,
        metrics: Metrics | None = None, weather: Weather | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.settings = settings
        self.ice = Ice()
        self.clock = ProcessClock(clock, self.ice)
        self.wire = Wire(api, clock, name, self.ice, weather)
        self.compiling = 0.0
        self.settle: Callable[[], None] = lambda: None
        """What it does about its memory once its work has begun or moved."""
        self.failure: BaseException | None = None
        """Why it could not lead, or not go on."""
        self._tasks: dict[asyncio.Task[Any], None] = {}  # those that run, in the order of their beginnings
        self._rng = random.Random(seed)
        self._metrics = metrics or Metrics()
        outfit = Outfit(
            settings=settings, fenced=lambda may: Threshold(self.ice, Fence(self.wire, may_write=may)), http=http,
            clock=self.clock, rng=self._rng, spawn=self._spawn, aside=self._aside, metrics=self._metrics,
            identity=name, on_broken=self._broken,
        )  # fmt: skip
        self._part: Single | Sharded
        if settings.shards > 1:
            self._part = Sharded(outfit, on_settled=lambda: self.settle())
        else:
            self._part = Single(outfit, on_led=lambda: None, on_lost=self.crash)
        self.ended = False
        """It has ended by itself: its lease was lost, or it could not lead."""

    @property
    def leading(self) -> bool:
        return self._part.leading and not self.ice.dead and not self.ended

    @property
    def operator(self) -> Operator:
        """The one that works, or will; a sharded replica has several."""
        assert isinstance(self._part, Single)
        return self._part.operator

    @property
    def shards(self) -> list[int]:
        return self._part.shards if self.leading else []

    def start(self) -> None:
        self._part.follow()
        for kind in KINDS:
            self._spawn(self._feed(kind), name=f"watch-{kind.plural}")
        self._spawn(self._life(), name="life")

    def freeze(self) -> None:
        self.ice.freeze()

    def thaw(self) -> None:
        self.ice.thaw()

    def crash(self) -> None:
        self.ice.dead = True
        self.ice.freeze()

    async def bury(self) -> None:
        self.crash()
        self.ice.buried = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _life(self) -> None:
        """What `weft.process` does: lead when the lease is ours, end when it is lost or leading fails."""
        try:
            await self._part.work()
        except Exception as error:
            self.failure = error
            await self._stop()

    async def _aside(self, work: Callable[[], T]) -> T:
        if self.compiling:
            await self.clock.sleep(self.compiling)
        return work()

    def _broken(self) -> None:
        """End in order, as `weft.process` does when a part of it has failed."""
        if self.failure is None:
            self.failure = AssertionError("a part of the operator has failed; the log says which")
            self._spawn(self._stop(), name="broken")

    async def _stop(self) -> None:
        try:
            await self._part.stop()
        finally:
            self.ended = True

    def leave(self) -> None:
        """What SIGTERM does: it ends in order, unless something else ends it before."""
        self._spawn(self._end_in_order(), name="end")

    async def _end_in_order(self) -> None:
        await self._part.stop()
        await self._part.release()
        self.ended = True

    def _client(self, transport: Transport) -> Client:
        return Client(
            Threshold(self.ice, transport), clock=self.clock, rng=self._rng, metrics=self._metrics,
            limiter=Limiter(maximum=1),
        )  # fmt: skip

    async def _feed(self, kind: Resource) -> None:
        """What kopf does in a real process."""
        client, version = self._client(self.wire), ""
        while True:
            try:
                if not version:
                    page = await client.page(kind)
                    for obj in items_of(page, kind):
                        self._part.feed.apply(kind, None, obj)
                    version = version_of(page)
                events = client.watch(
                    kind, resource_version=version, timeout_seconds=WATCH_SECONDS, idle_timeout=WATCH_SECONDS + 15
                )
                async with aclosing(events):
                    async for type_, obj in events:
                        if type_ != "BOOKMARK":
                            self._part.feed.apply(kind, type_, obj)
                        version = version_of(obj) or version
            except Gone:
                version = ""
            except ApiError:
                await self.clock.sleep(1.0)

    def _spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=f"{self.name}:{name}")
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task
