"""What the checker reads from the server's history: attempts by annotation, runs by status. No engine here."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from support.storage import Event
from weft.api.objects import Obj
from weft.kube.resources import CONTROLLER_REVISIONS

IDENTITY = "weft.dev/identity"
FINALIZER = "batch.kubernetes.io/job-tracking"
ENDED = ("Succeeded", "Failed", "Skipped", "Cancelled", "Compensated")


class Attempt(NamedTuple):
    """The identity of an attempt, as its Job and its Pod bear it."""

    run: str
    path: str
    index: int | None  # type: ignore[assignment]
    iteration: int | None
    role: str
    number: int

    @property
    def item(self) -> tuple[str, str, int | None]:
        """The node item: no two of its Pods may run at once."""
        return self.run, self.path, self.index

    @property
    def unit(self) -> tuple[Any, ...]:
        """What the attempts are attempts of."""
        return self[:5]

    def __str__(self) -> str:
        return json.dumps(self)


def attempt_of(obj: Obj) -> Attempt | None:
    """The attempt that an object is; None for a stranger."""
    text = (obj["metadata"].get("annotations") or {}).get(IDENTITY)
    return Attempt(*json.loads(text)) if text else None


def by_operator(event: Event) -> bool:
    return event.actor.startswith("op-")


def pod_over(pod: Obj) -> bool:
    """Nothing of it runs or will run."""
    never_bound = bool(pod["metadata"].get("deletionTimestamp")) and not pod["spec"].get("nodeName")
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed") or never_bound


def status_of(run: Obj | None) -> Obj:
    found: Obj = (run or {}).get("status") or {}
    return found


def nodes_of(status: Obj) -> dict[str, Obj]:
    return {node["name"]: node for node in status.get("nodes") or ()}


def finished(run: Obj) -> bool:
    conditions = status_of(run).get("conditions") or ()
    return any(one["type"] == "Finished" and one["status"] == "True" for one in conditions)


def asked_generation(run: Obj) -> int:
    """The rerun that its spec asks for."""
    return int((run["spec"].get("rerun") or {}).get("generation") or 0)


def owned(run: Obj) -> bool:
    return any(owner["kind"] == "WorkflowRun" for owner in run["metadata"].get("ownerReferences") or ())


class Specs:
    """The frozen specs, by the name of their revision."""

    def __init__(self, history: list[Event]) -> None:
        self._revisions = {
            event.obj["metadata"]["name"]: event.obj["data"]["workflow"]
            for event in history
            if event.resource is CONTROLLER_REVISIONS and event.type == "ADDED"
        }

    def of(self, run: Obj) -> Obj | None:
        """The spec that the run was started with; None before it has started."""
        found: Obj | None = self._revisions.get(status_of(run).get("workflowRevision", ""))
        return found


def graph_of(spec: Obj, path: str) -> tuple[list[Obj], str] | None:
    """The nodes beside that of the path, and the prefix they share; None where a compensation's graph begins."""
    *outer, last = path.split("/")
    graphs = {graph["name"]: graph for graph in spec.get("graphs") or ()}
    names = [re.sub(r"\[.*?\]", "", segment) for segment in outer]  # what follows an index is kept: a.compensate
    top = [spec["nodes"], spec.get("finally") or []]
    first = names[0] if names else last
    nodes = next((each for each in top if any(node["name"] == first for node in each)), None)
    for name in names:
        node = next((each for each in nodes or () if each["name"] == name), None)
        if node is None or "graph" not in node:
            return None
        nodes = graphs[node["graph"]["name"]]["nodes"]
    return (nodes, "".join(f"{segment}/" for segment in outer)) if nodes is not None else None


def node_of(spec: Obj, path: str) -> Obj | None:
    """The node's own spec."""
    found = graph_of(spec, path)
    name = path.rsplit("/", 1)[-1].partition("[")[0]
    return next((node for node in found[0] if node["name"] == name), None) if found else None


def edges_of(node: Obj) -> Iterator[tuple[str, str]]:
    """(source, outcome) of each of its dependsOn."""
    for text in node.get("dependsOn") or ():
        source, _, outcome = text.partition(":")
        yield source, outcome or "Succeeded"


def repeats(spec: Obj, path: str) -> bool:
    """Whether a graph around the node may be run again as a whole: by a retry, or as another iteration."""
    segments = path.split("/")
    outer = [node_of(spec, "/".join(segments[: length + 1])) for length in range(len(segments) - 1)]
    retried = (spec.get("defaults") or {}).get("retry")
    return any(node is None or node.get("retry", retried) or "while" in node for node in outer)
