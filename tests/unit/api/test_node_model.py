"""A node: exactly one body, modifiers that fit it, names and edges spelled right."""

from typing import Any

import pytest
from weft.api.bodies import MAX_WAIT
from weft.api.node import BODIES, MAX_NODES, Node, split_edge
from weft.api.problems import parse

BODY: dict[str, Any] = {
    "job": {"image": "busybox:1", "command": ["true"]},
    "graph": {"name": "steps"},
    "workflow": {"name": "other"},
    "switch": {"cases": [{"name": "big", "when": "params.n > 3"}]},
    "approval": {},
    "wait": {"seconds": 5},
    "expr": {"total": "1 + 1"},
    "http": {"url": "https://shop.example"},
    "resource": {"manifest": {"apiVersion": "v1", "kind": "ConfigMap"}},
    "use": {"name": "upload", "with": {"to": "there"}},
}


def read(**fields: Any) -> Node:
    node, problems = parse(Node, {"name": "a", **fields})
    assert node is not None, problems
    return node


def complaints(**fields: Any) -> list[str]:
    node, problems = parse(Node, {"name": "a", **fields}, at="spec.nodes[0]")
    assert node is None
    return [str(problem) for problem in problems]


@pytest.mark.parametrize("kind", BODIES)
def test_every_body_stands_alone(kind: str) -> None:
    assert read(**{kind: BODY[kind]}).body_kind == kind


def test_a_node_without_a_body_is_told_what_it_may_have() -> None:
    assert complaints() == [
        "spec.nodes[0]: a node has exactly one of job, graph, workflow, switch, approval, wait, expr, http, resource,"
        " use; none was given"
    ]


def test_two_bodies_are_named() -> None:
    (message,) = complaints(job=BODY["job"], graph=BODY["graph"])
    assert message.endswith("found 2: job and graph")


def test_a_null_body_is_no_body() -> None:
    assert read(job=BODY["job"], graph=None).body_kind == "job"


@pytest.mark.parametrize("kind", ["switch", "approval", "wait"])
@pytest.mark.parametrize("loop", [{"forEach": {"items": [1]}}, {"while": {"condition": "true"}}])
def test_loops_are_refused_where_they_mean_nothing(kind: str, loop: dict[str, Any]) -> None:
    assert "not on switch, approval or wait" in complaints(**{kind: BODY[kind]}, **loop)[0]


@pytest.mark.parametrize("kind", ["job", "graph", "workflow", "http", "resource", "expr", "use"])
@pytest.mark.parametrize("loop", [{"forEach": {"items": [1]}}, {"while": {"condition": "true"}}])
def test_loops_work_on_all_other_bodies(kind: str, loop: dict[str, Any]) -> None:
    assert read(**{kind: BODY[kind]}, **loop).body_kind == kind


def test_for_each_and_while_exclude_each_other() -> None:
    loops = {"forEach": {"items": [1]}, "while": {"condition": "true"}}
    assert "cannot be used together" in complaints(job=BODY["job"], **loops)[0]


@pytest.mark.parametrize("kind", sorted(set(BODIES) - {"job", "use"}))
def test_only_jobs_are_services(kind: str) -> None:
    assert "a service is a job" in complaints(service=True, **{kind: BODY[kind]})[0]


def test_a_service_is_not_cached() -> None:
    """From the cache it would be Succeeded without a server."""
    assert "without forEach, while and cache" in complaints(service=True, job=BODY["job"], cache={"key": "'k'"})[0]
    assert read(service=True, job=BODY["job"]).cache is None


@pytest.mark.parametrize(
    ("written", "source"),
    [
        ({"items": "params.list"}, "params.list"),
        ({"items": [1, {"a": 2}, "x"]}, [1, {"a": 2}, "x"]),
        ({"items": {"range": 3}}, {"range": 3}),
        ({"range": 3}, {"range": 3}),
        ({"range": "params.n"}, {"range": "params.n"}),
    ],
)
def test_for_each_takes_its_items_from(written: dict[str, Any], source: object) -> None:
    for_each = read(job=BODY["job"], forEach=written).for_each
    assert for_each is not None
    assert for_each.source == source


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({}, "exactly one of items and range"),
        ({"items": [1], "range": 2}, "exactly one of items and range"),
        ({"items": 5}, "must be a CEL expression, a list or {range: n}, got 5"),
        ({"items": {"from": 5}}, "must be a CEL expression, a list or {range: n}"),
        ({"items": {"range": True}}, "must be a whole number or a string, got True"),
        ({"items": {"range": -1}}, "must be from 0 to 100000, got -1"),
        ({"range": 1.5}, 'must be a whole number or a string, got 1.5; write it as "1.5"'),
        ({"range": -1}, "must be from 0 to 100000, got -1"),
        ({"items": [1], "maxFailed": -1}, "must be at least 0, got -1"),
        ({"items": [0] * 100_001}, "must have at most 100000 items, got 100001"),
    ],
)
def test_for_each_says_what_is_wrong_with_its_items(written: dict[str, Any], said: str) -> None:
    assert said in complaints(job=BODY["job"], forEach=written)[0]


@pytest.mark.parametrize(
    ("text", "edge"),
    [
        ("a", ("a", "Succeeded")),
        ("a:Succeeded", ("a", "Succeeded")),
        ("a:Failed", ("a", "Failed")),
        ("a-b:urgent", ("a-b", "urgent")),
    ],
)
def test_an_edge_is_a_node_and_an_outcome(text: str, edge: tuple[str, str]) -> None:
    assert split_edge(read(job=BODY["job"], dependsOn=[text]).depends_on[0]) == edge


@pytest.mark.parametrize("text", ["", "A", "a:", ":Failed", "a:b:c", "a b", "a-"])
def test_a_misspelt_edge_is_refused_where_it_stands(text: str) -> None:
    assert complaints(job=BODY["job"], dependsOn=["x", text])[0].startswith("spec.nodes[0].dependsOn[1]: ")


def test_a_node_can_wait_for_all_others_of_the_largest_graph() -> None:
    others = [f"n{number}" for number in range(MAX_NODES - 1)]
    assert read(job=BODY["job"], dependsOn=others).depends_on == others


@pytest.mark.parametrize("name", ["a", "a1", "a-b", "a" * 63])
def test_good_names(name: str) -> None:
    assert parse(Node, {"name": name, "job": {}})[1] == []


@pytest.mark.parametrize("name", ["", "A", "1a", "a-", "-a", "a_b", "a.b", "a" * 64, "a\n", "a/b"])
def test_bad_names(name: str) -> None:
    assert parse(Node, {"name": name, "job": {}})[0] is None


@pytest.mark.parametrize("case", ["Succeeded", "Failed", "Done", "Ready"])
def test_a_case_cannot_bear_the_name_of_an_outcome(case: str) -> None:
    (message,) = complaints(switch={"cases": [{"name": case, "when": "true"}]})
    assert message.startswith("spec.nodes[0].switch.cases[0].name: ")
    assert "are outcomes of every node" in message


def test_an_empty_retry_means_three_and_none_means_none() -> None:
    retry = read(job={}, retry={}).retry
    assert retry is not None
    assert (retry.limit, retry.disruptions) == (3, 5)
    assert (retry.backoff.initial_seconds, retry.backoff.factor, retry.backoff.max_seconds) == (2, 2, 60)
    assert read(job={}).retry is None


@pytest.mark.parametrize(
    ("approval", "fits"),
    [
        ({"onTimeout": "Escalate"}, False),
        ({"onTimeout": "Escalate", "timeoutSeconds": 5}, False),
        ({"onTimeout": "Escalate", "escalation": [{"from": {"users": ["a"]}}]}, False),
        ({"onTimeout": "Escalate", "timeoutSeconds": 5, "escalation": [{"from": {"users": ["a"]}}]}, True),
        ({"onTimeout": "Approve", "timeoutSeconds": 5}, True),
    ],
)
def test_an_approval_escalates_to_somebody(approval: dict[str, Any], fits: bool) -> None:
    assert (parse(Node, {"name": "a", "approval": approval})[0] is not None) is fits


@pytest.mark.parametrize("nobody", [{}, {"users": []}, {"users": [], "groups": []}, {"groups": None}])
def test_an_approval_that_names_nobody_is_not_open_to_everybody(nobody: dict[str, Any]) -> None:
    told = "names nobody: list users or groups"
    asked = complaints(approval={"from": nobody})
    assert asked == [f"spec.nodes[0].approval.from: {told}, or leave it out, and everybody may decide"]
    escalated = {"onTimeout": "Escalate", "timeoutSeconds": 5, "from": {"users": ["a"]}}
    later = complaints(approval={**escalated, "escalation": [{"from": {"groups": ["g"]}}, {"from": nobody}]})
    assert later == [f"spec.nodes[0].approval.escalation[1].from: {told}"]


@pytest.mark.parametrize("somebody", [{"users": ["a"], "groups": []}, {"groups": ["g"]}, None])
def test_an_approval_is_asked_of_those_named_or_of_everybody(somebody: dict[str, Any] | None) -> None:
    assert read(approval={"from": somebody}).approval is not None


def test_a_wait_is_at_most_ten_years_as_the_engine_has_it() -> None:
    assert read(wait={"seconds": MAX_WAIT}).wait is not None
    assert "must be from 0 to 316224000, got 316224001" in complaints(wait={"seconds": MAX_WAIT + 1})[0]


@pytest.mark.parametrize("wait", [{}, {"seconds": 1, "until": "2026-12-24T18:00:00Z"}])
def test_a_wait_has_one_end(wait: dict[str, Any]) -> None:
    assert "wait has exactly one of seconds, until" in complaints(wait=wait)[0]


def test_a_wait_takes_a_template() -> None:
    wait = read(wait={"seconds": "${{ params.delay }}"}).wait
    assert wait is not None
    assert wait.seconds == "${{ params.delay }}"


def test_a_variable_has_one_source() -> None:
    (message,) = complaints(job={"env": [{"name": "A", "value": "x", "expr": "params.x"}]})
    assert message == "spec.nodes[0].job.env[0]: value and expr are given; keep one"


def test_compensate_has_one_body_too() -> None:
    assert complaints(job={}, compensate={"timeoutSeconds": 5})[0].startswith(
        "spec.nodes[0].compensate: a compensation has exactly one of job, http, resource, expr, graph, workflow; none"
    )


@pytest.mark.parametrize("kind", ["job", "graph", "workflow", "http", "resource", "expr"])
def test_what_can_undo_a_node(kind: str) -> None:
    compensate = read(job={}, compensate={kind: BODY[kind]}).compensate
    assert compensate is not None
    assert compensate.body_kind == kind


def test_what_was_written_comes_back() -> None:
    written = {
        "name": "a",
        "dependsOn": ["b"],
        "forEach": {"items": [1], "as": "x"},
        "job": {"image": "i", "args": ["1"]},
    }
    assert Node.model_validate(written).to_wire() == written


def test_a_null_in_a_map_is_absent_as_the_api_server_drops_it() -> None:
    job = {
        "labels": {"team": "shop", "tier": None},
        "annotations": {"a": None},
        "nodeSelector": {"disk": None, "zone": "a"},
        "resources": {"requests": {"cpu": None, "memory": "1Gi"}, "limits": {"cpu": None}},
    }
    body = read(job=job).job
    assert body is not None
    assert body.to_wire() == {
        "labels": {"team": "shop"},
        "annotations": {},
        "nodeSelector": {"zone": "a"},
        "resources": {"requests": {"memory": "1Gi"}, "limits": {}},
    }
    assert read(expr={"a": "1", "b": None}).expr == {"a": "1"}
    assert complaints(expr={"b": None}) == ["spec.nodes[0].expr: must have at least 1 entries, got 0"]


@pytest.mark.parametrize("quantity", ["1Gi\n", "\n1Gi", "1 Gi"])
def test_a_quantity_is_one_to_its_end(quantity: str) -> None:
    (problem,) = complaints(job={"resources": {"limits": {"memory": quantity}}})
    assert problem.startswith(f"spec.nodes[0].job.resources.limits.memory: {quantity!r} does not match")
