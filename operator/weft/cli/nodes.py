"""The nodes of a run as people read them: one row each, subgraphs indented, a forEach in one line.

`entries` are those of `status.nodes` as `engine/budget.read_nodes` gives them. Everything here is a pure function of
them: what `weft status` prints, what `weft run --follow` redraws, and the lines that tell of a change.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weft.api.conditions import NodePhase, Reason
from weft.api.paths import plain_path
from weft.api.times import moment
from weft.cli.refusals import closest
from weft.engine.status import duration_text

Entry = Mapping[str, Any]

ENDED = frozenset(str(phase) for phase in NodePhase if phase.ended)


@dataclass(frozen=True)
class Row:
    """One node, or one item of it: its whole path, and what a table shows of it."""

    path: str
    label: str
    phase: str
    attempts: int = 0
    start: float | None = None
    end: float | None = None
    reason: str = ""
    message: str = ""

    def duration(self, now: float) -> str:
        """How long it took, or has taken so far; "" if it has not started."""
        if self.start is None or (self.end is None and self.phase in ENDED):
            return ""
        return duration_text(max(0.0, (now if self.end is None else self.end) - self.start))


def rows(entries: Sequence[Entry], *, items: bool = False) -> list[Row]:
    """Give a row per node, in the status' order; with `items`, also one per item that has started."""
    names = {entry["name"] for entry in entries}
    found = []
    for entry in entries:
        path = entry["name"]
        outer = _outer(path, names)
        label = "  " * _depth(outer, names) + path[len(outer) :].removeprefix("/")
        found.append(_row(path, label, entry, _loop_text(entry)))
        if items:
            indent = "  " * (_depth(outer, names) + 1)
            for item in entry.get("items", ()):
                position = f"[{item['index']}]"
                found.append(_row(path + position, indent + position, item, ""))
    return found


def _row(path: str, label: str, entry: Entry, loop: str) -> Row:
    told = entry.get("message", "")
    if told and entry.get("phase") in ENDED:
        loop = ""  # the message of an end speaks of the items itself
    child = f"run {entry['run']}" if entry.get("run") and entry.get("phase") not in ENDED else ""
    return Row(
        path=path,
        label=label,
        phase=entry.get("phase", NodePhase.Pending),
        attempts=entry.get("attempts", 0),
        start=moment(entry.get("startTime")),
        end=moment(entry.get("completionTime")),
        reason=entry.get("reason", ""),
        message="; ".join(part for part in (loop, child, told) if part),
    )


def _loop_text(entry: Entry) -> str:
    """What a loop has done so far: 3/5 items, 1 failed; or iteration 2."""
    if "itemCount" in entry:
        phases = Counter(item.get("phase") for item in entry.get("items", ()))
        done = sum(count for phase, count in phases.items() if phase in ENDED)
        failed = f", {phases[NodePhase.Failed]} failed" if phases[NodePhase.Failed] else ""
        return f"{done}/{entry['itemCount']} items{failed}"
    if "iteration" in entry and entry.get("phase") not in ENDED:
        return f"iteration {entry['iteration']}"
    return ""


def _outer(path: str, names: Iterable[str]) -> str:
    """The path of the node that runs the graph this node is in: publish for publish/upload, price for price[3]/tag."""
    around = path.rpartition("/")[0]
    if around in names:
        return around
    without_position = around.rpartition("[")[0]
    return without_position if around.endswith("]") and without_position in names else ""


def _depth(outer: str, names: Iterable[str]) -> int:
    depth = 0
    while outer:
        depth, outer = depth + 1, _outer(outer, names)
    return depth


def matching(path: str, entries: Iterable[Entry]) -> list[Entry]:
    """Give the entries a user means by a path: the one of that name, else all it stands for with positions left out."""
    found = list(entries)
    exact = [entry for entry in found if entry["name"] == path]
    return exact or [entry for entry in found if plain_path(entry["name"]) == path]


def unknown_node(path: str, run: str, entries: Iterable[Entry]) -> str:
    """Say that a run has no such node, and which was probably meant."""
    known = dict.fromkeys(plain_path(entry["name"]) for entry in entries)
    return f"run {run} has no node {path!r}{closest(path, known)}"


_URGENCY = (NodePhase.Failed, NodePhase.Running, NodePhase.Waiting, NodePhase.Cancelled, NodePhase.Pending)


def fitting(found: Sequence[Row], height: int) -> tuple[list[Row], str]:
    """Give the rows that matter most, in their order, so that they fit, and what was left out: 40 more: 40 Pending."""
    if len(found) <= height:
        return list(found), ""
    urgency = {str(phase): place for place, phase in enumerate(_URGENCY)}
    by_urgency = sorted(range(len(found)), key=lambda place: (urgency.get(found[place].phase, len(_URGENCY)), place))
    kept = set(by_urgency[: max(1, height - 1)])
    left = Counter(row.phase for place, row in enumerate(found) if place not in kept)
    counts = ", ".join(f"{count} {phase}" for phase, count in left.most_common())
    return [found[place] for place in sorted(kept)], f"{left.total()} more: {counts}"


def changes(before: Mapping[str, Row], after: Iterable[Row]) -> list[Row]:
    """Give the rows that have something new to tell: another phase, another reason, another attempt."""
    return [row for row in after if _news(row) != _news(before.get(row.path))]


def _news(row: Row | None) -> tuple[Any, ...]:
    if row is None or (row.phase == NodePhase.Pending and not row.reason):
        return (NodePhase.Pending, "", 0)
    message = row.message if row.phase in ENDED or row.reason == Reason.AwaitingApproval else ""
    return (row.phase, row.reason, row.attempts, message)


def change_line(row: Row, now: float) -> str:
    """Give a change as a line of a log: price[3]  Failed  Error: main exited with code 1  (2 attempts, 14s)."""
    why = ": ".join(part for part in (row.reason, row.message) if part)
    notes = [f"{row.attempts} attempts"] if row.attempts > 1 else []
    notes += [row.duration(now)] if row.phase in ENDED and row.duration(now) else []
    return "  ".join(filter(None, (row.path, row.phase, why, f"({', '.join(notes)})" if notes else "")))
