"""What is kept of Jobs and Pods still answers every question that is asked of them."""

from copy import deepcopy

import orjson
import pytest
from weft.kube.trim import has_template, trim_job, trim_pod
from weft.render.observe import job_fact, pod_fact

METADATA = {
    "name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z",
    "labels": {"weft.dev/run": "r"}, "managedFields": [{"manager": "weft"}], "finalizers": ["f"],
    "annotations": {"weft.dev/run-uid": "run", "note": "x" * 1000},
    "ownerReferences": [{"kind": "Job", "name": "j", "uid": "ju"}],
}  # fmt: skip
JOB = {
    "kind": "Job", "metadata": METADATA,
    "spec": {"managedBy": "weft.dev/operator", "suspend": True, "template": {"spec": {"containers": []}}},
    "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "Error", "message": "m"}]},
}  # fmt: skip


def pod(phase, *, status=None, spec=None):
    return {
        "kind": "Pod", "metadata": METADATA,
        "spec": {"containers": [{"name": "main", "image": "i"}], "nodeName": "k", "volumes": [{}], **(spec or {})},
        "status": {"phase": phase, "podIP": "10.0.0.1", "qosClass": "BestEffort", **(status or {})},
    }  # fmt: skip


def main(state):
    return {"name": "main", "image": "i", "state": state}


ENDED = {"terminated": {"exitCode": 3, "reason": "Error", "message": "boom", "finishedAt": "2026-01-01T00:00:05Z"}}
ENDED_IN_ITS_GRACE = pod(
    "Failed", spec={"terminationGracePeriodSeconds": 300}, status={"containerStatuses": [main(ENDED)]}
)
ENDED_IN_ITS_GRACE["metadata"] = METADATA | {
    "deletionTimestamp": "2026-01-01T00:04:00Z", "deletionGracePeriodSeconds": 0,
}  # fmt: skip
"""main ended early in a long grace; when all had ended, the kubelet deleted the Pod once more, with a grace of 0."""
PODS = [
    pod("Pending"),
    pod("Pending", status={"conditions": [{"type": "PodScheduled", "status": "False", "message": "no room"}]}),
    pod("Pending", status={"containerStatuses": [main({"waiting": {"reason": "ErrImagePull"}})]}),
    pod("Running", status={
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [main({"running": {"startedAt": "2026-01-01T00:00:01Z"}})],
    }),
    pod("Failed", status={"containerStatuses": [main(ENDED)]}),
    pod("Failed", status={
        "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}],
    }),
    pod("Failed", status={"reason": "Evicted", "message": "memory"}),
    pod(
        "Failed",
        spec={"initContainers": [{"name": "s", "restartPolicy": "Always", "image": "i"}, {"name": "p", "image": "i"}]},
        status={"initContainerStatuses": [{"name": "s", "state": ENDED}, {"name": "p", "state": ENDED}]},
    ),
    ENDED_IN_ITS_GRACE,
    pod(
        "Failed",
        spec={"activeDeadlineSeconds": 6},
        status={
            "reason": "DeadlineExceeded",
            "startTime": "2026-01-01T00:00:00Z",
            "containerStatuses": [main(ENDED), {"name": "other", "state": ENDED}],
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize("whole", PODS)
def test_a_trimmed_pod_tells_the_same_story(whole):
    kept = deepcopy(whole)
    trim_pod(kept)
    assert pod_fact(kept) == pod_fact(whole)


def test_a_trimmed_job_tells_how_it_ended_and_has_lost_its_template():
    kept = deepcopy(JOB)
    trim_job(kept)
    assert job_fact(kept) == job_fact(JOB)
    assert has_template(JOB)
    assert not has_template(kept)


@pytest.mark.parametrize(("trim", "whole"), [(trim_job, JOB), (trim_pod, PODS[0])])
def test_who_it_is_and_whose_it_is_stay(trim, whole):
    kept = deepcopy(whole)
    trim(kept)
    for name in ("name", "namespace", "uid", "resourceVersion", "finalizers", "ownerReferences", "creationTimestamp"):
        assert kept["metadata"][name] == METADATA[name]
    assert kept["metadata"]["annotations"] == {"weft.dev/run-uid": "run"}
    assert "managedFields" not in kept["metadata"]


@pytest.mark.parametrize(("trim", "whole"), [(trim_job, JOB), (trim_pod, PODS[3])])
def test_who_holds_the_whole_object_keeps_it_whole(trim, whole):
    before = deepcopy(whole)
    trim(dict(whole))
    assert whole == before


def test_what_many_objects_say_alike_is_kept_once():
    """Ten thousand nodes: the UID of their run, the name of a Job in its Pod's owner."""
    first, second = (orjson.loads(orjson.dumps(pod("Pending"))) for _ in range(2))
    job = orjson.loads(orjson.dumps(JOB | {"metadata": METADATA | {"name": "j", "uid": "ju"}}))
    for each in (first, second):
        trim_pod(each)
    trim_job(job)
    assert first["metadata"]["annotations"]["weft.dev/run-uid"] is second["metadata"]["annotations"]["weft.dev/run-uid"]
    assert first["metadata"]["ownerReferences"][0]["uid"] is job["metadata"]["uid"]


def test_of_a_container_only_what_is_asked_for_is_kept():
    whole = pod(
        "Running", status={"containerStatuses": [main({"running": {}}) | {"imageID": "sha256:1", "ready": True}]}
    )
    trim_pod(whole)
    assert whole["status"]["containerStatuses"] == [{"name": "main", "image": "i", "state": {"running": {}}}]
