"""Back-pressure: how many writes may be in flight at once, and whose turn is next.

The limit breathes as TCP's window does: halved when the server says 429 or lets a request time out, and won back by
one slot for each round of successes. Requests that were already under way at a cut do not cut again: sixty-four
simultaneous refusals are one signal, not sixty-four. Finishing (status writes) goes before starting (creates), because
finished work frees the cluster; yet every eighth turn goes to the longest-waiting start, so that neither starves.
Nobody polls: who waits is woken by who leaves.
"""

import asyncio
import enum
from collections import deque

from weft.metrics import Metrics

_TURNS_BEFORE_A_START = 7


class Priority(enum.IntEnum):
    """Who goes first when writes must wait."""

    START = 0
    """Begins new work: creating Jobs and Pods."""
    FINISH = 1
    """Records or ends work: status writes, other patches, deletions."""
    URGENT = 2
    """Never waits and is not counted: the leader's lease."""


class Limiter:
    """A semaphore with two priorities and a limit that adapts between 1 and `maximum`."""

    def __init__(self, *, maximum: int, metrics: Metrics | None = None):
        """Take the limit to begin with and never to pass, and where it is shown: of one process's limiters, the one."""
        self._maximum = float(maximum)
        self._limit = float(maximum)
        self._in_flight = 0
        self._cuts = 0
        self._turns = 0
        self._waiting: dict[Priority, deque[asyncio.Future[None]]] = {Priority.START: deque(), Priority.FINISH: deque()}
        if metrics is not None:
            metrics.api_write_limit.set_function(lambda: self.limit)
            metrics.api_writes_in_flight.set_function(lambda: self._in_flight)

    @property
    def limit(self) -> int:
        """Give the number of writes allowed in flight now."""
        return int(self._limit)

    async def acquire(self, priority: Priority) -> int:
        """Wait for a slot and give the ticket that `release` wants back."""
        if self._in_flight < self.limit:
            self._in_flight += 1
        else:
            turn = asyncio.get_running_loop().create_future()
            self._waiting[priority].append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    # The slot was handed over in the same instant: pass it on.
                    self._in_flight -= 1
                    self._hand_over()
                raise
        return self._cuts

    def release(self, ticket: int, *, overloaded: bool) -> None:
        """Give the slot back and say how the server took the request."""
        self._in_flight -= 1
        if not overloaded:
            self._limit = min(self._maximum, self._limit + 1 / self._limit)
        elif ticket == self._cuts:
            self._limit = max(1.0, self._limit / 2)
            self._cuts += 1
        self._hand_over()

    def _hand_over(self) -> None:
        while self._in_flight < self.limit and (queue := self._next_queue()):
            turn = queue.popleft()
            if not turn.done():
                self._in_flight += 1
                turn.set_result(None)

    def _next_queue(self) -> deque[asyncio.Future[None]]:
        starts, finishes = self._waiting[Priority.START], self._waiting[Priority.FINISH]
        if starts and (not finishes or self._turns >= _TURNS_BEFORE_A_START):
            self._turns = 0
            return starts
        self._turns += 1
        return finishes
