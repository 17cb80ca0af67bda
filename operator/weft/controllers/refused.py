"""What the status tells of the nodes of a run that was under way and cannot go on: nothing of them goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weft.api.conditions import NodePhase
from weft.api.times import milli_timestamp
from weft.engine import budget
from weft.engine.snapshot import Entry
from weft.engine.summary import progress


def all_cancelled(status: Mapping[str, Any], reason: str, now: float) -> dict[str, Any]:
    """What has to change of a status so that all that has not ended is Cancelled for that reason; None: goes.

    Entries that are kept in ConfigMaps stay as they are: only those that are readable change.
    """
    if not status.get("nodes"):
        return {}
    fields = {key: value for key, value in status.items() if key not in ("nodes", "compressedNodes")}
    budget.fit_alone(fields, [_ended(entry, reason, milli_timestamp(now)) for entry in budget.unpacked(status, {})])
    changed = {key: fields.get(key) for key in ("nodes", "compressedNodes", "compressedNodesIn")}
    counts: dict[str, int] = dict(status.get("counts") or {})
    left = sum(counts.pop(name, 0) for name in ("pending", "running", "waiting"))
    counts |= {"pending": 0, "running": 0}
    if left:
        counts["cancelled"] = counts.get("cancelled", 0) + left
    done, total = progress(counts)
    return changed | {"counts": counts, "progress": f"{done}/{total}"}


def _ended(entry: Entry, reason: str, now: str) -> Entry:
    if NodePhase(entry["phase"]).ended:
        return entry
    ended = {key: value for key, value in entry.items() if key != "message"}
    ended |= {"phase": str(NodePhase.Cancelled), "reason": reason, "completionTime": now}
    if "items" in entry:
        ended["items"] = [_ended(item, reason, now) for item in entry["items"]]
    return ended
