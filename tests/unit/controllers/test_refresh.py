"""A status shows how long its run takes, also while nothing happens: fresh for few runs, cheap for many."""

import pytest
from support.rig import Fate, Rig
from weft.controllers.writer import REFRESHES_PER_SECOND, refresh_seconds


@pytest.mark.parametrize(
    ("elapsed", "active_runs", "seconds"),
    [
        (0, 1, 10),
        (100, 1, 10),
        (101, 1, 10.1),
        (3600, 1, 360),
        (0, 50, 10),
        (0, 100, 20),
        (60, 1000, 200),
        (3600, 1000, 360),
    ],
)
def test_a_status_is_refreshed_less_often_the_longer_the_run_and_the_more_there_are(
    elapsed: float, active_runs: int, seconds: float
) -> None:
    assert refresh_seconds(elapsed, active_runs) == pytest.approx(seconds)


async def started(runs: int, fate: Fate) -> Rig:
    """So many runs at once, of one node whose Pod has that fate."""
    rig = Rig()
    rig.behave = lambda node, attempt: fate
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    await rig.up()
    for number in range(runs):
        rig.start("w", f"r{number}")
    return rig


def statuses(rig: Rig) -> int:
    """How many have been written."""
    return len(rig.api.asked("PATCH", "workflowruns", subresource="status"))


@pytest.mark.parametrize("runs", [1, 150])
async def test_runs_in_which_nothing_happens_cost_little_however_many_there_are(runs: int) -> None:
    rig = await started(runs, Fate(seconds=1000))
    await rig.clock.advance(40)
    since = statuses(rig)
    await rig.clock.advance(60)
    written = statuses(rig) - since
    assert 0.5 * min(6 * runs, 60 * REFRESHES_PER_SECOND) <= written <= 60 * REFRESHES_PER_SECOND + 10
    assert written <= 6 * runs
    await rig.close()


@pytest.mark.parametrize(("runs", "told"), [(1, 1), (50, 25)])
async def test_that_a_job_has_been_made_is_told_soon_only_where_few_runs_are_active(runs: int, told: int) -> None:
    """Beginnings and ends are told in any case. Of fifty runs at once the first do not know of the others yet."""
    rig = await started(runs, Fate(seconds=5))
    await rig.clock.advance(9)
    assert 2 * runs <= statuses(rig) <= 2 * runs + told
    await rig.close()


@pytest.mark.parametrize(("runs", "told"), [(1, 4), (100, 30)])
async def test_a_full_cluster_is_told_of_soon_only_where_few_runs_are_active(runs: int, told: int) -> None:
    """Every Pod takes half a minute to start there: that it does so, and then runs, is not one status more for each."""
    rig = await started(runs, Fate(seconds=1000, bind=36))
    await rig.clock.advance(29)
    since = statuses(rig)
    await rig.clock.advance(3)
    words = [rig.nodes(f"r{number}")["a"] for number in range(runs)]
    assert 1 <= words.count("Running(WaitingForPod)") <= told
    await rig.clock.advance(2)
    assert statuses(rig) - since <= told
    await rig.clock.advance(6)
    assert statuses(rig) - since <= 11 * REFRESHES_PER_SECOND + 10
    await rig.close()


async def test_what_is_wrong_with_a_pod_is_told_at_once_however_many_runs_are_active() -> None:
    rig = await started(100, Fate(pending=1e7, waits="ErrImagePull"))
    await rig.clock.advance(4)
    assert {rig.nodes(f"r{number}")["a"] for number in range(100)} == {"Running(ImagePullFailed)"}
    await rig.close()
