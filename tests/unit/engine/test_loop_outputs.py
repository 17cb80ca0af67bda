"""The outputs of loops, and the lists that a forEach goes over."""

from typing import Any

import pytest
import yaml
from support.engine import START, drive, restored
from support.simulation import program
from weft.engine import advance
from weft.engine.state import RunContext

ITEMS = [
    ("{items: ['a', 'b']}", ["a", "b"]),
    ("{items: 'params.list'}", [1, 2, 3]),
    ("{range: 3}", [0, 1, 2]),
    ("{range: 'size(params.list)'}", [0, 1, 2]),
    ("{range: 0}", []),
    ("{items: 'params.list', batchSize: 2}", [[1, 2], [3]]),
    ("{range: 5, batchSize: 2}", [[0, 1], [2, 3], [4]]),
    ("{items: [], batchSize: 2}", []),
]

NODE_TYPE = """
    apiVersion: weft.dev/v1alpha1
    kind: NodeType
    metadata: {name: publish}
    spec: {outputs: [{name: id}], job: {image: "example/publish:1"}}
    """


def each(loop: Any, **fields: Any) -> dict[str, Any]:
    parameters = [{"name": "list", "type": "array"}, {"name": "n", "type": "integer", "default": -1}]
    return {"parameters": parameters, "nodes": [{"name": "a", "forEach": loop, "job": "J", **fields}]}


@pytest.mark.parametrize(("loop", "items"), ITEMS)
def test_the_items(loop: str, items: list[Any]) -> None:
    run = drive(each(yaml.safe_load(loop)), params={"list": [1, 2, 3], "n": -1})
    units = run.state.main.nodes[0].units
    assert [unit.value for unit in units.values()] == items
    assert run.state.finished is (items == [])


@pytest.mark.parametrize(
    ("loop", "says"),
    [
        ({"items": "params.n"}, "a list was expected"),
        ({"range": "params.n"}, "a whole number from 0 was expected"),
        ({"range": "1.5"}, "a whole number from 0 was expected"),
        ({"items": "params.list[7]"}, "index"),
    ],
)
def test_what_is_no_list_fails_the_node(loop: dict[str, Any], says: str) -> None:
    run = drive(each(loop), params={"list": [1, 2, 3], "n": -1})
    node = run.state.main.nodes[0]
    assert (node.phase, node.reason) == ("Failed", "ExpressionError")
    assert says in node.message


def test_too_many_items_fail_the_node() -> None:
    run = drive(each({"range": "100 * 1000 + 1"}))
    node = run.state.main.nodes[0]
    assert (node.phase, node.reason) == ("Failed", "TooManyItems")
    assert "100001" in node.message


def test_outputs_are_lists_in_item_order_with_null_for_what_is_missing() -> None:
    run = drive(each({"range": 4, "maxFailed": 1}))
    run.succeed("a", 3, outputs={"n": 3})
    run.succeed("a", 0, outputs={"n": 0, "only": "zero"})
    run.fail("a", 1)
    run.succeed("a", 2)
    assert run.state.main.nodes[0].outputs == {"n": [0, None, None, 3], "only": ["zero", None, None, None]}
    assert run.state.main.nodes[0].message == "1 of 4 items failed"


KINDS: list[tuple[dict[str, Any], list[str]]] = [
    ({"expr": {"id": "item + 1", "name": "'x'"}}, ["id", "name"]),
    ({"graph": {"name": "steps"}}, ["id"]),
    ({"http": {"url": "http://example.com"}}, ["status", "body"]),
    ({"resource": {"manifest": {"apiVersion": "v1", "kind": "ConfigMap"}}}, ["name", "kind", "status"]),
    ({"use": {"name": "publish"}}, ["id"]),
    ({"job": "J"}, []),
    ({"workflow": {"name": "test"}}, []),
]


@pytest.mark.parametrize(("body", "keys"), KINDS, ids=[next(iter(body)) for body, _ in KINDS])
def test_without_any_item_the_outputs_that_the_body_is_known_to_have_are_there(
    body: dict[str, Any], keys: list[str]
) -> None:
    steps = {"name": "steps", "nodes": [{"name": "work", "job": "J"}], "outputs": [{"name": "id", "value": "1"}]}
    spec = {"graphs": [steps], "nodes": [{"name": "a", "forEach": {"items": []}, **body}]}
    state, _ = advance.begin(program(spec, NODE_TYPE).main, RunContext(uid="uid"), START)
    node = state.main.nodes[0]
    assert (node.phase, node.outputs) == ("Succeeded", {key: [] for key in keys})
    assert restored(state, START).main.nodes[0].outputs == node.outputs


def test_outputs_of_items_that_all_failed_are_null() -> None:
    run = drive(
        {
            "nodes": [
                {"name": "a", "forEach": {"range": 2, "maxFailed": 2}, "expr": {"id": "1 / (index - index)"}},
                {"name": "b", "dependsOn": ["a"], "expr": {"ids": "nodes.a.outputs.id"}},
            ]
        }
    )
    a, b = run.state.main.nodes
    assert (a.phase, a.outputs) == ("Succeeded", {"id": [None, None]})
    assert (b.phase, b.outputs) == ("Succeeded", {"ids": [None, None]})
    assert restored(run.state, run.now).main.nodes[0].outputs == a.outputs


@pytest.mark.parametrize(
    ("most", "failed", "phase"), [(0, 0, "Succeeded"), (0, 1, "Failed"), (2, 2, "Succeeded"), (2, 3, "Failed")]
)
def test_how_many_items_may_fail(most: int, failed: int, phase: str) -> None:
    run = drive(each({"range": 4, "maxFailed": most}))
    for index in range(4):
        if run.state.finished:
            break
        (run.fail if index < failed else run.succeed)("a", index)
        for id_ in [id_ for id_ in run.state.active if run.state.active[id_].stage == "Stopping"]:
            run.fail("a", id_.index, reason="Stopped")
    node = run.state.main.nodes[0]
    assert node.phase == phase
    assert node.reason == ("TooManyFailedItems" if phase == "Failed" else None)


def test_a_while_gives_its_last_rounds_outputs() -> None:
    loop = {"condition": "previous.n < 3", "maxIterations": 9}
    run = drive({"nodes": [{"name": "a", "while": loop, "job": "J"}]})
    for number in (1, 2, 3):
        assert run.attempt("a").iteration == number - 1
        run.succeed("a", at=number, outputs={"n": number})
    assert run.state.main.nodes[0].outputs == {"n": 3}


def test_a_while_that_goes_on_too_long_fails() -> None:
    run = drive({"nodes": [{"name": "a", "while": {"condition": "true", "maxIterations": 2}, "job": "J"}]})
    run.succeed("a", at=1)
    run.succeed("a", at=2)
    assert run.state.main.nodes[0].reason == "MaxIterationsExceeded"


@pytest.fixture(name="room")
def room_for_two_items_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.engine.units.MAX_TOGETHER", 2 * len('{"x":"0123456789"}'))


FULL = {"x": "0123456789"}


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize("restart", [False, True])
def test_items_that_give_more_together_than_is_kept_fail(restart: bool) -> None:
    run = drive(each({"range": 3, "maxFailed": 1}))
    for index in (0, 1):
        run.succeed("a", index, outputs=FULL)
    if restart:
        run.state = restored(run.state, run.now)
    run.succeed("a", 2, outputs=FULL)
    item = run.state.main.nodes[0].units[2]
    assert (item.phase, item.reason) == ("Failed", "OutputsTooLarge")
    assert "the outputs of all items are more than" in item.message
    assert run.state.main.nodes[0].outputs == {"x": ["0123456789", "0123456789", None]}


@pytest.mark.usefixtures("room")
def test_a_rerun_counts_what_it_keeps_and_no_more() -> None:
    run = drive(each({"range": 3}))
    run.succeed("a", 0, outputs=FULL)
    run.fail("a", 1)
    run.fail("a", 2)  # it was stopped
    assert run.state.finished
    advance.restart(run.state, generation=1, mode="Failed", nodes=(), now=run.now)
    run.succeed("a", 1, outputs=FULL)
    run.succeed("a", 2, outputs=FULL)
    assert [unit.phase for unit in run.state.main.nodes[0].units.values()] == ["Succeeded", "Succeeded", "Failed"]
