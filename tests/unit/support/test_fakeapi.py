"""The fake API server behaves as the real one in what the controllers' tests rely on."""

import asyncio
from contextlib import aclosing
from typing import Any

import orjson
import pytest
from support.clock import VirtualClock, settle
from support.fakeapi import FakeApi
from weft.api.objects import Obj
from weft.kube.client import PatchType
from weft.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NamespaceTerminating,
    NotFound,
    OutcomeUnknown,
)
from weft.kube.resources import CONFIG_MAPS, JOBS, PODS, WORKFLOW_RUNS, Resource
from weft.kube.transport import Dropped


def run(name: str = "r", **metadata: Any) -> Obj:
    return {"kind": "WorkflowRun", "metadata": {"namespace": "ns", "name": name, **metadata}, "spec": {"queue": "q"}}


def pod(name: str, owner: Obj | None = None, **metadata: Any) -> Obj:
    if owner is not None:
        metadata["ownerReferences"] = [{"kind": owner["kind"], "uid": owner["metadata"]["uid"], "name": "o"}]
    return {"kind": "Pod", "metadata": {"namespace": "ns", "name": name, **metadata}, "spec": {}}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def api(clock: VirtualClock) -> FakeApi:
    return FakeApi(clock=clock)


async def test_a_create_is_stored_once_and_without_status(api: FakeApi) -> None:
    client = api.client()
    made = await client.create(WORKFLOW_RUNS, run() | {"status": {"phase": "Failed"}})
    assert made["metadata"]["generation"] == 1
    assert "status" not in made
    with pytest.raises(AlreadyExists):
        await client.create(WORKFLOW_RUNS, run())
    first, second = [await client.create(PODS, pod("", generateName="p-")) for _ in range(2)]
    assert first["metadata"]["name"] != second["metadata"]["name"]


async def test_spec_and_status_are_written_apart(api: FakeApi) -> None:
    client, stored = api.client(), api.add(run())
    both = {"spec": {"suspend": True}, "status": {"phase": "Running"}}
    status_written = await client.patch_status(WORKFLOW_RUNS, "r", both, namespace="ns")
    assert (status_written["spec"], status_written["status"]) == ({"queue": "q"}, {"phase": "Running"})
    assert status_written["metadata"]["generation"] == 1
    spec_written = await client.patch(
        WORKFLOW_RUNS, "r", {"spec": {"suspend": True}, "status": {"phase": "x"}}, namespace="ns"
    )
    assert (spec_written["metadata"]["generation"], spec_written["status"]) == (2, {"phase": "Running"})
    again = await client.patch(WORKFLOW_RUNS, "r", {"spec": {"suspend": True}}, namespace="ns")
    assert again["metadata"]["resourceVersion"] == spec_written["metadata"]["resourceVersion"]
    stale = {"metadata": {"resourceVersion": stored["metadata"]["resourceVersion"]}, "status": {}}
    with pytest.raises(Conflict):
        await client.patch_status(WORKFLOW_RUNS, "r", stale, namespace="ns")


async def test_json_patches(api: FakeApi) -> None:
    client = api.client()
    api.add(pod("p", finalizers=["a", "b"]))
    operations = [
        {"op": "test", "path": "/metadata/finalizers/1", "value": "b"},
        {"op": "remove", "path": "/metadata/finalizers/1"},
        {"op": "add", "path": "/metadata/labels", "value": {"x": "1"}},
        {"op": "replace", "path": "/metadata/labels/x", "value": "2"},
    ]
    patched = await client.patch(PODS, "p", operations, namespace="ns", patch_type=PatchType.JSON)
    assert (patched["metadata"]["finalizers"], patched["metadata"]["labels"]) == (["a"], {"x": "2"})
    with pytest.raises(Invalid):
        await client.patch(PODS, "p", operations, namespace="ns", patch_type=PatchType.JSON)


async def test_finalizers_hold_a_deleted_object(api: FakeApi) -> None:
    client = api.client()
    api.add(pod("p", finalizers=["f"]))
    with pytest.raises(Conflict):
        await client.delete(PODS, "p", namespace="ns", uid="another")
    assert await client.delete(PODS, "p", namespace="ns")
    held = api.read(PODS, "ns", "p")
    assert held is not None
    assert held["metadata"]["deletionTimestamp"]
    await client.patch(PODS, "p", {"metadata": {"finalizers": None}}, namespace="ns")
    assert api.read(PODS, "ns", "p") is None
    assert not await client.delete(PODS, "p", namespace="ns")


async def test_dependents_go_with_their_owner(api: FakeApi) -> None:
    owner, other = api.add(run("a")), api.add(run("b"))
    job = api.add(pod("j", owner) | {"kind": "Job"})
    api.add(pod("p", job))
    api.add(pod("q", owner))
    shared = pod("shared", owner)
    shared["metadata"]["ownerReferences"].append({"kind": "WorkflowRun", "name": "b", "uid": other["metadata"]["uid"]})
    api.add(shared)
    await api.client().delete(WORKFLOW_RUNS, "a", namespace="ns")
    assert [each["metadata"]["name"] for each in api.all(PODS)] == ["shared"]
    assert api.all(JOBS) == []


async def test_lists_are_selected(api: FakeApi) -> None:
    api.add(pod("p", labels={"app": "a", "x": "1"}))
    api.add(pod("q", labels={"app": "b"}))

    async def names(labels: str = "", fields: str = "", namespace: str = "") -> list[str]:
        answer = await api.request(
            "GET", PODS.path(namespace=namespace), params={"labelSelector": labels, "fieldSelector": fields},
            headers={}, body=None, content_type=None, time_limit=1.0,
        )  # fmt: skip
        return [each["metadata"]["name"] for each in orjson.loads(answer.body)["items"]]

    assert await names() == ["p", "q"]
    assert await names("app=a") == ["p"]
    assert await names("app!=a") == ["q"]
    assert await names("x") == ["p"]
    assert await names("!x,app") == ["q"]
    assert await names(fields="metadata.name=q") == ["q"]
    assert await names(namespace="other") == []


async def test_immutable_data_cannot_be_changed(api: FakeApi) -> None:
    api.add({"kind": "ConfigMap", "metadata": {"namespace": "ns", "name": "c"}, "immutable": True, "data": {"a": "1"}})
    with pytest.raises(Invalid):
        await api.client().patch(CONFIG_MAPS, "c", {"data": {"a": "2"}}, namespace="ns")


async def test_a_namespace_that_is_being_deleted_takes_nothing_new(api: FakeApi) -> None:
    api.terminating.add("ns")
    with pytest.raises(NamespaceTerminating):
        await api.client().create(WORKFLOW_RUNS, run())


async def test_faults_before_and_after_the_act(api: FakeApi) -> None:
    client = api.client(attempts=1)
    api.fail(403, method="POST", plural="pods")
    with pytest.raises(Forbidden):
        await client.create(PODS, pod("p"))
    assert api.all(PODS) == []
    api.fail(Dropped("cut"), method="POST", after=True)
    with pytest.raises(OutcomeUnknown):
        await client.create(PODS, pod("p"))
    assert len(api.all(PODS)) == 1


BEGINNING = "100"
"""The version of an empty server."""


class Watch:
    """Reads a watch in the background; `seen` is what came, `error` how it ended."""

    def __init__(self, api: FakeApi, resource: Resource, since: str, *, labels: str = "", seconds: int = 60):
        self.seen: list[str] = []
        self.error: Exception | None = None
        self.task = asyncio.create_task(self._read(api, resource, since, labels, seconds))

    async def _read(self, api: FakeApi, resource: Resource, since: str, labels: str, seconds: int) -> None:
        events = api.client().watch(
            resource, resource_version=since, label_selector=labels, timeout_seconds=seconds, idle_timeout=99
        )
        try:
            async with aclosing(events):
                async for kind, obj in events:
                    self.seen.append(f"{kind} {obj['metadata'].get('name', '')}".strip())
        except Exception as error:
            self.error = error


async def test_a_watch_tells_what_came_after_its_version(api: FakeApi) -> None:
    since = api.add(pod("old"))["metadata"]["resourceVersion"]
    api.add(pod("p"))
    watch = Watch(api, PODS, since)
    await settle()
    api.add(run())
    api.edit(PODS, "ns", "p", lambda obj: obj["status"].update(phase="Running"))
    api.bookmark()
    api.remove(PODS, "ns", "p")
    await settle()
    assert watch.seen == ["ADDED p", "MODIFIED p", "BOOKMARK", "DELETED p"]
    api.break_watches()
    await settle()
    assert (watch.task.done(), watch.error) == (True, None)


async def test_an_object_that_leaves_the_selection_is_deleted_there(api: FakeApi) -> None:
    watch = Watch(api, PODS, BEGINNING, labels="app=a")
    api.add(pod("p", labels={"app": "b"}))
    for app in "ab":
        api.edit(PODS, "ns", "p", lambda obj, app=app: obj["metadata"].update(labels={"app": app}))
    await settle()
    assert watch.seen == ["ADDED p", "DELETED p"]
    watch.task.cancel()


async def test_watches_lag_break_expire_and_end(api: FakeApi, clock: VirtualClock) -> None:
    watch = Watch(api, PODS, BEGINNING, seconds=30)
    await settle()
    api.hold_watches()
    api.add(pod("p"))
    await settle()
    assert watch.seen == []
    api.release_watches()
    await settle()
    assert watch.seen == ["ADDED p"]
    await clock.advance(30)
    assert (watch.task.done(), watch.error) == (True, None)
    broken = Watch(api, PODS, BEGINNING)
    await settle()
    api.break_watches(Dropped("cut"))
    await settle()
    assert isinstance(broken.error, OutcomeUnknown)
    api.expire()
    expired = Watch(api, PODS, BEGINNING)
    await settle()
    assert isinstance(expired.error, Gone)


async def test_what_is_not_there_is_not_found(api: FakeApi) -> None:
    with pytest.raises(NotFound):
        await api.client().get(PODS, "p", namespace="ns")
