"""How many attempts are under way at once: so many for each channel, and so many for each namespace.

A receiver that takes its time must not take the workers of all: not by one channel, nor by many of one namespace. Who
finds no slot waits in the line of its channel. When one is given back, it goes to the next channel of the namespace
that has both somebody in line and room, and is kept for that one until it comes.
"""

from collections import Counter, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Slots(Generic[K]):
    """Slots, and who waits for one. Who is given one by `give_back` must `take` it."""

    def __init__(self, *, per_namespace: int, per_channel: int) -> None:
        """Take the bounds."""
        self._per_namespace = per_namespace
        self._per_channel = per_channel
        self._taken: Counter[tuple[str, ...]] = Counter()
        self._granted: set[K] = set()
        self._waiting: dict[str, dict[str, deque[K]]] = {}
        """By namespace and channel; the channel whose turn is next stands first."""

    def take(self, namespace: str, channel: str, key: K) -> bool:
        """Take a slot, or stand in line and be named by a later `give_back`."""
        if key in self._granted:
            self._granted.remove(key)
            return True
        if self._has_room(namespace, channel):
            self._count(namespace, channel)
            return True
        self._waiting.setdefault(namespace, {}).setdefault(channel, deque()).append(key)
        return False

    def give_back(self, namespace: str, channel: str) -> K | None:
        """Give a slot back, and the key that has it now: let it come."""
        self._count(namespace, channel, by=-1)
        lines = self._waiting.get(namespace, {})
        chosen = next((name for name in lines if self._has_room(namespace, name)), None)
        if chosen is None:
            return None
        line = lines.pop(chosen)
        key = line.popleft()
        if line:
            lines[chosen] = line
        elif not lines:
            del self._waiting[namespace]
        self._granted.add(key)
        self._count(namespace, chosen)
        return key

    def _has_room(self, namespace: str, channel: str) -> bool:
        of_namespace, of_channel = self._taken[(namespace,)], self._taken[namespace, channel]
        return of_namespace < self._per_namespace and of_channel < self._per_channel

    def _count(self, namespace: str, channel: str, *, by: int = 1) -> None:
        for place in ((namespace,), (namespace, channel)):
            self._taken[place] += by
            if not self._taken[place]:
                del self._taken[place]
