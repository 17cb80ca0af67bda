"""The cache of successes, as the runs of a namespace share it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from weft.api.node import CACHE_SECONDS


class Cache:
    """Outputs of earlier successes."""

    def __init__(self) -> None:
        self._found: dict[Hashable, tuple[float, Any]] = {}

    def remember(self, key: Hashable, outputs: Any, *, now: float) -> None:
        """Keep a success."""
        self._found[key] = (now, outputs)

    def look_up(self, key: Hashable, *, max_age: float | None, now: float) -> Any:
        """Give the outputs of a success no older than `max_age` nor than any is kept; None if there is none."""
        at, outputs = self._found.get(key, (now, None))
        limit = CACHE_SECONDS if max_age is None else min(max_age, CACHE_SECONDS)
        return outputs if now - at <= limit else None
