"""Everything of a Workflow that has a body, with the path where it stands: for checks that need no compilation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from weft.api.base import ResourceModel
from weft.api.bodies import OneBody
from weft.api.node import Node
from weft.api.workflow import Workflow, WorkflowSpec
from weft.api.workflowrun import WorkflowRun


class Placed(NamedTuple):
    """A node, or what undoes it: where it stands, the name of the node, and the model itself."""

    at: str
    node: str
    owner: OneBody


def spec_of(resource: ResourceModel | None) -> tuple[WorkflowSpec, str] | None:
    """Give the spec of the Workflow that a resource is or brings along, and where it stands."""
    match resource:
        case Workflow(spec=spec):
            return spec, "spec"
        case WorkflowRun() if resource.spec.workflow is not None:
            return resource.spec.workflow, "spec.workflow"
    return None


def written_graphs(spec: WorkflowSpec, at: str) -> Iterator[tuple[Sequence[Node], str]]:
    """Give the nodes of each graph of the spec that stands at the path `at`, and the path of their list."""
    yield spec.nodes, f"{at}.nodes"
    yield spec.finally_, f"{at}.finally"
    for index, graph in enumerate(spec.graphs):
        yield graph.nodes, f"{at}.graphs[{index}].nodes"


def placed(spec: WorkflowSpec, at: str) -> Iterator[Placed]:
    """Give the nodes of all graphs of the spec that stands at the path `at`, each before its compensation."""
    for nodes, path in written_graphs(spec, at):
        for index, node in enumerate(nodes):
            yield Placed(f"{path}[{index}]", node.name, node)
            if node.compensate is not None:
                yield Placed(f"{path}[{index}].compensate", node.name, node.compensate)
