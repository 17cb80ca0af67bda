"""What a run costs the API server: every write, in order. One more is a regression that thousands of runs would pay."""

from collections.abc import AsyncIterator

import pytest
from support.rig import Fate, Rig


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    rig.behave = lambda node, attempt: Fate(seconds=0.02)
    await rig.finish("w", "first")  # the revision is made once for all runs of a Workflow
    yield rig
    await rig.close()


ONE_NODE_RUN = [
    "PATCH workflowruns/status",  # what it starts with is on record before anything is created
    "POST jobs",
    "POST pods",
    "PATCH workflowruns/status",  # its end
    "POST events",
    "PATCH pods",  # the finalizer
    "DELETE jobs",
]


def writes(rig: Rig, since: int) -> list[str]:
    """The operator's requests since then that ask for a change."""
    return [
        f"{asked.method} {asked.resource.plural}{'/' + asked.subresource if asked.subresource else ''}"
        for asked in rig.api.requests[since:]
        if asked.method not in ("GET", "WATCH")
    ]


@pytest.mark.parametrize(("seconds", "more"), [(0.02, 0), (0.8, 0), (2.0, 1), (9.0, 1)])
async def test_a_one_node_run_is_seven_writes_and_one_more_where_it_lasts(rig: Rig, seconds: float, more: int) -> None:
    """That its Job has been made is told after a second: one that somebody deletes after that is not made again."""
    rig.behave = lambda node, attempt: Fate(seconds=seconds)
    since = len(rig.api.requests)
    await rig.finish("w", "second")
    assert sorted(writes(rig, since)) == sorted(ONE_NODE_RUN + ["PATCH workflowruns/status"] * more)


async def test_a_lagging_watch_costs_no_write_to_what_is_gone(rig: Rig) -> None:
    since = len(rig.api.requests)
    rig.api.before.append(lambda asked: rig.api.hold_watches() if asked.method == "DELETE" else None)
    await rig.finish("w", "second")
    rig.api.release_watches()
    await rig.clock.advance(20)
    assert sorted(writes(rig, since)) == sorted(ONE_NODE_RUN)


async def test_of_a_chain_each_further_node_is_seven_writes(rig: Rig) -> None:
    """Its Pod is deleted with its Job, so that the garbage collector has nothing to read, to ask and to delete."""
    rig.workflow("chain", "nodes: [{name: a, job: {image: i}}, {name: b, dependsOn: [a], job: {image: i}}]")
    await rig.finish("chain", "makes-the-revision")
    rig.behave = lambda node, attempt: Fate(seconds=0.8)
    since = len(rig.api.requests)
    await rig.finish("chain", "second")
    await rig.clock.advance(20)
    a_further_node = [
        "POST jobs",
        "POST pods",
        "PATCH workflowruns/status",  # what of it is due every second
        "PATCH pods",  # the finalizer
        "PATCH jobs/status",
        "DELETE pods",
        "DELETE jobs",
    ]
    assert sorted(writes(rig, since)) == sorted(ONE_NODE_RUN + a_further_node)
