"""The variables an expression sees, made only as far as it asks for them.

A program knows which names it uses and which nodes it refers to, so evaluating `when` in a graph
of ten thousand nodes touches the one node that it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from weft.engine.state import TERMINAL, Frame, NodeState, RunState, Unit
from weft.expr.cel import TOGETHER, Program
from weft.expr.frame import Variables


def node_view(node: NodeState) -> dict[str, Any]:
    """What `nodes.X` is: outputs, phase, reason and exitCode. Absent outputs are {}."""
    return {
        "outputs": {} if node.outputs is None else node.outputs,
        "phase": node.phase,
        "reason": node.reason or "",
        "exitCode": node.exit_code,
    }


def run_view(state: RunState) -> dict[str, Any]:
    """What `run` is."""
    context = state.context
    return {
        "name": context.name,
        "namespace": context.namespace,
        "uid": context.uid,
        "attempt": state.generation + 1,
        "outcome": state.outcome or "",
        "failures": state.failures,
    }


def unfinished(state: RunState, frame: Frame, index: int, programs: Iterable[Program]) -> dict[str, list[Any]]:
    """Of the nodes that these programs read, how those look now that have not ended: [phase, reason, exit code].

    What was computed from them is computed again after a restart, when they may have gone on: see `variables`.
    """
    found = _nodes(state, frame, index, programs)
    return {
        name: [node.phase, node.reason, node.exit_code] for name, node in found.items() if node.phase not in TERMINAL
    }


def _as_they_were(then: Mapping[str, list[Any]]) -> dict[str, Any]:
    return {
        name: {"outputs": {}, "phase": phase, "reason": reason or "", "exitCode": code}
        for name, (phase, reason, code) in then.items()
    }


def _nodes(state: RunState, frame: Frame, index: int | None, programs: Iterable[Program]) -> dict[str, NodeState]:
    names: set[str] = set()
    for program in programs:
        if program.nodes is None:
            names.update(_visible(state, frame, index))
        else:
            names |= program.nodes
    found: dict[str, NodeState] = {}
    for name in names:
        position = frame.graph.by_name.get(name)
        if position is not None:
            found[name] = frame.nodes[position]
        elif frame is state.final and name in state.main.graph.by_name:
            found[name] = state.main.nodes[state.main.graph.by_name[name]]
    return found


def _visible(state: RunState, frame: Frame, index: int | None) -> Iterable[str]:
    nodes = frame.graph.nodes
    yield from (nodes[i].name for i in (range(len(nodes)) if index is None else frame.graph.ancestors(index)))
    if frame is state.final:
        yield from (node.name for node in state.main.graph.nodes)


def variables(
    state: RunState,
    frame: Frame,
    programs: Iterable[Program],
    *,
    index: int | None = None,
    unit: Unit | None = None,
    extra: Mapping[str, Any] | None = None,
    then: Mapping[str, list[Any]] | None = None,
) -> Variables:
    """The variables for these programs, which share a budget and run up the meter of the state.

    Takes the frame they are written in, the position of the node they belong to (None: the graph's own outputs, which
    see every node), the unit for loop variables, `extra` names of a context (a retry, a response), and how nodes looked
    `then` that had not ended when this was computed first (see `unfinished`). Gives plain JSON values by name.
    """
    programs = tuple(programs)
    roots: set[str] = set()
    for program in programs:
        roots |= program.roots
    found: dict[str, Any] = {}
    if "params" in roots:
        found["params"] = frame.params
    if "nodes" in roots:
        nodes = _nodes(state, frame, index, programs)
        found["nodes"] = {name: node_view(node) for name, node in nodes.items()} | _as_they_were(then or {})
    if "run" in roots:
        found["run"] = run_view(state)
    if unit is not None:
        owner = unit.owner.node
        if unit.index is not None and owner.for_each is not None:
            found["item"] = found[owner.for_each.name] = unit.value
            found["index"] = unit.index
        if unit.iteration is not None:
            found["iteration"] = unit.iteration
            found["previous"] = {} if unit.previous is None else unit.previous
    if extra:
        found.update(extra)
    return Variables(found, state.meter, TOGETHER)
