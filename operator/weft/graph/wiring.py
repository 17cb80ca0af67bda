"""Edges: `dependsOn` read, checked and turned into positions, and the order that follows from them.

Ancestors are kept as one bit set per node, made when the first expression asks: ten thousand nodes in a chain are
twelve megabytes and a few milliseconds, where sets of names would be fifty million entries.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import and_, or_
from typing import cast

import networkx as nx

from weft.api.node import Node, split_edge
from weft.api.problems import Problem
from weft.expr.cel import suggestion
from weft.graph.compiled import DONE, FAILED, READY, SUCCEEDED, Edge
from weft.graph.enough import unless_enough

SHOWN = 20
"""How many nodes of a cycle are named before the rest is only counted."""


class Ancestors(Collection[str]):
    """The names of a node's ancestors, over a bit set of positions."""

    __slots__ = ("_bits", "_positions")

    def __init__(self, bits: int, positions: Mapping[str, int]) -> None:
        self._bits = bits
        self._positions = positions

    def __contains__(self, name: object) -> bool:
        position = self._positions.get(cast(str, name))
        return position is not None and bool(self._bits >> position & 1)

    def __iter__(self) -> Iterator[str]:
        return (name for name, position in self._positions.items() if self._bits >> position & 1)

    def __len__(self) -> int:
        return self._bits.bit_count()


@dataclass
class Wiring:
    """The edges of one graph: per node those that come in and those that go out; and the order of its nodes.

    `order` holds positions, topological, then as written. In a graph with a cycle it is just as written, and every
    node counts as an ancestor of every other: one problem is enough.
    """

    positions: dict[str, int]
    incoming: list[list[Edge]]
    outgoing: list[list[Edge]]
    order: list[int] = field(default_factory=list)
    cyclic: bool = False
    _bits: list[int] | None = None

    def ancestors(self, index: int) -> Collection[str]:
        """The names of all that the node at `index` depends on, directly or through others."""
        if self.cyclic:
            return self.positions
        if self._bits is None:
            self._bits = [0] * len(self.incoming)
            for position in self.order:
                found = 0
                for edge in self.incoming[position]:
                    found |= self._bits[edge.source] | 1 << edge.source
                self._bits[position] = found
        return Ancestors(self._bits[index], self.positions)


def wire(nodes: Sequence[Node], at: str, problems: list[Problem], *, main: Collection[str] = ()) -> Wiring:
    """Read the edges of the nodes that stand at the path `at`; adds to `problems` what is wrong with them.

    Raises Enough. `main` are the names of the main graph's nodes when these are the finally nodes.
    """
    positions: dict[str, int] = {}
    for index, node in enumerate(nodes):
        positions.setdefault(node.name, index)
    wiring = Wiring(positions, [[] for _ in nodes], [[] for _ in nodes])
    for index, node in enumerate(nodes):
        seen: dict[str, int] = {}
        for place, text in enumerate(node.depends_on):
            unless_enough(problems)
            name, outcome = split_edge(text)
            message = _edge_message(nodes, positions, node, name, outcome, main)
            first = seen.setdefault(f"{name}:{outcome}", place)
            if message is None and first != place:
                message = f"{text!r} says the same as dependsOn[{first}]; remove one"
            if message is not None:
                problems.append(Problem(f"{at}[{index}].dependsOn[{place}]", message))
                continue
            edge = Edge(positions[name], index, outcome)
            wiring.incoming[index].append(edge)
            wiring.outgoing[edge.source].append(edge)
    _put_in_order(wiring, nodes, at, problems)
    if not wiring.cyclic:
        _check_services(wiring, nodes, at, problems)
    return wiring


def _edge_message(
    nodes: Sequence[Node], positions: Mapping[str, int], node: Node, name: str, outcome: str, main: Collection[str]
) -> str | None:
    if name == node.name:
        return f"a node cannot wait for itself: {name} -> {name}"
    if name not in positions:
        if name in main:
            return (
                f"{name!r} is a node of the main graph, and all of these have ended when finally begins; remove it"
                f" (its result is at hand: {_written(name)}.phase)"
            )
        return f"there is no node named {name!r} here{suggestion(name, positions)}"
    source = nodes[positions[name]]
    if outcome in (SUCCEEDED, FAILED, DONE) or (outcome == READY and source.service):
        return None
    if outcome == READY:
        return f"{name!r} is not a service, so it is never Ready; add service: true to it, or wait for {name!r} alone"
    if source.switch is None:
        known = (SUCCEEDED, FAILED, DONE, *((READY,) if source.service else ()))
        return (
            f"{outcome!r} is no outcome of {name!r}, which is not a switch; it is one of {', '.join(known)}"
            f"{suggestion(outcome.capitalize(), known)}"
        )
    cases = [case.name for case in source.switch.cases]
    if source.switch.default is not None and source.switch.default not in cases:
        cases.append(source.switch.default)
    if outcome in cases:
        return None
    return f"the switch {name!r} has no case {outcome!r}; its cases are {', '.join(cases)}{suggestion(outcome, cases)}"


def _put_in_order(wiring: Wiring, nodes: Sequence[Node], at: str, problems: list[Problem]) -> None:
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(nodes)))
    graph.add_edges_from((edge.source, edge.target) for edges in wiring.incoming for edge in edges)
    if nx.is_directed_acyclic_graph(graph):
        wiring.order = [index for generation in nx.topological_generations(graph) for index in sorted(generation)]
        return
    wiring.order, wiring.cyclic = list(range(len(nodes))), True
    circles = [members for members in nx.strongly_connected_components(graph) if len(members) > 1]
    for members in sorted(circles, key=min):
        first = min(members)
        circle = [nodes[index].name for index in _circle(wiring, first, members)]
        problems.append(
            Problem(
                f"{at}[{first}].dependsOn", f"nodes wait for each other in a circle: {circle_text(circle)}; break it"
            )
        )


def _circle(wiring: Wiring, first: int, members: Collection[int]) -> list[int]:
    """The shortest way from a node back to itself, among the members of its circle; each waits for the one before."""
    came_from: dict[int, int] = {}
    line = deque([first])
    while first not in came_from:
        current = line.popleft()
        for edge in wiring.outgoing[current]:
            if edge.target in members and edge.target not in came_from:
                came_from[edge.target] = current
                line.append(edge.target)
    way = [first, came_from[first]]
    while way[-1] != first:
        way.append(came_from[way[-1]])
    return way[::-1]


def circle_text(names: Sequence[str]) -> str:
    """`a -> b -> a`; of a long circle the middle is only counted."""
    if len(names) > SHOWN:
        left_out = len(names) - SHOWN
        names = [*names[: SHOWN // 2], f"({left_out} more)", *names[-SHOWN // 2 :]]
    return " -> ".join(names)


def _check_services(wiring: Wiring, nodes: Sequence[Node], at: str, problems: list[Problem]) -> None:
    """Refuse a node that a service serves, but that must wait for the service's end: each would wait for the other.

    `late` has per node, as a bit set, the services whose end it must wait for.
    """
    if not any(node.service for node in nodes):
        return
    late = [0] * len(nodes)
    for index in wiring.order:
        waits = [
            late[edge.source] | (1 << edge.source if nodes[edge.source].service and edge.outcome != READY else 0)
            for edge in wiring.incoming[index]
        ]
        if waits:
            late[index] = reduce(and_ if nodes[index].join == "Any" else or_, waits)
    problems += [
        Problem(
            f"{at}[{edge.target}].dependsOn",
            f"waits for the end of the service {nodes[edge.source].name!r}, which ends only after it; of a service wait"
            f" for '{nodes[edge.source].name}:Ready' alone, here and in what comes before",
        )
        for edges in wiring.incoming
        for edge in edges
        if edge.outcome == READY and late[edge.target] >> edge.source & 1
    ]


def _written(name: str) -> str:
    return f"nodes.{name}" if name.isidentifier() else f'nodes["{name}"]'
