"""Weft's own objects in a line, as the API server would give them.

run("r", priority="High", phase="Running", startTime="...")     # spec fields, and status fields by their names
"""

from typing import Any

from weft.api.base import API_VERSION
from weft.api.objects import Obj

NAMESPACE = "ns"
_STATUS = ("phase", "startTime", "completionTime", "rerunGeneration", "workflowRevision", "nodes", "state")


def run(name: str = "r", *, workflow: str | Obj = "w", owner: str | None = None, **fields: Any) -> Obj:
    """A WorkflowRun of a Workflow, or with an inline one; `owner` is the UID of the run that started it."""
    metadata = _metadata(name, fields)
    if owner is not None:
        metadata["ownerReferences"] = [{"apiVersion": API_VERSION, "kind": "WorkflowRun", "name": "p", "uid": owner}]
    status = {field: fields.pop(field) for field in _STATUS if field in fields}
    source = {"workflowRef": {"name": workflow}} if isinstance(workflow, str) else {"workflow": workflow}
    return _object("WorkflowRun", metadata, source | fields, status)


def workflow(name: str = "w", *, revision: str | None = None, **spec: Any) -> Obj:
    """A Workflow of one node, unless `nodes` are given."""
    metadata = _metadata(name, spec)
    nodes = [{"name": "a", "job": {"image": "i"}}]
    return _object("Workflow", metadata, {"nodes": nodes} | spec, {"revision": revision} if revision else {})


def node_type(name: str = "t", **spec: Any) -> Obj:
    """A NodeType that runs a Job, unless another body is given."""
    metadata = _metadata(name, spec)
    return _object("NodeType", metadata, spec or {"job": {"image": "i"}}, {})


def queue(name: str = "default", **spec: Any) -> Obj:
    """A WorkflowQueue."""
    return _object("WorkflowQueue", _metadata(name, spec), spec, {})


def channel(name: str = "team", **spec: Any) -> Obj:
    """A NotificationChannel that calls a webhook, unless it is given another address."""
    metadata = _metadata(name, spec)
    spec = {"type": "Webhook", "webhook": {"url": "http://receiver.example/"}} | spec
    return _object("NotificationChannel", metadata, spec, {})


def approval(name: str, run_uid: str, *, by: str = "ann", node: str = "review", **spec: Any) -> Obj:
    """An Approval that approves, unless it says otherwise."""
    metadata = _metadata(name, spec)
    spec = {"run": {"name": "r", "uid": run_uid}, "node": node, "decision": "Approve", "by": by} | spec
    return _object("Approval", metadata, spec, {})


def _metadata(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "namespace": NAMESPACE,
        "name": name,
        "uid": fields.pop("uid", f"uid-{name}"),
        "resourceVersion": fields.pop("version", "1"),
        "generation": fields.pop("generation", 1),
        "creationTimestamp": fields.pop("created", "2026-01-01T00:00:00Z"),
    }


def _object(kind: str, metadata: dict[str, Any], spec: dict[str, Any], status: dict[str, Any]) -> Obj:
    obj: Obj = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    return obj | ({"status": status} if status else {})
