"""The programs that are kept: an expression that stands in a thousand nodes is compiled once.

A program takes up to two hundred times the memory of its text. So what is kept is bounded by the length of the texts,
not by their number: a few thousand of the usual ones, or a few dozen of the longest.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")

Key = tuple[str, frozenset[str]]
"""The text, and the names that it may use."""

ENTRY = 64
"""Characters that an entry counts for beside its text: what it takes however short that is."""


class Kept(Generic[V]):
    """The values used last, made from texts of `most` characters in all. Workflows are compiled in threads, too."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._values: OrderedDict[Key, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key, make: Callable[[str, frozenset[str]], V]) -> V:
        """The value, made unless it is kept; what `make` raises is not kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make(*key)  # beside the lock: whoever asks for another expression does not wait for this one
        with self._lock:
            if key not in self._values:
                self._values[key] = value
                self._size += len(key[0]) + ENTRY
            while self._size > self._most:
                (text, _), _ = self._values.popitem(last=False)
                self._size -= len(text) + ENTRY
            return self._values.get(key, value)

    def __len__(self) -> int:
        return len(self._values)
