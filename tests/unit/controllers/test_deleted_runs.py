"""A run that somebody deletes is over, even when the watch does not tell of it: its work is not begun again."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from support.asked import Asked
from support.rig import NAMESPACE, Fate, Rig
from weft.api.objects import Key, Obj
from weft.controllers.queues import Count
from weft.kube.resources import JOBS, PODS, WORKFLOW_RUNS, WORKFLOWS, Resource


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    rig.behave = lambda node, attempt: Fate(seconds=3000)
    rig.workflow("w", "nodes: [{name: a, job: {image: i}, concurrency: {key: k}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 1)
    await rig.clock.advance(5)
    yield rig
    await rig.close()


def lose_the_deletion(rig: Rig) -> None:
    """What was deleted while kopf's watch was down: after its next listing nobody tells of it."""
    assert rig.replica is not None
    catalog = rig.replica.operator.catalog
    told, lost = catalog.apply, []

    def apply(kind: Resource, event_type: str | None, obj: Obj) -> None:
        if event_type == "DELETED" and kind is WORKFLOW_RUNS and not lost:
            lost.append(obj)
        else:
            told(kind, event_type, obj)

    catalog.apply = apply  # type: ignore[method-assign]


async def test_its_job_is_not_made_again_and_its_key_is_free(rig: Rig) -> None:
    lose_the_deletion(rig)
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "r")
    await rig.clock.advance(60)
    assert sum(rig.jobs_made().values()) == 1
    rig.behave = lambda node, attempt: Fate()
    rig.start("w", "next")
    await rig.wait(lambda: rig.ended("next"))
    assert rig.phase("next") == "Succeeded"


async def test_a_pod_whose_end_was_told_to_the_run_while_it_was_busy_and_deleted_is_let_go(rig: Rig) -> None:
    async def slow(asked: Asked) -> None:
        if (asked.method, asked.resource) == ("POST", PODS):
            await rig.clock.sleep(30.0)

    job = "job: {image: i}"
    rig.workflow(
        "busy", f"nodes: [{{name: a, {job}}}, {{name: b, wait: {{seconds: 3}}}}, {{name: c, dependsOn: [b], {job}}}]"
    )
    rig.start("busy", "other")
    await rig.clock.advance(2)
    rig.api.before.append(slow)
    await rig.clock.advance(5)
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "other")
    await rig.clock.advance(60)
    rig.api.before.remove(slow)
    await rig.clock.advance(60)
    assert [pod["metadata"]["name"][:2] for pod in rig.api.all(PODS)] == ["r-"]


async def test_another_run_of_its_name_is_a_run_of_its_own(rig: Rig) -> None:
    lose_the_deletion(rig)
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "r")
    rig.behave = lambda node, attempt: Fate()
    rig.start("w")
    await rig.wait(rig.ended)
    assert rig.phase() == "Succeeded"


async def test_a_run_that_is_there_makes_its_job_again(rig: Rig) -> None:
    rig.api.remove(JOBS, NAMESPACE, rig.api.all(JOBS)[0]["metadata"]["name"])
    await rig.clock.advance(60)
    assert sum(rig.jobs_made().values()) == 2


async def test_a_run_without_jobs_is_missed_at_its_next_status(rig: Rig) -> None:
    rig.workflow("asks", "nodes: [{name: a, wait: {seconds: 20}}]")
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "r")
    rig.start("asks", "waits")
    await rig.wait(lambda: rig.phase("waits") == "Running")
    lose_the_deletion(rig)
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "waits")
    await rig.clock.advance(60)
    assert rig.replica is not None
    assert list(rig.replica.operator.catalog.runs) == []
    assert rig.metrics.active_runs._value.get() == 0


QUEUE = "{apiVersion: weft.dev/v1alpha1, kind: WorkflowQueue, metadata: {name: q}, spec: {maxActiveRuns: 1}}"


async def delete_during(rig: Rig, method: str, kind: Resource, name: str) -> None:
    """Start a run, and delete it while such a request is under way: the watch tells before the answer comes."""

    async def gone(asked: Asked) -> None:
        if (asked.method, asked.resource, asked.name) == (method, kind, name):
            rig.api.after.remove(gone)
            rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "queued")
            for _ in range(30):  # until everybody has heard of it
                await asyncio.sleep(0)

    rig.apply(QUEUE)
    rig.api.after.append(gone)
    rig.start("w" if kind is WORKFLOW_RUNS else name, "queued", queue="q")
    await rig.clock.advance(5)


async def assert_the_queue_is_free(rig: Rig) -> None:
    assert rig.replica is not None
    assert rig.replica.operator.queues.count(Key(NAMESPACE, "q")) == Count(0, 0)
    rig.workflow("short", "nodes: [{name: a, wait: {seconds: 1}}]")
    rig.start("short", "next", queue="q")
    await rig.wait(lambda: rig.ended("next"), seconds=60)


async def test_its_place_is_free_although_its_last_status_is_answered_later(rig: Rig) -> None:
    await delete_during(rig, "PATCH", WORKFLOW_RUNS, "queued")
    await assert_the_queue_is_free(rig)


async def test_it_does_not_stand_in_line_when_its_workflow_was_asked_for_meanwhile(rig: Rig) -> None:
    rig.api.hold_watches(WORKFLOWS)
    rig.workflow("late", "nodes: [{name: a, job: {image: i}}]")
    await delete_during(rig, "GET", WORKFLOWS, "late")
    rig.api.release_watches()
    await assert_the_queue_is_free(rig)


async def test_one_that_is_deleted_in_the_foreground_goes_with_all_it_has(rig: Rig) -> None:
    """As kubectl's --cascade=foreground and Argo CD delete: the run waits for its Jobs, and these for their Pods."""
    await delete_queued(rig, policy="Foreground")
    await rig.wait(lambda: not names(rig, "queued"), seconds=60)
    await assert_the_queue_is_free(rig)


@pytest.mark.parametrize("policy", ["Foreground", "Background"])
async def test_so_does_one_that_was_deleted_while_no_operator_was_there(rig: Rig, policy: str) -> None:
    await rig.down()
    rig.api.edit(WORKFLOW_RUNS, NAMESPACE, "r", lambda run: run["metadata"].update(finalizers=["example.com/foreign"]))
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "r", policy=policy)
    await rig.clock.advance(10)
    await rig.up()
    rig.api.edit(WORKFLOW_RUNS, NAMESPACE, "r", lambda run: run["metadata"]["finalizers"].remove("example.com/foreign"))
    await rig.wait(lambda: not names(rig, "r"), seconds=60)


async def test_one_that_a_foreign_finalizer_holds_gives_its_place_back_and_its_pods_are_let_go(rig: Rig) -> None:
    hold = {"finalizers": ["example.com/foreign"]}
    rig.behave = lambda node, attempt: Fate(seconds=120)
    await start_queued(rig)
    rig.api.edit(WORKFLOW_RUNS, NAMESPACE, "queued", lambda run: run["metadata"].update(hold))
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "queued")
    await rig.clock.advance(5)
    await assert_the_queue_is_free(rig)
    await rig.clock.advance(150)
    pods = [pod for pod in rig.api.all(PODS) if pod["metadata"]["name"].startswith("queued-")]
    assert [pod["metadata"].get("finalizers") for pod in pods] == [None]
    (job,) = (job for job in rig.api.all(JOBS) if job["metadata"]["name"].startswith("queued-"))
    assert "Complete" in {condition["type"] for condition in job["status"]["conditions"]}
    assert sum(count for name, count in rig.jobs_made().items() if "queued" in name) <= 1


@pytest.mark.parametrize("policy", ["Foreground", "Background"])
async def test_one_that_is_deleted_while_its_status_is_written_keeps_no_place(rig: Rig, policy: str) -> None:
    async def gone(asked: Asked) -> None:
        if (asked.method, asked.resource, asked.name) == ("PATCH", WORKFLOW_RUNS, "queued"):
            rig.api.before.remove(gone)
            hold = {"finalizers": ["example.com/foreign"]}
            rig.api.edit(WORKFLOW_RUNS, NAMESPACE, "queued", lambda run: run["metadata"].update(hold))
            rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "queued", policy=policy)
            for _ in range(30):  # until everybody has heard of it
                await asyncio.sleep(0)

    rig.apply(QUEUE)
    rig.api.before.append(gone)
    rig.start("w", "queued", queue="q")
    await rig.clock.advance(5)
    await assert_the_queue_is_free(rig)


async def start_queued(rig: Rig) -> None:
    rig.apply(QUEUE)
    rig.workflow("one", "nodes: [{name: a, job: {image: i}}]")
    rig.start("one", "queued", queue="q")
    await rig.wait(lambda: any(name.startswith("queued-") for name in names(rig, "queued")), seconds=10)
    await rig.clock.advance(2)


async def delete_queued(rig: Rig, *, policy: str) -> None:
    await start_queued(rig)
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "queued", policy=policy)
    await rig.clock.advance(5)


def names(rig: Rig, run: str) -> list[str]:
    """What stands of the run: itself, its Jobs and its Pods."""
    found = [obj["metadata"]["name"] for kind in (WORKFLOW_RUNS, JOBS, PODS) for obj in rig.api.all(kind)]
    return [name for name in found if name == run or name.startswith(f"{run}-")]
