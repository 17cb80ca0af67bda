"""Outputs that a node can never have: noted where they are read, and nothing else is."""

from typing import Any

import pytest
from support.specs import doubted, node, wrong

EXPR = node("a", expr={"total": "1", "the-rest": "2"})
GRAPHS = [{"name": "g", "nodes": [node("n")], "outputs": [{"name": "listed", "value": "1"}]}]
TYPES: dict[str, dict[str, Any]] = {
    "sum": {"expr": {"total": "1"}},
    "renamed": {"expr": {"total": "1"}, "outputs": [{"name": "amount", "value": "outputs.total"}]},
    "asks": {"http": {"url": "http://shop.test/"}, "outputs": [{"name": "price", "value": "outputs.body.price"}]},
    "works": {"job": {"image": "busybox:1"}, "outputs": [{"name": "count"}]},
}
APPROVAL = {"from": {"users": ["ana"]}}
RESOURCE = {"manifest": {"apiVersion": "v1", "kind": "ConfigMap"}}
CASES = {"cases": [{"name": "one", "when": "true"}]}


def read(source: dict[str, Any], text: str) -> list[str]:
    """What is doubted where `b` reads the text of node `a`."""
    return doubted(source, node("b", "a", expr={"v": text}), graphs=GRAPHS, types=TYPES)


@pytest.mark.parametrize(
    ("source", "output", "told"),
    [
        (EXPR, "totl", 'did you mean "total"? (it has total, the-rest)'),
        (node("a", switch=CASES), "choice", "(it has case)"),
        (node("a", approval=APPROVAL), "decison", 'did you mean "decision"? (it has decision, by, at)'),
        (node("a", wait={"seconds": 1}), "until", "(it has none)"),
        (node("a", http={"url": "http://shop.test/"}), "headers", "(it has status, body)"),
        (node("a", resource=RESOURCE), "names", 'did you mean "name"? (it has name, kind, status)'),
        (node("a", graph={"name": "g"}), "n", "(it has listed)"),
        (node("a", use={"name": "sum"}), "totals", 'did you mean "total"? (it has total)'),
        (node("a", use={"name": "renamed"}), "total", "(it has amount)"),
        (node("a", use={"name": "asks"}), "cost", "(it has price, status, body)"),
        (node("a", expr={"total": "item"}, forEach={"items": [1]}), "totl", 'did you mean "total"? (it has total)'),
        (node("a", expr={"n": "1"}, while_={"condition": "false"}), "m", "(it has n)"),
    ],
)
def test_what_a_node_can_never_give_is_noted(source: dict[str, Any], output: str, told: str) -> None:
    (problem,) = read(source, f"nodes.a.outputs.{output} == 1")
    assert problem.startswith(f'spec.nodes[1].expr.v: nodes.a.outputs.{output}: a has no output "{output}"')
    assert problem.endswith(f"{told} (in `nodes.a.outputs.{output} == 1`)")


@pytest.mark.parametrize(
    ("source", "output"),
    [
        (EXPR, '["the-rest"]'),
        (node("a", approval=APPROVAL), ".by[0]"),
        (node("a", resource=RESOURCE), ".status.phase"),
        (node("a", use={"name": "asks"}), ".price"),
        (node("a", use={"name": "asks"}), ".status"),  # of an answer that made it fail
        (node("a", use={"name": "works"}), ".error"),  # what the job wrote before it failed
        (node("a", use={"name": "sum"}, forEach={"range": 2}), ".total[1]"),
        (node("a"), ".anything"),
        (node("a", workflow={"name": "other"}), ".anything"),
        (node("a", expr={"total": "1"}, cache={"key": "'k'"}), ".old"),  # kept since it was called so
    ],
)
def test_what_a_node_may_give_is_taken(source: dict[str, Any], output: str) -> None:
    assert read(source, f"nodes.a.outputs{output}") == []


@pytest.mark.parametrize(
    "text",
    [
        "nodes.a.outputs.?gone.orValue(0)",
        "has(nodes.a.outputs.gone) ? nodes.a.outputs.gone : 0",
        "'gone' in nodes.a.outputs ? nodes.a.outputs.gone : 0",
        "nodes.a.outputs[params.which]",
    ],
)
def test_who_asks_whether_it_is_there_may_read_it(text: str) -> None:
    reader = node("b", "a", expr={"v": text})
    assert doubted(EXPR, reader, parameters=[{"name": "which", "type": "string"}]) == []


def test_it_is_noted_wherever_it_is_read() -> None:
    bad = "nodes.a.outputs.gone"
    places: dict[str, Any] = {
        "when": bad,
        "job": {"image": "i", "args": [f"--x=${{{{ {bad} }}}}"], "env": [{"name": "X", "expr": bad}]},
        "compensate": {"expr": {"v": bad}},
    }
    told = doubted(
        EXPR,
        node("b", "a", **places),
        finally_=[node("c", expr={"v": bad})],
        graphs=[{"name": "g", "nodes": [EXPR], "outputs": [{"name": "o", "value": bad}]}],
        outputs=[{"name": "o", "value": bad}],
    )
    where = [problem.split(": ")[0] for problem in told if 'a has no output "gone"' in problem]
    assert sorted(where) == [
        "spec.finally[0].expr.v",
        "spec.graphs[0].outputs[0].value",
        "spec.nodes[1].compensate.expr.v",
        "spec.nodes[1].job.args[0]",
        "spec.nodes[1].job.env[0].expr",
        "spec.nodes[1].when",
        "spec.outputs[0].value",
    ]
    assert len(told) == len(where)


def test_it_is_no_error_since_it_may_never_be_evaluated() -> None:
    assert wrong(EXPR, node("b", "a", when="false && nodes.a.outputs.gone")) == []


def test_of_what_cannot_be_known_yet_nothing_is_said() -> None:
    assert read(node("a", graph={"name": "h"}), "nodes.a.outputs.x") == []
    assert read(node("a", use={"name": "nope"}), "nodes.a.outputs.x") == []
