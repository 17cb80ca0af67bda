"""What the API server refuses, or cannot do, of one thing holds up nothing else of the run, and its status goes on."""

from collections.abc import AsyncIterator, Callable

import pytest
from support.asked import Asked
from support.rig import Fate, Rig
from support.transport import status
from weft.kube.resources import EVENTS, JOBS, PODS, WORKFLOW_RUNS, Resource
from weft.kube.transport import Dropped, Response

DENIED = status(403, "Forbidden", 'admission webhook "policy" denied the request: hands off')
BROKEN = status(500, "InternalError", "failed calling webhook")
WAITS = "".join(
    f", {{name: w{n}, dependsOn: [{'j' if n == 0 else f'w{n - 1}'}], wait: {{seconds: 5}}}}" for n in range(8)
)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    rig.behave = lambda node, attempt: Fate(1e7 if node == "a" else 5.0)
    yield rig
    await rig.close()


def refuse(rig: Rig, answer: Response, kind: Resource, which: Callable[[Asked], bool]) -> None:
    async def hook(asked: Asked) -> Response | None:
        return answer if asked.method == "PATCH" and asked.resource is kind and which(asked) else None

    rig.api.before.append(hook)


def changes_the_spec(asked: Asked) -> bool:
    return "spec" in (asked.body or {})


@pytest.mark.parametrize("answer", [DENIED, BROKEN], ids=["denied", "broken"])
async def test_a_pod_that_cannot_be_stopped_stops_no_other_node(rig: Rig, answer: Response) -> None:
    refuse(rig, answer, PODS, changes_the_spec)
    rig.workflow(
        "w",
        "nodes: [{name: a, deadlineSeconds: 5, allowFailure: true, job: {image: i}}, {name: b, job: {image: i}},"
        " {name: c, dependsOn: [b], job: {image: i}}]",
    )
    await rig.up()
    rig.start("w")
    await rig.clock.advance(60)
    assert rig.nodes() | {"a": ""} == {"a": "", "b": "Succeeded", "c": "Succeeded"}
    held = [pod["metadata"]["name"] for pod in rig.api.all(PODS) if pod["metadata"].get("finalizers")]
    assert [name[:4] for name in held] == ["r-a-"]
    assert any("a cannot be stopped" in event["message"] for event in rig.api.all(EVENTS))


async def test_a_run_whose_pod_cannot_be_stopped_says_that_it_is_stopping(rig: Rig) -> None:
    refuse(rig, DENIED, PODS, changes_the_spec)
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.clock.advance(5)
    rig.edit(stop="Cancel")
    await rig.clock.advance(60)
    assert "stopping (Cancel)" in rig.run()["status"]["conditions"][0]["message"]


@pytest.mark.parametrize(("kind", "subresource"), [(JOBS, "status"), (PODS, "")], ids=["the Job", "the Pod"])
async def test_what_cannot_be_let_go_makes_nothing_late(rig: Rig, kind: Resource, subresource: str) -> None:
    refuse(rig, DENIED, kind, lambda asked: asked.subresource == subresource)
    rig.workflow("w", f"nodes: [{{name: j, job: {{image: i}}}}{WAITS}]")
    await rig.up()
    rig.start("w")
    await rig.wait(rig.ended, seconds=50)
    assert rig.phase() == "Succeeded"


async def test_a_child_that_cannot_be_suspended_is_told_of_by_its_parent(rig: Rig) -> None:
    refuse(rig, DENIED, WORKFLOW_RUNS, changes_the_spec)
    rig.workflow("child", "nodes: [{name: x, job: {image: i}}, {name: y, dependsOn: [x], job: {image: i}}]")
    rig.workflow("w", "nodes: [{name: n, workflow: {name: child}}, {name: b, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.clock.advance(3)
    rig.edit(suspend=True)
    await rig.clock.advance(4)
    assert rig.phase() == "Suspended"
    assert rig.nodes()["b"] == "Succeeded"


async def test_a_start_that_no_answer_came_to_is_on_record_as_not_made(rig: Rig) -> None:
    """Else a restart would take its Job for one that somebody has deleted, and begin another attempt."""
    rig.workflow("w", "nodes: [{name: b, job: {image: i}}, {name: c, dependsOn: [b], job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: rig.nodes().get("b") == "Running" if rig.phase() != "None" else False)

    async def lost(asked: Asked) -> Response | None:
        if asked.method == "POST" and asked.resource is JOBS:
            raise Dropped("no answer")
        return None

    rig.api.before.append(lost)
    await rig.wait(lambda: rig.nodes()["b"] == "Succeeded", seconds=30)
    await rig.down()
    rig.api.before.remove(lost)
    await rig.up()
    await rig.wait(rig.ended)
    assert sum(rig.jobs_made().values()) == 2


@pytest.mark.parametrize(("kind", "method", "subresource"), [(WORKFLOW_RUNS, "PATCH", "status"), (PODS, "POST", "")])
async def test_what_fails_for_long_is_tried_with_growing_pauses(
    rig: Rig, kind: Resource, method: str, subresource: str
) -> None:
    rig.workflow("w", "nodes: [{name: b, job: {image: i}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: rig.phase() == "Running")
    rig.api.fail(500, method=method, plural=kind.plural, subresource=subresource, times=100_000)
    before = len(rig.api.requests)
    await rig.clock.advance(600)
    assert len(rig.api.requests) - before < 400
