"""A run that goes on for long does not fill the cluster with ended Jobs: the newest stay, and what is to be kept."""

import pytest
from support.asked import Asked
from support.job_controller import JobController
from support.kubelet import Fate
from support.rig import Rig
from weft.controllers import thinning
from weft.kube.resources import JOBS, PODS
from weft.render.observe import JobState, job_fact

KEPT, MORE = 4, 3
JOB = "job: {image: i}"
LOOP = f"nodes: [{{name: a, while: {{condition: iteration < 19, maxIterations: 99}}, {JOB}}}]"
WIDE = f"nodes: [{{name: a, forEach: {{range: 20, maxParallel: 2}}, {JOB}}}, {{name: b, {JOB}}}]"
RETRIED = (
    "nodes: [{name: a, while: {condition: iteration < 9, maxIterations: 99}, job: {image: i},"
    " retry: {limit: 1, backoff: {initialSeconds: 0}}}]\njobs: {keep: %s}"
)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits as a test can reach them."""
    monkeypatch.setattr(thinning, "KEPT_JOBS", KEPT)
    monkeypatch.setattr(thinning, "MORE_JOBS", MORE)


async def test_the_oldest_jobs_of_a_loop_go_with_their_pods_while_it_goes_on(rig: Rig) -> None:
    assert await most_jobs(rig, LOOP) <= KEPT + MORE + 2
    assert sum(rig.jobs_made().values()) == 20
    assert not rig.api.all(JOBS)
    assert not rig.api.all(PODS)


async def test_so_do_those_of_many_items_and_what_runs_beside_them_stays(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(60.0 if node == "b" else 1.0)
    assert await most_jobs(rig, WIDE) <= KEPT + MORE + 4
    assert rig.nodes() == {"a": "Succeeded", "b": "Succeeded"}


async def test_the_newest_stay_to_be_looked_at(rig: Rig) -> None:
    made = await begun(rig, LOOP, until=18)
    standing = [job["metadata"]["name"] for job in rig.api.all(JOBS)]
    assert KEPT < len(standing) <= KEPT + MORE + 2
    assert standing == made[-len(standing) :]


async def test_where_all_are_kept_all_stay(rig: Rig) -> None:
    assert await most_jobs(rig, f"{LOOP}\njobs: {{keep: All}}") == 20


async def test_where_the_failed_are_kept_they_stay(rig: Rig) -> None:
    await first_attempts_fail(rig, "Failed")
    states = [job_fact(job).state for job in rig.api.all(JOBS)]
    assert states == [JobState.Failed] * 10


async def test_where_none_is_kept_the_failed_go_as_well(rig: Rig) -> None:
    assert await first_attempts_fail(rig, "None") <= KEPT + MORE + 2


async def test_the_many_that_stay_are_not_looked_through_for_every_three_that_end(rig: Rig) -> None:
    looked: list[int] = []
    look = thinning.jobs_to_delete
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thinning, "jobs_to_delete", lambda *args: looked.append(1) or look(*args))
        await most_jobs(rig, f"{LOOP.replace('19', '89')}\njobs: {{keep: All}}")
    assert 5 < len(looked) < 15, len(looked)


async def test_one_that_cannot_be_deleted_goes_later_and_the_run_goes_on(rig: Rig) -> None:
    rig.api.fail(500, method="DELETE", plural="jobs", times=30)
    await most_jobs(rig, LOOP)
    assert not rig.api.all(JOBS)


async def test_a_copy_that_somebody_made_of_a_job_is_left_alone(rig: Rig) -> None:
    await begun(rig, LOOP, until=2)
    (oldest, *_) = rig.api.all(JOBS)
    metadata = {**oldest["metadata"], "name": "copy"}
    for given in ("uid", "resourceVersion"):
        metadata.pop(given)
    rig.api.add({**oldest, "metadata": metadata})
    await rig.wait(lambda: sum(rig.jobs_made().values()) >= 18)
    names = {job["metadata"]["name"] for job in rig.api.all(JOBS)}
    assert "copy" in names
    assert oldest["metadata"]["name"] not in names


async def test_nobody_asks_whether_the_run_was_deleted_because_we_deleted_its_jobs(rig: Rig) -> None:
    async def the_watch_is_faster(it: Asked) -> None:
        if (it.method, it.resource) == ("DELETE", JOBS):
            await rig.clock.sleep(0.5)

    rig.api.after.append(the_watch_is_faster)
    await most_jobs(rig, LOOP)
    assert [it for it in rig.api.asked("GET", "workflowruns") if it.name] == []


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("requests", range(20, 110, 9))
async def test_a_death_at_any_moment_neither_loses_nor_repeats_anything(rig: Rig, requests: int, late: bool) -> None:
    rig.crash_after(requests, late=late)
    assert await most_jobs(rig, LOOP) <= 2 * (KEPT + MORE)
    assert rig.crashes == 1
    assert sum(rig.jobs_made().values()) == 20


async def test_the_built_in_controllers_jobs_go_in_the_same_way() -> None:
    rig = Rig(job_controller="builtin")
    controller = JobController(rig.api, rig.clock)
    try:
        assert await most_jobs(rig, LOOP) <= KEPT + MORE + 3
        assert sum(rig.jobs_made().values()) == 20
    finally:
        await controller.close()
        await rig.close()


async def first_attempts_fail(rig: Rig, keep: str) -> int:
    rig.behave = lambda node, attempt: Fate(code=attempt % 2)
    most = await most_jobs(rig, RETRIED % keep)
    assert sum(rig.jobs_made().values()) == 20
    return most


async def begun(rig: Rig, spec: str, *, until: int) -> list[str]:
    """Begin a run and let it make so many Jobs; gives their names, oldest first."""
    rig.workflow("w", spec)
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: sum(rig.jobs_made().values()) == until)
    return [e.obj["metadata"]["name"] for e in rig.api.history if e.resource is JOBS and e.type == "ADDED"]


async def most_jobs(rig: Rig, spec: str) -> int:
    """Play a run to its end, which nothing may cost an attempt; gives how many Jobs stood at one time at the most."""
    rig.workflow("w", spec)
    await rig.up()
    rig.start("w")
    most = 0

    def ended() -> bool:
        nonlocal most
        most = max(most, len(rig.api.all(JOBS)))
        return rig.ended()

    await rig.wait(ended)
    await rig.clock.advance(10)
    assert rig.phase() == "Succeeded", rig.state()
    assert set(rig.jobs_made().values()) == {1}
    return most
