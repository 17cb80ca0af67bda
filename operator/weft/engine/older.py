"""What older versions wrote in another form, read as it is written now: an upgrade meets runs that are under way.

What they did not write at all needs nothing here: it is computed again, as where a status has no room for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weft.engine import retry
from weft.engine.state import Unit
from weft.engine.units import declared_memory


def lost_rounds(unit: Unit, entry: Mapping[str, Any]) -> list[int]:
    """The iterations whose compensation failed.

    Once a unit told only that one of them had, and forgot that it was done: what it still knows of is to be undone.
    """
    lost = entry.get("lost", ())
    if lost is True:
        return [iteration for iteration in range((unit.iteration or 0) + 1) if iteration not in unit.done]
    return list(lost)


def memory_raises(unit: Unit, entry: Mapping[str, Any]) -> int:
    """How often OOM kills have raised the memory. Once a unit told the bytes that it had come to."""
    bytes_ = entry.get("memory")
    if bytes_ is None:
        return int(entry.get("memoryRaises", 0))
    policy, declared, raises = unit.node.retry, declared_memory(unit), 0
    while (
        max(retry.raised_memory(policy, declared, raises).values(), default=bytes_) < bytes_
        and retry.raises_memory(policy, declared, raises)
    ):  # fmt: skip
        raises += 1
    return raises
