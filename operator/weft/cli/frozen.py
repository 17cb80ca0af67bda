"""What a run was started with: its Workflow as it was then, and the node that a path stands for.

It stands in a ControllerRevision, which a user may not be allowed to read; then an inline workflow of the run itself
is as good, and otherwise nothing is known.
"""

from collections.abc import Mapping
from typing import Any

from weft.api.node import BODIES
from weft.api.objects import Obj
from weft.api.paths import segment_name
from weft.cli.cluster import Cluster
from weft.kube.errors import Forbidden, NotFound
from weft.kube.resources import CONTROLLER_REVISIONS


def frozen_workflow(cluster: Cluster, run: Obj) -> Obj | None:
    """Give the spec of the Workflow a run carries out; None when it cannot be read. Raises ApiError."""
    revision = (run.get("status") or {}).get("workflowRevision")
    if revision:
        try:
            found: Obj | None = cluster.get(CONTROLLER_REVISIONS, revision)["data"]["workflow"]
            return found
        except (Forbidden, NotFound):
            pass
    inline: Obj | None = run["spec"].get("workflow")
    return inline


def node_spec(workflow: Mapping[str, Any] | None, path: str) -> Obj:
    """Give the node of a path, positions in loops or not: publish/upload, price[3]/review; {} when it is not known."""
    graphs = {graph["name"]: graph for graph in (workflow or {}).get("graphs") or ()}
    around: Mapping[str, Any] = workflow or {}
    node: Obj = {}
    for part in path.split("/"):
        name = segment_name(part)
        siblings = [*(around.get("nodes") or ()), *(around.get("finally") or ())]
        node = next((one for one in siblings if one["name"] == name), {})
        around = graphs.get((node.get("graph") or {}).get("name"), {})
    return node


def body_kind(node: Mapping[str, Any]) -> str:
    """Give the body a node has: job, graph, switch, ...; "" when the node is not known."""
    return next((kind for kind in BODIES if node.get(kind) is not None), "")
