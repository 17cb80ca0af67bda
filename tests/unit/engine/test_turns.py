"""What takes long is spread over several steps: the shell has others to look after, and a Lease to renew."""

from typing import Any

import pytest
from support.engine import START
from support.simulation import program
from weft.engine import advance, loops, restore
from weft.engine.actions import Start
from weft.engine.advance import Result
from weft.engine.observation import AttemptEnded, Observation
from weft.engine.state import RunContext, RunState
from weft.engine.step import SPENT
from weft.expr.cel import STEPS

HEAVY = "lists.range(20000).all(x, x + 1 > 0)"
"""More than half of what one step may spend, and less than all of it."""
BUDGET = 200


class Stepped:
    """A run driven as the shell does it: a step at a time, each with a budget."""

    def __init__(self, spec: dict[str, Any]) -> None:
        context = RunContext(uid="uid")
        self.state, result = advance.begin(program(spec).main, context, START, budget=BUDGET)
        self.spent: list[int] = []
        self.started: list[str] = []
        self._take(result)

    def see(self, *seen: Observation) -> None:
        self._take(advance.advance(self.state, seen, START, budget=BUDGET))

    def _take(self, result: Result) -> None:
        self.more = result.more
        self.spent.append(self.state.meter.spent)
        self.started += [action.id.path for action in result.actions if isinstance(action, Start)]

    def to_the_end(self) -> None:
        while self.more:
            self.see()

    def phases(self) -> dict[str, str]:
        return {node.node.name: node.phase for node in self.state.main.nodes}

    def ended(self) -> list[AttemptEnded]:
        return [AttemptEnded(id_, START, succeeded=True) for id_ in self.state.active]


def test_a_heavy_expression_is_what_this_is_about() -> None:
    run = Stepped({"nodes": [{"name": "a", "job": "J", "when": HEAVY}]})
    assert SPENT / 2 < run.spent[0] < SPENT
    assert SPENT < STEPS


def test_conditions_of_many_nodes_are_asked_in_several_steps() -> None:
    names = [f"n{number}" for number in range(10)]
    run = Stepped({"nodes": [{"name": name, "job": "J", "when": HEAVY} for name in names]})
    assert run.more
    run.to_the_end()
    assert run.started == names
    assert len(run.spent) >= 5
    assert max(run.spent) < SPENT + STEPS


def test_without_a_budget_all_is_carried_through_at_once() -> None:
    spec = {"nodes": [{"name": f"n{number}", "job": "J", "when": HEAVY} for number in range(10)]}
    _, result = advance.begin(program(spec).main, RunContext(uid="uid"), START)
    assert not result.more
    assert len(result.actions) == 10


def test_bodies_are_rendered_in_several_steps() -> None:
    run = Stepped({"nodes": [{"name": f"n{number}", "expr": {"x": HEAVY}} for number in range(10)]})
    assert run.more
    run.to_the_end()
    assert set(run.phases().values()) == {"Succeeded"}
    assert run.state.finished
    assert max(run.spent) < SPENT + STEPS


def test_all_expressions_of_one_body_have_a_limit_together() -> None:
    run = Stepped({"nodes": [{"name": "a", "expr": {f"x{number}": HEAVY for number in range(20)}}]})
    node = run.state.main.nodes[0]
    assert (node.phase, node.reason) == ("Failed", "ExpressionError")
    assert "too much work" in node.message
    assert max(run.spent) < 3 * STEPS


@pytest.mark.parametrize(
    "fields",
    [
        {"while": {"condition": f"!({HEAVY})", "maxIterations": 2}},
        {"retry": {"limit": 1, "when": HEAVY}},
    ],
    ids=["while", "retry"],
)
def test_what_has_ended_is_judged_in_several_steps(fields: dict[str, Any]) -> None:
    run = Stepped({"nodes": [{"name": f"n{number}", "job": "J", **fields} for number in range(10)]})
    succeeded = "while" in fields
    run.see(*(AttemptEnded(id_, START, succeeded=succeeded, reason="Error") for id_ in list(run.state.active)))
    assert run.more
    assert run.state.unseen
    run.to_the_end()
    assert max(run.spent) < SPENT + STEPS
    assert not run.state.unseen
    assert set(run.phases().values()) == {"Succeeded" if succeeded else "Waiting"}


def test_the_outputs_of_graphs_are_made_in_several_steps() -> None:
    inner = {"name": "g", "nodes": [{"name": "a", "job": "J"}], "outputs": [{"name": "x", "value": HEAVY}]}
    nodes = [{"name": f"n{number}", "graph": {"name": "g"}} for number in range(10)]
    run = Stepped({"nodes": nodes, "graphs": [inner]})
    run.see(*run.ended())
    assert run.more
    run.to_the_end()
    assert max(run.spent) < SPENT + STEPS
    assert run.state.finished
    assert set(run.phases().values()) == {"Succeeded"}


def test_keys_of_many_items_are_made_in_several_steps() -> None:
    key = "${{ string(" + HEAVY + ") }}"
    run = Stepped({"nodes": [{"name": "a", "job": "J", "forEach": {"range": 10}, "cache": {"key": key}}]})
    assert run.more
    run.to_the_end()
    assert max(run.spent) < SPENT + STEPS
    assert len(run.state.active) == 10  # each asks the cache


def test_a_restart_takes_no_longer_than_other_steps() -> None:
    run = Stepped({"nodes": [{"name": f"n{number}", "job": "J", "when": HEAVY} for number in range(10)]})
    found = RunState(run.state.workflow, run.state.context, start=START)
    result = restore.resume(found, START, budget=BUDGET)
    assert result.more
    assert found.meter.spent < SPENT + STEPS


def test_items_are_made_ahead_in_small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "AHEAD", 300)
    run = Stepped({"nodes": [{"name": "a", "job": "J", "forEach": {"range": 1000}}, {"name": "b", "job": "J"}]})
    node = run.state.main.nodes[0]
    assert (len(node.units), len(run.started), run.more) == (300, 200, True)
    run.see(*run.ended()[:50])
    assert len(node.units) == 600
    run.to_the_end()
    assert run.started == ["a"] * 1000 + ["b"]
    run.see(*run.ended())
    run.to_the_end()
    assert run.phases() == {"a": "Succeeded", "b": "Succeeded"}


def test_items_that_are_not_made_yet_do_not_begin_when_the_node_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "AHEAD", 300)
    run = Stepped({"nodes": [{"name": "a", "job": "J", "forEach": {"range": 1000}}]})
    first = next(iter(run.state.active))
    run.see(AttemptEnded(first, START, succeeded=False, reason="Error"))
    run.see(*run.ended())
    run.to_the_end()
    assert run.phases() == {"a": "Failed"}
    assert len(run.started) == 200
    assert run.state.finished
