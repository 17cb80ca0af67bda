"""What the engine counts as it goes, counted anew from the phases of nodes alone."""

from collections.abc import Iterator

from weft.engine.state import Frame, NodeState, RunState

ENDED = {"Succeeded", "Failed", "Skipped", "Cancelled", "Compensated"}
Counts = tuple[object, ...]


def recounted(state: RunState) -> Iterator[tuple[Counts, Counts]]:
    """Pairs of what the state says and what it should say."""
    for frame in _frames(state):
        yield ("ended", frame.ended), ("ended", sum(node.phase in ENDED for node in frame.nodes))
        active = sum(node.begun and node.phase not in ENDED and not node.node.service for node in frame.nodes)
        yield ("active", frame.active), ("active", active)
        for node in frame.nodes:
            yield from _node(frame, node)
    yield ("size", state.size), ("size", _size(state))
    in_flight = [unit for unit in state.active.values() if unit.node.body.kind == "job"]
    yield ("pods", state.pods), ("pods", sum(unit.stage in ("Active", "Stopping") for unit in in_flight))


def _node(frame: Frame, node: NodeState) -> Iterator[tuple[Counts, Counts]]:
    name = node.node.name
    if node.phase not in ENDED and not node.begun:
        values = [_value(frame.nodes[edge.source], edge.outcome) for edge in node.node.incoming]
        want = tuple(values.count(value) for value in ("open", "met", "broken"))
        yield (name, node.open, node.met, node.broken), (name, *want)
    handlers = [frame.nodes[edge.target] for edge in node.node.outgoing if edge.outcome == "Failed"]
    yield (name, "handlers", node.handlers), (name, "handlers", sum(h.phase not in ENDED for h in handlers))
    if node.items is not None and node.phase not in ENDED:
        ended = [unit for unit in node.units.values() if unit.phase in ENDED and unit.stage == "Ended"]
        failed = sum(unit.phase == "Failed" for unit in ended)
        yield (name, "failed", node.failed_items), (name, "failed", failed)


def _size(state: RunState) -> int:
    """Nodes and items, those that are still to come too; of an item the nodes of its graph, entered or not."""
    undo = state.compensating
    size = sum(len(top.nodes) for top in (state.main, state.final) if top is not None)
    for frame in [*_frames(state), *(_below(undo.child) if undo is not None and undo.child is not None else ())]:
        for node in frame.nodes:
            graph = node.node.body.graph
            each = len(graph.nodes) if graph is not None else 0
            if node.node.for_each is not None:
                size += (1 + each) * max(len(node.items or ()), len(node.units))
            else:
                size += each * sum(len(list(unit.children)) for unit in node.units.values())
    return size + (len(undo.child.nodes) if undo is not None and undo.child is not None else 0)


def _value(node: NodeState, outcome: str) -> str:
    if node.phase not in ENDED:
        return "met" if outcome == "Ready" and node.ready else "open"
    if outcome == "Done":
        return "met"
    if outcome == "Failed":
        return "met" if node.phase == "Failed" else "void"
    if node.phase == "Skipped":
        return "broken" if node.reason == "UpstreamFailed" else "void"
    if node.phase in ("Succeeded", "Compensated"):
        return "met" if outcome in ("Succeeded", "Ready") or node.chosen == outcome else "void"
    forgiven = node.phase == "Failed" and outcome == "Succeeded" and node.node.allow_failure
    was_ready = outcome == "Ready" and node.ready and node.phase == "Failed"
    return "met" if forgiven or was_ready else "broken"


def _frames(state: RunState) -> Iterator[Frame]:
    return _below(*(frame for frame in (state.main, state.final) if frame is not None))


def _below(*tops: Frame) -> Iterator[Frame]:
    stack = list(tops)
    while stack:
        frame = stack.pop()
        yield frame
        for node in frame.nodes:
            stack.extend(child for unit in node.units.values() for child in unit.children)
