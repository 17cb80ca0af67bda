"""Calls between graphs: which graph runs which, in what order they can be compiled, and how deep they go.

A named graph runs another by the `graph` body of a node or of its compensation. Calls are acyclic and at most 8 deep:
what a run needs is then bounded by what is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weft.api.node import Node
from weft.api.problems import Problem
from weft.api.workflow import Graph, WorkflowSpec
from weft.graph.wiring import circle_text

MAX_DEPTH = 8


def calls(nodes: Sequence[Node], at: str) -> Iterator[tuple[str, str]]:
    """The graphs that these nodes run, each with the path of the call."""
    for index, node in enumerate(nodes):
        if node.graph is not None:
            yield node.graph.name, f"{at}[{index}].graph.name"
        if node.compensate is not None and node.compensate.graph is not None:
            yield node.compensate.graph.name, f"{at}[{index}].compensate.graph.name"


def in_order(spec: WorkflowSpec, at: str, problems: list[Problem]) -> list[tuple[int, Graph]]:
    """The named graphs with their positions, every one after those it calls; adds what is wrong to `problems`."""
    graphs = {graph.name: (index, graph) for index, graph in enumerate(spec.graphs)}
    done: dict[str, list[str]] = {}
    for name in graphs:
        if name not in done:
            _visit(name, graphs, done, [], at, problems)
    return [graphs[name] for name in done]


def _visit(
    name: str,
    graphs: dict[str, tuple[int, Graph]],
    done: dict[str, list[str]],
    way: list[str],
    at: str,
    problems: list[Problem],
) -> None:
    """Fill `done`: per graph the longest chain of calls that begins with it, callees first."""
    longest: list[str] = []
    index, graph = graphs[name]
    for callee, path in calls(graph.nodes, f"{at}.graphs[{index}].nodes"):
        if callee in [*way, name]:
            circle = [*way, name][[*way, name].index(callee) :]
            problems.append(
                Problem(path, f"graphs run each other in a circle: {circle_text([*circle, callee])}; break it")
            )
        elif callee in graphs:
            if callee not in done:
                _visit(callee, graphs, done, [*way, name], at, problems)
            if len(done[callee]) == MAX_DEPTH:
                chain = " -> ".join([name, *done[callee]])
                problems.append(Problem(path, f"calls between graphs are at most {MAX_DEPTH} deep: {chain}"))
            longest = max(longest, done[callee], key=len)
    done[name] = [name, *longest]
