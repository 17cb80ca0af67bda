"""Settings that do nothing where they stand, Pods that the API server would refuse, outputs that never are.

All of it is read from the compiled nodes, where the defaults and the NodeTypes are in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from weft.api.bodies import ApprovalBody, Compensate
from weft.api.node import Node as NodeModel
from weft.api.nodetype import NodeTypeSpec
from weft.api.problems import Problem
from weft.api.retry import Retry
from weft.api.workflow import WorkflowSpec
from weft.expr.cel import suggestion
from weft.graph.compile import compile_on_trust
from weft.graph.compiled import NEVER_RETRIED, CompiledWorkflow, Graph, Node
from weft.render.template import pod_template

SHOWN = 5
"""Of a manifest: what many have comes from the defaults or from a copy, and one mend helps them all."""

Owner = NodeModel | Compensate


def idle_settings(spec: WorkflowSpec, at: str, types: Mapping[str, NodeTypeSpec]) -> list[Problem]:
    """Give a note for each such setting (of very many, the first) of the spec that stands at the path `at`."""
    workflow, doubts = compile_on_trust(spec, types, at=at)
    if workflow is None:
        return []
    places = list(_places(spec, at, workflow))
    found = (note for where, owner, node in places for note in _of_node(owner, node, where))
    return [*islice(found, SHOWN), *_of_defaults(spec, at, types, places), *doubts[:SHOWN]]


def _of_node(owner: Owner, node: Node, at: str) -> Iterator[Problem]:
    if isinstance(owner, NodeModel) and owner.approval is not None:
        yield from _approval(owner.approval, f"{at}.approval", own_limit=owner.timeout_seconds is not None)
    if isinstance(owner, NodeModel) and owner.pending_timeout_seconds is not None and not _has_pod(node):
        told = f"does nothing, as only a job has a Pod that may wait, and this is {node.body.kind!r}"
        yield Problem(f"{at}.pendingTimeoutSeconds", told)
    if owner.retry is not None:
        yield from _retry(owner.retry, node, f"{at}.retry")
    if node.body.job is not None:
        yield from _mounts(node.body.job.spec, owner, f"{at}.{owner.body_kind}")
        memory = node.body.job.memory
        if memory.get("requests", 0) > memory.get("limits", memory.get("requests", 0)):
            told = "main requests more memory than its limit; the API server refuses such a Pod"
            yield Problem(f"{at}.{owner.body_kind}", told)


def _has_pod(node: Node) -> bool:
    """Whether the node, or what undoes it, is a job, as far as the NodeTypes are known."""
    bodies = [node.body] if node.compensate is None else [node.body, node.compensate.body]
    return any(body.kind in ("job", "use") for body in bodies)


def _approval(body: ApprovalBody, at: str, *, own_limit: bool) -> Iterator[Problem]:
    if body.timeout_seconds is None and "on_timeout" in body.model_fields_set:
        instead = "; the node's timeoutSeconds fails it" if own_limit else ""
        yield Problem(f"{at}.onTimeout", f"does nothing without timeoutSeconds beside it{instead}")
    for index, level in enumerate(body.escalation[:-1]):
        if level.timeout_seconds is None:
            told = f"is never asked, as escalation[{index}] has no timeoutSeconds"
            yield Problem(f"{at}.escalation[{index + 1}]", told)
            return


def _retry(retry: Retry, node: Node, at: str) -> Iterator[Problem]:
    kind, memory = node.body.kind, retry.on_out_of_memory
    if kind in NEVER_RETRIED:
        yield Problem(at, f"does nothing, as the body {kind!r} is never tried again")
    elif memory is not None and node.body.job is None and kind != "use":
        yield Problem(f"{at}.onOutOfMemory", f"does nothing, as only a job runs out of memory, and this is {kind!r}")
    elif memory is not None and not _raises(node) and node.body.job is not None:
        why = "as much memory as max allows" if node.body.job.memory else "no memory in resources"
        yield Problem(f"{at}.onOutOfMemory", f"raises nothing, as the job declares {why}")


def _raises(node: Node) -> bool:
    """Whether an OOM kill of the node's job would give the next attempt more memory."""
    most, memory = node.retry.memory_max, {} if node.body.job is None else node.body.job.memory
    return any(most is None or size < most for size in memory.values())


def _of_defaults(
    spec: WorkflowSpec, at: str, types: Mapping[str, NodeTypeSpec], places: list[tuple[str, Owner, Node]]
) -> Iterator[Problem]:
    """A default may do nothing for some nodes, as long as it does something for one."""
    retry = spec.defaults.retry
    if retry is None or retry.on_out_of_memory is None:
        return
    heirs = [node for _, owner, node in places if node.body.job is not None and owner.retry is None]
    heirs = [node for node in heirs if node.body.node_type is None or types[node.body.node_type].retry is None]
    if not any(map(_raises, heirs)):
        told = "raises nothing, as no job that inherits it declares memory in resources, and less than max"
        yield Problem(f"{at}.defaults.retry.onOutOfMemory", told)


def _mounts(job: Mapping[str, Any], owner: Owner, at: str) -> Iterator[Problem]:
    """The mounts of all containers that name no volume; a Job with one is refused by the API server."""
    pod = pod_template(job, None)["spec"]
    volumes = [volume["name"] for volume in pod.get("volumes") or ()]
    own = [] if owner.job is None else [mount.get("name") for mount in owner.job.volume_mounts]
    for container in (*(pod.get("initContainers") or ()), *pod["containers"]):
        for mount in container.get("volumeMounts") or ():
            name = mount.get("name")
            if isinstance(name, str) and name not in volumes:
                where = f"{at}.volumeMounts[{own.index(name)}].name" if name in own else at
                has = f"it has {', '.join(volumes)}" if volumes else "it has none"
                told = f"container {container['name']} mounts {name!r}, and no volume of the Pod is called so"
                yield Problem(where, f"{told}{suggestion(name, volumes)} ({has})")


def _places(spec: WorkflowSpec, at: str, workflow: CompiledWorkflow) -> Iterator[tuple[str, Owner, Node]]:
    """The nodes of all graphs that are run, each before its compensation: where it stands, as written, compiled."""
    named: dict[str, Graph] = {}
    graphs = [(workflow.main, spec.nodes, f"{at}.nodes")]
    if workflow.final is not None:
        graphs.append((workflow.final, spec.finally_, f"{at}.finally"))
    models = {graph.name: (graph.nodes, f"{at}.graphs[{index}].nodes") for index, graph in enumerate(spec.graphs)}
    for graph, written, path in graphs:
        for index, (model, node) in enumerate(zip(written, graph.nodes, strict=True)):
            both: list[tuple[str, Owner, Node]] = [(f"{path}[{index}]", model, node)]
            if model.compensate is not None and node.compensate is not None:
                both.append((f"{path}[{index}].compensate", model.compensate, node.compensate))
            yield from both
            for _, _, one in both:
                called = one.body.graph
                if called is not None and called.name not in named:
                    named[called.name] = called
                    graphs.append((called, *models[called.name]))
