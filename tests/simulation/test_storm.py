"""The storm leaves nothing out: each fault, deed and end that the invariants are held against does happen."""

import logging
from collections import Counter
from itertools import count, islice

import pytest
from support.chaos.dice import Dice
from support.chaos.people import DEEDS
from support.chaos.plots import PLOTS, Plot, plot_of
from support.chaos.weather import REQUESTS
from support.chaos.world import simulate

SEEDS = 80
"""So many are enough for everything listed here; the rest of the seeds adds what is rarer."""

WORLD = (
    "starts", "is gone", "is killed", "is frozen", "a clock jumps", "a process hears nothing of a kind",
    "two processes believe that they lead", "watches: expire", "watches: break", "watches: bookmark",
    "dies, then it arrives", "403", "acts while no operator is there",
)  # fmt: skip
PODS = ("Running", "Succeeded", "Failed", "Failed Evicted", "Failed NodeLost", "Failed DeadlineExceeded",
        "Pending ErrImagePull", "Pending Unschedulable")  # fmt: skip
RUNS = ("Queued", "Running", "Suspended", "Succeeded", "Failed", "Cancelled", "again")
NODES = (
    "Waiting BackOff", "Waiting AwaitingApproval", "Waiting WaitingForTime", "Cancelled Stopped", "Failed Error",
    "Failed DeadlineExceeded", "Failed ExpressionError", "Failed ChildFailed", "Skipped ConditionFalse",
    "Skipped UpstreamFailed", "Skipped UpstreamSkipped", "Compensated Compensated", "Failed TooManyFailedItems",
)  # fmt: skip
DONE = {
    "decide": "ADDED Approval", "suspend": "MODIFIED WorkflowRun", "resume": "MODIFIED WorkflowRun",
    "stop": "MODIFIED WorkflowRun", "rerun": "MODIFIED WorkflowRun", "annotate": "MODIFIED Pod",
    "delete a Job": "DELETED Job", "delete a Pod": "DELETED Pod", "delete a run": "DELETED WorkflowRun",
    "edit a Workflow": "MODIFIED Workflow", "delete a Workflow": "DELETED Workflow",
    "change the queue": "MODIFIED WorkflowQueue",
}  # fmt: skip


@pytest.fixture(scope="module")
def happened() -> Counter[str]:
    logging.disable(logging.CRITICAL)
    found: Counter[str] = Counter()
    for seed in range(1, SEEDS + 1):
        found += simulate(seed).tally()
    logging.disable(logging.NOTSET)
    return found


def test_every_fault_of_the_weather_strikes(happened: Counter[str]) -> None:
    assert [kind for kind, _ in REQUESTS if not happened[f"world: {kind}"]] == []
    assert [kind for kind in WORLD if not happened[f"world: {kind}"]] == []


def test_people_do_all_they_may(happened: Counter[str]) -> None:
    assert {deed for deed, _ in DEEDS} == DONE.keys()
    assert [deed for deed, event in DONE.items() if not happened[f"user: {event}"]] == []
    assert happened["user: ADDED Job"], "nobody took a Job's name"


def test_pods_nodes_and_runs_end_in_every_way(happened: Counter[str]) -> None:
    assert [phase for phase in PODS if not happened[f"pod: {phase}"]] == []
    assert [phase for phase in RUNS if not happened[f"run: {phase}"]] == []
    assert [phase for phase in NODES if not happened[f"node: {phase}"]] == []


@pytest.mark.parametrize("plot", dict.fromkeys(PLOTS), ids=lambda plot: plot.name)
def test_the_plot_comes_to_its_point(plot: type[Plot]) -> None:
    seeds = islice((seed for seed in count(1) if plot_of(Dice(seed).of("plot")) is plot), 15)
    assert any(simulate(seed).tally()[f"world: plot: {plot.name}"] for seed in seeds)


def test_the_operator_cleans_up(happened: Counter[str]) -> None:
    assert happened["operator: deletes WorkflowRun"]
    assert happened["operator: deletes Job"]
