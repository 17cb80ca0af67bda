"""One run may have so many nodes and items, all of its subgraphs together: the node that would pass that fails."""

from typing import Any

import pytest
from support.engine import START, Driven, drive, restored
from support.simulation import simulate
from weft.engine import advance, size
from weft.engine.step import frames

FEW = 100
MEND = "give each item more to do, or hand parts to child runs (workflow)"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run may have a hundred, and ten more to clean up."""
    monkeypatch.setattr(size, "MAX_SIZE", FEW)
    monkeypatch.setattr(size, "SPARE", 10)


def nested(*, deep: int, items: int) -> dict[str, Any]:
    """Graphs within graphs, a forEach on each level."""
    loop = {"forEach": {"range": items}}
    graphs = [
        {"name": f"g{n}", "nodes": [{"name": "n", **loop, "graph": {"name": f"g{n + 1}"}}]} for n in range(1, deep)
    ]
    last = {"name": f"g{deep}", "nodes": [{"name": "n", **loop, "expr": {"x": "1"}}]}
    return {"nodes": [{"name": "n", **loop, "graph": {"name": "g1"}}], "graphs": [*graphs, last]}


def test_what_is_nested_eight_deep_ends_at_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(size, "MAX_SIZE", 2000)
    run = drive(nested(deep=8, items=10))
    assert (run.state.outcome, run.state.finished) == ("Failed", True)
    nodes = [node for frame in frames(run.state.main) for node in frame.nodes]
    assert any(node.reason == "RunTooLarge" for node in nodes)
    assert len(nodes) + sum(len(node.units) for node in nodes) <= 2 * 2000  # a node's only unit is counted with it


def test_the_node_says_where_and_how_many_and_what_to_do(few: None) -> None:
    run = drive(nested(deep=2, items=5))
    told = next(node for frame in frames(run.state.main) for node in frame.nodes if node.reason == "RunTooLarge")
    assert told.message == (
        f"n[2]/n[1]/n asks for 5 nodes and items, which would make 101 in this run; {FEW} is the most: {MEND}"
    )


def test_a_for_each_over_large_graphs_fails_before_its_first_item() -> None:
    graph = {"name": "g", "nodes": [{"name": f"n{n}", "job": "J"} for n in range(9)]}
    spec = {"nodes": [{"name": "a", "forEach": {"range": 20_000}, "graph": {"name": "g"}}], "graphs": [graph]}
    run = drive(spec)
    (node,) = run.state.main.nodes
    assert (node.phase, node.reason, len(node.units)) == ("Failed", "RunTooLarge", 0)
    assert node.message.startswith("a asks for 200000 nodes and items, which would make 200001 in this run; 200000 is")
    again = restored(run.state, START)
    assert (again.main.nodes[0].reason, again.size) == ("RunTooLarge", run.state.size)


def test_a_graph_that_does_not_fit_fails_and_is_not_tried_again(few: None) -> None:
    graph = {"name": "g", "nodes": [{"name": f"n{n}", "expr": {"x": "1"}} for n in range(40)]}
    nodes = [
        {"name": "a", "forEach": {"range": 70}, "expr": {"x": "1"}},
        {"name": "b", "dependsOn": ["a"], "retry": {"limit": 3}, "graph": {"name": "g"}},
    ]
    run = drive({"nodes": nodes, "graphs": [graph]})
    b = run.state.main.nodes[1]
    assert (b.phase, b.reason, b.attempts) == ("Failed", "RunTooLarge", 1)
    assert b.message.startswith("b asks for 40 nodes and items, which would make 112 in this run; 100 is the most")


def test_its_failure_is_one_like_any_other(few: None) -> None:
    ran = simulate(
        """
        nodes:
        - {name: a, allowFailure: true, forEach: {range: 200}, job: J}
        - {name: b, dependsOn: [a], job: J}
        """
    )
    assert ran.report["outcome"] == "Succeeded"
    assert ran.nodes["a"].startswith("Failed(RunTooLarge)")


def test_rounds_that_are_over_take_no_room(few: None) -> None:
    """Those of a `while` whose subgraph has nothing to undo are forgotten."""
    loop = {"while": {"condition": "iteration < 20"}}
    graph = {"name": "g", "nodes": [{"name": "n", "forEach": {"range": 50}, "expr": {"x": "1"}}]}
    run = drive({"nodes": [{"name": "a", **loop, "graph": {"name": "g"}}], "graphs": [graph]})
    assert (run.state.outcome, run.state.size) == ("Succeeded", 52)


def test_rounds_that_may_have_to_be_undone_take_room(few: None) -> None:
    loop = {"while": {"condition": "iteration < 20"}}
    node = {"name": "n", "forEach": {"range": 50}, "expr": {"x": "1"}, "compensate": {"job": "J"}}
    run = drive({"nodes": [{"name": "a", **loop, "graph": {"name": "g"}}], "graphs": [{"name": "g", "nodes": [node]}]})
    a = run.state.main.nodes[0]
    assert (a.phase, a.units[0].iteration) == ("Failed", 1)
    assert "n failed (RunTooLarge: a[1]/n asks for 50 nodes and items" in a.message


def test_a_run_at_its_bound_can_still_clean_up(few: None) -> None:
    undo = {"name": "undo", "nodes": [{"name": f"u{n}", "expr": {"x": "1"}} for n in range(4)]}
    graph = {"name": "g", "nodes": [{"name": f"n{n}", "expr": {"x": "1"}} for n in range(4)]}
    spec = {
        "nodes": [
            {"name": "a", "forEach": {"range": 97}, "expr": {"x": "1"}, "compensate": {"graph": {"name": "undo"}}},
            {"name": "b", "dependsOn": ["a"], "forEach": {"range": 2}, "expr": {"x": "1"}},
        ],
        "finally": [{"name": "f", "graph": {"name": "g"}}],
        "graphs": [graph, undo],
    }
    run = drive(spec)
    assert run.state.main.nodes[1].reason == "RunTooLarge"
    assert run.state.main.nodes[0].phase == "Compensated"
    assert run.state.final is not None
    assert run.state.final.nodes[0].phase == "Succeeded"
    assert run.state.size == 99 + 1 + 4


def test_a_rerun_counts_anew(few: None) -> None:
    parameters = [{"name": "n", "type": "integer"}]
    graph = {"name": "g", "nodes": [{"name": "n", "job": "J"}]}
    node = {"name": "a", "forEach": {"range": "params.n"}, "graph": {"name": "g"}}
    run = drive({"parameters": parameters, "nodes": [node], "graphs": [graph]}, params={"n": 40})
    for index in range(40):
        run.fail(f"a[{index}]/n") if index % 2 else run.succeed(f"a[{index}]/n")
        if run.state.finished:
            break
    for generation, mode in ((1, "Failed"), (2, "All")):
        _end(run)
        result = advance.restart(run.state, generation=generation, mode=mode, nodes=(), now=run.now + 1)
        run.actions += result.actions
        assert (run.state.finished, run.state.size) == (False, 81)
        assert restored(run.state, START).size == 81


def _end(run: Driven) -> None:
    while not run.state.finished:
        for id_ in list(run.state.active):
            if id_ in run.state.active and id_.attempt:
                run.fail(id_.path, id_.index)


def test_ten_thousand_items_of_a_graph_of_ten_nodes_fit() -> None:
    graph = {"name": "g", "nodes": [{"name": f"n{n}", "job": "J"} for n in range(10)]}
    spec = {"nodes": [{"name": "a", "forEach": {"range": 10_000, "maxParallel": 2}, "graph": {"name": "g"}}]}
    run = drive({**spec, "graphs": [graph]})
    assert (run.state.main.nodes[0].phase, run.state.size) == ("Running", 110_001)


def test_items_that_are_taken_back_and_let_run_later_are_counted_once(few: None) -> None:
    ran = simulate(
        """
        parallelism: 2
        nodes:
        - {name: first, job: J}
        - {name: slow, job: J}
        - {name: bad, dependsOn: [first], job: J}
        - {name: each, dependsOn: [bad, "slow:Failed", first], join: Any, forEach: {range: 60}, job: J}
        """,
        "events: [{node: bad, exitCode: 1}, {node: slow, durationSeconds: 3, exitCode: 1}]",
    )
    assert ran.nodes["each"] == "Succeeded 3-33 x60"
