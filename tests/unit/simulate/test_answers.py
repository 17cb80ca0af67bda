"""What an event answers for an http node must be an answer: its status is a number, its headers have names."""

from typing import Any

import pytest
from support.simulation import simulate
from weft.simulate.world import ScenarioError

WORKFLOW = """
    nodes:
    - {name: ask, http: {url: "http://example.com"}}
    - {name: work, job: J, compensate: {http: {url: "http://example.com"}}}
    - {name: inner, graph: {name: steps}}
    - {name: called, workflow: {name: other}}
    - {name: used, use: {name: asking}}
    graphs: [{name: steps, nodes: [{name: ask, http: {url: "http://example.com"}}]}]
    """
OTHERS = """
apiVersion: weft.dev/v1alpha1
kind: Workflow
metadata: {name: other}
spec: {nodes: [{name: ask, http: {url: "http://example.com"}}]}
---
apiVersion: weft.dev/v1alpha1
kind: NodeType
metadata: {name: asking}
spec: {http: {url: "http://example.com"}}
"""


@pytest.mark.parametrize("node", ["ask", "inner/ask", "called/ask", "used"])
@pytest.mark.parametrize(
    ("status", "shown"), [("ok", '"ok"'), (None, "null"), ("200", '"200"'), (True, "true"), (200.5, "200.5")]
)
def test_a_status_that_is_no_number_is_refused(node: str, status: Any, shown: str) -> None:
    events = [{"node": "work", "outputs": {"status": "fine"}}, {"node": node, "outputs": {"status": status}}]
    with pytest.raises(ScenarioError) as caught:
        simulate(WORKFLOW, {"events": events}, others=OTHERS)
    assert str(caught.value) == f"events[1].outputs.status: must be a whole number, got {shown}"


@pytest.mark.parametrize(("headers", "shown"), [("x-a: 1", '"x-a: 1"'), (["x-a"], '["x-a"]'), (None, "null")])
def test_headers_that_are_no_names_with_values_are_refused(headers: Any, shown: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        simulate(WORKFLOW, {"events": [{"node": "ask", "outputs": {"headers": headers}}]}, others=OTHERS)
    assert str(caught.value) == f"events[0].outputs.headers: must be names with their values, got {shown}"


def test_so_is_one_of_a_compensation() -> None:
    event = {"node": "work", "role": "compensate", "outputs": {"status": "ok"}}
    with pytest.raises(ScenarioError, match=r"^events\[0\]\.outputs\.status: must be a whole number"):
        simulate(WORKFLOW, {"events": [event]}, others=OTHERS)


@pytest.mark.parametrize(
    "event",
    [
        {"node": "ask", "outputs": {"status": 404, "headers": {"X-A": "1"}}},
        {"node": "ask", "outputs": {"body": {"status": "ok"}}},
        {"node": "ask", "outputs": "status"},
        {"node": "work", "outputs": {"status": "ok"}},
        {"node": "nowhere", "outputs": {"status": "ok"}},
        {"node": "work", "role": "compensate"},
    ],
)
def test_what_is_an_answer_or_none_is_taken(event: dict[str, Any]) -> None:
    assert "work" in simulate(WORKFLOW, {"events": [event]}, others=OTHERS).nodes
