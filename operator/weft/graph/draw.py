"""A workflow as a picture, for whoever lays it out: JSON here, Mermaid and Graphviz's DOT in files of those names.

`draw` makes the picture, the same every time: nodes with a path, a kind and remarks, those of a subgraph under the node
that runs it; edges with the outcome they wait for. It is made from the spec as written, so that a workflow can be
looked at before it is right.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from weft.api.node import Node, split_edge
from weft.api.workflow import Graph, WorkflowSpec

MAX_DRAWN = 5_000
"""Subgraphs are drawn inside the nodes that run them until there are so many nodes; graphs that fan out have no end."""


@dataclass(frozen=True, slots=True)
class DrawnNode:
    """One node. `path` is its name with those of the nodes around it; `parent` the path of the node it is drawn in."""

    path: str
    name: str
    parent: str | None
    kind: str
    remarks: tuple[str, ...]
    stage: str
    is_open: bool

    @property
    def label(self) -> tuple[str, str]:
        """The two lines that stand in the node."""
        return self.name, ", ".join((self.kind, *self.remarks))


@dataclass(frozen=True, slots=True)
class DrawnEdge:
    """`target` waits for `outcome` of `source`; both are paths."""

    source: str
    target: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """The picture: nodes, each after the one it is drawn in, and edges, all as written."""

    nodes: tuple[DrawnNode, ...]
    edges: tuple[DrawnEdge, ...]

    def inside(self, parent: str | None, stage: str) -> list[DrawnNode]:
        """The nodes drawn directly in `parent`."""
        return [node for node in self.nodes if node.parent == parent and node.stage == stage]


def draw(spec: WorkflowSpec) -> Drawing:
    """The picture of a workflow."""
    pencil = _Pencil({graph.name: graph for graph in spec.graphs})
    pencil.graph(spec.nodes, None, "main", ())
    pencil.graph(spec.finally_, None, "finally", ())
    return Drawing(tuple(pencil.nodes), tuple(pencil.edges))


class _Pencil:
    def __init__(self, graphs: dict[str, Graph]) -> None:
        self.graphs = graphs
        self.nodes: list[DrawnNode] = []
        self.edges: list[DrawnEdge] = []

    def graph(self, models: Sequence[Node], parent: str | None, stage: str, way: tuple[str, ...]) -> None:
        prefix = "" if parent is None else f"{parent}/"
        for model in models:
            called = self.graphs.get(model.graph.name) if model.graph is not None else None
            if called is not None and (called.name in way or len(self.nodes) + len(called.nodes) > MAX_DRAWN):
                called = None
            path = prefix + model.name
            self.nodes.append(
                DrawnNode(path, model.name, parent, model.body_kind, _remarks(model), stage, called is not None)
            )
            for text in model.depends_on:
                source, outcome = split_edge(text)
                self.edges.append(DrawnEdge(prefix + source, path, outcome))
            if called is not None:
                self.graph(called.nodes, path, stage, (*way, called.name))


def _remarks(model: Node) -> tuple[str, ...]:
    called = model.graph or model.workflow or model.use
    remarks = {
        called.name if called else "": called is not None,
        "for each": model.for_each is not None,
        "while": model.while_ is not None,
        "any": model.join == "Any",
        "when": model.when is not None,
        "service": model.service,
        "may fail": model.allow_failure,
        "undone by " + (model.compensate.body_kind if model.compensate else ""): model.compensate is not None,
    }
    return tuple(remark for remark, holds in remarks.items() if holds)


def to_json(drawing: Drawing) -> str:
    """The picture as JSON: {"nodes": [...], "edges": [...]}."""
    nodes = [
        {
            "path": node.path,
            "name": node.name,
            "parent": node.parent,
            "kind": node.kind,
            "remarks": node.remarks,
            "stage": node.stage,
        }
        for node in drawing.nodes
    ]
    return json.dumps({"nodes": nodes, "edges": [asdict(edge) for edge in drawing.edges]}, indent=2)
