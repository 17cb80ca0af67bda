"""How a run begins or does not: what it needs may come after it, and whoever stops or suspends it is heard first."""

import pytest
from support.rig import NAMESPACE, Fate, Rig
from weft.kube.resources import CONTROLLER_REVISIONS, EVENTS, NODE_TYPES, WORKFLOW_RUNS, WORKFLOWS, Resource

NODES = "nodes: [{name: a, job: {image: i}}]"
TYPED = "nodes: [{name: a, use: {name: t}}]"
TYPE = "{apiVersion: weft.dev/v1alpha1, kind: NodeType, metadata: {name: t}, spec: {job: {image: i}}}"


@pytest.mark.parametrize("seconds", [0, 3])
async def test_a_workflow_that_comes_after_its_run_is_taken_at_once(rig: Rig, seconds: float) -> None:
    await rig.up()
    rig.start("w")
    await rig.clock.advance(seconds)
    rig.workflow("w", NODES)
    await rig.wait(rig.ended, seconds=5)
    assert rig.phase() == "Succeeded"


async def test_so_is_one_of_which_the_watch_has_not_told(rig: Rig) -> None:
    await rig.up()
    rig.api.hold_watches(WORKFLOWS)
    rig.workflow("w", NODES)
    rig.start("w")
    await rig.wait(rig.ended, seconds=5)
    assert rig.phase() == "Succeeded"


async def test_a_node_type_may_come_later_too(rig: Rig) -> None:
    await rig.up()
    rig.workflow("w", TYPED)
    rig.start("w")
    await rig.clock.advance(3)
    assert rig.phase() == "Queued"
    assert "there is no NodeType t" in rig.run()["status"]["conditions"][0]["message"]
    rig.apply(TYPE)
    await rig.wait(rig.ended, seconds=5)
    assert rig.phase() == "Succeeded"


async def test_or_not_have_been_told_of(rig: Rig) -> None:
    await rig.up()
    rig.api.hold_watches(NODE_TYPES)
    rig.apply(TYPE)
    rig.workflow("w", TYPED)
    rig.start("w")
    await rig.wait(rig.ended, seconds=5)
    assert rig.phase() == "Succeeded"


async def test_how_long_is_measured_by_the_operators_own_clock(rig: Rig) -> None:
    await rig.up()
    assert rig.replica is not None
    rig.replica.clock.skew = 40.0
    rig.start("w")
    await rig.clock.advance(20)
    assert rig.phase() == "Queued"
    rig.workflow("w", NODES)
    await rig.wait(rig.ended, seconds=5)
    assert rig.phase() == "Succeeded"


@pytest.mark.parametrize(("nodes", "reason"), [(None, "WorkflowNotFound"), (TYPED, "InvalidWorkflow")])
async def test_what_never_comes_is_not_waited_for_for_ever(rig: Rig, nodes: str | None, reason: str) -> None:
    await rig.up()
    if nodes is not None:
        rig.workflow("w", nodes)
    rig.start("w")
    await rig.wait(rig.ended, seconds=40)
    assert rig.phase() == "Failed"
    assert rig.run()["status"]["conditions"][0]["reason"] == reason
    numbers = rig.metrics.exposition().decode()
    assert 'weft_runs_total{outcome="Failed"} 1.0' in numbers
    assert "weft_run_duration_seconds_count" not in numbers


ONE_AT_A_TIME = (
    "{apiVersion: weft.dev/v1alpha1, kind: WorkflowQueue, metadata: {name: default}, spec: {maxActiveRuns: 1}}"
)
REPLACED = [
    pytest.param(WORKFLOWS, "w", "WorkflowNotFound", id="its Workflow"),
    pytest.param(NODE_TYPES, "t", "InvalidWorkflow", id="a NodeType"),
]


async def _lose_at_its_turn(rig: Rig, kind: Resource, name: str) -> None:
    """A run has waited for its turn for longer than it would wait for what it needs; that goes just before."""
    rig.behave = lambda node, attempt: Fate(seconds=100)
    rig.apply(ONE_AT_A_TIME)
    rig.apply(TYPE)
    rig.workflow("w", TYPED)
    await rig.up()
    rig.start("w", "first")
    await rig.clock.advance(5)
    rig.start("w")
    await rig.clock.advance(90)
    assert (rig.phase("first"), rig.phase()) == ("Running", "Queued")
    rig.api.remove(kind, NAMESPACE, name)
    await rig.wait(lambda: rig.ended("first"), seconds=30)


@pytest.mark.parametrize(("kind", "name", "reason"), REPLACED)
async def test_a_run_whose_turn_comes_while_something_is_being_replaced_waits_for_it(
    rig: Rig, kind: Resource, name: str, reason: str
) -> None:
    await _lose_at_its_turn(rig, kind, name)
    await rig.clock.advance(5)
    condition = rig.run()["status"]["conditions"][0]
    assert (rig.phase(), condition["reason"]) == ("Queued", reason)
    rig.workflow("w", TYPED) if kind is WORKFLOWS else rig.apply(TYPE)
    await rig.wait(rig.ended, seconds=120)
    assert rig.phase() == "Succeeded"


@pytest.mark.parametrize(("kind", "name", "reason"), REPLACED)
async def test_but_not_for_ever(rig: Rig, kind: Resource, name: str, reason: str) -> None:
    await _lose_at_its_turn(rig, kind, name)
    await rig.clock.advance(25)
    assert rig.phase() == "Queued"
    await rig.wait(rig.ended, seconds=10)
    assert (rig.phase(), rig.run()["status"]["conditions"][0]["reason"]) == ("Failed", reason)


async def test_an_end_that_cannot_be_written_at_once_is_not_put_off(rig: Rig) -> None:
    await rig.up()
    rig.start("w")
    await rig.clock.advance(20)
    rig.api.fail(403, method="PATCH", plural="workflowruns", subresource="status", name="r")
    await rig.wait(rig.ended, seconds=20)
    assert rig.phase() == "Failed"


async def test_a_run_of_the_same_name_has_missed_nothing_yet(rig: Rig) -> None:
    await rig.up()
    rig.start("w")
    await rig.clock.advance(20)
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "r")
    rig.start("w")
    await rig.clock.advance(25)
    assert rig.phase() == "Queued"
    await rig.wait(rig.ended, seconds=10)
    assert rig.phase() == "Failed"


async def test_a_rerun_of_one_that_has_failed_waits_anew(rig: Rig) -> None:
    await rig.up()
    rig.start("w")
    await rig.wait(rig.ended, seconds=40)
    await rig.clock.advance(60)
    rig.edit(rerun={"generation": 1, "from": "All"})
    await rig.clock.advance(20)
    assert rig.phase() == "Queued"
    rig.workflow("w", NODES)
    await rig.wait(rig.ended, seconds=5)
    assert rig.phase() == "Succeeded"


async def test_a_run_that_is_stopped_before_its_workflow_is_there_ends_at_once(rig: Rig) -> None:
    await rig.up()
    rig.start("w", stop="Cancel")
    await rig.wait(rig.ended, seconds=2)
    assert rig.phase() == "Cancelled"


async def test_one_that_is_suspended_says_so_and_does_not_fail(rig: Rig) -> None:
    await rig.up()
    rig.start("w", suspend=True)
    await rig.clock.advance(60)
    assert rig.phase() == "Suspended"
    rig.workflow("w", NODES)
    rig.edit(suspend=False)
    await rig.wait(rig.ended, seconds=5)
    assert rig.phase() == "Succeeded"


@pytest.mark.parametrize(
    ("spec", "event"),
    [
        ({"parameters": {"n": "x"}}, "Warning RunFailed"),
        ({"stop": "Cancel"}, "Warning RunCancelled"),
    ],
)
async def test_a_run_that_never_began_has_its_event_too(rig: Rig, spec: dict[str, object], event: str) -> None:
    rig.workflow("w", NODES)
    await rig.up()
    rig.start("w", **spec)
    await rig.wait(rig.ended, seconds=5)
    await rig.clock.advance(5)
    told = [f"{each['type']} {each['reason']}" for each in rig.api.all(EVENTS)]
    assert event in told


async def test_a_run_whose_frozen_spec_this_version_does_not_take_ends_and_says_why(rig: Rig) -> None:
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}, {name: b, dependsOn: [a], wait: {seconds: 600}}]")
    await rig.up()
    rig.start("w")
    await rig.clock.advance(10)
    await rig.down()
    (revision,) = rig.api.all(CONTROLLER_REVISIONS)
    rig.api.remove(CONTROLLER_REVISIONS, "n", revision["metadata"]["name"])
    revision["data"]["workflow"]["nodes"][1]["wait"] = {"seconds": -1}
    rig.api.add(revision)
    await rig.up()
    await rig.wait(rig.ended, seconds=10)
    condition = rig.run()["status"]["conditions"][0]
    assert (rig.phase(), condition["reason"]) == ("Failed", "InvalidWorkflow")
    assert condition["message"].startswith("it cannot go on: ")
    assert "spec.nodes[1].wait.seconds" in condition["message"]
    assert rig.nodes() == {"a": "Succeeded", "b": "Cancelled(InvalidWorkflow)"}
