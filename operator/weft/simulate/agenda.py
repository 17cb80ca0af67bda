"""What happens when, on a virtual clock: time jumps to the next thing on the agenda.

Times are seconds from the start, kept to the millisecond as the engine keeps them, so that things meant for the same
moment meet there. Within a moment, lower ranks come first, and of one rank what was put down first.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator

ENDS, NEWS, DECISIONS, CONTROLS, WAKES = range(5)
"""Ranks: what has ended by now is known before anybody acts on it, and alarms ring when all else has been seen."""

Deed = Callable[[], None]


class Agenda:
    """The clock and what is still to come."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, int, Deed]] = []
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._heap)

    def put(self, at: float, rank: int, deed: Deed) -> None:
        """Have something happen at a time (now, if that has passed)."""
        self._count += 1
        heapq.heappush(self._heap, (max(self.now, round(at, 3)), rank, self._count, deed))

    def next_moment(self) -> Iterator[Deed]:
        """Move the clock to the next moment and give what is down for it; alarms only once there is nothing else."""
        self.now, rank = self._heap[0][:2]
        while self._heap and self._heap[0][0] == self.now and (rank == WAKES or self._heap[0][1] < WAKES):
            yield heapq.heappop(self._heap)[-1]
