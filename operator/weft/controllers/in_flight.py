"""How much is asked of the world outside at once: so much of one namespace, so much of all, and each in its turn.

A run can have a thousand http nodes ready in one instant. Sent together their requests would take the operator's memory
and sockets from every other run, and it would be the operator that floods whoever is asked.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

OF_A_NAMESPACE = 64
OF_ALL = 256


class InFlight:
    """Room for so many at once. Who waits is let in namespace by namespace, one of each in turn."""

    def __init__(self, of_a_namespace: int = OF_A_NAMESPACE, of_all: int = OF_ALL) -> None:
        """Take the two bounds."""
        self._of_a_namespace = of_a_namespace
        self._of_all = of_all
        self._now: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By namespace, those whose turn comes next first; none of them is empty."""

    @asynccontextmanager
    async def room(self, namespace: str) -> AsyncIterator[None]:
        """Wait for room, and have it until the block is left."""
        if self._waiting.get(namespace) or not self._fits(namespace):
            await self._turn(namespace)
        else:
            self._now[namespace] += 1
        try:
            yield
        finally:
            self._leave(namespace)

    def _fits(self, namespace: str) -> bool:
        return self._now[namespace] < self._of_a_namespace and self._now.total() < self._of_all

    async def _turn(self, namespace: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(namespace, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(namespace)
            raise

    def _leave(self, namespace: str) -> None:
        self._now[namespace] -= 1
        if not self._now[namespace]:
            del self._now[namespace]
        for waiting in list(self._waiting):
            if self._fits(waiting):
                self._let_in(waiting)

    def _let_in(self, namespace: str) -> None:
        """Let in the one who has waited longest of a namespace; its next turn comes after those of all others."""
        queue = self._waiting.pop(namespace)
        while queue:
            turn = queue.popleft()
            if not turn.done():  # else it has been given up
                self._now[namespace] += 1
                turn.set_result(None)
                break
        if queue:
            self._waiting[namespace] = queue
