"""The author of an Approval is told whether his decision counts."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.clock import START
from support.manifests import approval, run
from support.shell import World
from support.specs import compiled, node
from weft.controllers.approval_status import LONGEST_WAIT_FOR_RUN, LOOK_AGAIN_SECONDS, ApprovalStatus
from weft.controllers.approvals import decisions_for
from weft.engine import advance
from weft.engine.state import RunContext, RunState
from weft.kube.resources import APPROVALS, WORKFLOW_RUNS
from weft.kube.store import RunKey


class Approvals(World):
    def __init__(self) -> None:
        super().__init__()
        self.states: dict[RunKey, RunState] = {}
        self.writer = self.make()
        self.catalog.subscribe(APPROVALS, self.writer.on_approval)
        self.catalog.subscribe(WORKFLOW_RUNS, self.writer.on_run)
        self.uid = ""

    @property
    def run_key(self) -> RunKey:
        return RunKey("ns", self.uid)

    def make(self) -> ApprovalStatus:
        return ApprovalStatus(
            self.client, self.catalog, find_state=self.states.get, enforcement=self.enforcement, **self.tools
        )

    def start_run(self, **body: Any) -> None:
        self.uid = self.add(run(phase="Running", startTime="x"))["metadata"]["uid"]
        workflow = compiled(node("review", approval=body))
        self.states[self.run_key], _ = advance.begin(workflow, RunContext(uid=self.uid), START)

    def decide(self, name: str, **spec: Any) -> None:
        self.add(approval(name, self.uid, **spec))

    async def run_loop(self) -> None:
        """What the run loop does: takes decisions up and writes the run's status."""
        await self.sync()
        state = self.states[self.run_key]
        advance.advance(state, list(decisions_for(state, self.catalog.approvals_of(self.run_key))), self.clock.now())
        self.api.edit(WORKFLOW_RUNS, "ns", "r", lambda obj: obj["status"].update(progress=str(self.clock.now())))

    def told(self, name: str) -> str:
        status = self.status(APPROVALS, name)
        return f"{status['accepted']} {status['reason']}: {status['message']}" if status else ""


@pytest.fixture
async def world() -> AsyncIterator[Approvals]:
    world = Approvals()
    world.writer.start()
    yield world
    await world.writer.shutdown()


async def test_it_counts_once_the_run_has_taken_it_up(world: Approvals) -> None:
    world.start_run(quorum=2)
    world.decide("a")
    await world.settle()
    assert world.told("a") == ""
    await world.run_loop()
    await world.settle()
    assert world.told("a") == "True Accepted: the decision counts"


async def test_it_does_not_count_and_says_why(world: Approvals) -> None:
    world.start_run(**{"from": {"users": ["bob"]}})
    world.decide("a")
    await world.settle()
    assert world.told("a") == (
        "False Refused: the decision does not count: ann is not among those who are asked: users bob"
    )


async def test_a_verdict_is_written_once(world: Approvals) -> None:
    world.start_run(quorum=2)
    world.decide("a")
    for _ in range(3):
        await world.run_loop()
        await world.settle()
    assert len(world.api.asked("PATCH", "approvals", subresource="status")) == 1


async def test_the_run_may_become_known_later_but_not_for_ever(world: Approvals) -> None:
    world.add(approval("a", "nobody"))
    await world.settle(LONGEST_WAIT_FOR_RUN - 1)
    assert world.told("a") == ""
    await world.settle(2)
    assert "there is no run of UID nobody in this namespace" in world.told("a")


async def test_how_long_is_counted_from_when_it_was_first_seen(world: Approvals) -> None:
    """Its own time is the API server's, whose clock may be off from ours."""
    world.add(approval("a", "nobody"))
    await world.clock.advance(2 * LONGEST_WAIT_FOR_RUN)
    await world.settle(LONGEST_WAIT_FOR_RUN - 1)
    assert world.told("a") == ""


async def test_a_run_of_another_namespace_cannot_be_decided(world: Approvals) -> None:
    world.start_run()
    foreign = approval("a", world.uid)
    foreign["metadata"]["namespace"] = "other"
    world.add(foreign)
    await world.settle(LONGEST_WAIT_FOR_RUN + 1)
    (judged,) = world.api.all(APPROVALS)
    assert judged["status"]["accepted"] is False


async def test_after_the_end_the_run_tells_who_was_counted(world: Approvals) -> None:
    made = {"by": "ann", "decision": "Approve", "at": "2026-01-01T00:00:00Z"}
    nodes = [{"name": "other", "phase": "Succeeded"}, {"name": "review", "phase": "Succeeded", "decisions": [made]}]
    world.uid = world.add(run(phase="Succeeded", nodes=nodes))["metadata"]["uid"]
    world.decide("a")
    world.decide("b", by="bob")
    world.decide("c", decision="Reject")
    await world.settle()
    assert [world.told(name)[:5] for name in "abc"] == ["True ", "False", "False"]
    assert "the run has ended" in world.told("b")


async def test_a_decision_for_a_rerun_that_is_still_to_come_waits_for_it(world: Approvals) -> None:
    world.uid = world.add(run(phase="Failed", rerunGeneration=1, nodes=[{"name": "review", "phase": "Failed"}]))[
        "metadata"
    ]["uid"]
    world.decide("now", rerunGeneration=1)
    world.decide("next", rerunGeneration=2)
    await world.settle()
    assert (world.told("now")[:5], world.told("next")) == ("False", "")
    workflow = compiled(node("review", approval={"quorum": 2}))
    state, _ = advance.begin(workflow, RunContext(uid=world.uid), START)
    state.generation = 2
    world.states[world.run_key] = state
    await world.run_loop()
    await world.settle()
    assert world.told("next") == "True Accepted: the decision counts"


async def test_a_decision_for_a_rerun_that_was_refused_does_not_count(world: Approvals) -> None:
    world.uid = world.add(run(phase="Failed", nodes=[{"name": "review", "phase": "Failed"}]))["metadata"]["uid"]
    world.decide("next", rerunGeneration=1)
    await world.settle()
    world.api.edit(WORKFLOW_RUNS, "ns", "r", lambda obj: obj["status"].update(rerunGeneration=1))
    await world.settle()
    assert "the run has ended" in world.told("next")


async def test_after_the_end_a_decision_of_one_round_of_a_loop_is_found(world: Approvals) -> None:
    made = {"by": "ann", "decision": "Approve", "at": "2026-01-01T00:00:00Z"}
    nodes = [{"name": "price[1]/review", "phase": "Succeeded", "decisions": [made]}]
    world.uid = world.add(run(phase="Succeeded", nodes=nodes))["metadata"]["uid"]
    world.decide("a", node="price[1]/review")
    world.decide("b", node="price/review", index=1)
    world.decide("c", node="price/review", index=2)
    world.decide("d", node="price/review")
    await world.settle()
    assert [world.told(name)[:5] for name in "abcd"] == ["True ", "True ", "False", "False"]


async def test_a_run_that_is_not_in_hand_is_waited_for(world: Approvals) -> None:
    world.start_run(**{"from": {"users": ["bob"]}})
    state = world.states.pop(world.run_key)
    world.decide("a")
    await world.settle(100)
    assert world.told("a") == ""
    world.states[world.run_key] = state
    await world.settle(LOOK_AGAIN_SECONDS)
    assert world.told("a").startswith("False Refused")


async def test_after_a_restart_every_approval_is_looked_at(world: Approvals) -> None:
    world.start_run(**{"from": {"users": ["bob"]}})
    world.decide("a")
    await world.sync()
    restarted = world.make()
    await world.writer.shutdown()
    restarted.start()
    await world.settle()
    assert world.told("a").startswith("False Refused")
    await restarted.shutdown()


async def test_one_that_was_deleted_meanwhile_is_left_alone(world: Approvals) -> None:
    world.start_run(**{"from": {"users": ["bob"]}})
    world.decide("a")
    await world.sync()
    world.api.remove(APPROVALS, "ns", "a")
    await world.clock.advance(1)
    assert world.metrics.reconciles.labels("approvals", "error")._value.get() == 0


async def test_it_says_when_nothing_holds_an_author_to_his_own_name(world: Approvals) -> None:
    await world.enforcement.look()
    world.start_run(quorum=1)
    world.decide("a", by="boss")
    await world.settle()
    await world.run_loop()
    await world.settle()
    assert world.told("a").startswith("True Accepted: the decision counts; that it is from boss is not enforced: ")
    assert "weft-approval-author" in world.told("a")


def owners(world: Approvals, name: str) -> list[str]:
    (found,) = (one for one in world.api.all(APPROVALS) if one["metadata"]["name"] == name)
    return [f"{owner['kind']}/{owner['name']}" for owner in found["metadata"].get("ownerReferences") or ()]


async def test_one_that_was_made_by_kubectl_goes_with_its_run_as_one_that_weft_approve_made(world: Approvals) -> None:
    world.start_run(**{"from": {"users": ["bob"]}})
    world.decide("refused")
    world.decide("counts", by="bob")
    mine = approval("mine", world.uid, by="bob")
    mine["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "c"}]
    world.add(mine)
    await world.run_loop()
    await world.settle()
    assert owners(world, "refused") == owners(world, "counts") == ["WorkflowRun/r"]
    assert owners(world, "mine") == ["ConfigMap/c", "WorkflowRun/r"]
    assert world.told("counts") == "True Accepted: the decision counts"


async def test_one_that_has_its_run_for_an_owner_or_names_none_is_not_touched(world: Approvals) -> None:
    world.start_run()
    made = approval("made", world.uid)
    made["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "WorkflowRun", "name": "r", "uid": world.uid}]
    world.add(made)
    world.add(approval("astray", "nobody"))
    world.add(approval("misnamed", world.uid, run={"name": "other", "uid": world.uid}))
    await world.run_loop()
    await world.settle(LONGEST_WAIT_FOR_RUN + 1)
    assert all(world.told(name) for name in ("made", "astray", "misnamed"))
    assert not world.api.asked("PATCH", "approvals", subresource="")


async def test_without_the_right_to_do_so_whether_it_counts_is_told_all_the_same(world: Approvals) -> None:
    world.start_run()
    world.decide("a")
    world.api.fail(403, method="PATCH", plural="approvals", times=1)
    await world.run_loop()
    await world.settle()
    assert (owners(world, "a"), world.told("a")) == ([], "True Accepted: the decision counts")
