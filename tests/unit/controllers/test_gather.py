"""What children tell a run: the Pod's word counts, and the Job's only where there is no Pod to ask."""

from types import SimpleNamespace
from typing import Any

import pytest
from weft.api.objects import Key, Obj
from weft.controllers.gather import children_seen, touch_all
from weft.controllers.live import LiveRun
from weft.engine.observation import AttemptEnded, AttemptPending
from weft.engine.state import AttemptId
from weft.kube.store import ChildStore
from weft.render.names import RunRef, child_annotations, child_labels, job_name

REF = RunRef("n", "r", "run-uid", "w")
ID = AttemptId("a", None, None, "main", 1)
JOB = job_name(REF, ID)


def child(kind: str, name: str, uid: str, **rest: Any) -> Obj:
    metadata = {
        "name": name, "namespace": "n", "uid": uid, "resourceVersion": "1",
        "labels": child_labels(REF, "a", 1), "annotations": child_annotations("run-uid", ID),
        **rest.pop("metadata", {}),
    }  # fmt: skip
    return {"kind": kind, "metadata": metadata, **rest}


def job(*, ended: str) -> Obj:
    return child("Job", JOB, "job-uid", spec={}, status={"conditions": [{"type": ended, "status": "True"}]})


def pod(*, phase: str, text: str, name: str = f"{JOB}-named-by-kubernetes") -> Obj:
    terminated = {"exitCode": 0 if phase == "Succeeded" else 3, "message": text}
    owner = {"kind": "Job", "name": JOB, "uid": "job-uid", "controller": True}
    return child(
        "Pod", name, "pod-uid", metadata={"ownerReferences": [owner]}, spec={"containers": [{"name": "main"}]},
        status={"phase": phase, "containerStatuses": [{"name": "main", "state": {"terminated": terminated}}]},
    )  # fmt: skip


def live_run() -> LiveRun:
    state: Any = SimpleNamespace(active={ID: SimpleNamespace(stage="Active", attempt=1)})
    return LiveRun(
        key=Key("n", "r"), ref=REF, state=state, revision="", frozen={}, status={}, version="1", generation=1,
        queued_time="", templates={},
    )  # fmt: skip


@pytest.mark.parametrize("pods", [True, False], ids=["pod-there", "pod-gone"])
@pytest.mark.parametrize(("ended", "phase"), [("Complete", "Succeeded"), ("Failed", "Failed")])
def test_after_a_restart_a_job_of_the_built_in_controller_leaves_the_word_to_its_pod(
    ended: str, phase: str, pods: bool
) -> None:
    store = ChildStore(monotonic=lambda: 0.0)
    store.remember_created(job(ended=ended))
    if pods:
        store.remember_created(pod(phase=phase, text="n=1"))
    live = live_run()
    touch_all(live, store)
    (seen,) = children_seen(live, store, now=10.0)
    assert isinstance(seen, AttemptEnded)
    assert seen.succeeded is (phase == "Succeeded")
    assert seen.text == ("n=1" if pods else None)
    assert seen.exit_code == ((0 if phase == "Succeeded" else 3) if pods else None)


@pytest.mark.parametrize("another", [True, False])
def test_a_preempted_pod_that_vanishes_late_says_nothing_of_the_one_that_runs_by_then(another: bool) -> None:
    store = ChildStore(monotonic=lambda: 0.0)
    store.remember_created(job(ended="None"))
    old, new = pod(phase="Failed", text=""), pod(phase="Running", text="", name=f"{JOB}-another")
    old["metadata"] |= {"deletionTimestamp": "2023-11-14T22:13:20Z", "uid": "old-uid"}
    new["spec"]["nodeName"] = "k"
    if another:
        store.remember_created(new)
    live = live_run()
    live.look_at("Pod", old["metadata"]["name"], old)
    seen = children_seen(live, store, now=10.0)
    assert [type(each) for each in seen] == ([] if another else [AttemptPending])
