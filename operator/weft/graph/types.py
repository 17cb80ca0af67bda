"""The NodeTypes that a spec uses, before anybody has checked it, and the check of an object together with them.

What is said of a Workflow must not depend on who says it: its `Ready` condition, its runs and the admission webhook all
ask here, with the NodeTypes as they are stored.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from weft.api.nodetype import NodeTypeSpec
from weft.api.problems import Problem, parse, summary
from weft.api.workflow import WorkflowSpec
from weft.graph.compile import InvalidWorkflow, compile_workflow
from weft.graph.compiled import CompiledWorkflow
from weft.graph.declared import NONE_KNOWN, Declared
from weft.graph.notes import notes_on
from weft.graph.validate import validate


def used_types(spec: Mapping[str, Any]) -> set[str]:
    """Give the names of the NodeTypes that a Workflow's spec (JSON) uses, in nodes and in compensations."""
    uses = (body.get("use") for body in bodies(spec))
    names = (use.get("name") for use in uses if isinstance(use, Mapping))
    return {name for name in names if isinstance(name, str)}


def check_with_types(
    obj: Mapping[str, Any], types: Mapping[str, Mapping[str, Any]], workflows: Declared = NONE_KNOWN
) -> list[Problem]:
    """Everything that is wrong with the object; of NodeTypes (their specs by name) that cannot be used, that alone."""
    specs, unusable = _parsed(types)
    return unusable or validate(obj, node_types=specs, workflows=workflows)


def notes_with_types(obj: Mapping[str, Any], types: Mapping[str, Mapping[str, Any]]) -> list[Problem]:
    """The notes on an object in which nothing is wrong."""
    return notes_on(obj, _parsed(types)[0])


def compile_with_types(spec: Any, types: Mapping[str, Any]) -> CompiledWorkflow:
    """Compile a Workflow's spec (JSON) with NodeTypes (their specs by name), both not yet checked.

    Raises InvalidWorkflow, with what `check_with_types` says of a Workflow that has this spec.
    """
    specs, unusable = _parsed(types)
    model, problems = parse(WorkflowSpec, spec, at="spec")
    if unusable or model is None:
        raise InvalidWorkflow(unusable or problems)
    return compile_workflow(model, node_types=specs, raw=spec)


def _parsed(types: Mapping[str, Any]) -> tuple[dict[str, NodeTypeSpec], list[Problem]]:
    specs: dict[str, NodeTypeSpec] = {}
    unusable: list[Problem] = []
    for name, spec in types.items():
        parsed, found = parse(NodeTypeSpec, spec, at="spec")
        if parsed is None:
            unusable.append(Problem(f"NodeType {name}", summary(found)))
        else:
            specs[name] = parsed
    return specs, unusable


def bodies(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every body of a spec that nobody has checked yet: what is no mapping is passed over."""
    for place in (spec, *_mappings(spec.get("graphs"))):
        for node in (*_mappings(place.get("nodes")), *_mappings(place.get("finally"))):
            yield node
            yield from _mappings([node.get("compensate")])


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    return (each for each in (value if isinstance(value, list) else ()) if isinstance(each, Mapping))
