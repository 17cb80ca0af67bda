"""A Pod that waits for a volume or its network: the run says what its Events say, and nobody is asked much for it."""

from itertools import pairwise
from typing import Any

import pytest
from support.asked import Asked
from support.kubelet import Fate
from support.rig import NAMESPACE, Rig
from weft.api.objects import key_of, uid_of
from weft.api.times import timestamp
from weft.kube.resources import PODS

SECRET = 'MountVolume.SetUp failed for volume "s" : secret "x" not found'
STARTING = "the Pod is starting on cluster node k"
MOUNTS = Fate(waits="ContainerCreating", pending=1e7)
JOB = "nodes: [{name: a, job: {image: i}}]"


async def test_a_node_says_why_a_volume_cannot_be_mounted(rig: Rig) -> None:
    await begun(rig, MOUNTS)
    report(rig, "FailedMount", SECRET)
    await rig.clock.advance(33)
    assert rig.nodes() == {"a": "Running(WaitingForPod)"}
    assert rig.first_node()["message"] == f"{STARTING}: {SECRET}"
    assert f"a waits for its Pod: {STARTING}: {SECRET}" in message(rig)


async def test_so_it_does_when_it_is_given_up(rig: Rig) -> None:
    await begun(rig, MOUNTS, "nodes: [{name: a, pendingTimeoutSeconds: 15, job: {image: i}}]")
    report(rig, "FailedMount", SECRET)
    await rig.clock.advance(20)
    assert rig.nodes() == {"a": "Failed(PendingTimeout)"}
    assert rig.first_node()["message"].endswith(f"within pendingTimeoutSeconds (15 s): {STARTING}: {SECRET}")
    assert rig.api.all(PODS) == []


async def test_a_kubelet_that_tells_late_is_asked_again_soon_and_then_more_and_more_rarely(rig: Rig) -> None:
    await begun(rig, MOUNTS)
    await rig.clock.advance(12)
    report(rig, "FailedMount", SECRET)
    await rig.clock.advance(20)
    assert rig.first_node()["message"] == f"{STARTING}: {SECRET}"


async def test_one_whose_events_never_say_anything_is_asked_about_after_5_10_20_40_60_60_seconds(rig: Rig) -> None:
    at: list[float] = []
    rig.api.before.append(lambda it: at.append(rig.clock.now()) if it.resource.plural == "events" else None)
    await begun(rig, MOUNTS)
    await rig.clock.advance(230)
    assert [round(later - sooner) for sooner, later in pairwise(at)] == [5, 10, 20, 40, 60, 60]


async def test_what_other_pods_events_say_is_not_its_cause(rig: Rig) -> None:
    await begun(rig, MOUNTS)
    report(rig, "FailedMount", SECRET, uid="another")
    await rig.clock.advance(33)
    assert rig.first_node()["message"] == STARTING


async def test_a_pod_that_starts_in_time_is_not_asked_about(rig: Rig) -> None:
    await begun(rig, Fate(waits="ContainerCreating", pending=8, seconds=100))
    await rig.wait(rig.ended)
    assert asked(rig) == []


@pytest.mark.parametrize(
    "fate", [Fate(bind=1e7), Fate(waits="Unschedulable", pending=1e7), Fate(waits="ErrImagePull", pending=1e7)]
)
async def test_nor_is_one_of_which_its_status_says_all(rig: Rig, fate: Fate) -> None:
    await begun(rig, fate)
    await rig.clock.advance(60)
    assert asked(rig) == []


async def test_it_is_asked_about_once_a_minute_and_no_status_is_written_for_it(rig: Rig) -> None:
    await begun(rig, MOUNTS)
    report(rig, "FailedMount", SECRET)
    await rig.clock.advance(40)
    told = news(rig)
    assert len(asked(rig)) == 1
    await rig.clock.advance(130)
    assert len(asked(rig)) == 3
    assert news(rig) == told


async def test_a_new_cause_takes_the_place_of_the_old_one_and_goes_when_it_has_passed(rig: Rig) -> None:
    await begun(rig, MOUNTS)
    report(rig, "FailedMount", SECRET)
    await rig.clock.advance(40)
    report(rig, "FailedCreatePodSandBox", "no network")
    await rig.clock.advance(60)
    assert rig.first_node()["message"] == f"{STARTING}: no network"
    report(rig, "Pulling", 'Pulling image "i"')
    await rig.clock.advance(60)
    assert rig.first_node()["message"] == STARTING
    assert rig.nodes() == {"a": "Running(WaitingForPod)"}


async def test_nothing_is_told_of_it_once_the_pod_runs(rig: Rig) -> None:
    await begun(rig, Fate(waits="ContainerCreating", pending=40, seconds=300))
    report(rig, "FailedMount", SECRET)
    await rig.clock.advance(55)
    assert rig.nodes() == {"a": "Running"}
    assert message(rig) == "0 of 1 nodes done"
    await rig.clock.advance(200)
    assert len(asked(rig)) == 1


async def test_whatever_else_is_told_of_the_pod_the_cause_stays(rig: Rig) -> None:
    await begun(rig, MOUNTS)
    report(rig, "FailedMount", SECRET)
    await rig.clock.advance(40)
    (pod,) = rig.api.all(PODS)
    rig.api.edit(PODS, *key_of(pod), lambda it: it["status"].update(message="else"))
    await rig.clock.advance(5)
    assert rig.first_node()["message"] == f"{STARTING}: {SECRET}"


async def test_so_it_does_over_a_restart(rig: Rig) -> None:
    await begun(rig, MOUNTS)
    report(rig, "FailedMount", SECRET)
    await rig.clock.advance(40)
    await rig.down()
    await rig.up()
    for _ in range(20):
        await rig.clock.advance(1)
        assert rig.first_node()["message"] == f"{STARTING}: {SECRET}"
    report(rig, "Pulling", 'Pulling image "i"')
    await rig.clock.advance(61)
    assert rig.first_node()["message"] == STARTING


@pytest.mark.parametrize("code", [403, 422])
async def test_where_events_may_not_be_read_nothing_changes_and_nobody_is_asked_for_a_while(
    rig: Rig, code: int
) -> None:
    rig.api.fail(code, method="GET", plural="events")
    await begun(rig, MOUNTS)
    report(rig, "FailedMount", SECRET)
    await rig.clock.advance(280)
    assert rig.first_node()["message"] == STARTING
    assert len(asked(rig)) == 1
    await rig.clock.advance(90)
    assert rig.first_node()["message"] == f"{STARTING}: {SECRET}"


async def test_an_api_server_that_does_not_answer_holds_nothing_up(rig: Rig) -> None:
    async def silence(it: Asked) -> None:
        if (it.method, it.resource.plural) == ("GET", "events"):
            await rig.clock.sleep(1e7)

    rig.api.before.append(silence)  # type: ignore[arg-type]
    await begun(rig, Fate(waits="ContainerCreating", pending=40))
    await rig.clock.advance(60)
    assert rig.phase() == "Succeeded"
    assert len(asked(rig)) == 1


async def test_many_pods_that_hang_are_asked_about_one_at_a_time_and_each_run_has_its_turn(rig: Rig) -> None:
    rig.behave = lambda node, attempt: MOUNTS
    rig.workflow("many", "nodes: [{name: a, forEach: {range: 60}, job: {image: i}}]")
    rig.workflow("one", JOB)
    at: list[float] = []

    def note(it: Asked) -> None:
        if (it.method, it.resource.plural) == ("GET", "events"):
            at.append(rig.clock.now())

    rig.api.before.append(note)
    await rig.up()
    rig.start("many", "m")
    await rig.clock.advance(5)
    rig.start("one")
    await rig.clock.advance(2)
    report(rig, "FailedMount", SECRET, of="r-a")
    await rig.clock.advance(36)
    assert rig.first_node("r")["message"] == f"{STARTING}: {SECRET}"
    assert len(at) > 20
    assert all(later - sooner >= 1 for sooner, later in pairwise(at))


async def begun(rig: Rig, fate: Fate, spec: str = JOB) -> None:
    rig.behave = lambda node, attempt: fate
    rig.workflow("w", spec)
    await rig.up()
    rig.start("w")
    await rig.clock.advance(2)


def report(rig: Rig, reason: str, text: str, *, of: str = "", uid: str | None = None) -> None:
    """Tell of the Pod whose name begins so, as the kubelet does: in an Event."""
    pod = next(pod for pod in rig.api.all(PODS) if pod["metadata"]["name"].startswith(of))
    name = pod["metadata"]["name"]
    rig.api.add(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.{reason.lower()}", "namespace": NAMESPACE},
            "involvedObject": {"kind": "Pod", "name": name, "uid": uid or uid_of(pod)},
            "reason": reason,
            "message": text,
            "lastTimestamp": timestamp(rig.clock.now()),
        }
    )


def asked(rig: Rig) -> list[Asked]:
    return rig.api.asked("GET", "events")


def news(rig: Rig) -> int:
    """How many statuses were written, but those that tell only how long the run has been running."""
    bodies = [it.body for it in rig.api.asked("PATCH", "workflowruns", subresource="status")]
    return sum(body["status"].keys() != {"duration"} for body in bodies)


def message(rig: Rig) -> Any:
    (condition,) = (each for each in rig.run()["status"]["conditions"] if each["type"] == "Succeeded")
    return condition["message"]
