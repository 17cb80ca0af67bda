"""What Weft believes of an API server: each contract is one belief, held against the one in memory and a real one.

    await contract(client, "namespace")      # in CONTRACTS, by name

The namespace is empty and the contract's own. Nothing acts on what is made here: the Jobs name a controller that does
not exist, the runs a Workflow that does not.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

import pytest
from weft.api.objects import Obj, uid_of, version_of
from weft.kube.client import Client, PatchType
from weft.kube.errors import AlreadyExists, ApiError, Conflict, Gone, Invalid, NotFound
from weft.kube.resources import CONFIG_MAPS, CONTROLLER_REVISIONS, JOBS, PODS, WORKFLOW_RUNS, Resource

Contract = Callable[[Client, str], Awaitable[None]]
START, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"
_CONTAINER = {"name": "main", "image": "weft.local/nothing:1"}


def config_map(namespace: str, name: str, **metadata: Any) -> Obj:
    return {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace, **metadata},
        "data": {"x": "1"},
    }  # fmt: skip


def job(namespace: str, name: str = "j") -> Obj:
    template = {"spec": {"restartPolicy": "Never", "containers": [_CONTAINER]}}
    spec = {"managedBy": "contract.example/nobody", "template": template, "backoffLimit": 0}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


async def gone(client: Client, resource: Resource, name: str, namespace: str) -> None:
    """Wait until it is: background deletion takes a moment."""
    for _ in range(300):
        try:
            await client.get(resource, name, namespace=namespace)
        except NotFound:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{name} is still there")


async def a_name_is_taken_once(client: Client, namespace: str) -> None:
    made = await client.create(CONFIG_MAPS, config_map(namespace, "a"))
    with pytest.raises(AlreadyExists):
        await client.create(CONFIG_MAPS, config_map(namespace, "a"))
    await client.delete(CONFIG_MAPS, "a", namespace=namespace)
    again = await client.create(CONFIG_MAPS, config_map(namespace, "a"))
    assert uid_of(again) != uid_of(made)
    assert int(version_of(again)) > int(version_of(made))
    unnamed = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "g-", "namespace": namespace}}
    first, second = [await client.create(CONFIG_MAPS, unnamed) for _ in range(2)]
    assert first["metadata"]["name"] != second["metadata"]["name"]


async def a_patch_from_an_old_version_conflicts(client: Client, namespace: str) -> None:
    made = await client.create(CONFIG_MAPS, config_map(namespace, "a"))
    newer = await client.patch(CONFIG_MAPS, "a", {"data": {"x": "2"}}, namespace=namespace)
    assert int(version_of(newer)) > int(version_of(made))
    stale = {"metadata": {"resourceVersion": version_of(made)}, "data": {"x": "3"}}
    with pytest.raises(Conflict):
        await client.patch(CONFIG_MAPS, "a", stale, namespace=namespace)
    fresh = {"metadata": {"resourceVersion": version_of(newer)}, "data": {"x": "3"}}
    newest = await client.patch(CONFIG_MAPS, "a", fresh, namespace=namespace)
    same = await client.patch(CONFIG_MAPS, "a", {"data": {"x": "3"}}, namespace=namespace)
    assert version_of(same) == version_of(newest), "a write that changes nothing makes no version"
    with pytest.raises(Invalid):
        await client.patch(CONFIG_MAPS, "a", {"metadata": {"uid": "another"}, "data": {}}, namespace=namespace)
    cleared = await client.patch(CONFIG_MAPS, "a", {"data": {"x": None}}, namespace=namespace)
    assert not cleared.get("data")


async def a_json_patch_tests_first(client: Client, namespace: str) -> None:
    await client.create(CONFIG_MAPS, config_map(namespace, "a"))
    wrong = [{"op": "test", "path": "/data/x", "value": "9"}, {"op": "remove", "path": "/data/x"}]
    with pytest.raises(Invalid):
        await client.patch(CONFIG_MAPS, "a", wrong, namespace=namespace, patch_type=PatchType.JSON)
    right = [{"op": "test", "path": "/data/x", "value": "1"}, {"op": "replace", "path": "/data/x", "value": "2"}]
    done = await client.patch(CONFIG_MAPS, "a", right, namespace=namespace, patch_type=PatchType.JSON)
    assert done["data"] == {"x": "2"}


async def spec_and_status_are_written_apart(client: Client, namespace: str) -> None:
    made = await client.create(JOBS, job(namespace) | {"status": {"failed": 3}})
    assert not made.get("status", {}).get("failed")
    both = {"spec": {"parallelism": 0}, "status": {"startTime": START}}
    status_written = await client.patch_status(JOBS, "j", both, namespace=namespace)
    assert status_written["status"]["startTime"] == START
    assert status_written["spec"].get("parallelism") in (None, 1)
    assert status_written["metadata"]["generation"] == 1
    both = {"spec": {"activeDeadlineSeconds": 60}, "status": {"startTime": LATER}}
    spec_written = await client.patch(JOBS, "j", both, namespace=namespace)
    assert spec_written["status"]["startTime"] == START
    assert spec_written["metadata"]["generation"] == 2
    marked = await client.patch(JOBS, "j", {"metadata": {"labels": {"x": "y"}}}, namespace=namespace)
    assert marked["metadata"]["generation"] == 2
    stale = {"metadata": {"resourceVersion": version_of(made)}, "status": {"startTime": START}}
    with pytest.raises(Conflict):
        await client.patch_status(JOBS, "j", stale, namespace=namespace)


async def a_finalizer_holds_a_deleted_object(client: Client, namespace: str) -> None:
    made = await client.create(CONFIG_MAPS, config_map(namespace, "a", finalizers=["contract.example/hold"]))
    with pytest.raises(Conflict):
        await client.delete(CONFIG_MAPS, "a", namespace=namespace, uid="00000000-0000-4000-8000-000000000000")
    newer = await client.patch(CONFIG_MAPS, "a", {"data": {"x": "2"}}, namespace=namespace)
    with pytest.raises(Conflict):
        await client.delete(CONFIG_MAPS, "a", namespace=namespace, uid=uid_of(made), version=version_of(made))
    assert await client.delete(CONFIG_MAPS, "a", namespace=namespace, uid=uid_of(made), version=version_of(newer))
    held = await client.get(CONFIG_MAPS, "a", namespace=namespace)
    assert held["metadata"]["deletionTimestamp"]
    more = {"metadata": {"finalizers": ["contract.example/hold", "contract.example/more"]}}
    with pytest.raises(Invalid):
        await client.patch(CONFIG_MAPS, "a", more, namespace=namespace)
    with pytest.raises(AlreadyExists):
        await client.create(CONFIG_MAPS, config_map(namespace, "a"))
    await client.patch(CONFIG_MAPS, "a", {"metadata": {"finalizers": None}}, namespace=namespace)
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAPS, "a", namespace=namespace)
    assert not await client.delete(CONFIG_MAPS, "a", namespace=namespace)


async def what_is_owned_goes_with_its_owner(client: Client, namespace: str) -> None:
    owner = await client.create(CONFIG_MAPS, config_map(namespace, "owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid_of(owner)}
    await client.create(CONFIG_MAPS, config_map(namespace, "owned", ownerReferences=[reference]))
    await client.delete(CONFIG_MAPS, "owner", namespace=namespace)
    await gone(client, CONFIG_MAPS, "owned", namespace)


async def a_watch_tells_everything_since_its_version(client: Client, namespace: str) -> None:
    made = await client.create(CONFIG_MAPS, config_map(namespace, "a", labels={"x": "y"}))
    await client.create(CONFIG_MAPS, config_map(namespace, "other"))
    await client.patch(CONFIG_MAPS, "a", {"data": {"x": "2"}}, namespace=namespace)
    await client.patch(CONFIG_MAPS, "a", {"metadata": {"labels": {"x": "z"}}}, namespace=namespace)
    await client.patch(CONFIG_MAPS, "a", {"metadata": {"labels": {"x": "y"}}}, namespace=namespace)
    await client.delete(CONFIG_MAPS, "a", namespace=namespace)
    seen: list[tuple[str, str]] = []
    versions = [int(version_of(made))]
    events = client.watch(
        CONFIG_MAPS, resource_version=version_of(made), namespace=namespace, label_selector="x=y", timeout_seconds=5,
        idle_timeout=20,
    )  # fmt: skip
    async with aclosing(events):
        async for kind, obj in events:
            if kind != "BOOKMARK":
                seen.append((kind, obj["metadata"]["name"]))
                versions.append(int(version_of(obj)))
            if len(seen) == 4:
                break
    # An object that leaves the selection is DELETED there, and ADDED when it comes back.
    assert seen == [("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "a"), ("DELETED", "a")]
    assert versions == sorted(set(versions))


async def a_watch_from_long_ago_is_gone_or_tells_everything(client: Client, namespace: str) -> None:
    """A server that has only just started still knows all that has ever happened."""
    await client.create(CONFIG_MAPS, config_map(namespace, "a"))
    await client.delete(CONFIG_MAPS, "a", namespace=namespace)
    events = client.watch(CONFIG_MAPS, resource_version="1", namespace=namespace, timeout_seconds=2, idle_timeout=20)
    seen: list[str] = []
    with suppress(Gone):
        async with aclosing(events):
            async for kind, obj in events:
                seen.append(f"{kind} {obj['metadata'].get('name')}")
        assert {"ADDED a", "DELETED a"} <= set(seen)


def _ended(*types: str, **status: Any) -> Obj:
    times = {"lastTransitionTime": LATER, "lastProbeTime": LATER}
    shared = {"status": "True", "reason": "Contract", "message": "", **times}
    conditions = [{"type": each, **shared} for each in types]
    return {"startTime": START, "uncountedTerminatedPods": {}, "conditions": conditions, **status}


ACCEPTED = {
    "complete": _ended("SuccessCriteriaMet", "Complete", completionTime=LATER, succeeded=1),
    "failed": _ended("FailureTarget", "Failed", failed=1),
}
REFUSED = {
    "complete without its announcement": _ended("Complete", completionTime=LATER, succeeded=1),
    "failed without its announcement": _ended("Failed", failed=1),
    "complete without completionTime": _ended("SuccessCriteriaMet", "Complete", succeeded=1),
    "failed with completionTime": _ended("FailureTarget", "Failed", completionTime=LATER, failed=1),
    "completed before it started": _ended(
        "SuccessCriteriaMet", "Complete", completionTime="2025-12-31T23:59:59Z", succeeded=1
    ),
    "finished without startTime": _ended("FailureTarget", "Failed", failed=1) | {"startTime": None},
    "both": _ended("SuccessCriteriaMet", "Complete", "FailureTarget", "Failed", completionTime=LATER),
    "finished with an active Pod": _ended("FailureTarget", "Failed", active=1),
}


async def a_managed_jobs_status_takes_the_controllers_own_steps(client: Client, namespace: str) -> None:
    for number, status in enumerate(REFUSED.values()):
        await client.create(JOBS, job(namespace, f"refused-{number}"))
        with pytest.raises(Invalid):  # its number is its place in REFUSED
            await client.patch_status(JOBS, f"refused-{number}", {"status": status}, namespace=namespace)
    for name, status in ACCEPTED.items():
        await client.create(JOBS, job(namespace, name))
        await client.patch_status(JOBS, name, {"status": status}, namespace=namespace)


async def a_finished_job_stays_as_it_is(client: Client, namespace: str) -> None:
    await client.create(JOBS, job(namespace))
    await client.patch_status(JOBS, "j", {"status": ACCEPTED["complete"]}, namespace=namespace)
    changes: list[Obj] = [
        {"conditions": []},
        ACCEPTED["failed"],
        {"succeeded": 0},
        {"completionTime": "2026-01-01T00:02:00Z"},
        {"startTime": LATER},
    ]
    for change in changes:
        with pytest.raises(Invalid):
            await client.patch_status(JOBS, "j", {"status": change}, namespace=namespace)
    again = await client.patch_status(JOBS, "j", {"status": ACCEPTED["complete"]}, namespace=namespace)
    assert again["status"]["succeeded"] == 1
    with pytest.raises(Invalid):
        await client.patch(JOBS, "j", {"spec": {"managedBy": "contract.example/other"}}, namespace=namespace)


async def a_pods_deadline_only_comes_nearer(client: Client, namespace: str) -> None:
    nowhere = {"contract.example/never": "true"}
    spec = {"nodeSelector": nowhere, "containers": [_CONTAINER], "activeDeadlineSeconds": 600}
    metadata = {"name": "p", "namespace": namespace}
    await client.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    nearer = await client.patch(PODS, "p", {"spec": {"activeDeadlineSeconds": 60}}, namespace=namespace)
    assert nearer["spec"]["activeDeadlineSeconds"] == 60
    for later in (61, None):
        with pytest.raises(Invalid):
            await client.patch(PODS, "p", {"spec": {"activeDeadlineSeconds": later}}, namespace=namespace)
    await client.delete(PODS, "p", namespace=namespace)


async def a_deleted_pods_finalizer_outlives_its_kubelet(client: Client, namespace: str) -> None:
    """A Pod that no node has is still there when it was deleted, as long as the finalizer is."""
    finalizers = {"finalizers": ["contract.example/hold"]}
    spec = {"nodeSelector": {"contract.example/never": "true"}, "containers": [_CONTAINER]}
    metadata = {"name": "p", "namespace": namespace, **finalizers}
    made = await client.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    assert made["status"]["phase"] == "Pending"
    await client.delete(PODS, "p", namespace=namespace, uid=uid_of(made))
    held = await client.get(PODS, "p", namespace=namespace)
    assert held["metadata"]["deletionTimestamp"]
    assert held["status"]["phase"] == "Pending"
    other = {"metadata": {"uid": "00000000-0000-4000-8000-000000000000", "finalizers": None}}
    with pytest.raises((Conflict, Invalid)):
        await client.patch(PODS, "p", other, namespace=namespace)
    mine = {"metadata": {"uid": uid_of(made), "finalizers": None}}
    await client.patch(PODS, "p", mine, namespace=namespace)
    await gone(client, PODS, "p", namespace)


async def what_a_jobs_pods_are_made_from_is_fixed(client: Client, namespace: str) -> None:
    await client.create(JOBS, job(namespace))
    other = {"spec": {"containers": [{**_CONTAINER, "image": "weft.local/other:1"}]}}
    with pytest.raises(Invalid):
        await client.patch(JOBS, "j", {"spec": {"template": other}}, namespace=namespace)
    suspended = await client.patch(JOBS, "j", {"spec": {"suspend": True}}, namespace=namespace)
    assert suspended["spec"]["suspend"]


async def what_is_frozen_is_not_changed(client: Client, namespace: str) -> None:
    frozen: Obj = {**config_map(namespace, "a"), "immutable": True}
    await client.create(CONFIG_MAPS, frozen)
    revision: Obj = {
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": "r", "namespace": namespace},
        "data": {"workflow": {"nodes": []}}, "revision": 1,
    }  # fmt: skip
    await client.create(CONTROLLER_REVISIONS, revision)
    with pytest.raises(Invalid):
        await client.patch(CONFIG_MAPS, "a", {"data": {"x": "2"}}, namespace=namespace)
    body = {"data": {"workflow": {"nodes": [{"name": "a"}]}}}
    with pytest.raises(Invalid):
        await client.patch(CONTROLLER_REVISIONS, "r", body, namespace=namespace)
    labelled = await client.patch(CONFIG_MAPS, "a", {"metadata": {"labels": {"x": "y"}}}, namespace=namespace)
    assert labelled["metadata"]["labels"] == {"x": "y"}


async def a_list_is_of_those_selected_and_as_of_its_version(client: Client, namespace: str) -> None:
    await client.create(CONFIG_MAPS, config_map(namespace, "a", labels={"x": "y"}))
    await client.create(CONFIG_MAPS, config_map(namespace, "b", labels={"x": "z"}))
    newest = await client.create(CONFIG_MAPS, config_map(namespace, "c", labels={"x": "y", "w": "v"}))
    for selector, want in (("x=y", ["a", "c"]), ("x=y,w=v", ["c"]), ("w", ["c"]), ("x!=y,x", ["b"])):
        found = await client.list(CONFIG_MAPS, namespace=namespace, label_selector=selector)
        assert [obj["metadata"]["name"] for obj in found] == want, selector
    page = await client.page(CONFIG_MAPS, namespace=namespace, label_selector="x")
    assert int(version_of(page)) >= int(version_of(newest))


async def a_list_of_metadata_has_nothing_else(client: Client, namespace: str) -> None:
    made = [await client.create(CONFIG_MAPS, config_map(namespace, name, labels={"x": "y"})) for name in ("a", "b")]
    await client.create(CONFIG_MAPS, config_map(namespace, "c"))
    found = await client.of_metadata().list(CONFIG_MAPS, namespace=namespace, label_selector="x=y")
    assert [(uid_of(obj), version_of(obj)) for obj in found] == [(uid_of(obj), version_of(obj)) for obj in made]
    assert [obj["metadata"]["labels"] for obj in found] == [{"x": "y"}, {"x": "y"}]
    assert not any("data" in obj for obj in found)


async def a_watch_ends_when_its_time_is_up(client: Client, namespace: str) -> None:
    made = await client.create(CONFIG_MAPS, config_map(namespace, "a"))
    events = client.watch(
        CONFIG_MAPS, resource_version=version_of(made), namespace=namespace, timeout_seconds=1, idle_timeout=20
    )
    async with aclosing(events):
        seen = [obj["metadata"].get("name") async for kind, obj in events if kind != "BOOKMARK"]
    assert "a" not in seen, "it was there before"


async def an_applied_object_is_made_or_changed(client: Client, namespace: str) -> None:
    body = config_map(namespace, "a")
    apply: dict[str, Any] = {"namespace": namespace, "patch_type": PatchType.APPLY}
    made = await client.patch(CONFIG_MAPS, "a", body, **apply)
    again = await client.patch(CONFIG_MAPS, "a", body, **apply)
    assert (uid_of(again), version_of(again)) == (uid_of(made), version_of(made)), "nothing has changed"
    changed = await client.patch(CONFIG_MAPS, "a", body | {"data": {"x": "2"}}, **apply)
    assert changed["data"] == {"x": "2"}


async def a_double_that_is_whole_comes_back_as_an_integer(client: Client, namespace: str) -> None:
    given = {"half": 5.0, "deep": [{"huge": 1e16}], "not": 2.5, "text": "5.0"}
    back = [["deep", [{"huge": 10**16}]], ["half", 5], ["not", 2.5], ["text", "5.0"]]

    def told(values: Obj) -> str:
        return repr(sorted(map(list, values.items())))

    metadata = {"name": "r", "namespace": namespace}
    spec = {"workflowRef": {"name": "nowhere"}, "parameters": given}
    body = {"apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun", "metadata": metadata, "spec": spec}
    made = await client.create(WORKFLOW_RUNS, body)
    assert told(made["spec"]["parameters"]) == repr(back)
    status = {"status": {"outputs": given, "nodes": [{"name": "a", "phase": "Succeeded", "outputs": given}]}}
    await client.patch_status(WORKFLOW_RUNS, "r", status, namespace=namespace)
    found = await client.get(WORKFLOW_RUNS, "r", namespace=namespace)
    assert told(found["status"]["outputs"]) == told(found["status"]["nodes"][0]["outputs"]) == repr(back)


async def a_runs_controls_only_go_forward(client: Client, namespace: str) -> None:
    async def edit(**spec: Any) -> Obj:
        return await client.patch(WORKFLOW_RUNS, "r", {"spec": spec}, namespace=namespace)

    metadata = {"name": "r", "namespace": namespace}
    spec = {"workflowRef": {"name": "nowhere"}}
    body = {"apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun", "metadata": metadata, "spec": spec}
    await client.create(WORKFLOW_RUNS, body)
    await edit(suspend=True)
    with pytest.raises(Invalid):  # it is active; an operator that looks on ends it as soon as it is stopped
        await edit(rerun={"generation": 1, "from": "Failed"})
    await edit(suspend=False, stop="Drain")
    await edit(stop="Cancel")
    for refused in (
        {"stop": "Drain"}, {"stop": None}, {"workflowRef": {"name": "other"}}, {"parameters": {"x": 1}},
        {"rerun": {"generation": 1, "from": "Failed"}},
    ):  # fmt: skip
        with pytest.raises(ApiError) as error:
            await edit(**refused)
        assert isinstance(error.value, Invalid), refused
    finished = {"type": "Finished", "status": "True", "reason": "Contract", "message": "", "lastTransitionTime": LATER}
    ended = {"status": {"phase": "Failed", "conditions": [finished]}}
    await client.patch_status(WORKFLOW_RUNS, "r", ended, namespace=namespace)
    await edit(stop=None, rerun={"generation": 1, "from": "Failed"})
    for refused in ({"rerun": None}, {"rerun": {"generation": 1, "from": "All"}}):
        with pytest.raises(Invalid):
            await edit(**refused)
    await edit(stop="Terminate")


CONTRACTS: tuple[Contract, ...] = (
    a_name_is_taken_once,
    a_patch_from_an_old_version_conflicts,
    a_json_patch_tests_first,
    spec_and_status_are_written_apart,
    a_finalizer_holds_a_deleted_object,
    what_is_owned_goes_with_its_owner,
    a_watch_tells_everything_since_its_version,
    a_watch_from_long_ago_is_gone_or_tells_everything,
    a_managed_jobs_status_takes_the_controllers_own_steps,
    a_finished_job_stays_as_it_is,
    a_pods_deadline_only_comes_nearer,
    a_deleted_pods_finalizer_outlives_its_kubelet,
    what_a_jobs_pods_are_made_from_is_fixed,
    what_is_frozen_is_not_changed,
    a_list_is_of_those_selected_and_as_of_its_version,
    a_list_of_metadata_has_nothing_else,
    a_watch_ends_when_its_time_is_up,
    an_applied_object_is_made_or_changed,
    a_double_that_is_whole_comes_back_as_an_integer,
    a_runs_controls_only_go_forward,
)
