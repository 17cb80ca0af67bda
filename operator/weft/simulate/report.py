"""What came of a simulation, as the one JSON object of `weft simulate --json`.

    {"outcome", "reason", "message", "makespanSeconds", "outputs",
     "nodes": {"publish/upload": {"phase", "reason", "attempts", "start", "end", "outputs", "items"?}},
     "jobs": [{"node", "index", "iteration", "role", "attempt", "start", "end"}]}

A node whose compensation failed has a "message", too, that tells why.
A node that ran several times because a forEach around it did (or its own) is one entry, with its instances as `items`.
Of a `while`, the phase and outputs are those of the last round, attempts and start those of all rounds. Times are
seconds from the run's start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from weft.api.conditions import Reason
from weft.engine.state import (
    CANCELLED,
    COMPENSATED,
    FAILED,
    MAIN,
    PENDING,
    RUNNING,
    SKIPPED,
    SUCCEEDED,
    TERMINAL,
    WAITING,
    Frame,
    NodeState,
    Unit,
)
from weft.simulate.history import START, Attempt, History, Run
from weft.simulate.place import Place, frame_place, join

STUCK = "Stuck"
"""The reason of a run that can neither go on nor end."""

_PRECEDENCE = (RUNNING, WAITING, PENDING, FAILED, CANCELLED, COMPENSATED, SUCCEEDED, SKIPPED)
"""Of several instances of a node, the first of these phases that one of them has is the node's."""


@dataclass(slots=True)
class Instance:
    """One carrying out of a node: of a plain node the only one, of a node within a forEach one per item."""

    index: int | None
    phase: str
    reason: str | None
    message: str
    attempts: int
    start: float | None
    end: float | None
    outputs: Any


@dataclass(slots=True)
class NodeReport:
    """A node, over all its instances. `items` is None outside of every forEach."""

    whole: Instance
    items: list[Instance] | None


def json_report(history: History) -> dict[str, Any]:
    """Give the JSON object."""
    state = history.run.state
    stuck = history.stuck is not None
    return {
        "outcome": FAILED if stuck else state.outcome,
        "reason": STUCK if stuck else state.reason,
        "message": history.stuck if stuck else state.message,
        "makespanSeconds": history.elapsed,
        "outputs": {} if stuck else state.outputs,
        "nodes": {name: _node_json(node) for name, node in node_reports(history).items()},
        "jobs": [_job_json(attempt) for attempt in pods(history.attempts)],
    }


def _node_json(node: NodeReport) -> dict[str, Any]:
    whole = node.whole
    shown: dict[str, Any] = {
        "phase": whole.phase, "reason": whole.reason, "attempts": whole.attempts, "start": whole.start,
        "end": whole.end, "outputs": {} if whole.outputs is None else whole.outputs,
    }  # fmt: skip
    if whole.reason == Reason.CompensationFailed:
        shown["message"] = whole.message
    if node.items is not None:
        shown["items"] = [
            {"index": i.index, "phase": i.phase, "attempts": i.attempts, "start": i.start, "end": i.end}
            for i in node.items
        ]
    return shown


def _job_json(attempt: Attempt) -> dict[str, Any]:
    place = attempt.place
    return {
        "node": place.node, "index": place.index, "iteration": place.iteration, "role": place.role,
        "attempt": attempt.id.attempt, "start": _spelled(attempt.start), "end": _spelled(attempt.end),
    }  # fmt: skip


def pods(attempts: Iterable[Attempt]) -> list[Attempt]:
    """The attempts that are Pods, in the order they started."""
    return sorted((a for a in attempts if a.kind == "job"), key=lambda a: a.start)  # stable: then as created


def node_reports(history: History) -> dict[str, NodeReport]:
    """Every node by its path, in graph order; a subgraph's nodes follow the node that runs it."""
    earlier = _earlier(history)
    gathered: dict[str, list[tuple[Place, Frame, NodeState]]] = {}
    for place, frame, node in _nodes_of_run(history.run):
        gathered.setdefault(join(place.node, node.node.name), []).append((place, frame, node))
    found = {path: _report(path, instances, earlier) for path, instances in gathered.items()}
    return found | _unreached(history.run)


def _unreached(run: Run) -> dict[str, NodeReport]:
    """Finally nodes that had no chance: the run is stuck."""
    state = run.state
    if state.workflow.final is None or state.final is not None:
        return {}
    nothing = Instance(None, PENDING, None, "", 0, None, None, None)
    return {node.name: NodeReport(nothing, None) for node in state.workflow.final.nodes}


def _nodes_of_run(run: Run) -> Iterator[tuple[Place, Frame, NodeState]]:
    children = {(id_.path, id_.index): child for id_, child in run.children.items() if id_.role == MAIN}  # the latest
    for top in (run.state.main, run.state.final):
        if top is not None:
            yield from _nodes_of_frame(run, top, children)


def _nodes_of_frame(
    run: Run, frame: Frame, children: dict[tuple[str, int | None], Run]
) -> Iterator[tuple[Place, Frame, NodeState]]:
    place = frame_place(frame, run.place)
    for index in frame.graph.by_rank:
        node = frame.nodes[index]
        yield place, frame, node
        for unit in node.units.values():
            if (unit.start is None and node.phase in TERMINAL) or unit.reason == Reason.Cached:
                continue  # it did not run: what is below it is left from before a rerun
            if unit.child is not None:
                yield from _nodes_of_frame(run, unit.child, children)
            child = children.get((unit.path, unit.index))
            if child is not None:
                yield from _nodes_of_run(child)


@dataclass(slots=True)
class _Rounds:
    """What the state forgets of a node in a `while`: all its attempts, and the first start since it was last reset."""

    generation: int
    start: float
    attempts: int = 0


Earlier = dict[tuple[str, tuple[int, ...]], _Rounds]
"""By node and items."""


def _earlier(history: History) -> Earlier:
    """Attempts in a subgraph's or child run's earlier rounds."""
    found: Earlier = {}
    for attempt in history.attempts:
        place = attempt.place
        if place.role == MAIN and place.iterations:
            rounds = found.setdefault((place.node, place.indices), _Rounds(attempt.generation, attempt.start))
            if attempt.generation > rounds.generation:
                rounds.generation, rounds.start = attempt.generation, attempt.start
            rounds.attempts += 1
    return found


def _report(path: str, found: list[tuple[Place, Frame, NodeState]], earlier: Earlier) -> NodeReport:
    looped = found[0][0].indices or found[0][2].node.for_each is not None
    if not looped:
        place, _, node = found[0]
        return NodeReport(_of_node(path, place, node, earlier), None)
    items: list[Instance] = []
    for place, _, node in found:
        if node.node.for_each is None:
            items.append(_of_node(path, place, node, earlier))
        else:
            items.extend(_items(node))
    if len(found) == 1 and found[0][2].node.for_each is not None:
        return NodeReport(_of_node(path, found[0][0], found[0][2], earlier), items)
    return NodeReport(_over([_of_node(path, place, node, earlier) for place, _, node in found]), items)


def _of_node(path: str, place: Place, node: NodeState, earlier: Earlier) -> Instance:
    attempts, start = node.attempts, _seconds(node.start)
    before = earlier.get((path, place.indices))
    if before is not None and start is not None:
        attempts, start = max(attempts, before.attempts), min(start, before.start)
    end = None if start is None else _seconds(node.end)
    return Instance(
        place.index, node.phase, _text(node.reason), node.message, attempts, _spelled(start), end, node.outputs
    )


def _items(node: NodeState) -> Iterator[Instance]:
    count = 0 if node.phase == SKIPPED else len(node.units) if node.items is None else len(node.items)
    for index in range(count):
        unit = node.units.get(index)
        if unit is not None and (unit.phase != PENDING or node.phase not in TERMINAL):
            yield _of_unit(unit)
        else:
            phase = CANCELLED if node.phase in TERMINAL else PENDING
            attempts = 0 if unit is None else unit.attempts
            yield Instance(index, phase, _text(node.blocked), "", attempts, None, None, None)


def _of_unit(unit: Unit) -> Instance:
    start = _seconds(unit.start)
    end = None if start is None else _seconds(unit.end)
    return Instance(unit.index, unit.phase, _text(unit.reason), unit.message, unit.attempts, start, end, unit.outputs)


def _over(found: list[Instance]) -> Instance:
    """One entry for all instances of a node in the items of an outer forEach."""
    phase = next(phase for phase in _PRECEDENCE if any(instance.phase == phase for instance in found))
    first = next(instance for instance in found if instance.phase == phase)
    starts = [instance.start for instance in found if instance.start is not None]
    ends = [instance.end for instance in found if instance.end is not None]
    ended = all(instance.phase in TERMINAL for instance in found)
    return Instance(
        index=None, phase=phase, reason=first.reason, message=first.message,
        attempts=sum(instance.attempts for instance in found), start=min(starts, default=None),
        end=max(ends, default=None) if ended else None, outputs=_lists([instance.outputs for instance in found]),
    )  # fmt: skip


def _lists(outputs: list[Any]) -> dict[str, list[Any]]:
    """Each output as a list over the instances, null where one has none: as a forEach gives them."""
    given = [one if isinstance(one, dict) else {} for one in outputs]
    names = dict.fromkeys(name for one in given for name in one)
    return {name: [one.get(name) for one in given] for name in names}


def _text(reason: str | None) -> str | None:
    return None if not reason else str(reason)


def _seconds(epoch: float | None) -> float | None:
    return None if epoch is None else _spelled(epoch - START)


def _spelled(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
