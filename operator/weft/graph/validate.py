"""Everything that can be said of a manifest without a cluster: the checks of `weft validate`, webhook and operator.

First its shape (`api.problems.parse`, which stops there if that is wrong), then its meaning: a Workflow and a run's
inline workflow are compiled, a NodeType's body and a run's parameters are checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from weft.api.approval import Approval
from weft.api.base import API_VERSION, GROUP, ResourceModel
from weft.api.nodetype import NodeType, NodeTypeSpec
from weft.api.notificationchannel import NotificationChannel
from weft.api.parameters import check_parameters
from weft.api.problems import Problem, parse
from weft.api.workflow import Workflow
from weft.api.workflowqueue import WorkflowQueue
from weft.api.workflowrun import WorkflowRun
from weft.expr.cel import suggestion
from weft.expr.template import is_templated
from weft.graph.bodies import compile_type
from weft.graph.compile import check_workflow
from weft.graph.declared import NONE_KNOWN, Declared
from weft.graph.enough import MAX_PROBLEMS, Enough
from weft.graph.jobs import JobDefaults
from weft.graph.placed import Placed, placed, spec_of

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_MAX_NAME = 253

_MODELS: dict[str, type[ResourceModel]] = {
    model.__name__: model for model in (Workflow, WorkflowRun, Approval, WorkflowQueue, NodeType, NotificationChannel)
}


def is_weft(manifest: Any) -> bool:
    """Whether a manifest is meant as one of Weft's kinds: by its group, or by its kind if it forgot the group."""
    if not isinstance(manifest, Mapping):
        return False
    version = manifest.get("apiVersion")
    if version is None:
        return str(manifest.get("kind")) in _MODELS
    return str(version).split("/")[0] == GROUP


def validate(
    manifest: Any, *, node_types: Mapping[str, NodeTypeSpec] | None = None, workflows: Declared = NONE_KNOWN
) -> list[Problem]:
    """Everything that is wrong with the manifest of one of Weft's kinds; nothing when all is well.

    `node_types` are the specs of all NodeTypes there are; without it `use` is taken on trust. `workflows` are what the
    Workflows that are known ask for; other Workflows are taken on trust.
    """
    if not isinstance(manifest, Mapping):
        return [Problem("", "must be an object with apiVersion, kind, metadata and spec")]
    kind = manifest.get("kind")
    model = _MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        hint = suggestion(str(kind), _MODELS)
        return [Problem("kind", f"must be one of {', '.join(_MODELS)}, got {kind!r}{hint}")]
    if "apiVersion" not in manifest:
        return [Problem("apiVersion", f"is required: {API_VERSION}")]
    resource, problems = parse(model, manifest)
    problems += _misplaced(resource)
    match resource:
        case Workflow():
            return check_workflow(resource.spec, node_types=node_types, workflows=workflows, at="spec") + problems
        case WorkflowRun():
            return _run_problems(resource, node_types, workflows) + problems
        case NodeType():
            try:
                compile_type(resource.spec, problems, "spec", JobDefaults())
            except Enough:
                return problems
    return problems


def name_problems(manifest: Mapping[str, Any]) -> list[Problem]:
    """What the API server would say of an object's name; of its type, `validate` does."""
    metadata = manifest.get("metadata")
    if not isinstance(metadata, Mapping | None):
        return []
    name, prefix = ((metadata or {}).get(field) or "" for field in ("name", "generateName"))
    if name == "" and prefix == "":
        return [Problem("metadata.name", "is required (or generateName)")]
    field, text = ("name", name) if name != "" else ("generateName", prefix)
    if not isinstance(text, str):
        return [] if field == "name" else [Problem("metadata.generateName", "must be a string")]
    if len(text) > _MAX_NAME:
        return [Problem(f"metadata.{field}", f"must have at most {_MAX_NAME} characters, got {len(text)}")]
    if not _SUBDOMAIN.fullmatch(text.rstrip("-") if field == "generateName" else text):
        words = "lower-case letters, digits, '-' and '.', each part beginning and ending with a letter or a digit"
        return [Problem(f"metadata.{field}", f"must be {words}, got {text!r}")]
    return []


def _run_problems(
    run: WorkflowRun, node_types: Mapping[str, NodeTypeSpec] | None, workflows: Declared
) -> list[Problem]:
    inline, ref = run.spec.workflow, run.spec.workflow_ref
    problems: list[Problem] = []
    declared = None if ref is None else workflows.get(ref.name)
    if inline is not None:
        problems = check_workflow(inline, node_types=node_types, workflows=workflows, at="spec.workflow")
        declared = tuple(inline.parameters)
    messages = [] if declared is None else check_parameters(declared, run.spec.parameters)[1]
    return problems + [Problem("spec.parameters", message) for message in messages]


def _misplaced(resource: ResourceModel | None) -> list[Problem]:
    """The objects of `resource` nodes that would have to be made in another namespace than that of the run."""
    here = resource.metadata.namespace if resource is not None else ""
    if not here:
        return []
    found = spec_of(resource)
    bodies: Iterable[Placed] = () if found is None else placed(*found)
    if isinstance(resource, NodeType):
        bodies = [Placed("spec", "", resource.spec)]
    return list(islice(_elsewhere(bodies, here), MAX_PROBLEMS))


def _elsewhere(bodies: Iterable[Placed], here: str) -> Iterator[Problem]:
    for one in bodies:
        metadata = one.owner.resource.manifest.get("metadata") if one.owner.resource is not None else None
        namespace = metadata.get("namespace") if isinstance(metadata, Mapping) else None
        if isinstance(namespace, str) and namespace not in ("", here) and not is_templated(namespace):
            told = (
                f"is {namespace!r}, but a node makes objects in the namespace of its run alone, which is {here!r};"
                " leave the namespace out"
            )
            yield Problem(f"{one.at}.resource.manifest.metadata.namespace", told)
