"""What happens to the operator's requests and watches on their way: everything a network and a busy server can do.

Each takes its time, there and back. A request may be late, never be sent, be refused (429, 500, 403 by quota), be
carried out and answered by an error or by nothing, or be the last thing its process ever did, before or after the
server has carried it out. Just before a write somebody else may change the object, or take the name. A watch may lag,
stall, break, repeat itself or be refused.
`Storm.over` ends all of it.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

from support.chaos.dice import Dice
from support.replica import Wire
from support.transport import status
from weft.kube.transport import Dropped, NotSent, Response, Stalled, StreamRefused

REQUESTS = (
    ("slow", 8.0), ("slow answer", 8.0), ("not sent", 2.0), ("429", 2.0), ("500 before", 2.0), ("500 after", 2.0),
    ("cut", 3.0), ("time-out before", 1.0), ("time-out after", 1.5), ("quota", 1.0), ("crash before", 1.5),
    ("crash after", 2.5), ("meddle", 5.0), ("arrives later", 2.0),
)  # fmt: skip
LINES = (("late", 10.0), ("twice", 2.0), ("cut", 1.0), ("silent", 0.5))
SLOW_LISTS = 0.5
"""How often a list is old news when it comes: lists are rare, and what their absences prove is worth many tries."""

Theme = tuple[str, str, str, float]
"""What happens to requests of this method to such a path, and how often."""
THEMES: tuple[Theme | None, ...] = (
    *(None,) * 8,
    ("500 before", "PATCH", "/status", 0.6), ("quota", "POST", "s", 0.5), ("cut", "POST", "/pods", 0.5),
    ("arrives later", "PATCH", "/status", 0.15), ("crash after", "POST", "s", 0.08),
)  # fmt: skip
"""Some seeds have one trouble far more often than any other: what takes it many times in a row is met there."""

Act = Callable[[], Coroutine[Any, Any, Response]]
"""What the server does with a request."""
Meddle = Callable[[str, str], None]
"""Somebody acts in the instant before a write arrives: its method and path."""


class Storm:
    """The weather of one seed, for all processes."""

    def __init__(
        self, dice: Dice, *, rate: float, latency: float, crashes: bool, meddle: Meddle,
        tell: Callable[[str, str], None],
    ) -> None:  # fmt: skip
        self._requests = dice.of("requests")
        self._lines = dice.of("lines")
        self._rate = rate
        self._latency = latency
        self._ways = dice.of("ways")
        self._theme = dice.of("theme").pick(THEMES) if crashes else None
        self._kinds = [kind for kind in REQUESTS if crashes or not kind[0].startswith("crash")]
        self._meddle = meddle
        self._tell = tell
        self._lag: dict[tuple[str, str], float] = {}
        self._under_way: set[asyncio.Task[Any]] = set()
        self.over = False

    def hold_back(self, actor: str, plural: str, until: float) -> None:
        """Let that process hear nothing new of a resource until then."""
        self._lag[actor, plural] = until

    async def request(self, wire: Wire, method: str, path: str, act: Act) -> Response:
        if not self._latency:
            return await self._through(wire, method, path, act)
        await wire.clock.sleep(self._ways.between(0.0, self._latency))
        answer = await self._through(wire, method, path, act)
        await wire.clock.sleep(self._ways.between(0.0, self._latency))
        return answer

    async def _through(self, wire: Wire, method: str, path: str, act: Act) -> Response:
        dice = self._requests
        if self.over:
            return await act()
        if method == "GET" and path.endswith(("/jobs", "/pods")) and dice.chance(SLOW_LISTS):
            kind = "slow answer"
        elif self._theme and self._of_the_theme(method, path) and dice.chance(self._theme[3]):
            kind = self._theme[0]
        elif dice.chance(self._rate):
            kind = dice.weighted(self._kinds)
        else:
            return await act()
        at_lease = "/leases/" in path
        if at_lease and kind in ("quota", "meddle"):
            return await act()
        self._tell(wire.actor, f"{kind}: {method} {path}")
        return await self._suffer(wire, kind, method, path, act)

    def _of_the_theme(self, method: str, path: str) -> bool:
        assert self._theme is not None
        return method == self._theme[1] and path.endswith(self._theme[2])

    async def _suffer(self, wire: Wire, kind: str, method: str, path: str, act: Act) -> Response:
        dice = self._requests
        if kind in ("slow", "time-out before"):
            await wire.clock.sleep(dice.between(0.01, 3.0))
        elif kind == "meddle":
            self._meddle(method, path)
        elif kind == "arrives later" and method != "GET" and not (method == "POST" and path.endswith("/jobs")):
            # Of a Job only its name is compared: a create that comes when the Job is long done and deleted makes an
            # empty one. No server can be asked to refuse it; Weft makes no Pod of it.
            await self._give_up_on(wire, act)
        elif kind == "crash before":
            wire.ice.dead = True
            wire.ice.freeze()
        undone = kind in ("crash before", "not sent", "429", "500 before", "time-out before")
        if undone or (kind == "quota" and method == "POST" and path.endswith(("/jobs", "/pods"))):
            return await self._not_done(wire, kind)
        answer = await act()
        if kind == "slow answer":
            await wire.clock.sleep(dice.between(0.01, 3.0))
        elif kind == "crash after":
            wire.ice.dead = True
            wire.ice.freeze()
        elif kind == "500 after":
            return status(500, "InternalError", "etcdserver: request timed out")
        elif kind == "cut":
            raise Dropped("connection reset")
        elif kind == "time-out after":
            await wire.clock.sleep(dice.between(1.0, 15.0))
            raise Stalled("no answer in time")
        return answer

    async def _give_up_on(self, wire: Wire, act: Act) -> None:
        """The sender hears nothing and goes on, or dies; the request arrives when nobody thinks of it any more."""

        async def arrive(after: float) -> None:
            await wire.api.clock.sleep(after)
            await act()

        task = asyncio.ensure_future(arrive(self._requests.between(2.0, 30.0)))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await wire.clock.sleep(self._requests.between(1.0, 15.0))
        raise Stalled("no answer in time")

    async def end(self) -> None:
        """Nothing is under way any more."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _not_done(self, wire: Wire, kind: str) -> Response:
        if kind == "crash before":
            await wire.ice.passed()
        if kind == "429":
            return status(429, "TooManyRequests", "slow down", after=1 + self._requests.below(2))
        if kind == "500 before":
            return status(500, "InternalError", "no leader")
        if kind == "quota":
            return status(403, "Forbidden", "exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4")
        raise NotSent("connection refused") if kind == "not sent" else Stalled("no answer in time")

    async def lines(self, wire: Wire, path: str, lines: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        dice, plural = self._lines, path.rsplit("/", 1)[-1]
        if not self.over and dice.chance(self._rate / 2):
            await lines.aclose()
            raise StreamRefused(dice.pick((status(500, "InternalError"), status(429, "TooManyRequests", after=1))))
        async with aclosing(lines):
            async for line in lines:
                late = self._lag.get((wire.actor, plural), 0.0) - wire.clock.monotonic()
                if late > 0 and not self.over:
                    await wire.clock.sleep(late)
                kind = dice.weighted(LINES) if not self.over and dice.chance(self._rate) else ""
                if kind == "late":
                    await wire.clock.sleep(dice.between(0.01, 2.0))
                elif kind == "twice":
                    yield line
                elif kind == "cut":
                    raise Dropped("connection reset")
                elif kind == "silent":
                    await wire.clock.sleep(dice.between(1.0, 20.0))
                    raise Stalled("silence")
                yield line
                await asyncio.sleep(0)
