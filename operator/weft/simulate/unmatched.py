"""What a scenario says of nodes that are not there: such an entry never matches, and without a word would be lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from weft.api.problems import Problem
from weft.engine.state import COMPENSATE, MAIN
from weft.expr.cel import suggestion
from weft.graph.compiled import Body, CompiledWorkflow, Graph, Node
from weft.simulate.program import Program
from weft.simulate.scenario import Scenario

_UNDOES = "is part of a compensation; add role: compensate"
MAX_TOLD = 20
SHOWN = 5


def unmatched(scenario: Scenario, program: Program) -> list[Problem]:
    """Give the entries that can never match, of very many the first."""
    told: list[Problem] = []
    for path, why in _reasons(scenario, program):
        if len(told) == MAX_TOLD:
            return [*told, Problem("", "and there are more entries that never match")]
        told.append(Problem(path, f"never matches: {why}"))
    return told


def _reasons(scenario: Scenario, program: Program) -> Iterator[tuple[str, str]]:
    for number, event in enumerate(scenario.events):
        found, why = resolved(event.node, program)
        if not why and all(event.role != role for _, role in _roles(found)):
            why = f"{event.node!r} " + ("has no compensation" if event.role == COMPENSATE else _UNDOES)
        if why:
            yield f"events[{number}].node", why
    for number, decision in enumerate(scenario.approvals):
        found, why = resolved(decision.node, program)
        if not why and all(node.body.approval is None for node, _ in found):
            why = f"{decision.node!r} is no approval ({found[0][0].body.kind})"
        if why:
            yield f"approvals[{number}].node", why


def _roles(found: Iterable[tuple[Node, str]]) -> Iterator[tuple[Node, str]]:
    for node, role in found:
        yield node, role
        if node.compensate is not None:
            yield node, COMPENSATE


def resolved(path: str, program: Program) -> tuple[list[tuple[Node, str]], str]:
    """The nodes that a path names, each with the role its graph is run in; or why there is none."""
    graphs = [(graph, MAIN) for graph in _graphs(program.main)]
    found: list[tuple[Node, str]] = []
    for depth, name in enumerate(parts := path.split("/")):
        there = [(graph, role) for graph, role in graphs if name in graph.by_name]
        if not there:
            known = list(dict.fromkeys(known for graph, _ in graphs for known in graph.by_name))
            where = f" in {'/'.join(parts[:depth])!r}" if depth else ""
            return [], f"there is no node named {name!r}{where}{suggestion(name, known) or _listed(known)}"
        found = [(graph.nodes[graph.by_name[name]], role) for graph, role in there]
        inside = (one for node, role in found for one in _inside(node, role, program.workflows))
        graphs = list({(id(graph), role): (graph, role) for graph, role in inside}.values())  # a graph may call itself
    return found, ""


def _inside(node: Node, role: str, workflows: Mapping[str, CompiledWorkflow]) -> Iterator[tuple[Graph, str]]:
    yield from ((graph, role) for graph in _run_by(node.body, workflows))
    if node.compensate is not None:
        yield from ((graph, COMPENSATE) for graph in _run_by(node.compensate.body, workflows))


def _run_by(body: Body, workflows: Mapping[str, CompiledWorkflow]) -> list[Graph]:
    if body.graph is not None:
        return [body.graph]
    called = workflows.get(body.name or "") if body.kind == "workflow" else None
    return [] if called is None else _graphs(called)


def _graphs(workflow: CompiledWorkflow) -> list[Graph]:
    return [workflow.main] if workflow.final is None else [workflow.main, workflow.final]


def _listed(known: list[str]) -> str:
    if not known:
        return ", and it has none inside"
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"; there are: {', '.join(known[:SHOWN])}{more}"
