"""Whether an object may be stored, by the checks of `weft validate`: a pure function of it and of what it names.

Refused is what is wrong by itself and can never be carried out. What names something that is not there (yet) is only
warned of, since manifests are applied in any order; the operator looks again, and says so in the conditions. Warned of
is also what `weft validate` notes: what can be carried out, but is hardly meant.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from weft.api.objects import Obj
from weft.api.problems import Problem
from weft.graph.declared import declared_by
from weft.graph.types import bodies, check_with_types, notes_with_types, used_types
from weft.graph.validate import validate

CHECKED = ("Workflow", "WorkflowRun", "NodeType")
"""The kinds whose meaning no schema can hold to."""
MOST_NOTED = 2000
"""Nodes of a graph that notes are made on: they take as long again as the check, and the API server waits for both."""


@dataclass(frozen=True)
class Names:
    """What an object names of its own namespace, whether that is there or not."""

    namespace: str
    workflow: str | None = None
    types: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self.workflow is not None or bool(self.types)


@dataclass(frozen=True)
class Found:
    """What of it is there: the spec of the Workflow, and those of the NodeTypes."""

    workflow: Obj | None = None
    types: Mapping[str, Obj] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What is wrong with an object, and what its author should know all the same."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def names_in(obj: Obj, namespace: str) -> Names:
    """Give what an object that nobody has checked yet names."""
    spec, graph = _mapping(obj.get("spec")), _graph_of(obj)
    workflow = _mapping(spec.get("workflowRef")).get("name") if obj.get("kind") == "WorkflowRun" else None
    types = used_types(graph) if obj.get("kind") in ("Workflow", "WorkflowRun") else set()
    return Names(namespace, workflow if isinstance(workflow, str) else None, frozenset(types))


def judge(obj: Obj, names: Names, found: Found) -> Verdict:
    """Judge an object of one of the kinds in CHECKED; any other is none of ours and passes."""
    if obj.get("kind") not in CHECKED:
        return Verdict()
    bare = {name: part for name, part in obj.items() if name != "status"}
    missing = sorted(names.types - found.types.keys())
    workflows = (
        {} if names.workflow is None or found.workflow is None else declared_by({names.workflow: found.workflow})
    )
    problems = validate(bare, workflows=workflows) if missing else check_with_types(bare, found.types, workflows)
    warnings = [f"no run can start before there are these NodeTypes: {', '.join(missing)}"] if missing else []
    if not problems and names.workflow is not None and found.workflow is None:
        warnings.append(f"there is no Workflow {names.workflow} in this namespace; the run waits 30 s for it")
    if not problems and sum(1 for _ in bodies(_graph_of(obj))) <= MOST_NOTED:
        warnings += map(str, notes_with_types(bare, found.types))
    return Verdict(tuple(problems), tuple(warnings))


def _graph_of(obj: Obj) -> Mapping[str, Any]:
    spec = _mapping(obj.get("spec"))
    return _mapping(spec.get("workflow")) if obj.get("kind") == "WorkflowRun" else spec


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
