"""What a node can ever give, known before it runs: an expression that reads anything else of it can only fail."""

from __future__ import annotations

from collections.abc import Mapping

from weft.api.bodies import OneBody
from weft.api.node import Node
from weft.api.nodetype import NodeTypeSpec
from weft.api.workflow import WorkflowSpec

Names = tuple[str, ...]

GIVEN: Mapping[str, Names] = {
    "switch": ("case",),
    "approval": ("decision", "by", "at"),
    "wait": (),
    "http": ("status", "body"),
    "resource": ("name", "kind", "status"),
}
"""The outputs of the bodies that have the same ones whatever they do."""


class Givers:
    """The graphs and NodeTypes that nodes of one Workflow may run: what those give, the nodes do."""

    def __init__(self, spec: WorkflowSpec, types: Mapping[str, NodeTypeSpec] | None) -> None:
        self._graphs = {graph.name: tuple(output.name for output in graph.outputs) for graph in spec.graphs}
        self._types = types or {}

    def outputs_of(self, node: Node) -> Names | None:
        """The outputs that the node may have once it has ended, also badly; None: nobody knows.

        Nobody knows what a job writes, what a child run gives, and what a cache holds: an earlier version of the
        Workflow may have filled it. A loop gives under the same names what its body does.
        """
        if node.cache is not None:
            return None
        if node.graph is not None:
            return self._graphs.get(node.graph.name)
        if node.use is not None:
            kind = self._types.get(node.use.name)
            return None if kind is None else _of_type(kind)
        return _of_body(node)


def _of_type(kind: NodeTypeSpec) -> Names | None:
    own = _of_body(kind)
    if own is None or not kind.outputs:
        return own
    declared = tuple(output.name for output in kind.outputs)
    return declared if kind.http is None else declared + own  # a bad answer is told as it came


def _of_body(owner: OneBody) -> Names | None:
    return tuple(owner.expr) if owner.expr is not None else GIVEN.get(owner.body_kind)
