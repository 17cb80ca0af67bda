"""Invariant 4: a node starts only when its join says so. From the edge table of design section 3, not from the engine.

Twice: in the first status that tells of a node's start, its edges must already be worth it; and when a Job is made, no
Pod may run any more of what it waits for.
"""

from collections.abc import Iterator

from support.checker.reading import (
    Attempt,
    Specs,
    attempt_of,
    edges_of,
    graph_of,
    node_of,
    nodes_of,
    pod_over,
    status_of,
)
from support.storage import Event
from weft.api.objects import Obj, uid_of
from weft.kube.resources import JOBS, PODS, WORKFLOW_RUNS

MET, BROKEN, VOID, OPEN = "met", "broken", "void", "open"

# outcome: by how the upstream ended: Succeeded, Failed, Cancelled, Skipped(UpstreamFailed), Skipped (other)
TABLE = {
    "Succeeded": (MET, BROKEN, BROKEN, BROKEN, VOID),
    "Failed": (VOID, MET, VOID, VOID, VOID),
    "Done": (MET, MET, MET, MET, MET),
    "Ready": (MET, BROKEN, BROKEN, BROKEN, VOID),
    "case": (VOID, BROKEN, BROKEN, BROKEN, VOID),
}


def check_joins(history: list[Event], specs: Specs) -> Iterator[str]:
    """Walk through the history once."""
    runs: dict[str, Obj] = {}
    live: dict[str, Attempt] = {}
    begun: set[tuple[str, str, str]] = set()
    for event in history:
        if event.resource is WORKFLOW_RUNS:
            runs[uid_of(event.obj)] = event.obj
            spec = specs.of(event.obj)
            if spec is not None and event.type == "MODIFIED":
                yield from _started(event, spec, begun)
            continue
        attempt = attempt_of(event.obj) if event.resource in (JOBS, PODS) else None
        if attempt is None:
            continue
        if event.resource is PODS:
            if event.type == "DELETED" or pod_over(event.obj):
                live.pop(uid_of(event.obj), None)
            else:
                live[uid_of(event.obj)] = attempt
        elif event.type == "ADDED" and attempt.role == "main" and attempt.run in runs:
            spec = specs.of(runs[attempt.run])
            if spec is not None:
                yield from _too_early(event, attempt, spec, live)


def _started(event: Event, spec: Obj, begun: set[tuple[str, str, str]]) -> Iterator[str]:
    nodes = nodes_of(status_of(event.obj))
    for name, entry in nodes.items():
        key = (uid_of(event.obj), name, entry.get("startTime", ""))
        if not key[2] or entry["phase"] in ("Pending", "Skipped") or key in begun:
            continue
        begun.add(key)
        found, node = graph_of(spec, name), node_of(spec, name)
        if found is None or node is None:
            continue
        siblings = {each["name"]: each for each in found[0]}
        values = [
            edge_value(outcome, _as_it_was(nodes.get(found[1] + source), key[2]), siblings[source])
            for source, outcome in edges_of(node)
        ]
        if not runs_by(node, values):
            edges = dict(zip(node["dependsOn"], values, strict=True))
            yield f"4: at {event.at:.3f} {event.obj['metadata']['name']} has started {name}, whose edges are {edges}"


def _as_it_was(upstream: Obj | None, then: str) -> Obj:
    """How the upstream stood when the node started: one status may tell of that and of what came after it."""
    if upstream is None:
        return {"phase": "Pending"}
    ran_on = upstream.get("ready") and upstream.get("completionTime", "") >= then
    return {"phase": "Running", "ready": True} if ran_on else upstream


def _too_early(event: Event, attempt: Attempt, spec: Obj, live: dict[str, Attempt]) -> Iterator[str]:
    found, node = graph_of(spec, attempt.path), node_of(spec, attempt.path)
    if found is None or node is None or node.get("join") == "Any":
        return
    for source, outcome in edges_of(node):
        path = found[1] + source
        running = [
            other
            for other in live.values()
            if other.run == attempt.run and (other.path == path or other.path.startswith((f"{path}/", f"{path}[")))
        ]
        if running and outcome != "Ready":
            yield f"4: at {event.at:.3f} {event.actor} makes {attempt} while {source} runs: {list(map(str, running))}"


def edge_value(outcome: str, upstream: Obj, spec: Obj) -> str:
    """The value of an edge: `upstream` is the node's entry in the status, `spec` its own spec."""
    phase = {"Compensated": "Succeeded"}.get(upstream["phase"], upstream["phase"])
    if phase not in ("Succeeded", "Failed", "Cancelled", "Skipped"):
        return MET if outcome == "Ready" and upstream.get("ready") else OPEN
    column = 3 if (phase, upstream.get("reason")) == ("Skipped", "UpstreamFailed") else 4
    column = {"Succeeded": 0, "Failed": 1, "Cancelled": 2}.get(phase, column)
    row = outcome if outcome in TABLE else "case"
    if row == "case" and column == 0 and (upstream.get("outputs") or {}).get("case") == outcome:
        return MET
    if column == 1 and row == "Succeeded" and spec.get("allowFailure"):
        return MET
    if row == "Ready" and column == 1 and upstream.get("ready"):
        return MET
    return TABLE[row][column]


def runs_by(node: Obj, values: list[str]) -> bool:
    """Whether the node's join lets it run."""
    if not values:
        return True
    if node.get("join") == "Any":
        return MET in values
    return MET in values and OPEN not in values and BROKEN not in values
