"""Sharding: several operators work side by side, each on the shards whose Leases it holds.

Each replica looks at every shard's Lease every few seconds, sees on the board who else is there, and works out who
should hold what (`kube/shards.py`). What is ours and free it takes, and a crew begins on that shard; what should be
somebody else's it hands over in order: the crew finishes what it has in hand and ends, then the Lease is given back.

A shard that is lost (it could not be renewed in time, or somebody else stands in its Lease) is dropped: its crew ends
in the middle of whatever it does, and nothing of it reaches the server any more, because every write asks the crew's
`Term` first, and a term that is over never begins again. The other shards go on. A dead replica's Leases run out by
themselves and are taken the moment they do.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from weft.kube.board import Board
from weft.kube.claim import LOOK_PERIOD, RENEW_DEADLINE, RETRY_PERIOD, Claim
from weft.kube.client import Client
from weft.kube.clock import Clock, Spawn, within
from weft.kube.errors import ApiError
from weft.kube.shards import shares
from weft.metrics import Metrics

_log = logging.getLogger(__name__)

BOARD_DEADLINE = 25.0
"""What `RENEW_DEADLINE` is to a shard's claim, for the layout's."""
ATTEMPT_SECONDS = 6.0
"""How long one look or one renewal may take: after one that hangs there is time for another."""
STOP_SECONDS = 5.0
"""How long a crew may take to finish what it has in hand; with the renewal before it, less than a claim is good for."""


class Crew(Protocol):
    """Who works on one shard for one term."""

    async def lead(self) -> None:
        """Begin to work. Raises when it cannot."""
        ...

    async def stop(self) -> None:
        """Finish what is in hand, and begin nothing new."""
        ...

    async def drop(self) -> None:
        """End at once; after it nothing of the crew runs any more."""
        ...


class Term:
    """One time of holding a shard's Lease. What a crew may still do is asked here before each write."""

    def __init__(self, claim: Claim, board: Board):
        self._claim = claim
        self._board = board
        self._over = False

    def holds(self) -> bool:
        """Say whether the crew may write now."""
        return not self._over and self._claim.holds and self._board.holds

    def end(self) -> None:
        """Let nothing be written under this term any more, whoever holds the Lease."""
        self._over = True


@dataclass(slots=True)
class _Serving:
    term: Term
    crew: Crew
    leading: asyncio.Task[None]


class Keeper:
    """Holds our share of the shards. `begin` makes the crew of a shard for a term. Times are in seconds."""

    def __init__(
        self,
        client: Client,
        *,
        namespace: str,
        name: str,
        identity: str,
        shards: int,
        begin: Callable[[int, Term], Crew],
        on_gone: Callable[[], None],
        clock: Clock,
        rng: random.Random,
        spawn: Spawn,
        metrics: Metrics,
    ):
        """Take the Leases' place and the board's name (a shard's is `NAME-shard-N`), and who we are.

        `on_gone` is told a moment after a shard has been handed over or lost, when nothing of its crew is left.

        The client should try once only: what fails is tried again here, and sooner than after a growing pause.
        """
        self._identity = identity
        self._begin = begin
        self._on_gone = on_gone
        self._clock = clock
        self._rng = rng
        self._spawn = spawn
        self._metrics = metrics
        layout = f"{shards} shards"
        self._board = Board(
            client, namespace=namespace, name=name, identity=identity, layout=layout, clock=clock, spawn=spawn
        )
        self._claims = [
            Claim(client, namespace=namespace, name=lease, identity=identity, clock=clock, spawn=spawn)
            for lease in lease_names(name, shards)
        ]
        self._serving: dict[int, _Serving] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def held(self) -> list[int]:
        """Give the shards that crews of ours work on."""
        return sorted(self._serving)

    async def run(self) -> None:
        """Take part until cancelled."""
        self._tasks = [self._spawn(self._tend(shard), name=f"shard-{shard}") for shard in range(len(self._claims))]
        self._tasks.append(self._spawn(self._beat(), name="board"))
        await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """Hand all our shards over in order and leave."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._board.leave(RETRY_PERIOD)
        await asyncio.gather(*(self._hand_over(shard) for shard in self.held))
        await self._board.release(RETRY_PERIOD)

    async def _beat(self) -> None:
        while True:
            beaten = await self._board.beat(RENEW_DEADLINE)
            # All replicas write this Lease, and now and then one is a moment faster.
            await self._clock.sleep(self._jittered() if beaten else self._jittered() / 4)

    async def _tend(self, shard: int) -> None:
        """Look after one shard, one step at a time."""
        while True:
            held = shard in self._serving
            await self._step(shard)
            await self._clock.sleep(self._pause(shard))
            if held and shard not in self._serving:  # not before: what the step has awaited still refers to the crew
                self._on_gone()

    async def _step(self, shard: int) -> None:
        """Look at the shard's Lease; take it, renew it, hand it over or lose it."""
        claim, serving, wanted = self._claims[shard], self._serving.get(shard), self._wants(shard)
        if serving is None:
            if not wanted:
                await claim.look(ATTEMPT_SECONDS)
            elif await claim.take(ATTEMPT_SECONDS):
                self._start(shard)
        elif self._left(shard) <= 0 or (
            not await claim.take(min(self._left(shard), ATTEMPT_SECONDS)) and claim.holder != self._identity
        ):
            _log.error("shard %d is lost; its holder is %s", shard, claim.holder or "unknown")
            await self._drop(shard)
        elif not wanted or _has_failed(serving.leading):
            await self._hand_over(shard)

    def _wants(self, shard: int) -> bool:
        """Say whether the shard should be ours, as far as we see."""
        if not self._board.holds:
            return False
        holders = {number: claim.holder for number, claim in enumerate(self._claims)}
        return shares(self._board.members(), holders).get(shard) == self._identity

    def _left(self, shard: int) -> float:
        """Seconds until the shard's claim, and our layout's, have to have been renewed."""
        until = min(self._claims[shard].renewed_at + RENEW_DEADLINE, self._board.renewed_at + BOARD_DEADLINE)
        return until - self._clock.monotonic()

    def _pause(self, shard: int) -> float:
        claim, now = self._claims[shard], self._clock.monotonic()
        if shard in self._serving:  # by when the last renewal began: a slow server is not asked later for it
            period = self._jittered()
            return max(period / 4, min(self._left(shard), claim.renewed_at + period - now))
        period, until_free = self._jittered(LOOK_PERIOD), claim.free_at - now
        return min(period, until_free) if until_free > 0 and self._wants(shard) else period

    def _jittered(self, period: float = RETRY_PERIOD) -> float:
        return period * (1 + self._rng.random() / 5)

    def _start(self, shard: int) -> None:
        term = Term(self._claims[shard], self._board)
        crew = self._begin(shard, term)
        self._serving[shard] = _Serving(term, crew, self._spawn(_lead(shard, crew), name=f"lead-{shard}"))
        self._count()
        _log.info("%s holds shard %d", self._identity, shard)

    async def _hand_over(self, shard: int) -> None:
        """End the crew in order, then give the Lease back."""
        serving = self._serving[shard]
        await _cancelled(serving.leading)
        try:
            await within(STOP_SECONDS, serving.crew.stop(), clock=self._clock, spawn=self._spawn, name=f"stop-{shard}")
        except TimeoutError:
            _log.warning("shard %d has not finished within %g s and is dropped", shard, STOP_SECONDS)
        except Exception:
            _log.exception("shard %d cannot be stopped in order and is dropped", shard)
        await self._drop(shard)
        await self._claims[shard].release(RETRY_PERIOD)
        _log.info("%s has handed shard %d over", self._identity, shard)

    async def _drop(self, shard: int) -> None:
        serving = self._serving[shard]
        serving.term.end()
        await _cancelled(serving.leading)
        await serving.crew.drop()
        del self._serving[shard]
        self._count()

    def _count(self) -> None:
        self._metrics.shards.set(len(self._serving))
        self._metrics.leader.set(int(bool(self._serving)))


async def _lead(shard: int, crew: Crew) -> None:
    try:
        await crew.lead()
    except ApiError as error:  # it says what is missing: a kind, a right, the API server
        _log.error("shard %d cannot be led; it is given back: %s", shard, error.message)
        raise
    except Exception:
        _log.exception("shard %d cannot be led; it is given back", shard)
        raise


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _has_failed(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


def lease_names(name: str, shards: int) -> list[str]:
    """Give the names of the shards' Leases."""
    return [f"{name}-shard-{shard}" for shard in range(shards)]
