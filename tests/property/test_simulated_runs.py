"""Properties of every run, over random workflows in random worlds (see support.workflows).

The checks are written from the tables of design section 3, not from the engine.
"""

from collections import Counter
from typing import Any
from unittest.mock import patch

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.recount import recounted
from support.workflows import Case, cases, rerun_on_other_lists
from weft.engine import advance as engine
from weft.engine.state import NodeState, Unit
from weft.simulate.history import Attempt, History
from weft.simulate.program import Document, Program, load_program
from weft.simulate.report import json_report, node_reports
from weft.simulate.scenario import parse_scenario
from weft.simulate.world import World

profile = settings(
    max_examples=80, deadline=None, derandomize=True, print_blob=False, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)  # fmt: skip


def program_of(case: Case) -> Program:
    program, problems = load_program(Document(document) for document in case.documents)
    assert program is not None, [str(problem) for problem in problems]
    return program


def run(case: Case, *, seed: int | None = None) -> History:
    program = program_of(case)
    scenario, problems = parse_scenario(case.scenario)
    assert scenario is not None, [str(problem) for problem in problems]
    return World(program.workflows, scenario, seed=seed).run(program.main, {})


def crowded(case: Case) -> Case:
    """The case with what chance brings about too seldom: more that is ready than there is room for, and a back-off."""
    case.spec["nodes"] += [
        {"name": "many", "forEach": {"range": 5}, "job": {"image": "i"}},
        {"name": "some", "forEach": {"range": 5, "maxParallel": 2}, "job": {"image": "i"}},
        {"name": "flaky", "retry": {"limit": 1}, "job": {"image": "i"}},
    ]
    case.scenario["events"].insert(0, {"node": "flaky", "attempt": 1, "exitCode": 1})
    return case


@profile
@given(cases())
def test_every_run_ends_unless_somebody_is_waited_for(case: Case) -> None:
    history = run(case)
    if history.stuck is None:
        assert history.run.state.outcome in ("Succeeded", "Failed", "Cancelled")
        left = [
            name
            for name, node in node_reports(history).items()
            if node.whole.phase in ("Pending", "Running", "Waiting")
        ]
        assert left == []
    else:
        waited_for = (
            "waits for approval",
            "is suspended",
            "waits for one of the",
        )  # people, or a place a service holds
        assert any(words in history.stuck for words in waited_for), history.stuck


@profile
@given(cases())
def test_a_rerun_that_finds_other_lists_ends_and_leaves_nothing_running(case: Case) -> None:
    history = run(rerun_on_other_lists(case))
    if history.stuck is None:
        assert history.run.state.finished
        assert [attempt for attempt in history.attempts if attempt.end is None] == []


@profile
@given(cases())
def test_the_same_world_gives_the_same_history(case: Case) -> None:
    case = crowded(case)
    first, second = (orjson.dumps(json_report(run(case, seed=3))) for _ in range(2))
    assert first == second


HELD_BACK = {"RunFailed", "Stopped", "DeadlineExceeded"}


@profile
@given(cases(actions=False))
def test_a_node_does_what_its_join_says(case: Case) -> None:
    state = run(case).run.state
    nodes = {node.node.name: node for node in state.main.nodes}
    for spec in case.spec["nodes"]:
        node = nodes[spec["name"]]
        edges = [_edge(text, nodes, at=node.start) for text in spec.get("dependsOn", [])]
        if node.start is not None:
            by_then = ["open" if end is None or end > node.start else value for value, end in edges]
            assert _join(spec, by_then) == "Run", (spec, by_then)
        elif node.phase == "Skipped" and node.reason not in HELD_BACK:
            values = [value for value, _ in edges]
            want = "Run" if node.reason in ("ConditionFalse", "ConcurrencySkipped") else node.reason
            assert _join(spec, values) == want, (spec, values)
        elif node.phase == "Pending" and not node.begun:  # the run is stuck
            assert node.held or _join(spec, [value for value, _ in edges]) == "Wait"


def _edge(text: str, nodes: dict[str, NodeState], *, at: float | None) -> tuple[str, float | None]:
    """An edge's value at a time (None: at the end), and since when it has had it (None: it is still open)."""
    name, _, outcome = text.partition(":")
    node = nodes[name]
    ended = node.phase not in ("Pending", "Running", "Waiting")
    stood = node.phase != "Cancelled" or (at is not None and node.end is not None and at <= node.end)
    if outcome == "Ready" and node.ready and stood:
        return "met", node.start  # ready at once after its start, unless the scenario delays it
    if not ended:
        return "open", None
    kind = "Succeeded" if node.phase == "Compensated" else node.phase
    if kind == "Skipped" and node.reason == "UpstreamFailed":
        kind = "Cut"
    table = {
        "": {"Succeeded": "met", "Failed": "broken", "Cancelled": "broken", "Cut": "broken", "Skipped": "void"},
        "Failed": {"Succeeded": "void", "Failed": "met", "Cancelled": "void", "Cut": "void", "Skipped": "void"},
        "Done": dict.fromkeys(["Succeeded", "Failed", "Cancelled", "Cut", "Skipped"], "met"),
        "Ready": {"Succeeded": "met", "Failed": "broken", "Cancelled": "broken", "Cut": "broken", "Skipped": "void"},
    }
    chosen = (node.outputs or {}).get("case") if "case" in (node.outputs or {}) else None
    case_row = {
        "Succeeded": "met" if chosen == outcome else "void", "Failed": "broken", "Cancelled": "broken", "Cut": "broken",
        "Skipped": "void",
    }  # fmt: skip
    value = table.get(outcome, case_row)[kind]
    if kind == "Failed" and node.node.allow_failure and not outcome:
        value = "met"
    return value, node.end


def _join(spec: dict[str, Any], values: list[str]) -> str:
    count = Counter(values)
    if not values or (spec.get("join") == "Any" and count["met"]):
        return "Run"
    if count["open"]:
        return "Wait"
    if count["broken"]:
        return "UpstreamFailed"
    return "Run" if count["met"] else "UpstreamSkipped"


@profile
@given(cases())
def test_limits_are_never_passed(case: Case) -> None:
    history = run(crowded(case))
    pods = [(a.start, a.end) for a in history.attempts if a.kind == "job" and a.run is history.run]
    assert _most_at_once(pods) <= case.spec.get("parallelism", len(pods))
    for spec in case.spec["nodes"]:
        most = spec.get("forEach", {}).get("maxParallel")
        if most is not None and not case.scenario.get("actions"):
            items = node_reports(history)[spec["name"]].items or []
            assert _most_at_once([(item.start, item.end) for item in items if item.start is not None]) <= most


def _most_at_once(spans: list[tuple[float, float | None]]) -> int:
    """The most spans that are open at once; one that ends makes room for one that starts in the same instant."""
    changes = [change for start, end in spans if end is None or end > start for change in ((start, 1), (end, -1))]
    open_now = most = 0
    for _, change in sorted((at, change) for at, change in changes if at is not None):
        open_now += change
        most = max(most, open_now)
    return most


@profile
@given(cases())
def test_at_most_one_pod_of_a_kind_at_once_and_numbers_are_used_once(case: Case) -> None:
    history = run(case)
    names = Counter((a.run.number, a.id) for a in history.attempts)
    assert max(names.values(), default=1) == 1
    spans: dict[object, list[tuple[float, float | None]]] = {}
    for attempt in history.attempts:
        spans.setdefault((attempt.run.number, attempt.id._replace(attempt=0)), []).append((attempt.start, attempt.end))
    assert all(_most_at_once(of_one) <= 1 for of_one in spans.values())


@profile
@given(cases())
def test_what_succeeded_is_not_run_again_without_a_rerun(case: Case) -> None:
    history = run(_without_reruns(case))
    done: set[object] = set()
    for attempt in history.attempts:
        key = (attempt.run.number, attempt.id._replace(attempt=0))
        assert key not in done
        if attempt.result == "Succeeded" and not _starts_anew(attempt, case):
            done.add(key)


def _starts_anew(attempt: Attempt, case: Case) -> bool:
    """In a subgraph that is retried, a `while` that failed starts again; so do services, and what handles a failure."""
    if attempt.place.role == "compensate":
        return False
    nodes, node = case.spec["nodes"], {}
    for name in attempt.place.node.split("/"):
        everywhere = [*nodes, *case.spec.get("finally", [])]
        node = next(node for node in everywhere if node["name"] == name)
        serves = node.get("service") and "/" in attempt.place.node
        if serves or any(edge.endswith(":Failed") for edge in node.get("dependsOn", [])):
            return True
        if "graph" in node:
            nodes = next(graph["nodes"] for graph in case.spec["graphs"] if graph["name"] == node["graph"]["name"])
        elif "workflow" in node:
            nodes = case.others[0]["spec"]["nodes"]
    return bool(attempt.place.iterations)


@profile
@given(cases(actions=False), st.sampled_from(["Failed", {"from": "Nodes", "nodes": ["n0"]}]))
def test_a_rerun_never_repeats_a_success_it_was_not_asked_for(case: Case, rerun: Any) -> None:
    case.spec["nodes"].append({"name": "each", "forEach": {"range": 3}, "job": {"image": "i"}})  # rare by chance
    case.scenario["events"].insert(0, {"node": "each", "index": 1, "attempt": 1, "exitCode": 1, "durationSeconds": 9})
    before = run(case)
    if before.stuck is not None:
        return
    later = {**case.scenario, "actions": [{"at": before.elapsed + 1, "rerun": rerun}]}
    after = run(Case(case.spec, case.others, later, case.approvals))
    then, now = ({node.node.name: node for node in history.run.state.main.nodes} for history in (before, after))
    again = _reset_by_name(case) if rerun != "Failed" else {name for name in then if _is_reset(name, case, then)}
    again |= _services(again, case, then)
    ran = {a.place.node.split("/")[0] for a in after.attempts if a.generation and a.place.role == "main"}
    assert ran <= again | {node["name"] for node in case.spec.get("finally", [])}
    for name in then.keys() - again:
        assert (then[name].outputs, then[name].start, then[name].end) == (
            now[name].outputs, now[name].start, now[name].end,
        )  # fmt: skip
    items = {(name, unit.index) for name, node in then.items() for unit in node.units.values() if _stands(node, unit)}
    repeated = {(a.id.path, a.id.index) for a in after.attempts if a.generation and a.place.role == "main"}
    assert rerun != "Failed" or not items & repeated


def _is_reset(name: str, case: Case, then: dict[str, NodeState]) -> bool:
    """Whether `Failed` resets a node: it did not succeed (nor was skipped by its condition), or handled such a one."""
    spec = next(spec for spec in case.spec["nodes"] if spec["name"] == name)
    handled = [edge.partition(":")[0] for edge in spec.get("dependsOn", ()) if edge.endswith(":Failed")]
    return any(
        (then[other].phase != "Succeeded" and then[other].reason != "ConditionFalse") or _is_undone(then[other])
        for other in (name, *handled)
    )


def _is_undone(node: NodeState) -> bool:
    """Whether something within the node, of its subgraph or its items, has been compensated."""
    units = list(node.units.values())
    inner = [inside for unit in units for child in unit.children for inside in child.nodes]
    return "Compensated" in {node.phase, *(unit.phase for unit in units)} or any(map(_is_undone, inner))


def _stands(node: NodeState, unit: Unit) -> bool:
    """Whether an item of a forEach succeeded and is not undone: `Failed` leaves it as it is."""
    inner = [inside for child in unit.children for inside in child.nodes]
    return node.node.for_each is not None and unit.phase == "Succeeded" and not any(map(_is_undone, inner))


def _reset_by_name(case: Case) -> set[str]:
    """What `Nodes: [n0]` resets: it, and all that depends on it (nodes stand after what they depend on)."""
    reset = {"n0"}
    for spec in case.spec["nodes"]:
        if reset & {edge.partition(":")[0] for edge in spec.get("dependsOn", ())}:
            reset.add(spec["name"])
    return reset


def _services(again: set[str], case: Case, then: dict[str, NodeState]) -> set[str]:
    """The services that these nodes wait for, and those that these services wait for."""
    found: set[str] = set()
    for spec in reversed(case.spec["nodes"]):
        if spec["name"] in again | found:
            sources = [edge.partition(":")[0] for edge in spec.get("dependsOn", ()) if edge.endswith(":Ready")]
            found |= {name for name in sources if then[name].reason != "ConditionFalse"}
    return found


@profile
@given(cases())
def test_attempts_stay_within_their_budgets(case: Case) -> None:
    history = run(_without_reruns(case))
    graphs = {graph["name"]: graph for graph in case.spec.get("graphs", [])}
    inherited = case.spec.get("defaults", {}).get("retry")
    made = Counter((a.run.number, a.id._replace(attempt=0)) for a in history.attempts if a.place.role == "main")
    for (number, id_), count in made.items():
        if number == history.run.number and not id_.path.startswith("f"):
            assert count <= _budget(id_.path, case.spec["nodes"], graphs, inherited)


def _budget(path: str, nodes: list[dict[str, Any]], graphs: dict[str, Any], inherited: dict[str, Any] | None) -> int:
    """Attempts allowed: retries and disruptions of the node, each time that a graph around it is tried."""
    name, _, rest = path.partition("/")
    node = next(node for node in nodes if node["name"] == name.partition("[")[0])
    retry = node.get("retry") or ((inherited or {}) if "job" in node else {}) or {"limit": 0}
    own = 1 + retry.get("limit", 3) + retry.get("disruptions", 5)
    return own * _budget(rest, graphs[node["graph"]["name"]]["nodes"], graphs, inherited) if rest else own


def _without_reruns(case: Case) -> Case:
    actions = [action for action in case.scenario.get("actions", []) if "rerun" not in action]
    return Case(case.spec, case.others, {**case.scenario, "actions": actions}, case.approvals)


@profile
@given(cases())
def test_counters_equal_a_full_recomputation_after_every_step(case: Case) -> None:
    step = engine.advance

    def checked(state: Any, *args: Any, **kwargs: Any) -> Any:
        result = step(state, *args, **kwargs)
        for have, want in recounted(state):
            assert have == want
        return result

    with patch.object(engine, "advance", checked):
        run(case)


@pytest.mark.parametrize("number", range(3))
def test_random_cases_are_rich(number: int) -> None:
    """The generator is worth something only if its cases are various; a fixed sample shows it."""
    import random

    from support.workflows import Chooser, random_case

    chooser = Chooser(random.Random(number).randrange)
    outcomes = Counter(json_report(run(random_case(chooser)))["reason"] for _ in range(120))
    assert {"Succeeded", "NodeFailed", "Stopped", "Stuck"} <= set(outcomes)
