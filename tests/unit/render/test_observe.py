"""What a Pod tells, as truth tables: how it waits, how it runs, and who is to blame for its end."""

from typing import Any

import pytest
from weft.api.conditions import Reason
from weft.render.names import MAIN_ENDED_ANNOTATION, STOP_ANNOTATION
from weft.render.observe import POD_GONE, JobState, PodState, is_starting, job_fact, pod_fact

BEFORE, AT, AFTER = "2026-11-01T12:00:00Z", "2026-11-01T12:01:00Z", "2026-11-01T12:02:00Z"


def pod(
    phase: str, *containers: dict[str, Any], deleted: str | None = None, grace: int = 0, **status: Any
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "p"}
    if deleted:
        metadata |= {"deletionTimestamp": deleted, "deletionGracePeriodSeconds": grace}
    spec = {"nodeName": "n1", "initContainers": [{"name": "init"}, {"name": "sidecar", "restartPolicy": "Always"}]}
    return {
        "metadata": metadata,
        "spec": spec,
        "status": {"phase": phase, "containerStatuses": [*containers], **status},
    }


def container(name: str = "main", **state: Any) -> dict[str, Any]:
    return {"name": name, "image": "app:1", "state": state}


def ended(code: int, reason: str = "Error", *, name: str = "main", message: str | None = None) -> dict[str, Any]:
    said = {"message": message} if message is not None else {}
    return container(
        name, terminated={"exitCode": code, "reason": reason, "startedAt": BEFORE, "finishedAt": AT, **said}
    )


def target(reason: str, at: str = BEFORE, status: str = "True") -> dict[str, Any]:
    condition = {
        "type": "DisruptionTarget",
        "status": status,
        "reason": reason,
        "message": "why",
        "lastTransitionTime": at,
    }
    return {"conditions": [condition]}


def marked(what: dict[str, Any]) -> dict[str, Any]:
    """A Pod that Weft has stopped since main had ended."""
    what["metadata"]["annotations"] = {MAIN_ENDED_ANNOTATION: "true"}
    return limited(what, 1)


def stopped(what: dict[str, Any]) -> dict[str, Any]:
    """A Pod that Weft has stopped for another reason."""
    what["metadata"]["annotations"] = {STOP_ANNOTATION: "Timeout"}
    return limited(what, 1)


def limited(what: dict[str, Any], seconds: int) -> dict[str, Any]:
    """A Pod with a deadline, begun one minute before its containers end."""
    what["spec"]["activeDeadlineSeconds"] = seconds
    what["status"]["startTime"] = BEFORE
    return what


def at_once(what: dict[str, Any]) -> dict[str, Any]:
    """A Pod that is given no time to end, however it is deleted."""
    what["spec"]["terminationGracePeriodSeconds"] = 0
    return what


RUNNING = container(running={"startedAt": BEFORE})
CANCELED = "context canceled: unknown"
HELPER_KILLED = ended(143, name="helper")
HELPER_RUNS = container("helper", running={"startedAt": BEFORE})


@pytest.mark.parametrize(
    ("what", "state", "reason", "exit_code"),
    [
        # The work's own end.
        pytest.param(pod("Succeeded", ended(0, "Completed")), "Succeeded", None, 0, id="exit 0"),
        pytest.param(pod("Failed", ended(3)), "Failed", "Error", 3, id="exit 3"),
        pytest.param(pod("Failed", ended(137, "OOMKilled")), "Failed", "OOMKilled", 137, id="out of memory"),
        pytest.param(pod("Failed", ended(128, "StartError")), "Failed", "Error", 128, id="no such command"),
        pytest.param(pod("Failed", HELPER_KILLED, ended(0)), "Succeeded", None, 0, id="main ok, helper not"),
        pytest.param(pod("Failed", ended(0, name="helper"), ended(1)), "Failed", "Error", 1, id="a helper succeeded"),
        pytest.param(
            pod("Failed", container(waiting={}), initContainerStatuses=[ended(4, name="init")]),
            "Failed", "Error", None, id="an init container failed",
        ),
        # Deadlines: whatever main says, as programs exit with 0 when told to stop.
        pytest.param(
            pod("Failed", ended(143), reason="DeadlineExceeded"), "Failed", "DeadlineExceeded", 143, id="late"
        ),
        pytest.param(
            pod("Failed", ended(0), reason="DeadlineExceeded"), "Failed", "DeadlineExceeded", 0, id="late, exit 0"
        ),
        pytest.param(
            pod("Failed", reason="DeadlineExceeded"), "Failed", "DeadlineExceeded", None, id="late, never ran"
        ),
        pytest.param(
            stopped(pod("Failed", ended(0), HELPER_KILLED, reason="DeadlineExceeded")),
            "Failed", "DeadlineExceeded", 0, id="stopped while main ran, exit 0",
        ),
        pytest.param(
            limited(pod("Failed", ended(0), HELPER_KILLED, reason="DeadlineExceeded"), 60),
            "Failed", "DeadlineExceeded", 0, id="exit 0 in the second of the deadline",
        ),
        # What main had reached before the deadline is its own.
        pytest.param(
            limited(pod("Failed", ended(0), HELPER_KILLED, reason="DeadlineExceeded"), 61),
            "Succeeded", None, 0, id="the helper was late",
        ),
        pytest.param(
            limited(pod("Failed", ended(3), HELPER_KILLED, reason="DeadlineExceeded"), 61),
            "Failed", "Error", 3, id="exit 3, then the helper was late",
        ),
        pytest.param(
            limited(pod("Failed", RUNNING, reason="DeadlineExceeded"), 61),
            "Failed", "DeadlineExceeded", None, id="late, and nobody knows how main ended",
        ),
        # Stopped by Weft since main had ended, and stopped once more for another reason.
        pytest.param(
            marked(pod("Failed", ended(0), HELPER_KILLED, reason="DeadlineExceeded")),
            "Succeeded", None, 0, id="main ok, helper stopped",
        ),
        pytest.param(
            marked(pod("Failed", ended(3), HELPER_KILLED, reason="DeadlineExceeded")),
            "Failed", "Error", 3, id="main not ok, helper stopped",
        ),
        pytest.param(
            marked(pod("Failed", ended(137, "OOMKilled"), HELPER_KILLED, reason="DeadlineExceeded")),
            "Failed", "OOMKilled", 137, id="main out of memory, helper stopped",
        ),
        pytest.param(
            marked(pod("Failed", ended(3), HELPER_KILLED, deleted=BEFORE)),
            "Failed", "Error", 3, id="main not ok, deleted while the helper was stopped",
        ),
        pytest.param(
            marked(pod("Failed", ended(3), HELPER_KILLED, reason="NodeLost")),
            "Failed", "Error", 3, id="main not ok, node lost while the helper was stopped",
        ),
        pytest.param(
            marked(pod("Failed", ended(3), HELPER_KILLED, **target("DeletionByPodGC"))),
            "Failed", "Error", 3, id="main not ok, node gone while the helper was stopped",
        ),
        # The platform.
        pytest.param(pod("Failed", ended(137), reason="Evicted"), "Failed", "Evicted", 137, id="evicted"),
        pytest.param(pod("Failed", ended(0), reason="Evicted"), "Failed", "Evicted", 0, id="evicted, exit 0"),
        pytest.param(pod("Failed", reason="Evicted"), "Failed", "Evicted", None, id="evicted before it ran"),
        pytest.param(pod("Failed", reason="Preempting"), "Failed", "Preempted", None, id="preempted by the kubelet"),
        pytest.param(pod("Failed", ended(137), reason="NodeLost"), "Failed", "NodeLost", 137, id="node lost"),
        pytest.param(pod("Failed", ended(143), reason="Terminated"), "Failed", "NodeLost", 143, id="node shutdown"),
        pytest.param(pod("Failed", reason="NodeShutdown"), "Failed", "NodeLost", None, id="no admission: shutdown"),
        pytest.param(pod("Failed", reason="OutOfcpu"), "Failed", "Evicted", None, id="not admitted: no cpu left"),
        pytest.param(pod("Failed", reason="UnexpectedAdmissionError"), "Failed", "Evicted", None, id="not admitted"),
        pytest.param(pod("Failed"), "Failed", "NodeLost", None, id="failed without a word"),
        pytest.param(pod("Failed", ended(137, "ContainerStatusUnknown")), "Failed", "NodeLost", 137, id="status lost"),
        pytest.param(
            pod("Failed", ended(128, "StartError", message=f"failed to create shim task: {CANCELED}")),
            "Failed", "NodeLost", 128, id="the kubelet died while main was started",
        ),
        pytest.param(
            pod("Failed", ended(128, "StartError", message='exec: "context canceled": not found: unknown')),
            "Failed", "Error", 128, id="no such command, of a treacherous name",
        ),
        pytest.param(
            pod("Failed", ended(1, message=CANCELED)), "Failed", "Error", 1, id="main itself says so",
        ),
        pytest.param(
            pod("Failed", container(waiting={}),
                initContainerStatuses=[ended(128, "StartError", name="init", message=CANCELED)]),
            "Failed", "NodeLost", None, id="the kubelet died while an init container was started",
        ),
        pytest.param(
            pod("Failed", ended(137), **target("PreemptionByScheduler")), "Failed", "Preempted", 137, id="preempted"
        ),
        pytest.param(
            pod("Failed", ended(143), **target("EvictionByEvictionAPI")), "Failed", "Evicted", 143, id="drained"
        ),
        pytest.param(
            pod("Failed", ended(143), **target("DeletionByTaintManager")), "Failed", "Evicted", 143, id="tainted"
        ),
        pytest.param(pod("Failed", RUNNING, **target("DeletionByPodGC")), "Failed", "NodeLost", None, id="node gone"),
        pytest.param(
            pod("Failed", ended(1), **target("EvictionByEvictionAPI", status="False")),
            "Failed", "Error", 1, id="a disruption that did not come",
        ),
        # Results that stood before.
        pytest.param(
            pod("Failed", ended(1), **target("EvictionByEvictionAPI", AFTER)),
            "Failed", "Error", 1, id="failed, then drained",
        ),
        pytest.param(
            pod("Failed", ended(1), reason="Evicted", **target("TerminationByKubelet", AFTER)),
            "Failed", "Error", 1, id="failed, then evicted",
        ),
        pytest.param(
            pod("Failed", ended(0), HELPER_KILLED, reason="Evicted", **target("TerminationByKubelet", AFTER)),
            "Succeeded", None, 0, id="succeeded, then evicted for its helper",
        ),
        # Deletions.
        # The kubelet's own last deletion has overwritten when it was asked for.
        pytest.param(
            pod("Failed", ended(137), deleted="2026-11-01T12:01:25Z"), "Failed", "PodDeleted", 137, id="killed"
        ),
        pytest.param(pod("Failed", ended(143), deleted=BEFORE), "Failed", "PodDeleted", 143, id="deleted"),
        pytest.param(pod("Failed", ended(143), deleted=AT), "Failed", "PodDeleted", 143, id="deleted in that second"),
        pytest.param(
            pod("Failed", ended(143), deleted=AFTER, grace=90), "Failed", "PodDeleted", 143, id="deleted with grace"
        ),
        pytest.param(pod("Failed", ended(1), deleted=AFTER, grace=30), "Failed", "Error", 1, id="failed, then deleted"),
        pytest.param(pod("Succeeded", ended(0), deleted=BEFORE), "Succeeded", None, 0, id="succeeded while deleted"),
        pytest.param(
            pod("Failed", ended(0), HELPER_KILLED, deleted=BEFORE),
            "Succeeded", None, 0, id="deleted, exit 0, helper killed",
        ),
        pytest.param(
            pod("Failed", container(waiting={}), deleted=AT), "Failed", "PodDeleted", None, id="deleted early"
        ),
        pytest.param(
            pod("Failed", container(waiting={}), deleted=AFTER, initContainerStatuses=[ended(4, name="init")]),
            "Failed", "Error", None, id="an init container failed, then deleted",
        ),
        pytest.param(
            pod("Failed", container(waiting={}), deleted=BEFORE, initContainerStatuses=[ended(143, name="init")]),
            "Failed", "PodDeleted", None, id="deleted during init",
        ),
        # Deleted by force: the kubelet itself does so only after it has told the end.
        pytest.param(pod("Running", RUNNING, deleted=AT), "Failed", "PodDeleted", None, id="by force"),
        pytest.param(pod("Unknown", RUNNING, deleted=AT), "Failed", "PodDeleted", None, id="by force, unreachable"),
        pytest.param(
            pod("Pending", container(waiting={}), deleted=AT), "Failed", "PodDeleted", None, id="by force, starting"
        ),
        # Not ended yet.
        pytest.param(pod("Running", RUNNING), "Running", None, None, id="running"),
        pytest.param(pod("Running", RUNNING, deleted=AT, grace=30), "Running", None, None, id="being deleted, running"),
        pytest.param(pod("Unknown", RUNNING, deleted=AT, grace=30), "Running", None, None, id="deleted, unreachable"),
        pytest.param(
            at_once(pod("Running", RUNNING, deleted=AT)), "Running", None, None, id="deleted, of those without grace"
        ),
        pytest.param(pod("Running", ended(0)), "Running", None, None, id="main ended, the phase comes next"),
        pytest.param(
            pod("Running", ended(0), HELPER_KILLED), "Running", None, None, id="all ended, the phase comes next"
        ),
        pytest.param(
            pod("Running", ended(0), initContainerStatuses=[container("sidecar", running={})]),
            "Running", None, None, id="main ended, the kubelet stops its sidecar",
        ),
        pytest.param(
            pod("Running", RUNNING, HELPER_KILLED), "Running", None, None, id="main runs, its helper does not"
        ),
        # main has ended, and others would keep the Pod.
        pytest.param(
            pod("Running", HELPER_RUNS, ended(0)), "MainEnded", "MainEnded", None, id="main ended, its helper has not"
        ),
        pytest.param(
            pod("Running", ended(1), container("helper", waiting={"reason": "CrashLoopBackOff"})),
            "MainEnded", "MainEnded", None, id="main ended, its helper is about to run again",
        ),
        pytest.param(
            pod("Running", ended(128, "StartError"), HELPER_RUNS), "MainEnded", "MainEnded", None, id="main never ran"
        ),
        pytest.param(
            limited(pod("Running", ended(0), HELPER_RUNS), 61), "MainEnded", "MainEnded", None, id="main was in time"
        ),
        pytest.param(
            marked(pod("Running", ended(0), HELPER_RUNS)),
            "MainEnded", "MainEnded", None, id="main ended, its helper is being stopped",
        ),
        # They are ended already, and main was ended with them.
        pytest.param(
            stopped(pod("Running", ended(0), HELPER_RUNS)), "Running", None, None, id="stopped, the helper runs"
        ),
        pytest.param(
            limited(pod("Running", ended(143), HELPER_RUNS), 60), "Running", None, None, id="late, the helper runs"
        ),
        pytest.param(
            pod("Running", ended(0), HELPER_RUNS, deleted=AT, grace=30),
            "Running", None, None, id="deleted, the helper runs",
        ),
        pytest.param(
            pod("Running", ended(0), HELPER_RUNS, **target("TerminationByKubelet")),
            "Running", None, None, id="evicted, the helper runs",
        ),
        pytest.param(pod("Unknown", RUNNING), "Running", None, None, id="the node does not answer"),
        pytest.param(
            pod("Unknown", RUNNING, conditions=[{"type": "Ready", "status": "True"}]),
            "Running", None, None, id="ready is stale when the node does not answer",
        ),
        pytest.param(
            pod("Running", RUNNING, conditions=[{"type": "Ready", "status": "True"}]), "Ready", None, None, id="ready"
        ),
        pytest.param(
            pod("Running", RUNNING, conditions=[{"type": "Ready", "status": "False"}]),
            "Running", None, None, id="unready",
        ),
    ],
)  # fmt: skip
def test_what_happened(what: dict[str, Any], state: str, reason: str | None, exit_code: int | None) -> None:
    fact = pod_fact(what)
    assert (fact.state, fact.reason, fact.exit_code) == (state, reason, exit_code)
    assert fact.disruption is (reason in {"Evicted", "Preempted", "NodeLost", "PodDeleted"})
    assert fact.ended is (state in {"Succeeded", "Failed"})
    assert bool(fact.message) is (reason is not None)


def unscheduled(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {}, "status": {"phase": "Pending", **status}}


@pytest.mark.parametrize(
    ("what", "reason", "words"),
    [
        ({"metadata": {"name": "p"}, "spec": {}}, "WaitingForPod", "scheduler"),
        (unscheduled(), "WaitingForPod", "scheduler"),
        (
            unscheduled(
                conditions=[
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
                ]
            ),
            "Unschedulable",
            "0/3 nodes",
        ),
        (
            unscheduled(conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
            "Unschedulable",
            "SchedulingGated",
        ),
        (pod("Pending", container(waiting={"reason": "ContainerCreating"})), "WaitingForPod", "n1"),
        (
            pod("Pending", container(waiting={"reason": "ImagePullBackOff", "message": "Back-off pulling"})),
            "ImagePullFailed",
            "image app:1 cannot be pulled: ImagePullBackOff: Back-off pulling",
        ),
        (pod("Pending", container(waiting={"reason": "ErrImagePull"})), "ImagePullFailed", "ErrImagePull"),
        (pod("Pending", container(waiting={"reason": "InvalidImageName"})), "ImagePullFailed", "InvalidImageName"),
        (
            pod(
                "Pending",
                container(waiting={"reason": "CreateContainerConfigError", "message": 'secret "s" not found'}),
            ),
            "ContainerCannotStart",
            'container main cannot start: CreateContainerConfigError: secret "s" not found',
        ),
        (
            pod(
                "Pending",
                container(waiting={"reason": "PodInitializing"}),
                initContainerStatuses=[container("proxy", waiting={"reason": "CrashLoopBackOff"})],
            ),
            "ContainerCannotStart",
            "container proxy cannot start: CrashLoopBackOff",
        ),
        (
            pod(
                "Pending",
                container(waiting={"reason": "PodInitializing"}),
                initContainerStatuses=[
                    container("init", waiting={"reason": "ErrImagePull", "message": "no such image"})
                ],
            ),
            "ImagePullFailed",
            "no such image",
        ),
        (
            pod("Running", container(waiting={"reason": "ErrImagePull"}), container("helper", running={})),
            "ImagePullFailed",
            "ErrImagePull",
        ),
    ],
)
def test_why_it_waits(what: dict[str, Any], reason: str, words: str) -> None:
    fact = pod_fact(what)
    assert (fact.state, fact.reason) == (PodState.Pending, reason)
    assert words in fact.message
    assert not fact.ended


def test_a_pod_deleted_before_it_got_a_node_has_ended() -> None:
    """Nobody else would ever say so: the scheduler passes it by and our finalizer holds it."""
    what = unscheduled()
    what["metadata"]["deletionTimestamp"] = AT
    fact = pod_fact(what)
    assert (fact.state, fact.reason, fact.ended) == (PodState.Failed, Reason.PodDeleted, True)


def test_a_pod_deleted_while_it_starts_has_not_ended() -> None:
    assert not pod_fact(pod("Pending", container(waiting={"reason": "ContainerCreating"}), deleted=AT, grace=30)).ended


def test_who_is_waited_for_after_main_is_named() -> None:
    helpers = [container(name, running={}) for name in ("nginx", "redis")]
    fact = pod_fact(pod("Running", helpers[0], ended(0), helpers[1], HELPER_KILLED))
    assert fact.message == "main has ended; the other containers are being stopped: nginx, redis"
    assert not fact.ended


def test_a_pod_that_is_gone() -> None:
    assert (POD_GONE.state, POD_GONE.disruption, POD_GONE.ended) == (PodState.Gone, True, True)


@pytest.mark.parametrize("text", ['{"count": 12}\n', "a=1\n", "", " é\x00�"])
def test_outputs_come_as_they_were_written(text: str) -> None:
    assert pod_fact(pod("Succeeded", ended(0, message=text), ended(0, name="helper", message="x"))).text == text
    assert pod_fact(pod("Failed", ended(1, message=text))).text == text


def test_without_outputs_there_is_no_text() -> None:
    assert pod_fact(pod("Succeeded", ended(0))).text is None


def test_the_runtime_s_message_is_no_output() -> None:
    fact = pod_fact(pod("Failed", ended(128, "StartError", message='exec: "nope": not found')))
    assert fact.text is None
    assert 'exec: "nope": not found' in fact.message


def test_a_time_the_kubelet_does_not_know_is_null() -> None:
    what = pod(
        "Failed", container(terminated={"exitCode": 137, "reason": "ContainerStatusUnknown", "finishedAt": None})
    )
    assert pod_fact(what).reason == Reason.NodeLost


def test_an_init_container_s_failure_bears_its_name_and_words() -> None:
    statuses = [ended(137, name="sidecar"), ended(4, name="init", message="no route\n")]
    fact = pod_fact(pod("Failed", container(waiting={}), initContainerStatuses=statuses))
    assert fact.message == "init container init exited with code 4: no route"


def job(suspend: bool = False, **conditions: str) -> dict[str, Any]:
    listed = [
        {"type": kind, "status": "True", "reason": reason, "message": f"{kind} because", "lastTransitionTime": AT}
        for kind, reason in conditions.items()
    ]
    return {"metadata": {"name": "j"}, "spec": {"suspend": suspend}, "status": {"conditions": listed}}


@pytest.mark.parametrize(
    ("what", "state", "reason"),
    [
        ({"metadata": {}, "spec": {}}, JobState.Active, None),
        (job(), JobState.Active, None),
        (job(SuccessCriteriaMet="CompletionsReached"), JobState.Active, None),
        (job(FailureTarget="BackoffLimitExceeded"), JobState.Active, None),
        (job(suspend=True, Suspended="JobSuspended"), JobState.Suspended, Reason.WaitingForPod),
        (job(Complete="CompletionsReached"), JobState.Succeeded, None),
        (job(Failed="BackoffLimitExceeded"), JobState.Failed, Reason.Error),
        (job(Failed="DeadlineExceeded"), JobState.Failed, Reason.DeadlineExceeded),
    ],
)
def test_what_a_job_tells(what: dict[str, Any], state: JobState, reason: Reason | None) -> None:
    fact = job_fact(what)
    assert (fact.state, fact.reason) == (state, reason)


CREATING, INITIALIZING = ({"reason": reason} for reason in ("ContainerCreating", "PodInitializing"))


@pytest.mark.parametrize(
    ("containers", "starting"),
    [
        ((), True),
        ((container(waiting=CREATING),), True),
        ((container("init", waiting=INITIALIZING), container(waiting=INITIALIZING)), True),
        ((container("init", running={}), container(waiting=INITIALIZING)), False),
        ((container("init", terminated={"exitCode": 0}), container(waiting=INITIALIZING)), False),
        ((container(waiting={"reason": "ErrImagePull"}),), False),
        ((container(waiting={"reason": "CreateContainerConfigError"}),), False),
    ],
)
def test_a_pod_is_starting_until_a_container_begins_or_says_why_it_cannot(
    containers: tuple[dict[str, Any], ...], starting: bool
) -> None:
    it = pod("Pending", *containers)
    assert is_starting(it, pod_fact(it)) is starting
    ready = pod("Pending", *containers)
    ready["status"].setdefault("conditions", []).append({"type": "PodReadyToStartContainers", "status": "True"})
    assert not is_starting(ready, pod_fact(ready))
    del it["spec"]["nodeName"]
    assert not is_starting(it, pod_fact(it))
    running = pod("Running", *containers)
    assert not is_starting(running, pod_fact(running))
