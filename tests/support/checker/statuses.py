"""Invariant 3: a status never goes backwards, within a rerun generation and, where nothing excuses it, at all."""

from collections.abc import Iterator
from typing import Any

from support.checker.reading import ENDED, asked_generation, nodes_of, status_of
from support.storage import Event
from weft.api.objects import Obj
from weft.kube.resources import WORKFLOW_RUNS

_NEVER_LESS = ("observedGeneration", "rerunGeneration")
_IN_LINE = ("Queued", "Suspended")
_NEVER_CHANGED = ("startTime", "queuedTime", "workflowRevision")
_NOT_MADE = ("QuotaExceeded", "Stopping")
"""Why a node is Pending whose start has been told of: a quota refuses what it needs, or did so until it is stopped."""


def check_statuses(history: list[Event]) -> Iterator[str]:
    """Compare each status with the one before."""
    for event in history:
        if event.resource is not WORKFLOW_RUNS or event.type != "MODIFIED" or event.old is None:
            continue
        then, now = status_of(event.old), status_of(event.obj)
        if then == now:
            continue
        place = f"3: at {event.at:.3f} {event.actor} {event.obj['metadata']['name']}:"
        waits = asked_generation(event.obj) > (now.get("rerunGeneration") or 0) and now.get("phase") in _IN_LINE
        yield from (f"{place} {problem}" for problem in _backwards(then, now, in_line=waits))
        if asked_generation(event.obj) < (now.get("rerunGeneration") or 0):
            yield f"{place} a rerun that nobody asked for"


def _backwards(then: Obj, now: Obj, *, in_line: bool) -> Iterator[str]:
    """`in_line`: a rerun is asked for and waits for its place."""
    for field in _NEVER_LESS:
        if (then.get(field) or 0) > (now.get(field) or 0):
            yield f"{field} went from {then.get(field)} to {now.get(field)}"
    for field in _NEVER_CHANGED:
        if then.get(field) is not None and then[field] != now.get(field):
            yield f"{field} went from {then[field]} to {now.get(field)}"
    same_round = (then.get("rerunGeneration") or 0) == (now.get("rerunGeneration") or 0)
    if same_round and then.get("phase") in ENDED and then["phase"] != now.get("phase") and not in_line:
        yield f"phase went from {then['phase']} to {now.get('phase')}"
    if same_round and then.get("completionTime") not in (None, now.get("completionTime")):
        yield f"completionTime went from {then['completionTime']} to {now.get('completionTime')}"
    before, after = nodes_of(then), nodes_of(now)
    for name, node in before.items():
        if begun_anew(name, before, after):
            continue
        if name in after:
            yield from _node(name, node, after[name], same_round=same_round)
        elif same_round and "/" not in name:
            yield f"node {name} is not told of any more"


def begun_anew(name: str, before: dict[str, Obj], after: dict[str, Obj]) -> bool:
    """Whether a graph around the node has gone into another attempt or iteration, all its nodes with it."""
    segments = name.split("/")
    outer = ["/".join(segments[: length + 1]) for length in range(len(segments) - 1)]
    return any(_round(path, before) != _round(path, after) for path in outer)


def _round(path: str, nodes: dict[str, Obj]) -> tuple[Any, ...]:
    name, _, position = path.rpartition("[") if path.endswith("]") else (path, "", "")
    entry = nodes.get(name) or {}
    for item in entry.get("items") or ():
        if f"{item['index']}]" == position:
            entry = item
    return entry.get("attempts", 0), entry.get("iteration")


def _node(name: str, then: Obj, now: Obj, *, same_round: bool) -> Iterator[str]:
    counts_on = same_round or ("/" not in name and "iteration" not in then)  # a `while` begins to count anew
    if then.get("attempts", 0) > now.get("attempts", 0) and counts_on:
        yield f"{name}: attempts went from {then['attempts']} to {now.get('attempts', 0)}"
    if not same_round:
        return
    was, is_ = then["phase"], now["phase"]
    if was in ENDED and is_ != was and (was, is_) != ("Succeeded", "Compensated"):
        yield f"{name}: went from {was}({then.get('reason')}) to {is_}({now.get('reason')})"
    if was == "Running" and is_ == "Pending" and now.get("reason") not in _NOT_MADE:
        yield f"{name}: went from Running to Pending"
    items = {item["index"]: item for item in now.get("items") or ()}
    for item in then.get("items") or ():
        if item["index"] in items and ("iteration" not in now or then.get("iteration") == now.get("iteration")):
            yield from _node(f"{name}[{item['index']}]", item, items[item["index"]], same_round=True)
