"""The catalog: what Weft's objects are, however the news of them came in."""

from typing import Any

import pytest
from support.clock import VirtualClock
from support.fakeapi import FakeApi
from support.manifests import approval, node_type, queue, run, workflow
from support.shell import sync
from weft.api.objects import Obj
from weft.controllers.catalog import Catalog, spec_changed
from weft.kube.resources import APPROVALS, NODE_TYPES, WORKFLOW_QUEUES, WORKFLOW_RUNS, WORKFLOWS
from weft.kube.store import RunKey


@pytest.fixture
def catalog() -> Catalog:
    return Catalog(monotonic=VirtualClock().monotonic)


def names(objects: Any) -> list[str]:
    return [obj["metadata"]["name"] for obj in objects]


def told(catalog: Catalog, kind: Any) -> list[str]:
    heard: list[str] = []
    catalog.subscribe(kind, lambda event, obj, old: heard.append(f"{event} {obj['metadata']['name']}"))
    return heard


def test_subscribers_hear_of_each_change_once(catalog: Catalog) -> None:
    heard = told(catalog, WORKFLOW_RUNS)
    catalog.apply(WORKFLOW_RUNS, None, run("a"))
    catalog.apply(WORKFLOW_RUNS, "ADDED", run("a"))
    catalog.remember(WORKFLOW_RUNS, run("a", version="3", phase="Running"))
    catalog.apply(WORKFLOW_RUNS, "MODIFIED", run("a", version="2"))
    catalog.apply(WORKFLOW_RUNS, "DELETED", run("a", version="4"))
    catalog.apply(WORKFLOW_RUNS, "MODIFIED", run("a", version="3"))
    assert heard == ["ADDED a", "MODIFIED a", "DELETED a"]
    assert list(catalog.runs) == []


def test_one_subscriber_that_fails_does_not_keep_the_news_from_others(
    catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    catalog.subscribe(WORKFLOWS, lambda event, obj, old: 1 / 0)
    heard = told(catalog, WORKFLOWS)
    catalog.apply(WORKFLOWS, None, workflow("w"))
    assert heard == ["ADDED w"]
    assert "subscriber" in caplog.text


def test_indexes_follow_what_happens(catalog: Catalog) -> None:
    catalog.apply(WORKFLOW_RUNS, None, run("parent", workflow="outer"))
    catalog.apply(WORKFLOW_RUNS, None, run("child", owner="uid-parent", queue="gpu"))
    catalog.apply(WORKFLOW_RUNS, None, run("inline", workflow={}))
    catalog.apply(APPROVALS, None, approval("yes", "uid-parent"))
    found = catalog.run(RunKey("ns", "uid-child"))
    assert found is not None
    assert found["metadata"]["name"] == "child"
    assert names(catalog.runs_of_workflow("ns", "w")) == ["child"]
    assert names(catalog.child_runs(RunKey("ns", "uid-parent"))) == ["child"]
    assert names(catalog.approvals_of(RunKey("ns", "uid-parent"))) == ["yes"]
    catalog.apply(WORKFLOW_RUNS, "MODIFIED", run("child", owner="uid-parent", queue="gpu", version="2", phase="Failed"))
    assert catalog.child_runs(RunKey("ns", "uid-parent"))[0]["status"]["phase"] == "Failed"
    catalog.apply(WORKFLOW_RUNS, "DELETED", run("child", owner="uid-parent", queue="gpu", version="3"))
    assert catalog.run(RunKey("ns", "uid-child")) is None
    assert catalog.child_runs(RunKey("ns", "uid-parent")) == catalog.runs_of_workflow("ns", "w") == []


def test_child_runs_that_have_ended_are_not_walked_any_more_unless_they_are_to_run_again(catalog: Catalog) -> None:
    def tell(version: str, *, finished: str, **spec: Any) -> list[str]:
        child = run("child", owner="uid-parent", version=version, phase="Failed", **spec)
        child["status"]["conditions"] = [{"type": "Finished", "status": finished}]
        catalog.apply(WORKFLOW_RUNS, "MODIFIED", child)
        return names(catalog.child_runs(RunKey("ns", "uid-parent")))

    assert tell("2", finished="False") == ["child"]
    assert tell("3", finished="True") == []
    assert tell("4", finished="True", rerun={"generation": 1, "from": "Failed"}) == ["child"]
    assert tell("5", finished="False", rerun={"generation": 1, "from": "Failed"}, rerunGeneration=1) == ["child"]
    assert tell("6", finished="True", rerun={"generation": 1, "from": "Failed"}, rerunGeneration=1) == []
    catalog.apply(WORKFLOW_RUNS, "DELETED", run("child", owner="uid-parent", version="7"))
    assert catalog._by_owner._found == {}


def test_a_run_made_again_under_its_name_is_another(catalog: Catalog) -> None:
    heard = told(catalog, WORKFLOW_RUNS)
    catalog.apply(WORKFLOW_RUNS, None, run("a", uid="first"))
    catalog.apply(WORKFLOW_RUNS, "MODIFIED", run("a", uid="second", version="2"))
    assert heard == ["ADDED a", "DELETED a", "ADDED a"]
    assert (catalog.run(RunKey("ns", "first")), catalog.run(RunKey("ns", "second")) is not None) == (None, True)


async def test_a_sync_finds_what_was_missed() -> None:
    api = FakeApi()
    catalog = Catalog(monotonic=api.clock.monotonic)
    api.add(workflow("stays"))
    api.add(workflow("goes"))
    api.add(queue())
    heard = told(catalog, WORKFLOWS)
    await sync(catalog, api.client())
    api.remove(WORKFLOWS, "ns", "goes")
    api.add(workflow("comes"))
    api.edit(WORKFLOWS, "ns", "stays", lambda obj: obj["spec"].update(parallelism=1))
    await sync(catalog, api.client())
    assert heard == ["ADDED stays", "ADDED goes", "DELETED goes", "MODIFIED stays", "ADDED comes"]
    assert names(catalog.queues) == ["default"]


async def test_a_sync_is_bound_to_its_namespaces() -> None:
    api = FakeApi()
    catalog = Catalog(monotonic=api.clock.monotonic)
    for namespace in ("one", "two", "three"):
        obj = run(f"in-{namespace}")
        obj["metadata"]["namespace"] = namespace
        api.add(obj)
    await sync(catalog, api.client(), ["one", "two"])
    assert names(catalog.runs) == ["in-one", "in-two"]


async def test_what_came_while_a_sync_was_listing_is_not_taken_for_vanished() -> None:
    api = FakeApi()
    catalog = Catalog(monotonic=api.clock.monotonic)
    api.add(workflow("old"))

    async def meanwhile(asked: Any) -> None:
        if asked.resource is WORKFLOWS and asked.method == "GET" and len(catalog.workflows) == 0:
            catalog.apply(WORKFLOWS, "ADDED", api.add(workflow("new")))

    api.after.append(meanwhile)
    await sync(catalog, api.client())
    assert sorted(names(catalog.workflows)) == ["new", "old"]


def test_managed_fields_are_dropped_and_the_kind_is_put_back(catalog: Catalog) -> None:
    obj = queue("q")
    obj["metadata"]["managedFields"] = [{}]
    del obj["kind"]
    catalog.apply(WORKFLOW_QUEUES, None, obj)
    (held,) = catalog.queues
    assert (held["kind"], "managedFields" in held["metadata"]) == ("WorkflowQueue", False)


def test_node_types_that_exist(catalog: Catalog) -> None:
    catalog.apply(NODE_TYPES, None, node_type("fetch"))
    assert catalog.node_type_specs("ns", {"fetch", "absent"}) == {"fetch": {"job": {"image": "i"}}}
    assert catalog.node_type_specs("other", {"fetch"}) == {}


def with_metadata(**metadata: Any) -> Obj:
    obj = run("a")
    obj["metadata"].update(metadata)
    return obj


@pytest.mark.parametrize(
    ("obj", "changed"),
    [
        (run("a", version="2"), False),
        (run("a", version="2", phase="Running"), False),
        (run("a", version="2", generation=2), True),
        (with_metadata(deletionTimestamp="2026-01-01T00:00:00Z"), True),
        (with_metadata(annotations={"a": "b"}), True),
        (with_metadata(labels={"a": "b"}), True),
        (with_metadata(ownerReferences=[{"uid": "x"}]), True),
    ],
)
def test_a_change_of_the_status_alone_wakes_nobody(obj: Obj, changed: bool) -> None:
    assert spec_changed(obj, run("a")) is changed
    assert spec_changed(obj, None)
