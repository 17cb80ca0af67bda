"""The Pod of a stored Job, and the Job's final status."""

from typing import Any

import pytest
from weft.render.job_status import failed_status, succeeded_status
from weft.render.pod import is_managed, pod_for, pod_name


def stored(uid: str = "j-1", **spec: Any) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"weft.dev/run": "r"}, "annotations": {"weft.dev/run-uid": "u"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "admitted"}]},
    }
    return {
        "metadata": {"name": "r-scrape-abc", "namespace": "shop", "uid": uid},
        "spec": {"template": template, **spec},
    }


def test_a_whole_pod() -> None:
    assert pod_for(stored(suspend=False)) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(stored()),
            "namespace": "shop",
            "labels": {
                "weft.dev/run": "r",
                "batch.kubernetes.io/controller-uid": "j-1",
                "batch.kubernetes.io/job-name": "r-scrape-abc",
                "controller-uid": "j-1",
                "job-name": "r-scrape-abc",
            },
            "annotations": {"weft.dev/run-uid": "u"},
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "name": "r-scrape-abc",
                    "uid": "j-1",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
            "finalizers": ["batch.kubernetes.io/job-tracking"],
        },
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "admitted"}]},
    }


def test_one_job_has_one_pod_name_and_its_successor_another() -> None:
    assert pod_name(stored()) == pod_name(stored())
    assert pod_name(stored()).startswith("r-scrape-abc-")
    assert len(pod_name(stored())) == len("r-scrape-abc-") + 5
    assert pod_name(stored("j-1")) != pod_name(stored("j-2"))


def test_a_suspended_job_has_no_pod() -> None:
    with pytest.raises(ValueError, match="shop/r-scrape-abc is suspended"):
        pod_for(stored(suspend=True))


@pytest.mark.parametrize(
    ("spec", "managed"),
    [({}, False), ({"managedBy": "weft.dev/operator"}, True), ({"managedBy": "kubernetes.io/job-controller"}, False)],
)
def test_whose_job_it_is(spec: dict[str, Any], managed: bool) -> None:
    assert is_managed(stored(**spec)) is managed


def conditions(status: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["type"], one["status"], one["reason"]) for one in status["conditions"]]


def test_the_status_of_a_job_that_succeeded() -> None:
    status = succeeded_status(10.2, 75.9)["status"]
    assert conditions(status) == [
        ("SuccessCriteriaMet", "True", "CompletionsReached"),
        ("Complete", "True", "CompletionsReached"),
    ]
    del status["conditions"]
    assert status == {
        "startTime": "1970-01-01T00:00:10Z",
        "completionTime": "1970-01-01T00:01:15Z",
        "succeeded": 1,
        "uncountedTerminatedPods": {},
    }


def test_the_status_of_a_job_that_failed_has_no_completion_time() -> None:
    status = failed_status(10.0, 20.0, "OOMKilled", "m" * 5000)["status"]
    assert conditions(status) == [("FailureTarget", "True", "OOMKilled"), ("Failed", "True", "OOMKilled")]
    assert all(len(one["message"]) <= 1024 for one in status.pop("conditions"))
    assert status == {"startTime": "1970-01-01T00:00:10Z", "failed": 1, "uncountedTerminatedPods": {}}


def test_an_end_before_the_start_is_moved() -> None:
    """Clocks of two machines differ, and the API server refuses such a status."""
    status = succeeded_status(20.0, 10.0)["status"]
    assert status["completionTime"] == status["startTime"]
