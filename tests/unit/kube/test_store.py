import pytest
from weft.kube.store import ChildStore, RunKey

RUN = RunKey("ns", "run-1")


class World:
    """A store that is fed as two informers feed it."""

    def __init__(self):
        self.store = ChildStore(monotonic=lambda: 0.0)
        self.version = 100

    def say(self, event_type, obj):
        self.version += 1
        obj = obj | {"metadata": obj["metadata"] | {"resourceVersion": str(self.version)}}
        is_job = obj["kind"] == "Job"
        handler = self.store.on_job if is_job else self.store.on_pod
        for change in (self.store.jobs if is_job else self.store.pods).apply(event_type, obj):
            handler(*change)

    def names(self, run=RUN):
        children = self.store.children(*run)
        jobs = {name(family.job): sorted(name(pod) for pod in family.pods) for family in children.jobs}
        return jobs, sorted(name(pod) for pod in children.orphans)


def name(obj):
    return obj["metadata"]["name"]


def job(job_name, *, run="run-1", annotated=True, version="1"):
    owner = {"kind": "WorkflowRun", "name": "listing", "uid": run, "controller": True}
    return {
        "kind": "Job",
        "metadata": {
            "namespace": "ns",
            "name": job_name,
            "uid": f"uid-{job_name}",
            "resourceVersion": version,
            "annotations": {"weft.dev/run-uid": run} if annotated else None,
            "ownerReferences": [owner],
        },
    }


def pod(pod_name, job_name, *, run="run-1", annotated=True, version="1"):
    return {
        "kind": "Pod",
        "metadata": {
            "namespace": "ns",
            "name": pod_name,
            "uid": f"uid-{pod_name}",
            "resourceVersion": version,
            "annotations": {"weft.dev/run-uid": run} if annotated else {},
            "ownerReferences": [{"kind": "Job", "name": job_name, "uid": f"uid-{job_name}", "controller": True}],
        },
    }


@pytest.mark.parametrize("annotated", [True, False])
@pytest.mark.parametrize("order", [0, 1])
def test_a_pod_is_found_under_its_job_whichever_is_heard_of_first(annotated, order):
    world = World()
    events = [job("a", annotated=annotated), pod("a-x", "a", annotated=annotated)]
    for obj in (events, events[::-1])[order]:
        world.say("ADDED", obj)
    assert world.names() == ({"a": ["a-x"]}, [])


def test_runs_do_not_see_each_others_children():
    world = World()
    world.say("ADDED", job("a"))
    world.say("ADDED", job("b", run="run-2"))
    assert world.names() == ({"a": []}, [])
    assert world.names(RunKey("ns", "run-2")) == ({"b": []}, [])
    assert world.names(RunKey("other", "run-1")) == ({}, [])


@pytest.mark.parametrize("annotated", [True, False])
def test_a_pod_that_outlives_its_job_is_an_orphan_of_its_run_until_it_goes(annotated):
    world = World()
    world.say("ADDED", job("a", annotated=annotated))
    world.say("ADDED", pod("a-x", "a", annotated=annotated))
    world.say("DELETED", job("a", annotated=annotated))
    assert world.names() == ({}, ["a-x"])
    world.say("MODIFIED", pod("a-x", "a", annotated=annotated))
    assert world.names() == ({}, ["a-x"])
    world.say("DELETED", pod("a-x", "a", annotated=annotated))
    assert world.names() == ({}, [])


def test_a_deleted_pod_leaves_its_job():
    world = World()
    world.say("ADDED", job("a"))
    world.say("ADDED", pod("a-x", "a"))
    world.say("DELETED", pod("a-x", "a"))
    assert world.names() == ({"a": []}, [])


def test_children_are_the_newest_versions():
    world = World()
    world.say("ADDED", job("a"))
    world.say("MODIFIED", job("a") | {"status": {"active": 1}})
    ((stored, _),) = world.store.children(*RUN).jobs
    assert stored["status"] == {"active": 1}


def test_what_we_created_is_there_at_once():
    world = World()
    created, its_pod = job("a", version="500"), pod("a-x", "a", version="501")
    world.store.remember_created(created)
    world.store.remember_created(its_pod)
    assert world.names() == ({"a": ["a-x"]}, [])


def test_an_older_event_does_not_undo_what_we_wrote_and_a_newer_one_is_taken():
    world = World()
    ours = job("a", version="500")
    world.store.remember_created(ours)
    world.say("ADDED", job("a"))
    assert world.store.children(*RUN).jobs[0].job["metadata"]["resourceVersion"] == "500"
    world.version = 600
    world.say("MODIFIED", job("a"))
    assert world.store.children(*RUN).jobs[0].job["metadata"]["resourceVersion"] == "601"


def test_what_we_patched_after_its_deletion_does_not_come_back():
    world = World()
    world.say("ADDED", job("a"))
    world.say("DELETED", job("a"))
    world.store.remember_created(job("a", version="50"))
    assert world.names() == ({}, [])


def test_objects_of_no_run_are_kept_out_of_the_index():
    world = World()
    foreign = job("a", annotated=False)
    foreign["metadata"]["ownerReferences"] = []
    world.say("ADDED", foreign)
    world.say("ADDED", pod("a-x", "a", annotated=False))
    assert world.names() == ({}, [])
    assert world.names(RunKey("ns", "")) == ({}, [])


def test_nothing_is_kept_of_runs_that_are_gone():
    world = World()
    for annotated in (True, False):
        for event_type in ("ADDED", "DELETED"):
            for number in range(3):
                world.say(event_type, job(f"{annotated}-{number}".lower(), annotated=annotated))
                world.say(
                    event_type,
                    pod(f"{annotated}-{number}-x".lower(), f"{annotated}-{number}".lower(), annotated=annotated),
                )
    indexes = [value for key, value in vars(world.store).items() if isinstance(value, dict)]
    assert len(indexes) == 4
    assert indexes == [{}] * 4
