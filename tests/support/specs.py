"""Workflow specs in one line: node("b", "a", when="...") waits for a; `compiled` and `wrong` say what comes of them."""

from typing import Any

from weft.api.nodetype import NodeTypeSpec
from weft.api.problems import parse
from weft.api.workflow import WorkflowSpec
from weft.graph.compile import InvalidWorkflow, compile_on_trust, compile_workflow
from weft.graph.compiled import CompiledWorkflow

BODIES = {"job", "graph", "workflow", "switch", "approval", "wait", "expr", "http", "resource", "use"}


def node(name: str, *depends_on: str, **fields: Any) -> dict[str, Any]:
    """A node as JSON; its body is a small job unless there is another."""
    fields = {key.rstrip("_"): value for key, value in fields.items()}
    body = {} if BODIES & fields.keys() else {"job": {"image": "busybox:1"}}
    edges = {"dependsOn": list(depends_on)} if depends_on else {}
    return {"name": name, **edges, **body, **fields}


def compiled(*nodes: dict[str, Any], types: dict[str, dict[str, Any]] | None = None, **spec: Any) -> CompiledWorkflow:
    """The workflow of these nodes, compiled; raises InvalidWorkflow."""
    raw = {"nodes": list(nodes), **{key.rstrip("_"): value for key, value in spec.items()}}
    model, problems = parse(WorkflowSpec, raw, at="spec")
    assert model is not None, problems
    known = None if types is None else {name: _node_type(one) for name, one in types.items()}
    return compile_workflow(model, node_types=known, raw=raw)


def wrong(*nodes: dict[str, Any], **spec: Any) -> list[str]:
    """What is wrong with the workflow of these nodes, as lines `path: message`; nothing when all is well."""
    try:
        compiled(*nodes, **spec)
    except InvalidWorkflow as error:
        return [str(problem) for problem in error.problems]
    return []


def doubted(*nodes: dict[str, Any], types: dict[str, dict[str, Any]] | None = None, **spec: Any) -> list[str]:
    """What of the workflow of these nodes can only fail should it be evaluated, as lines `path: message`."""
    model, problems = parse(
        WorkflowSpec, {"nodes": list(nodes), **{key.rstrip("_"): spec[key] for key in spec}}, at="spec"
    )
    assert model is not None, problems
    known = {name: _node_type(one) for name, one in (types or {}).items()}
    return [str(doubt) for doubt in compile_on_trust(model, known, at="spec")[1]]


def _node_type(raw: dict[str, Any]) -> NodeTypeSpec:
    model, problems = parse(NodeTypeSpec, raw)
    assert model is not None, problems
    return model
