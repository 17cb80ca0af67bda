"""The status of a run, as it is written: phase, conditions, progress, nodes, within a byte budget.

Whatever the run's size, the status stays below 1 MiB and its terminal condition is written. Three
steps lead there, each taken only when the one before is not enough: outputs of ended nodes move to
immutable ConfigMaps ("chunks"), then all entries are compressed into one text and only the most
telling ones stay readable, then even those are cut.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from weft.api.conditions import Reason, RunPhase, run_conditions
from weft.engine.snapshot import Entry, entries, run_memory, stamp
from weft.engine.state import TERMINAL, NodeState, RunState, Unit
from weft.engine.step import frames
from weft.engine.summary import counts, explain, progress

MAX_STATUS = 900_000
"""Bytes of JSON that a status may have; etcd takes 1.5 MiB for the whole object, the design says 1 MiB."""
MAX_ENTRIES = 480_000
"""Bytes of readable node entries; beyond, they are compressed."""
MAX_INLINE_OUTPUTS = 128_000
"""Bytes of outputs kept in the entries of ended nodes; beyond, they move to a chunk."""
MAX_SHOWN = 300
"""Entries that stay readable when the rest is compressed: what is active or failed comes first."""


@dataclass(slots=True)
class Written:
    """A status to write. `chunks` are outputs to store first: name suffix -> {entry key: outputs}."""

    status: dict[str, Any]
    chunks: dict[str, dict[str, Any]] = field(default_factory=dict)


def phase_of(state: RunState) -> RunPhase:
    """The run's phase."""
    if state.finished:
        return RunPhase(state.outcome or "Failed")
    return RunPhase.Suspended if state.suspended and state.stop is None else RunPhase.Running


def duration_text(seconds: float) -> str:
    """A duration as kubectl writes it: 42s, 4m10s, 3h5m, 2d4h."""
    whole = int(seconds)
    for unit, size, minor, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size}{unit}{rest}{minor}" if rest else f"{whole // size}{unit}"
    return f"{whole}s"


def make(state: RunState, *, previous: Mapping[str, Any], generation: int, now: float) -> Written:
    """The whole status of a run.

    Takes the status written before (for transition times), the generation of the spec that was
    taken into account, and the time. The caller adds what the engine does not know (revision,
    queue time, Job names are derived).
    """
    found = counts(state)
    done, total = progress(found)
    phase = phase_of(state)
    if state.finished:
        reason = str(state.reason or Reason.NodeFailed)
        message = state.message or f"{done} of {total} nodes done"
    else:
        reason, message = explain(state, done=done, total=total)
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "phase": str(phase),
        "conditions": run_conditions(
            phase=phase, reason=str(reason), message=message, previous=previous.get("conditions") or (),
            now=datetime.fromtimestamp(now, UTC), generation=generation,
        ),
        "startTime": stamp(state.start),
        "completionTime": stamp(state.ended_at) if state.ended_at is not None else None,
        "duration": duration_text((state.ended_at if state.ended_at is not None else now) - state.start),
        "progress": f"{done}/{total}",
        "counts": found,
        "outputs": state.outputs,
        "state": run_memory(state),
        "rerunGeneration": state.generation or None,
    }  # fmt: skip
    chunks = _move_outputs(state)
    nodes = list(entries(state))
    written = Written(status, chunks)
    _fit(written, nodes)
    return written


def _move_outputs(state: RunState) -> dict[str, dict[str, Any]]:
    """Move outputs of what has ended out of the status when there are too many bytes of them."""
    holders = [(key, holder) for key, holder in _holders(state) if holder.outputs and holder.chunk is None]
    sizes = [len(orjson.dumps(holder.outputs)) for _, holder in holders]
    if sum(sizes) <= MAX_INLINE_OUTPUTS:
        return {}
    chunks: dict[str, dict[str, Any]] = {}
    room = 0
    for (key, holder), size in zip(holders, sizes, strict=True):
        if size > room:
            name, room = f"outputs-{state.chunks}", MAX_CHUNK
            state.chunks += 1
            chunks[name] = {}
        chunks[name][key] = holder.outputs
        holder.chunk = name
        room -= size
    return chunks


def _holders(state: RunState) -> Iterator[tuple[str, NodeState | Unit]]:
    for top in (state.main, state.final):
        for frame in frames(top) if top is not None else ():
            for node in frame.nodes:
                if node.node.for_each is not None:
                    yield from ((unit.place, unit) for unit in node.units.values() if unit.phase in TERMINAL)
                elif node.phase in TERMINAL:
                    yield frame.prefix + node.node.name, node


MAX_CHUNK = 700_000
"""Bytes of outputs in one ConfigMap (the API server takes 1 MiB)."""


def _fit(written: Written, nodes: list[Entry]) -> None:
    packed = orjson.dumps(nodes)
    status = written.status
    if len(packed) <= MAX_ENTRIES:
        status["nodes"], status["compressedNodes"] = nodes, None
    else:
        status["nodes"] = [_short(entry) for entry in sorted(nodes, key=_interest)[:MAX_SHOWN]]
        status["compressedNodes"] = base64.b64encode(zlib.compress(packed, 6)).decode()
    if len(orjson.dumps(status)) > MAX_STATUS:  # huge run outputs, or names that do not compress
        status["outputs"] = {}
        status["nodes"] = status["nodes"][:20]
        for condition in status["conditions"]:
            condition["message"] = condition["message"][:512]
        if len(orjson.dumps(status)) > MAX_STATUS:
            status["compressedNodes"] = None


def _interest(entry: Entry) -> int:
    order = {"Failed": 0, "Running": 1, "Waiting": 2, "Cancelled": 3, "Pending": 4}
    return order.get(entry["phase"], 5)


def _short(entry: Entry) -> Entry:
    kept = ("name", "phase", "reason", "attempts", "startTime", "completionTime", "exitCode", "job")
    return {key: entry[key] for key in kept if key in entry} | {"message": entry.get("message", "")[:128]}


def read_nodes(status: Mapping[str, Any], chunks: Mapping[str, Mapping[str, Any]]) -> list[Entry]:
    """The entries of a written status, decompressed and with their outputs put back.

    `chunks` are the stored ones by name suffix; one that is missing leaves its outputs absent.
    """
    packed = status.get("compressedNodes")
    nodes: list[Entry] = orjson.loads(zlib.decompress(base64.b64decode(packed))) if packed else status.get("nodes") or []
    for entry in nodes:
        _put_back(entry, entry["name"], chunks)
        for item in entry.get("items", ()):
            _put_back(item, f"{entry['name']}[{item['index']}]", chunks)
    return nodes


def _put_back(entry: Entry, key: str, chunks: Mapping[str, Mapping[str, Any]]) -> None:
    name = entry.get("outputsIn")
    if name is not None:
        entry["outputs"] = chunks.get(name, {}).get(key)


def chunk_names(status: Mapping[str, Any]) -> set[str]:
    """Which chunks a written status refers to."""
    return {name for entry in read_nodes(status, {}) for name in _names(entry)}


def _names(entry: Entry) -> set[str]:
    found = {entry["outputsIn"]} if "outputsIn" in entry else set()
    return found | {item["outputsIn"] for item in entry.get("items", ()) if "outputsIn" in item}
