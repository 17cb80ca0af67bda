"""What the runs of a namespace share: concurrency keys (who holds one, who waits for it) and the cache of successes.

Holders are known by whatever hashable the caller gives; the tables answer what follows from each step and do nothing
else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Holder = TypeVar("Holder", bound=Hashable)


@dataclass(slots=True)
class _Key(Generic[Holder]):
    holders: list[Holder] = field(default_factory=list)  # the oldest first
    queue: deque[tuple[Holder, int]] = field(default_factory=deque)  # with the limit each asked with


class Locks(Generic[Holder]):
    """The table of keys."""

    def __init__(self) -> None:
        self._keys: dict[str, _Key[Holder]] = {}

    def acquire(self, holder: Holder, *, key: str, limit: int, policy: str) -> tuple[bool | None, Holder | None]:
        """Ask for a key.

        Gives (True, None) when it is granted, (False, None) when it is refused for good (policy Skip), and
        (None, other) when the holder waits; `other` is the one to be cancelled for it (policy CancelRunning).
        """
        state = self._keys.setdefault(key, _Key())
        if len(state.holders) < limit and not state.queue:
            state.holders.append(holder)
            return True, None
        if policy == "Skip":
            return False, None
        state.queue.append((holder, limit))
        return None, state.holders[0] if policy == "CancelRunning" else None

    def release(self, holder: Holder, *, key: str) -> Iterator[Holder]:
        """Give a key back, or stop waiting for it; gives those who hold it now because of that."""
        state = self._keys.get(key)
        if state is None:
            return
        if holder in state.holders:
            state.holders.remove(holder)
        else:
            state.queue = deque(entry for entry in state.queue if entry[0] != holder)
        while state.queue and len(state.holders) < state.queue[0][1]:
            granted, _ = state.queue.popleft()
            state.holders.append(granted)
            yield granted
        if not state.holders and not state.queue:
            del self._keys[key]


class Cache:
    """Outputs of earlier successes."""

    def __init__(self) -> None:
        self._found: dict[Hashable, tuple[float, Any]] = {}

    def remember(self, key: Hashable, outputs: Any, *, now: float) -> None:
        """Keep a success; one without outputs is one, too."""
        self._found[key] = (now, {} if outputs is None else outputs)

    def look_up(self, key: Hashable, *, max_age: float | None, now: float) -> Any:
        """Give the outputs of a success that is not older than `max_age`; None if there is none."""
        at, outputs = self._found.get(key, (now, None))
        return outputs if max_age is None or now - at <= max_age else None
