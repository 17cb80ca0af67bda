"""The status stays below 1 MiB whatever the run's size, its end is always written, and a run is restored from it.

Worst cases on purpose: names as long as they may be, outputs as large as they may be, long messages, and nothing that
compresses well.
"""

import random
from collections import Counter
from typing import Any
from unittest.mock import patch

import orjson
import pytest
import yaml
from support.engine import START, Driven, drive
from support.numbers import through_go
from weft.engine import advance, budget, restore, snapshot, status
from weft.engine.actions import Action, Start
from weft.engine.observation import AttemptEnded
from weft.engine.state import RunState, Unit
from weft.notify.events import EventKind, events_between
from weft.notify.outbox import MAX_NODE_DELIVERIES

MIB = 1024 * 1024
NODES = 10_000


class Store:
    """The run's status and ConfigMaps as the API server would hold them."""

    def __init__(self) -> None:
        self.status: dict[str, Any] = {}
        self.config_maps: dict[str, bytes] = {}

    def write(self, run: Driven) -> dict[str, Any]:
        written = status.make(run.state, previous=self.status, generation=1, now=run.now)
        named = self._missing({}) | self._missing(self.chunks())
        for name, data in written.chunks.items():
            assert name not in named, f"{name} is named by the stored status and must not change"
            self.config_maps[name] = orjson.dumps(data)
            assert len(self.config_maps[name]) < MIB
        text = orjson.dumps(written.status)
        assert len(text) <= budget.MAX_STATUS
        self.status = through_go(orjson.loads(text))
        return self.status

    def _missing(self, chunks: dict[str, Any]) -> set[str]:
        return budget.chunk_names(self.status, chunks) if self.status else set()

    def chunks(self) -> dict[str, Any]:
        """What the status needs, fetched as it says."""
        found: dict[str, Any] = {}
        while missing := self._missing(found):
            found |= {name: orjson.loads(self.config_maps[name]) for name in missing}
        return found

    def restored(self, run: Driven) -> RunState:
        nodes = budget.read_nodes(self.status, self.chunks())
        return restore.restore(run.state.workflow, run.state.context, self.status, nodes, start=START)


CHANCE = random.Random(1)


def noise(length: int) -> str:
    return CHANCE.randbytes(length // 2 + 1).hex()[:length]


def long_name(number: int) -> str:
    return f"n{number}-".ljust(8, "x") + noise(55)


def shape(kind: str) -> dict[str, Any]:
    if kind == "forEach":
        return {"nodes": [{"name": long_name(0), "allowFailure": True, "forEach": {"range": NODES}, "job": "J"}]}
    names = [long_name(number) for number in range(NODES)]
    nodes: list[dict[str, Any]] = [{"name": name, "job": "J", "allowFailure": True} for name in names]
    for number, node in enumerate(nodes[1:], start=1):
        node["dependsOn"] = [names[number - 1 if kind == "chain" else 0]]
    return {"nodes": nodes}


def run_through(run: Driven, *, succeeded: bool, until: int = NODES) -> None:
    """Let so many attempts end, each with all the text it may have."""
    queue = [action for action in run.actions if isinstance(action, Start)]
    for done, action in enumerate(queue):
        if done == until:
            return
        run.now = round(run.now + CHANCE.random(), 3)
        seen = AttemptEnded(
            action.id, run.now, succeeded, reason=None if succeeded else "Error", exit_code=0 if succeeded else 1,
            message="" if succeeded else noise(1000), text=f"v={noise(4000)}",
        )  # fmt: skip
        asked: list[Action] = advance.advance(run.state, [seen], run.now).actions
        queue.extend(action for action in asked if isinstance(action, Start))


@pytest.mark.no_cover  # thousands of nodes: watching each line would double its time
@pytest.mark.parametrize("succeeded", [True, False], ids=["succeed", "fail"])
@pytest.mark.parametrize("kind", ["chain", "fan-out", "forEach"])
def test_ten_thousand_nodes_fit_and_come_back(kind: str, succeeded: bool) -> None:
    run, store = drive(shape(kind)), Store()
    store.write(run)
    run_through(run, succeeded=succeeded, until=NODES // 2)
    store.write(run)
    half = store.restored(run)
    assert phases(half) == phases(run.state)
    run = Driven(half, restore.resume(half, run.now).actions)
    run.now = max(run.now, START + NODES)
    in_flight = [unit for id_, unit in half.active.items() if id_.attempt]
    run.actions = [Start(unit.id, "job", unit.node, None) for unit in in_flight]
    run_through(run, succeeded=succeeded)
    assert run.state.finished
    found = store.write(run)
    assert {c["type"]: c["status"] for c in found["conditions"]}["Finished"] == "True"
    again = store.restored(run)
    assert phases(again) == phases(run.state)
    assert outputs(again) == outputs(run.state)


def phases(state: RunState) -> list[tuple[str, str, str, int]]:
    return [(unit.place, unit.owner.phase, unit.phase, unit.attempt) for unit in units(state)]


def outputs(state: RunState) -> list[Any]:
    return [unit.outputs for unit in units(state)]


def units(state: RunState) -> list[Unit]:
    found = [unit for node in state.main.nodes for unit in node.units.values()]
    return sorted(found, key=lambda unit: (unit.path, unit.index or 0))


def test_entries_of_what_has_ended_are_made_once() -> None:
    run = drive({"nodes": [{"name": name, "job": "J"} for name in "abc"]})
    run.succeed("a", at=1)
    before = status.make(run.state, previous={}, generation=1, now=run.now).status["nodes"]
    after = status.make(run.state, previous={}, generation=1, now=run.now).status["nodes"]
    assert [one is other for one, other in zip(before, after, strict=True)] == [True, False, False]


def test_what_is_active_or_has_failed_stays_readable_in_a_packed_status() -> None:
    nodes = [{"name": f"n{number}", "job": "J", "allowFailure": True} for number in range(400)]
    run, store = drive({"nodes": nodes}), Store()
    for number in range(398):
        run.succeed(f"n{number}", at=number)
    run.fail("n398", at=400, message="disk full")
    with patch.object(budget, "MAX_ENTRIES", 1000):
        found = store.write(run)
    first = [(entry["name"], entry["phase"]) for entry in found["nodes"][:2]]
    assert first == [("n398", "Failed"), ("n399", "Running")]
    assert found["nodes"][0]["message"] == "disk full"
    assert len(found["nodes"]) == budget.MAX_SHOWN
    assert len(budget.read_nodes(found, {})) == 400


@pytest.mark.parametrize(
    ("failed", "running", "asking"), [(400, 0, 1), (0, 400, 1), (1, 0, 400), (400, 400, 400), (10, 400, 10)]
)
def test_in_a_packed_status_neither_failures_nor_questions_hide_the_others(
    failed: int, running: int, asking: int
) -> None:
    bad, slow, review = (
        [f"{word}{number}" for number in range(many)]
        for word, many in (("bad", failed), ("slow", running), ("review", asking))
    )
    jobs: list[dict[str, Any]] = [{"name": name, "job": "J", "allowFailure": True} for name in bad + slow]
    run, store = drive({"nodes": jobs + [{"name": name, "approval": {}} for name in review]}), Store()
    for name in bad:
        run.fail(name, at=1)
    with patch.object(budget, "MAX_ENTRIES", 1000):
        found = store.write(run)
    metadata = {"namespace": "n", "name": "r", "uid": "u"}
    told = Counter(event.kind for event in events_between({}, found, {"metadata": metadata, "spec": {}}))
    for kind, many in ((EventKind.NodeFailed, failed), (EventKind.ApprovalRequested, asking)):
        assert told[kind] >= min(many, MAX_NODE_DELIVERIES)


@pytest.mark.parametrize("whole", [False, True], ids=["text", "whole doubles"])
def test_small_outputs_stay_in_their_entries_and_many_move_out_together(whole: bool) -> None:
    run, store = drive({"nodes": [{"name": f"n{number}", "job": "J"} for number in range(60)]}), Store()
    for number in range(60):
        run.succeed(f"n{number}", at=number, outputs={"v": [5.0] * 750 if whole else noise(3000)})
        store.write(run)
    assert len(store.config_maps) == 1
    entries = store.status["nodes"]
    assert {entry.get("outputsIn") for entry in entries} == {None, "outputs-0"}
    assert sum(len(orjson.dumps(entry.get("outputs"))) for entry in entries) < budget.MAX_INLINE_OUTPUTS
    assert repr(outputs(store.restored(run))) == repr(outputs(run.state))


def test_a_chunk_that_is_gone_leaves_its_outputs_absent() -> None:
    run, store = drive({"nodes": [{"name": "a", "job": "J"}, {"name": "b", "job": "J"}]}), Store()
    run.succeed("a", at=1, outputs={"v": 1})
    with patch.object(budget, "MAX_INLINE_OUTPUTS", 0):
        store.write(run)
    entry = budget.read_nodes(store.status, {})[0]
    assert (entry["phase"], entry.get("outputs")) == ("Succeeded", None)


def test_a_status_that_no_packing_makes_small_moves_out_by_turns() -> None:
    names = [long_name(number) for number in range(50)]
    run, store = drive({"nodes": [{"name": name, "job": "J"} for name in names]}), Store()
    with patch.object(budget, "MAX_STATUS", 2500), patch.object(budget, "MAX_CHUNK", 300):
        for number, name in enumerate(names):
            run.succeed(name, at=number)
            store.write(run)  # asserts that what the stored status names is left alone
            assert phases(store.restored(run)) == phases(run.state)
    assert store.status["compressedNodesIn"]
    assert {name.rpartition("-")[0] for name in store.config_maps} == {"nodes-a", "nodes-b"}


@pytest.mark.parametrize("size", [200_000, 255 * 1024])
def test_large_outputs_of_nodes_and_of_the_run(size: int) -> None:
    spec = {
        "nodes": [{"name": "a", "http": {"url": "http://x.test/"}}, {"name": "b", "dependsOn": ["a"], "job": "J"}],
        "outputs": [{"name": "v", "value": "nodes.a.outputs.body"}],
    }
    run, store = drive(spec), Store()
    run.succeed("a", at=1, outputs={"status": 200, "body": [None, noise(size)]})
    run.succeed("b", at=2)
    found = store.write(run)
    assert found["phase"] == "Succeeded"
    assert store.restored(run).outputs == run.state.outputs


def test_very_many_failures_are_told_in_few_words() -> None:
    spec = {"failurePolicy": "Continue", "nodes": [{"name": f"n{number}", "job": "J"} for number in range(2000)]}
    run, store = drive(spec | {"finally": [{"name": "f", "job": "J"}]}), Store()
    run_through(run, succeeded=False, until=2000)
    found = store.write(run)
    assert found["conditions"][0]["reason"] == "RunningFinally"
    assert len(run.state.failures) == 100
    assert len(run.state.message) < 5000


def test_failures_are_told_in_full_after_a_restart_though_the_status_has_no_room_for_them() -> None:
    nodes = [{"name": f"n{number}", "job": "J"} for number in range(3)]
    run = drive({"failurePolicy": "Continue", "nodes": nodes, "finally": [{"name": "f", "job": "J"}]})
    store = Store()
    for number in range(3):
        run.fail(f"n{number}", at=number, message=noise(200))
    with patch.multiple(budget, MAX_ENTRIES=0, MESSAGE_ROOM=30):
        store.write(run)
    assert store.restored(run).failures == run.state.failures


UNDOABLE = """
nodes:
- {name: each, forEach: {items: params.l}, job: J, compensate: {job: J}}
- {name: deep, forEach: {items: params.l}, graph: {name: g, parameters: {p: "${{ item }}"}}}
graphs:
- name: g
  parameters: [{name: p, type: string}]
  nodes: [{name: a, job: J, compensate: {job: J}}]
parameters: [{name: l, type: array}]
"""


def undoable(items: list[str]) -> Driven:
    run = drive(yaml.safe_load(UNDOABLE), params={"l": items})
    for index in range(len(items)):
        run.succeed("each", index, at=1)
        run.succeed(f"deep[{index}]/a", at=2)
    return run


def given(state: RunState) -> list[Any]:
    each, deep = state.main.nodes
    return [unit.value for unit in each.units.values()] + [unit.child.params for unit in deep.units.values()]


@pytest.mark.parametrize(
    ("size", "room", "kept"), [(4000, 256_000, 8), (5000, 256_000, 0), (4000, 9000, 2), (4000, 0, 0)]
)
def test_what_was_given_is_kept_as_far_as_there_is_room_and_computed_again_beyond(
    size: int, room: int, kept: int
) -> None:
    run, store = undoable([noise(size) for _ in range(4)]), Store()
    with patch.object(budget, "GIVEN_ROOM", room):
        store.write(run)
    keys = [key for entry in store.status["nodes"] for item in entry.get("items", ()) for key in item]
    assert sum(key in ("value", "parameters") for key in keys) == kept
    assert given(store.restored(run)) == given(run.state)


def test_a_status_written_before_that_was_kept_is_read_as_ever() -> None:
    run, store = undoable(["x", "y"]), Store()
    with patch.object(snapshot, "MAX_GIVEN", 0):
        store.write(run)
    assert b'"value"' not in orjson.dumps(store.status)
    assert given(store.restored(run)) == given(run.state) == ["x", "y", {"p": "x"}, {"p": "y"}]


def test_only_what_may_have_to_be_undone_is_kept() -> None:
    spec = yaml.safe_load(UNDOABLE)
    del spec["nodes"][0]["compensate"], spec["graphs"][0]["nodes"][0]["compensate"]
    run, store = drive(spec, params={"l": ["x"]}), Store()
    run.succeed("each", 0, at=1)
    items = [item for entry in store.write(run)["nodes"] for item in entry.get("items", ())]
    assert items
    assert all(item.keys().isdisjoint(("value", "parameters")) for item in items)
