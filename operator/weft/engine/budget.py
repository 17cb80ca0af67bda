"""The status within its byte budget: whatever the run's size, it can be written, and read back.

Four steps, each taken only when the one before is not enough: outputs of what has ended move to immutable ConfigMaps
("chunks"); the entries of the nodes are packed into one compressed text, long messages cut, and only the most telling
entries stay readable; the packed text moves to ConfigMaps, too, two sets of them in turn, so that the set that the
stored status names is never touched. Where no ConfigMap can be made, outputs stay as far as there is
room (`fit_alone`).
"""

from __future__ import annotations

import base64
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import orjson

from weft.api.conditions import Reason
from weft.engine.snapshot import Entry, put_outputs
from weft.engine.state import TERMINAL, NodeState, RunState, Unit
from weft.engine.step import frames

MAX_STATUS = 900_000
"""Bytes of JSON that a status may have; etcd takes 1.5 MiB for the whole object, the design says 1 MiB."""
MAX_ENTRIES = 480_000
"""Bytes of readable node entries; beyond, they are packed."""
MAX_INLINE_OUTPUTS = 128_000
"""Bytes of outputs kept in the entries of what has ended; beyond, they move to chunks."""
MAX_CHUNK = 700_000
"""Bytes in one ConfigMap (the API server takes 1 MiB)."""
MAX_SHOWN = 300
"""Entries that stay readable when all are packed: what has failed, asks people or is active comes first."""
GIVEN_ROOM = 256_000
"""Characters of what units were given, in all entries; the rest is computed again after a restart."""
MESSAGE_ROOM = 100_000
"""Bytes of messages in packed entries, shared out among them: events and logs have them in full."""
WORDS_ROOM = 4_000
"""Bytes left, where no ConfigMap can be made, for what is said of that in the conditions."""
NOT_KEPT = "its outputs are not kept: the status has no room for them, and no ConfigMap could be made for them"
UNSTORED = "nodes-unstored"
"""The name of a chunk that is never there: of a run whose entries nothing could hold, nothing can be restored."""

Chunks = dict[str, dict[str, Any]]
"""What is stored outside the status, by name suffix: outputs by entry, or a part of the packed entries."""


def move_outputs(state: RunState) -> Chunks:
    """Move outputs of what has ended to new chunks, when the entries hold too many bytes of them."""
    holders = [(key, holder) for key, holder in _ended(state) if holder.weight]
    if sum(holder.weight for _, holder in holders) <= MAX_INLINE_OUTPUTS:
        return {}
    chunks: Chunks = {}
    room = 0
    for key, holder in holders:
        if holder.weight > room:
            name, room = f"outputs-{state.chunks}", MAX_CHUNK
            state.chunks += 1
            chunks[name] = {}
        room -= holder.weight + len(key) + 8
        chunks[name][key] = holder.outputs
        holder.chunk = name
        put_outputs(holder.entry, holder)
    return chunks


def take_back(state: RunState, names: Collection[str]) -> None:
    """Put the outputs of these chunks into their entries again: the chunks could not be stored."""
    for _, holder in _ended(state):
        if holder.chunk in names:
            holder.chunk = None
            del holder.entry["outputsIn"]
            put_outputs(holder.entry, holder)


def _ended(state: RunState) -> Iterator[tuple[str, NodeState | Unit]]:
    """Who has ended, and may have outputs: nodes, or the items of a forEach."""
    for top in (state.main, state.final):
        for frame in frames(top) if top is not None else ():
            for node in frame.nodes:
                if node.node.for_each is not None:
                    units = node.units.values()
                    yield from ((unit.place, unit) for unit in units if unit.phase in TERMINAL)
                elif node.phase in TERMINAL:
                    yield frame.prefix + node.node.name, node


def fit(status: dict[str, Any], nodes: list[Entry], *, previous: Mapping[str, Any]) -> Chunks:
    """Put the nodes' entries into the status as they fit; gives what has to be stored besides.

    `previous` is the status that is stored now.
    """
    packed = _fit_in(status, _with_less_given(nodes), MAX_STATUS)
    if packed is None:
        return {}
    before = previous.get("compressedNodesIn") or ("nodes-b-0",)
    letter = "b" if before[0].startswith("nodes-a") else "a"
    parts = [packed[at : at + MAX_CHUNK] for at in range(0, len(packed), MAX_CHUNK)]
    chunks = {f"nodes-{letter}-{number}": {"packed": part} for number, part in enumerate(parts)}
    status["compressedNodesIn"] = list(chunks)
    return chunks


def fit_alone(status: dict[str, Any], nodes: list[Entry]) -> int | None:
    """Do the same where nothing can be stored besides; gives how many had to go without their outputs, which says so.

    None: the entries do not even fit without any, and only the most telling are there. Nothing restores such a run.
    """
    nodes = _with_less_given(nodes)
    room = sum(map(_outputs, _units(nodes)))
    fitting, lost = nodes, 0
    while _fit_in(status, fitting, MAX_STATUS - WORDS_ROOM) is not None:
        if not room:
            status["compressedNodesIn"] = [UNSTORED]
            return None
        del status["nodes"]
        room = room // 2 if room > MAX_INLINE_OUTPUTS else 0
        fitting = _within(room, nodes, _outputs, _without_outputs)
        lost = sum("outputs" in unit for unit in _units(nodes)) - sum("outputs" in unit for unit in _units(fitting))
    return lost


def _fit_in(status: dict[str, Any], nodes: list[Entry], most: int) -> str | None:
    """Put the entries into the status; gives them packed if they do not fit: then only some are there."""
    room = most - len(orjson.dumps(status))
    plain = orjson.dumps(nodes)
    if len(plain) <= min(MAX_ENTRIES, room):
        status["nodes"] = nodes
        return None
    shown = [_short(entry) for entry in _most_telling(nodes)]
    while shown and len(orjson.dumps(shown)) > room // 2:
        shown = shown[: len(shown) // 2]
    status["nodes"] = shown
    room -= len(orjson.dumps(shown))
    packed = _pack(nodes, plain)
    inline = packed if len(packed) <= room else _pack_barely(nodes)
    if len(inline) <= room:
        status["compressedNodes"] = inline
        return None
    return packed


def _with_less_given(nodes: list[Entry]) -> list[Entry]:
    """The entries with as much of what was given to units as there is room for."""
    if sum(map(_given, _units(nodes))) <= GIVEN_ROOM:
        return nodes
    return _within(GIVEN_ROOM, nodes, _given, _without_given)


def _within(
    room: int, nodes: list[Entry], size: Callable[[Entry], int], without: Callable[[Entry], Entry]
) -> list[Entry]:
    """The entries and their items, the first ones as they are as long as there is room, the others `without`."""

    def lessened(entry: Entry) -> Entry:
        nonlocal room
        bytes_ = size(entry)
        if bytes_ > room:
            entry = without(entry)
        else:
            room -= bytes_
        return {**entry, "items": [lessened(item) for item in entry["items"]]} if "items" in entry else entry

    return [lessened(entry) for entry in nodes]


def _units(nodes: list[Entry]) -> Iterator[Entry]:
    """The entries, each followed by its items."""
    for entry in nodes:
        yield entry
        yield from entry.get("items", ())


def _without_given(entry: Entry) -> Entry:
    return {key: value for key, value in entry.items() if key not in ("value", "parameters", "rounds")}


def _outputs(entry: Entry) -> int:
    """The bytes of its outputs, if it has ended: what others would go on with."""
    return len(orjson.dumps(entry["outputs"])) if "outputs" in entry and entry["phase"] in TERMINAL else 0


def _without_outputs(entry: Entry) -> Entry:
    kept = {key: value for key, value in entry.items() if key not in ("outputs", "outputsText")}
    return {"message": NOT_KEPT} | kept


def _given(entry: Entry) -> int:
    texts = (entry.get("value", ""), entry.get("parameters", ""), *(text for _, text in entry.get("rounds", ())))
    return sum(map(len, texts))


def _pack(nodes: list[Entry], plain: bytes) -> str:
    """The entries in one text, with as much of their messages as there is room for."""
    lengths = [len(unit["message"]) for unit in _units(nodes) if "message" in unit]
    if sum(lengths) > MESSAGE_ROOM:
        most = MESSAGE_ROOM // len(lengths)
        plain = orjson.dumps([_cut(entry, most, but=()) for entry in nodes])
    return _packed(plain)


def _pack_barely(nodes: list[Entry]) -> str:
    """The same with only what a restart needs."""
    return _packed(orjson.dumps([_cut(entry, 0, but=("job", "run", "message", "pendingText")) for entry in nodes]))


def _packed(plain: bytes) -> str:
    return base64.b64encode(zlib.compress(plain, 6)).decode()


def _cut(entry: Entry, most: int, *, but: tuple[str, ...]) -> Entry:
    entry = {key: value for key, value in entry.items() if key not in but}
    if entry.get("reason") == Reason.AwaitingApproval and len(entry.get("message", "")) > most:
        del entry["message"]  # a restart asks what it reads here: rather the question anew than a part of it
    elif "message" in entry:
        entry["message"] = entry["message"][:most]
    if "items" in entry:
        entry["items"] = [_cut(item, most, but=but) for item in entry["items"]]
    return entry


_ASKING = "Asking"
_INTEREST = {"Failed": 0, _ASKING: 0, "Running": 1, "Waiting": 2, "Cancelled": 3, "Pending": 4}


def _most_telling(nodes: list[Entry]) -> list[Entry]:
    """The entries that stay readable. Failures and questions to people take turns, so that neither hide the others:
    notifications are made of what is readable."""
    so_far = Counter[str]()

    def interest(entry: Entry) -> tuple[int, int]:
        kind = _ASKING if entry.get("reason") == Reason.AwaitingApproval else entry["phase"]
        so_far[kind] += 1
        rank = _INTEREST.get(kind, 5)
        return rank, so_far[kind] if rank == 0 else 0

    return sorted(nodes, key=interest)[:MAX_SHOWN]


def _short(entry: Entry) -> Entry:
    kept = ("name", "phase", "reason", "attempts", "startTime", "completionTime", "exitCode", "job", "run")
    return {key: entry[key] for key in kept if key in entry} | {"message": entry.get("message", "")[:128]}


def read_nodes(status: Mapping[str, Any], chunks: Mapping[str, Mapping[str, Any]]) -> list[Entry]:
    """The entries of a written status, unpacked and with their outputs put back.

    `chunks` are the stored ones by name suffix (see `chunk_names`). One that is missing leaves its outputs absent, or,
    where it held packed entries, those that are readable: enough to show, not enough to restore a run from.
    """
    nodes = unpacked(status, chunks)
    for entry in nodes:
        _put_back(entry, entry["name"], chunks)
        for item in entry.get("items", ()):
            _put_back(item, f"{entry['name']}[{item['index']}]", chunks)
    return nodes


def unpacked(status: Mapping[str, Any], chunks: Mapping[str, Mapping[str, Any]]) -> list[Entry]:
    """The entries as they were packed: of outputs that are stored elsewhere, they say where."""
    parts = status.get("compressedNodesIn") or ()
    packed = status.get("compressedNodes")
    if parts and all("packed" in chunks.get(name, {}) for name in parts):
        packed = "".join(chunks[name]["packed"] for name in parts)
    return list(orjson.loads(zlib.decompress(base64.b64decode(packed))) if packed else status.get("nodes") or ())


def _put_back(entry: Entry, key: str, chunks: Mapping[str, Mapping[str, Any]]) -> None:
    name = entry.get("outputsIn")
    if name is not None:
        entry["outputs"] = chunks.get(name, {}).get(key)


def chunk_names(status: Mapping[str, Any], chunks: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Which chunks a written status needs besides those at hand.

    Ask again once they are there: packed entries that are chunks themselves refer to further ones.
    """
    names = set(status.get("compressedNodesIn") or ())
    if names <= chunks.keys():
        names |= {unit["outputsIn"] for unit in _units(unpacked(status, chunks)) if "outputsIn" in unit}
    return names - chunks.keys()
