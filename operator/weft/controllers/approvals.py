"""Which Approvals decide which approval nodes: matching, free of I/O.

A decision is bound to one question: the run's UID, the rerun generation, and the node with its place in every loop
around it (`price[3]/review`, or `price/review` with `index: 3`). It never counts for another question. It counts when
its author is among those who are asked now, by name or by one of the groups he names, and once per person. That author
and groups are true is held by admission policy; that an Approval cannot be changed, by the API server.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from weft.api.conditions import Reason, message_for
from weft.api.objects import Obj, Objects, key_of
from weft.api.paths import plain_path, positions
from weft.api.times import moment
from weft.engine.observation import Decision
from weft.engine.state import ACTIVE, TERMINAL, AttemptId, Frame, NodeState, RunState, Unit
from weft.graph.compiled import Approvers, CompiledWorkflow

Name = tuple[str, int | None, int | None]
"""What an Approval calls a question by: a path with its positions; or one without, an index and an iteration."""


class Verdict(NamedTuple):
    """Whether a decision counts, and why, in a word and for people."""

    accepted: bool
    reason: str
    message: str


ACCEPTED = Verdict(True, Reason.Accepted, message_for(Reason.Accepted))


def refused(problem: str) -> Verdict:
    """Give the verdict on a decision that does not count."""
    return Verdict(False, Reason.Refused, message_for(Reason.Refused, problem=problem))


def decisions_for(state: RunState, approvals: Iterable[Obj]) -> Iterator[Decision]:
    """Give the decisions on what the run asks now, the oldest first; those the engine knows are left out."""
    asked: dict[Name, list[tuple[AttemptId, Unit]]] = {}
    for id_, unit in state.active.items():
        if unit.stage == ACTIVE and id_.attempt and unit.node.body.approval is not None:
            for name in _names_of(unit):
                asked.setdefault(name, []).append((id_, unit))

    def open_to(spec: Obj) -> list[tuple[AttemptId, Unit]]:
        return [(id_, unit) for id_, unit in asked.get(_name_in(spec), ()) if not _has_decided(unit, spec["by"])]

    for approval in in_order(each for each in approvals if open_to(each["spec"])):
        spec = approval["spec"]
        for id_, unit in open_to(spec):
            if speaks_of(spec, unit, state) and may_decide(asks(unit), spec):
                yield Decision(id_, spec["by"], spec["decision"], made_at(approval))


def judge(approval: Obj, approvals: Objects, state: RunState) -> Verdict | None:
    """Say whether the decision counts, or None when only the future can tell. `approvals` are all those of the run."""
    spec = approval["spec"]
    by, path, generation = spec["by"], spec["node"], spec.get("rerunGeneration") or 0
    if generation < state.generation:
        return refused(f"it is for rerun generation {generation}, and the run is at {state.generation}")
    if problem := _unknown(state.workflow, spec):
        return refused(problem)
    unit = next((unit for unit in _approval_units(state, spec) if speaks_of(spec, unit, state)), None)
    if unit is None or unit.attempt == unit.base:
        return None
    if _has_decided(unit, by):
        counted = in_order(other for other in approvals if _same_question(other, approval))[0]
        return ACCEPTED if counted["metadata"]["name"] == key_of(approval).name else refused(f"{by} has decided before")
    if unit.phase in TERMINAL:
        return refused(f"{path} had ended ({unit.phase}) before")
    levels = unit.node.body.approval.levels[unit.level :] if unit.node.body.approval is not None else ()
    return None if any(may_decide(level, spec) for level in levels) else refused(_not_asked(by, asks(unit)))


def speaks_of(spec: Obj, unit: Unit, state: RunState) -> bool:
    """Say whether an Approval's spec is about the question that the unit asks."""
    node, index, iteration = spec["node"], spec.get("index"), spec.get("iteration")
    if (spec.get("rerunGeneration") or 0) != state.generation:
        return False
    indices, iterations = _positions(unit.frame)
    if node == unit.path:
        return index in (None, *indices[-1:]) and iteration in (None, *iterations[-1:])
    # Without positions in the path, index and iteration must say all there is to say.
    given = ([index] if index is not None else [], [iteration] if iteration is not None else [])
    return node == plain_path(unit.path) and given == (indices, iterations)


def _names_of(unit: Unit) -> Iterator[Name]:
    """Give every name under which an Approval may speak of the unit's question: there are one or two."""
    path, plain = unit.path, plain_path(unit.path)
    if path != plain:
        yield path, None, None
    indices, iterations = _positions(unit.frame)
    if len(indices) <= 1 and len(iterations) <= 1:
        yield plain, next(iter(indices), None), next(iter(iterations), None)


def _name_in(spec: Obj) -> Name:
    """Give the name that an Approval uses."""
    path = spec["node"]
    return (path, None, None) if path != plain_path(path) else (path, spec.get("index"), spec.get("iteration"))


def names(spec: Obj, path: str) -> bool:
    """Say whether an Approval's spec names the question at that path (`price[3]/review`): an ended run has no units."""
    given = [spec[field] for field in ("index", "iteration") if spec.get(field) is not None]
    return spec["node"] == path or (spec["node"] == plain_path(path) and sorted(given) == sorted(positions(path)))


def asks(unit: Unit) -> Approvers:
    """Give whom the unit asks now."""
    approval = unit.node.body.approval
    assert approval is not None
    return approval.levels[unit.level]


def may_decide(asked: Approvers, spec: Obj) -> bool:
    """Say whether the author of a decision is among those who are asked; nobody named means everybody."""
    if not asked.users and not asked.groups:
        return True
    return spec["by"] in asked.users or not set(asked.groups).isdisjoint(spec.get("groups") or ())


def in_order(approvals: Iterable[Obj]) -> Objects:
    """Give the Approvals that were not refused, the oldest first."""
    standing = (each for each in approvals if (each.get("status") or {}).get("accepted") is not False)
    return sorted(standing, key=lambda each: (made_at(each), each["metadata"]["name"]))


def made_at(approval: Obj) -> float:
    """Give when a decision was made, in epoch seconds."""
    return moment(approval["metadata"].get("creationTimestamp")) or 0.0


def _has_decided(unit: Unit, by: str) -> bool:
    return any(name == by for name, _, _ in unit.decisions)


def _same_question(one: Obj, other: Obj) -> bool:
    first, second = one["spec"], other["spec"]
    same_round = (first.get("rerunGeneration") or 0) == (second.get("rerunGeneration") or 0)
    return same_round and all(first.get(field) == second.get(field) for field in ("node", "index", "iteration", "by"))


def _positions(frame: Frame) -> tuple[list[int], list[int]]:
    """Where a graph stands in every forEach and in every while around it, the outermost first."""
    unit = frame.parent
    if unit is None:
        return [], []
    indices, iterations = _positions(unit.frame)
    return (
        indices if unit.index is None else [*indices, unit.index],
        iterations if unit.iteration is None else [*iterations, unit.iteration],
    )


def _approval_units(state: RunState, spec: Obj) -> Iterator[Unit]:
    """Give the approval units on the Approval's path, those alone that it may speak of."""
    called, outer = _name_in(spec), plain_path(spec["node"]).split("/")
    last = outer.pop()
    graphs = [top for top in (state.main, state.final) if top is not None]
    for name in outer:
        children = (child for node in _nodes(graphs, name) for unit in node.units.values() for child in unit.children)
        graphs = [child for child in children if _may_lead_to(called, child)]
    for node in _nodes(graphs, last):
        if node.node.body.approval is not None:
            yield from node.units.values()


def _may_lead_to(called: Name, child: Frame) -> bool:
    path, index, iteration = called
    unit = child.parent
    assert unit is not None
    in_place = unit.index in (None, index) and unit.iteration in (None, iteration)
    return in_place if index is not None or iteration is not None else path.startswith(child.prefix)


def _nodes(graphs: Iterable[Frame], name: str) -> Iterator[NodeState]:
    return (frame.nodes[frame.graph.by_name[name]] for frame in graphs if name in frame.graph.by_name)


def _unknown(workflow: CompiledWorkflow, spec: Obj) -> str:
    """Say why the Approval can never meet a question of the workflow; "" when it may."""
    path = spec["node"]
    first, *rest = plain_path(path).split("/")
    graph: Any = next((each for each in (workflow.main, workflow.final) if each and first in each.by_name), None)
    loops = [0, 0]
    node = None
    for name in (first, *rest):
        if node is not None:
            loops[0] += node.for_each is not None
            loops[1] += node.loop is not None
        if name.endswith(".compensate"):
            return ""  # a question of a compensation: its place is known when it is asked
        if graph is None or name not in graph.by_name:
            return f"the run has no node {path}"
        node = graph.nodes[graph.by_name[name]]
        graph = node.body.graph
    if node is None or node.body.approval is None:
        return f"node {path} is no approval"
    if path != plain_path(path) or loops == [spec.get("index") is not None, spec.get("iteration") is not None]:
        return ""
    if loops == [0, 0]:
        return f"{path} stands in no loop; leave out index and iteration"
    return f"{path} is asked in every round of a loop around it; say in which, as in {first}[0]/{'/'.join(rest)}"


def _not_asked(by: str, asked: Approvers) -> str:
    people = [f"users {', '.join(asked.users)}"] if asked.users else []
    people += [f"groups {', '.join(asked.groups)} (spec.groups names one's own)"] if asked.groups else []
    return f"{by} is not among those who are asked: {' and '.join(people)}"
