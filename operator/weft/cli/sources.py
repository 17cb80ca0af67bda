"""Which Pods hold the logs that are asked for: pure functions of the Pods of a run.

A Pod says by an annotation which attempt of what it is. A node's name stands for all that is in it: its items, its
iterations, the nodes of its subgraph; of each, the latest attempt is meant unless another is asked for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from weft.api.objects import Obj, annotation
from weft.api.paths import place_of, plain_path
from weft.cli.nodes import Entry
from weft.render.names import IDENTITY_ANNOTATION, parse_identity

CONTAINER = "main"


@dataclass(frozen=True)
class Source:
    """One Pod of a run: which attempt of what it is, and whether it has started to write."""

    pod: str
    path: str
    index: int | None
    iteration: int | None
    role: str
    attempt: int
    started: bool
    waits: str = ""

    @property
    def place(self) -> str:
        """The path with the position in the node's own loop: price[3]."""
        return place_of(self.path, self.index, self.iteration)

    @property
    def title(self) -> str:
        """What its lines begin with: price[3]#2."""
        return f"{self.place}{'' if self.role == 'main' else ' ' + self.role}#{self.attempt}"


def source_of(pod: Obj, run_uid: str) -> Source | None:
    """Give what a Pod is of the run of that UID; None for a stranger."""
    identity = parse_identity(annotation(pod, IDENTITY_ANNOTATION) or "")
    if identity is None or identity[0] != run_uid:
        return None
    status: dict[str, Any] = pod.get("status") or {}
    states = [one.get("state") or {} for one in status.get("containerStatuses") or () if one["name"] == CONTAINER]
    state = states[0] if states else {}
    started = "running" in state or "terminated" in state
    waits = (state.get("waiting") or {}).get("reason") or status.get("reason") or status.get("phase") or "Pending"
    path, index, iteration, role, attempt = identity[1]
    name = pod["metadata"]["name"]
    return Source(name, path, index, iteration, role, attempt, started=started, waits="" if started else waits)


def chosen(sources: Iterable[Source], *, node: str | None, attempt: int | None, item: int | None) -> list[Source]:
    """Give those that are meant, in the order of their names: of each item the latest attempt, or the one asked for."""
    latest: dict[tuple[Any, ...], Source] = {}
    for source in sources:
        if not _is_meant(source, node, item) or attempt not in (None, source.attempt):
            continue
        key = (source.path, source.index, source.iteration, source.role)
        if key not in latest or latest[key].attempt < source.attempt:
            latest[key] = source
    order = sorted(latest.items(), key=lambda found: tuple(-1 if part is None else part for part in found[0]))
    return [source for _, source in order]


def _is_meant(source: Source, node: str | None, item: int | None) -> bool:
    if item is not None and source.index != item and f"[{item}]" not in source.path:
        return False
    if node is None:
        return True
    inside = (f"{node}/", f"{node}[")
    return any(place == node or place.startswith(inside) for place in (source.place, plain_path(source.place)))


def latest_attempt(source: Source, entries: Iterable[Entry]) -> int:
    """Give the number of the latest attempt at what a Pod is an attempt of, by the run's status."""
    entry: Entry = next((one for one in entries if one["name"] == source.path), {})
    if source.index is not None:
        entry = next((item for item in entry.get("items", ()) if item["index"] == source.index), {})
    # Of a `while`, the status counts the attempts of all iterations together.
    return source.attempt if source.iteration is not None else entry.get("attempts", source.attempt)
