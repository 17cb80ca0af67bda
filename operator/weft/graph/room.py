"""Nodes that can never have a place: the services that they need to be Ready take all that `parallelism` gives.

A service keeps its place as long as somebody needs it, and a node that waits for the place waits for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from weft.api.node import Node
from weft.api.problems import Problem
from weft.api.workflow import WorkflowSpec
from weft.graph.placed import written_graphs

MOST_NAMED = 3
"""Services that a note names."""
_READY = ":Ready"


def without_room(spec: WorkflowSpec, at: str) -> Iterator[Problem]:
    """Give a note for each such node of the spec that stands at the path `at`."""
    if spec.parallelism is None:
        return
    for nodes, path in written_graphs(spec, at):
        yield from _of_graph(nodes, path, spec.parallelism)


def _of_graph(nodes: Sequence[Node], at: str, parallelism: int) -> Iterator[Problem]:
    wanted = {node.name: _services(node) for node in nodes}
    for index, node in enumerate(nodes):
        if node.job is None:
            continue
        beside: dict[str, None] = {}
        left = list(wanted[node.name])
        while left and len(beside) < parallelism:
            service = left.pop()
            if service not in beside:
                beside[service] = None
                left += wanted.get(service, ())
        if len(beside) == parallelism:
            names = ", ".join([*islice(beside, MOST_NAMED), *(["..."] if parallelism > MOST_NAMED else [])])
            told = f"can never start: it needs {names} beside it, and parallelism {parallelism} leaves it no room"
            yield Problem(f"{at}[{index}].dependsOn", told)


def _services(node: Node) -> list[str]:
    """The services that have to be Ready before the node starts, whatever else happens."""
    if node.join == "Any":
        return []
    return [edge.removesuffix(_READY) for edge in node.depends_on if edge.endswith(_READY)]
