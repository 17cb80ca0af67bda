"""What is simulated: the documents of one file, compiled; the first Workflow runs, the others can be called by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from weft.api.nodetype import NodeType, NodeTypeSpec
from weft.api.parameters import Parameter, check_parameters
from weft.api.problems import Problem, parse
from weft.api.workflow import Workflow
from weft.graph.compile import InvalidWorkflow, compile_workflow
from weft.graph.compiled import CompiledWorkflow


@dataclass(slots=True, frozen=True)
class Program:
    """The workflow that runs, and every workflow of the file by name."""

    main: CompiledWorkflow
    workflows: Mapping[str, CompiledWorkflow]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What the run must be given."""
        return self.main.main.parameters

    def check(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Give the values the run works with, defaults filled in, and what is wrong with those given."""
        return check_parameters(self.parameters, given)


@dataclass(slots=True, frozen=True)
class Document:
    """One document of a file, and its path there ("" if it is alone)."""

    content: Any
    path: str = ""

    def problem(self, problem: Problem) -> Problem:
        """Give the problem with its path in the file."""
        return Problem(".".join(filter(None, (self.path, problem.path))), problem.message)


def load_program(documents: Iterable[Document]) -> tuple[Program | None, list[Problem]]:
    """Compile the Workflows among these documents, with their NodeTypes; documents of other kinds are passed over.

    Gives the program, or None and every problem.
    """
    problems: list[Problem] = []
    sources: dict[str, tuple[Document, Workflow]] = {}
    types: dict[str, NodeTypeSpec] = {}
    for document in documents:
        kind = document.content.get("kind") if isinstance(document.content, Mapping) else None
        if kind not in ("Workflow", "NodeType"):
            continue
        model, wrong = parse(Workflow if kind == "Workflow" else NodeType, document.content)
        problems += map(document.problem, wrong)
        if isinstance(model, Workflow):
            _add(sources, model.metadata.name or "workflow", (document, model), document, problems)
        elif isinstance(model, NodeType):
            _add(types, model.metadata.name, model.spec, document, problems)
    if not sources and not problems:
        problems.append(Problem("", "there is no Workflow in it; one document must have kind: Workflow"))
    compiled = {name: _compiled(name, *source, types, problems) for name, source in sources.items()}
    if problems:
        return None, problems
    workflows = {name: workflow for name, workflow in compiled.items() if workflow is not None}
    return Program(next(iter(workflows.values())), workflows), []


def _add(found: dict[str, Any], name: str, value: Any, document: Document, problems: list[Problem]) -> None:
    if name in found:
        problems.append(document.problem(Problem("metadata.name", f"{name!r} is there twice; rename one")))
    found.setdefault(name, value)


def _compiled(
    name: str, document: Document, model: Workflow, types: Mapping[str, NodeTypeSpec], problems: list[Problem]
) -> CompiledWorkflow | None:
    try:
        return compile_workflow(model.spec, name=name, node_types=types, raw=document.content["spec"])
    except InvalidWorkflow as error:
        problems += map(document.problem, error.problems)
        return None
