"""Containers beside main that never end: the attempt is over when main is, and they are stopped."""

from collections.abc import AsyncIterator, Iterator

import pytest
from support.job_controller import JobController
from support.kubelet import Fate
from support.rig import Rig, most_at_once
from weft.api.objects import Obj, annotation
from weft.kube.resources import JOBS, PODS
from weft.render.facts import condition
from weft.render.names import MAIN_ENDED_ANNOTATION, STOP_ANNOTATION

FOREVER = 1e6
PROXY = "job: {image: i, podTemplate: {spec: {containers: [{name: other, image: i}]}}}"
ONE = f"{{nodes: [{{name: a, retry: {{limit: 0}}, {PROXY}}}], jobs: {{keep: All}}}}"
TIMED = ONE.replace("retry", "timeoutSeconds: 60, retry")


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A cluster without an operator whose Pods have a container that never ends."""
    rig = Rig()
    rig.behave = lambda node, attempt: Fate(seconds=5, text="rows=7", beside=FOREVER)
    yield rig
    await rig.close()


def pods(rig: Rig) -> list[Obj]:
    return rig.api.all(PODS)


def told_to_stop(rig: Rig) -> Iterator[tuple[str, str]]:
    """The Pods, each as often as somebody has told it that main had ended."""
    before: set[str] = set()
    for event in rig.api.history:
        if event.resource is PODS and event.type == "MODIFIED":
            name = event.obj["metadata"]["name"]
            if annotation(event.obj, MAIN_ENDED_ANNOTATION) is not None and name not in before:
                before.add(name)
                yield name, event.obj["status"]["phase"]


def job_ended(rig: Rig) -> str:
    (job,) = rig.api.all(JOBS)
    return next(kind for kind in ("Complete", "Failed") if condition(job["status"], kind))


@pytest.mark.parametrize("spec", [ONE, TIMED])
async def test_main_gives_the_result_and_the_other_is_stopped(rig: Rig, spec: str) -> None:
    rig.workflow("w", spec)
    run = await rig.finish("w")
    assert rig.nodes() == {"a": "Succeeded"}
    assert rig.first_node()["outputs"] == {"rows": "7"}
    assert condition(run["status"], "Succeeded")["status"] == "True"
    assert job_ended(rig) == "Complete"
    assert [phase for _, phase in told_to_stop(rig)] == ["Running"]


async def test_main_s_exit_code_is_the_attempt_s_and_is_retried(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=5, code=3 if attempt == 1 else 0, beside=FOREVER, grace=10)
    retry = "retry: {limit: 1, when: exitCode == 3, backoff: {initialSeconds: 1, jitter: 0}}"
    rig.workflow("w", f"nodes: [{{name: a, {retry}, {PROXY}}}]")
    await rig.finish("w")
    assert (rig.nodes(), rig.first_node()["attempts"]) == ({"a": "Succeeded"}, 2)
    assert most_at_once(rig) == 1


async def test_what_is_waited_for_is_told(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=5, beside=FOREVER, grace=30)
    rig.workflow("w", TIMED)
    await rig.up()
    rig.start("w")
    await rig.clock.advance(15)
    assert rig.nodes() == {"a": "Running(MainEnded)"}
    said = "main has ended; the other containers are being stopped: other"
    assert rig.first_node()["message"] == said
    message = condition(rig.run()["status"], "Succeeded")["message"]
    assert message == f"0 of 1 nodes done; a cannot end yet: {said}"
    await rig.clock.advance(30)
    assert rig.nodes() == {"a": "Succeeded"}
    assert not rig.first_node().get("message")


@pytest.mark.parametrize(
    ("code", "ends"), [pytest.param(0, "Succeeded", id="ok"), pytest.param(3, "Failed(Error)", id="not ok")]
)
@pytest.mark.parametrize(
    "limit", ["timeoutSeconds: 10", "deadlineSeconds: 10", "timeoutSeconds: 10, pendingTimeoutSeconds: 1"]
)
async def test_who_takes_long_to_stop_does_not_make_main_late(rig: Rig, limit: str, code: int, ends: str) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=5, code=code, beside=FOREVER, grace=60)
    rig.workflow("w", ONE.replace("retry", f"{limit}, retry"))
    await rig.finish("w")
    assert rig.nodes() == {"a": ends}
    assert rig.first_node()["exitCode"] == code


async def test_a_main_that_is_late_is_late(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=70, beside=FOREVER)
    rig.workflow("w", TIMED)
    await rig.finish("w")
    assert rig.nodes() == {"a": "Failed(DeadlineExceeded)"}
    assert list(told_to_stop(rig)) == []


async def test_a_stop_that_comes_while_the_other_is_stopped_finds_the_work_done(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=5, text="rows=7", beside=FOREVER, grace=30)
    rig.workflow("w", ONE)
    await rig.up()
    rig.start("w")
    await rig.clock.advance(15)
    rig.edit(stop="Cancel")
    await rig.wait(rig.ended)
    assert (rig.phase(), rig.nodes()) == ("Cancelled", {"a": "Succeeded"})
    (pod,) = pods(rig)
    assert annotation(pod, STOP_ANNOTATION) == "Stopped"


async def test_an_operator_that_was_away_when_main_ended_judges_by_it(rig: Rig) -> None:
    rig.workflow("w", TIMED)
    await rig.up()
    rig.start("w")
    await rig.clock.advance(3)
    await rig.down()
    await rig.clock.advance(80)  # past the timeout; the Pod's own deadline comes later
    assert [pod["status"]["phase"] for pod in pods(rig)] == ["Running"]
    await rig.up()
    await rig.wait(rig.ended, seconds=10)
    assert rig.nodes() == {"a": "Succeeded"}


async def test_one_that_was_away_until_the_pod_s_own_deadline_does_so_too(rig: Rig) -> None:
    rig.workflow("w", TIMED)
    await rig.up()
    rig.start("w")
    await rig.clock.advance(3)
    await rig.down()
    await rig.clock.advance(120)
    assert [pod["status"].get("reason") for pod in pods(rig)] == ["DeadlineExceeded"]
    await rig.up()
    await rig.wait(rig.ended, seconds=10)
    assert rig.nodes() == {"a": "Succeeded"}
    assert rig.first_node()["outputs"] == {"rows": "7"}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("requests", range(1, 12))
async def test_an_operator_that_dies_on_the_way_loses_nothing(rig: Rig, requests: int, late: bool) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=5, text="rows=7", beside=FOREVER, grace=8)
    rig.workflow("w", TIMED)
    await rig.up()
    rig.start("w")
    await rig.clock.advance(4)
    rig.crash_after(requests, late=late)
    await rig.wait(rig.ended, seconds=60)
    assert (rig.nodes(), rig.first_node()["attempts"]) == ({"a": "Succeeded"}, 1)
    assert len(rig.jobs_made()) == 1


async def test_a_service_whose_main_has_ended_has_ended(rig: Rig) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=5, code=4, beside=FOREVER) if node == "a" else Fate(seconds=60)
    rig.workflow(
        "w", f"nodes: [{{name: a, service: true, {PROXY}}}, {{name: b, dependsOn: ['a:Ready'], job: {{image: i}}}}]"
    )
    await rig.up()
    rig.start("w")
    await rig.clock.advance(20)
    assert rig.nodes()["a"] == "Failed(Error)"


async def test_under_the_built_in_controller_the_node_is_judged_by_main_though_its_job_has_failed() -> None:
    rig = Rig(job_controller="builtin")
    controller = JobController(rig.api, rig.clock)
    rig.behave = lambda node, attempt: Fate(seconds=5, text="rows=7", beside=FOREVER)
    rig.workflow("w", TIMED)
    await rig.finish("w")
    assert (rig.nodes(), rig.first_node()["attempts"]) == ({"a": "Succeeded"}, 1)
    assert rig.first_node()["outputs"] == {"rows": "7"}
    assert job_ended(rig) == "Failed"
    await controller.close()
    await rig.close()


async def test_a_stop_that_is_refused_is_tried_again(rig: Rig) -> None:
    rig.workflow("w", TIMED)
    await rig.up()
    rig.start("w")
    await rig.clock.advance(4)
    rig.api.fail(500, method="PATCH", plural="pods", times=3)
    await rig.wait(rig.ended, seconds=30)
    assert rig.nodes() == {"a": "Succeeded"}
