"""Whether an object may be stored, by the checks of `weft validate`: a pure function of it and of what it names.

Refused is what is wrong by itself and can never be carried out. What names something that is not there (yet) is only
warned of, since manifests are applied in any order; the operator looks again, and says so in the conditions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from weft.api.objects import Obj
from weft.api.problems import Problem
from weft.graph.declared import declared_by
from weft.graph.types import check_with_types, used_types
from weft.graph.validate import validate

CHECKED = ("Workflow", "WorkflowRun", "NodeType")
"""The kinds whose meaning no schema can hold to."""


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
    spec = _mapping(obj.get("spec"))
    graph = _mapping(spec.get("workflow")) if obj.get("kind") == "WorkflowRun" else spec
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
    return Verdict(tuple(problems), tuple(warnings))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
