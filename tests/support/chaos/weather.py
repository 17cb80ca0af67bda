"""What happens to the operator's requests and watches on their way: everything a network and a busy server can do.

Each takes its time, there and back. A request may be late, never be sent, be refused (429, 500, 403 by a quota or by
rules that were not read yet), be carried out and answered by an error or by nothing, or be the last thing its process
ever did, before or after the server has carried it out; or it arrives only when the next process is about to write
there. Just before a write somebody else may change the object, or take the name. A watch may lag, stall, break,
repeat itself or be refused.
`Storm.over` ends all of it.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, NamedTuple

from support.chaos.dice import Dice
from support.replica import Wire
from support.transport import over_quota, status
from weft.kube.resources import WORKFLOW_RUNS
from weft.kube.transport import Dropped, NotSent, Response, Stalled, StreamRefused

REQUESTS = (
    ("slow", 8.0), ("slow answer", 8.0), ("not sent", 2.0), ("429", 2.0), ("500 before", 2.0), ("500 after", 2.0),
    ("cut", 3.0), ("time-out before", 1.0), ("time-out after", 1.5), ("quota", 1.0), ("crash before", 1.5),
    ("crash after", 2.5), ("meddle", 5.0), ("arrives later", 2.0),
)  # fmt: skip
DEADLY = ("crash before", "dies, then it arrives")
UNDONE = (*DEADLY, "not sent", "429", "403", "500 before", "time-out before")
LINES = (("late", 10.0), ("twice", 2.0), ("cut", 1.0), ("silent", 0.5))
SLOW_LISTS = 0.5
"""How often a list is old news when it comes: lists are rare, and what their absences prove is worth many tries."""


class Theme(NamedTuple):
    """What happens to requests of this method to such a path, and how often; whose watch is late as often."""

    kind: str
    method: str
    path: str
    chance: float
    lagging: str = ""

    def is_about(self, method: str, path: str) -> bool:
        return method == self.method and re.search(self.path, path) is not None


THEMES: tuple[Theme | None, ...] = (
    *(None,) * 8,
    Theme("500 before", "PATCH", "/status$", 0.6), Theme("quota", "POST", "s$", 0.5),
    Theme("cut", "POST", "/pods$", 0.5), Theme("arrives later", "PATCH", "/status$", 0.15),
    Theme("crash after", "POST", "s$", 0.08),
)  # fmt: skip
"""Some seeds have one trouble far more often than any other: what takes it many times in a row is met there."""
HARDSHIPS: tuple[Theme | None, ...] = (
    *(None,) * 2,
    Theme("dies, then it arrives", "PATCH", "/workflowruns/[^/]+/status$", 0.3),
    Theme("cut", "POST", "/pods$", 0.7, lagging="pods"),
    Theme("meddle", "DELETE", "/workflowruns/", 0.9),
    Theme("403", "POST", "/(jobs|pods|workflowruns)$", 0.1),
    Theme("slow answer", "POST", "/(jobs|pods)$", 0.5),
)  # fmt: skip
"""And some have one of these besides, each of which has to meet something else to do harm."""

Act = Callable[[], Coroutine[Any, Any, Response]]
"""What the server does with a request."""
Sent = Callable[[str, str, str], None]
"""Told of every request as it leaves its process: who, method, path."""
Meddle = Callable[[str, str], None]
"""Somebody acts in the instant before a write arrives: its method and path."""


class Storm:
    """The weather of one seed, for all processes."""

    def __init__(
        self, dice: Dice, *, rate: float, latency: float, crashes: bool, hardships: bool, themes: bool,
        meddle: Meddle,
        tell: Callable[[str, str], None], sent: Sent,
    ) -> None:  # fmt: skip
        self._requests = dice.of("requests")
        self._lines = dice.of("lines")
        self._rate = rate
        self._latency = latency
        self._ways = dice.of("ways")
        theme = dice.of("theme").pick(THEMES) if themes and crashes else None
        hardship = dice.of("hardship").pick(HARDSHIPS) if themes and hardships and crashes else None
        self._themes = [each for each in (hardship, theme) if each is not None]
        self._kinds = [kind for kind in REQUESTS if crashes or not kind[0].startswith("crash")]
        self._meddle = meddle
        self._sent = sent
        self._tell = tell
        self._lag: dict[tuple[str, str], float] = {}
        self._under_way: set[asyncio.Task[Any]] = set()
        self._last_words: dict[str, Act] = {}
        self.over = False

    def hold_back(self, actor: str, plural: str, until: float) -> None:
        """Let that process hear nothing new of a resource until then."""
        self._lag[actor, plural] = until

    async def request(self, wire: Wire, method: str, path: str, act: Act) -> Response:
        self._sent(wire.actor, method, path)
        if not self._latency:
            return await self._through(wire, method, path, act)
        await wire.clock.sleep(self._ways.between(0.0, self._latency))
        answer = await self._through(wire, method, path, act)
        await wire.clock.sleep(self._ways.between(0.0, self._latency))
        return answer

    async def _through(self, wire: Wire, method: str, path: str, act: Act) -> Response:
        dice = self._requests
        if method == "PATCH" and (late := self._last_words.pop(path, None)):
            await late()
        if self.over:
            return await act()
        if method == "GET" and path.endswith(("/jobs", "/pods")) and dice.chance(SLOW_LISTS):
            kind = "slow answer"
        elif theme := next((each for each in self._themes if self._strikes(each, method, path)), None):
            kind = theme.kind
        elif dice.chance(self._rate):
            kind = dice.weighted(self._kinds)
        else:
            return await act()
        at_lease = "/leases/" in path
        if at_lease and kind in ("quota", "meddle"):
            return await act()
        self._tell(wire.actor, f"{kind}: {method} {path}")
        return await self._suffer(wire, kind, method, path, act)

    def _strikes(self, theme: Theme, method: str, path: str) -> bool:
        return theme.is_about(method, path) and self._requests.chance(theme.chance)

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
        elif kind in DEADLY:
            wire.ice.dead = True
            wire.ice.freeze()
            if kind == "dies, then it arrives" and _has_begun(wire, path):
                self._last_words[path] = act
        if kind in UNDONE or (kind == "quota" and method == "POST" and path.endswith(("/jobs", "/pods"))):
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

    def _lags(self, plural: str) -> bool:
        chances = [theme.chance for theme in self._themes if theme.lagging == plural and not self.over]
        return bool(chances) and self._lines.chance(chances[0])

    async def end(self) -> None:
        """Nothing is under way any more."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _not_done(self, wire: Wire, kind: str) -> Response:
        if kind in DEADLY:
            await wire.ice.passed()
        if kind == "429":
            return status(429, "TooManyRequests", "slow down", after=1 + self._requests.below(2))
        if kind == "403":
            return status(403, "Forbidden", 'User "weft" cannot create resource "jobs"')
        if kind == "500 before":
            return status(500, "InternalError", "no leader")
        if kind == "quota":
            return over_quota()
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
                if kind == "late" or self._lags(plural):
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


def _has_begun(wire: Wire, path: str) -> bool:
    """Whether the run is active. A start that arrives late takes a place that may be another's by then.

    No server can be asked to refuse it.
    """
    run = wire.api.read(WORKFLOW_RUNS, *path.split("/namespaces/")[1].removesuffix("/status").split("/")[::2])
    return run is not None and "startTime" in (run.get("status") or {})
