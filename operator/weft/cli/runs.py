"""One run as people read it: where it stands and why, how it was started, what it gave.

Pure functions of a WorkflowRun as the API server stores it; `node_entries` alone asks for the ConfigMaps that a large
run's nodes and outputs are kept in.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import click

from weft.api.conditions import ConditionType, NodePhase, Reason, RunPhase, find_condition
from weft.api.objects import Obj, uid_of
from weft.api.times import moment, timestamp
from weft.cli.cluster import Cluster
from weft.cli.nodes import Entry
from weft.controllers.run_facts import finished, rerun_known, workflow_of
from weft.controllers.writer import chunk_name
from weft.engine.budget import chunk_names, read_nodes
from weft.engine.status import duration_text
from weft.kube.errors import Forbidden, NotFound

EXIT_CODES = {RunPhase.Succeeded: 0, RunPhase.Failed: 1, RunPhase.Cancelled: 2}
"""Of commands that wait for a run's end."""
MAX_STEPS = 3
"""Commands of one kind that are proposed."""


def node_entries(cluster: Cluster, run: Obj, *, outputs: bool = False) -> list[dict[str, Any]]:
    """Give the entries of a run's nodes, unpacked; with `outputs`, those kept elsewhere are put back."""
    status = run.get("status") or {}
    chunks: dict[str, dict[str, Any]] = {}
    while missing := _missing(status, chunks, outputs=outputs):
        chunks |= {suffix: _chunk(cluster, chunk_name(uid_of(run), suffix)) for suffix in missing}
    return read_nodes(status, chunks)


def _missing(status: Mapping[str, Any], chunks: Mapping[str, Any], *, outputs: bool) -> set[str]:
    return chunk_names(status, chunks) if outputs else set(status.get("compressedNodesIn") or ()) - chunks.keys()


def _chunk(cluster: Cluster, name: str) -> dict[str, Any]:
    """What a ConfigMap holds of a run; nothing if it is gone or not the user's to read: the rest can still be shown."""
    try:
        held: dict[str, Any] = json.loads(cluster.config_map(name)["outputs.json"])
    except (NotFound, Forbidden):
        return {}
    return held


def phase_of(run: Obj) -> str:
    """Give the run's phase; Pending before the operator has seen it."""
    return str((run.get("status") or {}).get("phase") or "Pending")


def has_ended(run: Obj, *, generation: int = 0) -> bool:
    """Whether the run has ended, after the rerun of that generation if there was one."""
    return finished(run) and rerun_known(run) >= generation


def exit_code(run: Obj) -> int:
    """Give the exit code for a run that has ended: 0 Succeeded, 1 Failed, 2 Cancelled."""
    return EXIT_CODES.get(RunPhase(phase_of(run)), 1)


def why(run: Obj) -> tuple[str, str]:
    """Give reason and message of the Succeeded condition: what it waits for, or how it ended."""
    found = find_condition((run.get("status") or {}).get("conditions") or (), ConditionType.Succeeded) or {}
    return str(found.get("reason") or ""), str(found.get("message") or "")


def duration(run: Obj, now: float) -> str:
    """Give how long the run took, or has taken so far; "" before it starts."""
    status = run.get("status") or {}
    start, end = moment(status.get("startTime")), moment(status.get("completionTime"))
    if start is None:
        return ""
    return duration_text(max(0.0, (now if end is None or not has_ended(run) else end) - start))


def summary(run: Obj, now: float) -> list[tuple[str, str]]:
    """Give the lines above the table of nodes: a word and what it is."""
    spec, status = run["spec"], run.get("status") or {}
    reason, message = why(run)
    told = ": ".join(filter(None, (reason, message))) or "no operator has taken it up yet"
    lines = [
        ("Run", run["metadata"]["name"]),
        ("Workflow", workflow_of(run) or "(inline)"),
        ("Status", ", ".join(filter(None, (phase_of(run), _progress(status), duration(run, now))))),
        ("Reason", told),
        ("Started", _second(status.get("startTime"))),
        ("Rerun", str(status.get("rerunGeneration") or "")),
        ("Stop", spec.get("stop") or ""),
        ("Parameters", "  ".join(assignments(spec.get("parameters") or {}))),
    ]
    return [(word, text) for word, text in lines if text]


def _progress(status: Mapping[str, Any]) -> str:
    return f"{status['progress']} nodes" if status.get("progress") else ""


def _second(time: str | None) -> str:
    found = moment(time)
    return "" if found is None else timestamp(found)


def assignments(values: Mapping[str, Any]) -> Iterator[str]:
    """Give values as name=value: texts as they are, the rest as JSON."""
    for name, value in values.items():
        yield f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


def unpacked(run: Obj, entries: list[dict[str, Any]]) -> Obj:
    """Give the run with its nodes in full, instead of compressed and with outputs elsewhere."""
    status = {key: value for key, value in (run.get("status") or {}).items() if not key.startswith("compressedNodes")}
    return {**run, "status": {**status, "nodes": entries}} if status else run


def next_steps(run: Obj, entries: Iterable[Entry]) -> list[tuple[str, ...]]:
    """Give the commands that lead on from here, as words: to a question's answer, to a failure's logs."""
    name = run["metadata"]["name"]
    found = list(entries)
    asked = (("approve", name, entry["name"]) for entry in found if entry.get("reason") == Reason.AwaitingApproval)
    failed = (("logs", name, entry["name"]) for entry in found if _failed_itself(entry))
    steps: list[tuple[str, ...]] = [*islice(asked, MAX_STEPS), *islice(failed, MAX_STEPS)]
    if phase_of(run) == RunPhase.Suspended:
        steps.append(("resume", name))
    return steps


def _failed_itself(entry: Entry) -> bool:
    inner = entry.get("reason") in (Reason.GraphFailed, Reason.ChildFailed)
    return entry.get("phase") == NodePhase.Failed and not inner and ("exitCode" in entry or "items" in entry)


def must_be_active(run: Obj, done: str) -> None:
    """Raise unless the run is active."""
    if has_ended(run):
        name = run["metadata"]["name"]
        raise click.ClickException(f"run {name} has ended ({phase_of(run)}); it cannot be {done}")
