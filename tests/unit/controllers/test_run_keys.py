"""Concurrency keys of runs, above all after a restart: held as long as a Pod uses them, and then free."""

from collections.abc import Callable

import pytest
from support.asked import Asked
from support.rig import NAMESPACE, Fate, Rig, most_at_once
from weft.api.objects import Obj
from weft.kube.resources import CONTROLLER_REVISIONS, JOBS, PODS, WORKFLOW_RUNS
from weft.kube.store import run_uid_of


async def test_a_rerun_that_ends_at_once_ends_although_it_was_given_a_key(rig: Rig) -> None:
    """The key comes when the run has failed: that is no reason to begin anew."""
    rig.workflow("w", "nodes: [{name: a, concurrency: {key: k}, job: {image: i}}, {name: b, expr: {x: '{}.nothing'}}]")
    await rig.finish("w")
    rig.edit(rerun={"generation": 1, "from": "All"})
    await rig.wait(lambda: rig.ended() and rig.run()["status"].get("rerunGeneration") == 1, seconds=30)
    assert rig.phase() == "Failed"


async def stopped_while_no_operator_is_there(fate: Callable[[int], Fate]) -> Rig:
    """A run whose Pod runs and has a key, as the next operator finds it."""
    rig = Rig(status_interval_seconds=60.0)
    rig.behave = lambda node, attempt: fate(attempt)
    rig.workflow("w", "nodes: [{name: a, concurrency: {key: k}, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: [pod["status"]["phase"] for pod in rig.api.all(PODS)] == ["Running"])
    await rig.down()
    rig.edit(stop="Cancel")
    return rig


async def test_a_pod_of_which_no_status_told_is_stopped_with_its_run_and_counted() -> None:
    """The gate of its key is asked anew after a restart, and the stop comes before the answer."""
    rig = await stopped_while_no_operator_is_there(lambda attempt: Fate(seconds=3000 if attempt == 1 else 1))
    await rig.up()
    await rig.wait(lambda: rig.ended(), seconds=60)
    assert [pod["status"]["phase"] for pod in rig.api.all(PODS)] == ["Failed"]
    rig.edit(stop=None, rerun={"generation": 1, "from": "All"})
    await rig.wait(lambda: rig.phase() == "Succeeded", seconds=60)
    assert rig.run()["status"]["nodes"][0]["attempts"] == 2
    await rig.close()


async def test_a_key_is_not_free_before_the_pod_that_is_stopped_after_a_restart_has_ended() -> None:
    """No status had told of it; another run waits for the key."""
    rig = await stopped_while_no_operator_is_there(lambda attempt: Fate(seconds=3000, deaf=True))
    rig.start("w", "r2")
    await rig.up()
    await rig.clock.advance(30)
    assert len(rig.api.all(PODS)) == 1
    rig.kubelet.calm.set()
    await rig.wait(lambda: rig.ended(), seconds=60)
    await rig.wait(lambda: len(rig.api.all(PODS)) == 2, seconds=60)
    await rig.close()


async def test_a_key_is_not_free_while_a_pod_runs_whose_job_somebody_deleted_while_no_operator_was_there() -> None:
    """No status had told of it, and another run, older than its own, asks first."""
    rig = Rig(status_interval_seconds=60.0)
    rig.behave = lambda node, attempt: Fate(seconds=3000, deaf=True)
    rig.workflow("w", "nodes: [{name: a, concurrency: {key: k}, job: {image: i}}]")
    rig.start("w", "older", suspend=True)
    await rig.up()
    await rig.wait(lambda: rig.phase("older") == "Suspended")
    rig.start("w")
    await rig.wait(lambda: [pod["status"]["phase"] for pod in rig.api.all(PODS)] == ["Running"])
    rig.edit("older", suspend=False)
    await rig.clock.advance(1)
    await rig.down()
    (job,) = rig.api.all(JOBS)
    rig.api.remove(JOBS, NAMESPACE, job["metadata"]["name"])
    rig.edit(stop="Cancel")
    await rig.up()
    await rig.clock.advance(30)
    rig.kubelet.calm.set()
    await rig.wait(lambda: rig.ended() and len(rig.api.all(PODS)) == 1, seconds=60)
    await rig.wait(lambda: rig.nodes("older") == {"a": "Running"}, seconds=60)
    assert most_at_once(rig) == 1
    await rig.close()


def _deleted(rig: Rig) -> None:
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "r")


def _ended(rig: Rig) -> None:
    """The last status that a dead process wrote arrives."""
    conditions = [{"type": "Finished", "status": "True", "reason": "Succeeded"}]
    told = {"phase": "Succeeded", "conditions": conditions, "completionTime": "2023-11-14T22:13:40Z"}
    rig.api.edit(WORKFLOW_RUNS, NAMESPACE, "r", lambda run: run["status"].update(told))


@pytest.mark.parametrize("over", [_deleted, _ended])
async def test_a_key_is_free_when_the_run_that_had_it_is_over_before_it_was_read_after_a_restart(
    over: Callable[[Rig], None],
) -> None:
    """One worker, and another run is read first."""
    rig = Rig(workers=1)
    rig.behave = lambda node, attempt: Fate(seconds=5)
    rig.workflow("slow", "nodes: [{name: a, wait: {seconds: 3000}}]")
    rig.workflow("w", "nodes: [{name: a, concurrency: {key: k}, job: {image: i}}]")
    rig.start("slow", "older")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: [pod["status"]["phase"] for pod in rig.api.all(PODS)] == ["Running"])
    await rig.down()
    await restarted_while_reading_slowly(rig, lambda: over(rig))
    rig.start("w", "next")
    await rig.wait(lambda: rig.ended("next"), seconds=60)
    assert all(not pod["metadata"].get("finalizers") for pod in rig.api.all(PODS) if "r-a" in pod["metadata"]["name"])
    await rig.close()


async def test_a_key_is_free_when_what_it_was_lent_to_is_deleted_before_its_run_was_read_after_a_restart() -> None:
    """Both nodes have had the key and no status tells of it: the first has to run again, before the second."""
    rig = Rig(workers=1, status_interval_seconds=60.0)
    rig.behave = lambda node, attempt: Fate(seconds=1)
    keyed = "job: {image: i}, concurrency: {key: k}"
    rig.workflow("slow", "nodes: [{name: a, wait: {seconds: 3000}}]")
    rig.workflow("w", f"nodes: [{{name: a, {keyed}}}, {{name: b, dependsOn: [a], {keyed}}}]")
    rig.start("slow", "older")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 2)
    await rig.down()
    delete_first_job(rig)
    await rig.clock.advance(5)
    await restarted_while_reading_slowly(rig, lambda: delete_first_job(rig))
    await rig.wait(lambda: rig.ended(), seconds=60)
    assert set(rig.nodes().values()) == {"Succeeded"}
    await rig.close()


def delete_first_job(rig: Rig) -> None:
    """Somebody deletes it, and its Pod is let go of."""
    rig.delete_job(min(rig.api.all(JOBS), key=lambda job: int(job["metadata"]["resourceVersion"])))


async def restarted_while_reading_slowly(rig: Rig, act: Callable[[], object]) -> None:
    """The one worker reads the older run, and meanwhile somebody does something to the other."""

    async def read_slowly(asked: Asked) -> None:
        if (asked.method, asked.resource) == ("GET", CONTROLLER_REVISIONS) and asked.name.startswith("slow"):
            rig.api.before.remove(read_slowly)
            act()
            await rig.clock.sleep(10)

    rig.api.before.append(read_slowly)
    await rig.up()
    await rig.clock.advance(20)


async def test_a_key_that_two_had_before_a_restart_is_used_by_one_after_the_other() -> None:
    """The second got it when the first was done; no status told of that, and the first one's result is lost."""
    rig = Rig(status_interval_seconds=5.0)
    rig.behave = lambda node, attempt: Fate(seconds=20 if node == "b" else 6)
    key = "concurrency: {key: k}, retry: {disruptions: 1}, job: {image: i}"
    rig.workflow("first", f"nodes: [{{name: a, {key}}}, {{name: c, dependsOn: [a], wait: {{seconds: 9}}}}]")
    rig.workflow("second", f"nodes: [{{name: b, {key}}}]")
    await rig.up()
    rig.start("first", "r1")
    await rig.wait(lambda: rig.phase("r1") == "Running" and rig.nodes("r1")["a"] == "Running")
    rig.start("second", "r2")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 2)
    await rig.down()
    assert rig.nodes("r1")["a"] == "Running"
    for job in rig.api.all(JOBS):
        if job["metadata"]["name"].startswith("r1"):
            rig.delete_job(job)
    await rig.up()
    await rig.wait(lambda: rig.ended("r1") and rig.ended("r2"), seconds=120)
    assert (rig.phase("r1"), rig.phase("r2")) == ("Succeeded", "Succeeded")
    assert most_at_once(rig) == 1
    await rig.close()


async def test_a_key_is_not_kept_for_a_job_whose_pod_is_gone(rig: Rig) -> None:
    """The Job stands until its run has ended, and names the key its attempt had."""
    rig.behave = lambda node, attempt: Fate(seconds=20 if node == "b" else 1)
    node = "job: {image: i}, concurrency: {key: k}"
    wait = "job: {image: i}"
    rig.workflow("w", f"nodes: [{{name: a, {node}}}, {{name: b, {wait}}}, {{name: c, dependsOn: [b], {node}}}]")
    await rig.up()
    rig.start("w")
    await rig.clock.advance(3)
    assert rig.nodes()["a"] == "Succeeded"
    await rig.clock.advance(2)
    names = [pod["metadata"]["name"] for pod in rig.api.all(PODS)]
    rig.api.remove(PODS, NAMESPACE, next(name for name in names if "-a-" in name))
    await rig.down()
    await rig.up()
    await rig.wait(lambda: rig.ended(), seconds=60)
    assert set(rig.nodes().values()) == {"Succeeded"}


async def test_a_run_does_not_wait_for_a_key_that_its_own_later_node_holds() -> None:
    """Both nodes had their turn and no status told of it: the first is still to be told that it had the key."""
    rig = Rig(status_interval_seconds=60.0)
    rig.behave = lambda node, attempt: Fate(seconds=3000 if (node, attempt) == ("b", 1) else 1)
    keyed = "job: {image: i}, concurrency: {key: k}"
    rig.workflow("w", f"nodes: [{{name: a, {keyed}}}, {{name: b, dependsOn: [a], timeoutSeconds: 30, {keyed}}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 2)
    await rig.down()
    await rig.up()
    await rig.wait(lambda: rig.ended(), seconds=90)
    assert rig.nodes() == {"a": "Succeeded", "b": "Failed(DeadlineExceeded)"}
    await rig.close()


@pytest.mark.parametrize("restart", [False, True])
async def test_a_key_is_not_free_while_a_pod_of_a_deleted_run_is_still_ending(rig: Rig, restart: bool) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=3000, deaf=True)
    rig.workflow("w", "nodes: [{name: a, concurrency: {key: k}, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    rig.start("w", "next")
    await rig.wait(lambda: len(rig.api.all(PODS)) == 1)
    (pod,) = rig.api.all(PODS)
    name = pod["metadata"]["name"]
    rig.api.edit(PODS, NAMESPACE, name, lambda obj: obj["metadata"]["finalizers"].append("example.com/grace"))
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, next(owner["name"] for owner in _run_of(rig, pod)))
    await rig.clock.advance(10)
    if restart:
        await rig.down()
        await rig.up()
        await rig.clock.advance(10)
    assert len(rig.api.all(PODS)) == 1
    rig.api.edit(PODS, NAMESPACE, name, lambda obj: obj["metadata"].update(finalizers=[]))
    await rig.wait(lambda: [each["metadata"]["name"] for each in rig.api.all(PODS)] not in ([], [name]), seconds=10)


def _run_of(rig: Rig, pod: Obj) -> list[Obj]:
    """The run that a Pod is of."""
    return [run["metadata"] for run in rig.api.all(WORKFLOW_RUNS) if run["metadata"]["uid"] == run_uid_of(pod)]


async def test_a_key_that_only_a_dead_operators_last_write_gives_is_asked_for() -> None:
    rig = Rig()
    rig.behave = lambda node, attempt: Fate(seconds=600)
    rig.workflow("w", "nodes: [{name: a, concurrency: {key: db}, job: {image: i}}]")
    await rig.up()
    rig.start("w", "first")
    await rig.clock.advance(5)
    rig.start("w", "second")
    await rig.clock.advance(5)
    entry = {key: value for key, value in rig.run("first")["status"]["nodes"][0].items() if key != "job"}
    rig.api.edit(WORKFLOW_RUNS, "n", "second", lambda run: run["status"].update(nodes=[entry]))
    await rig.clock.advance(300)
    assert len(rig.api.all(PODS)) == 1
    assert rig.nodes("second") == {"a": "Running(WaitingForConcurrency)"}
    rig.behave = lambda node, attempt: Fate()
    await rig.wait(lambda: rig.phase("second") == "Succeeded", seconds=900)
    await rig.close()
