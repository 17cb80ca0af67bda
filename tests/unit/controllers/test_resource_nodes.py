"""Resource nodes: what becomes of their objects when the node is stopped, and after a crash in between."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.asked import Asked
from support.rig import NAMESPACE, Rig
from support.transport import status
from weft.api.objects import Obj, uid_of
from weft.controllers.in_flight import OF_A_NAMESPACE
from weft.kube.resources import CONFIG_MAPS, WORKFLOW_RUNS
from weft.kube.transport import Response

CORE = {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}
NODE = """
nodes:
- name: a
  resource:
    manifest: {apiVersion: v1, kind: ConfigMap, metadata: {name: made}, data: {state: open}}
    successWhen: object.data.state == 'done'
"""
MANY = """- name: a
  forEach: {range: 100}
"""


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig(resource_impersonation=True)
    rig.api.documents["/api/v1"] = CORE
    rig.workflow("w", NODE)
    yield rig
    await rig.close()


def made(rig: Rig) -> Obj | None:
    return rig.api.read(CONFIG_MAPS, NAMESPACE, "made")


async def begin(rig: Rig) -> None:
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: made(rig) is not None)


@pytest.mark.parametrize("crash", [False, True], ids=["calm", "after a crash"])
@pytest.mark.parametrize("stop", ["Cancel", "Terminate"])
async def test_the_object_of_a_stopped_node_is_deleted(rig: Rig, stop: str, crash: bool) -> None:
    await begin(rig)
    if crash:
        await rig.down()
        await rig.up()
    rig.edit(stop=stop)
    await rig.wait(rig.ended)
    assert rig.phase() == "Cancelled"
    assert made(rig) is None


async def test_a_crash_and_a_stop_while_the_operator_is_away(rig: Rig) -> None:
    await begin(rig)
    await rig.down()
    rig.edit(stop="Cancel")
    await rig.up()
    await rig.wait(rig.ended)
    assert made(rig) is None


async def test_the_object_of_a_node_that_has_ended_stays(rig: Rig) -> None:
    await begin(rig)
    rig.api.edit(CONFIG_MAPS, NAMESPACE, "made", lambda obj: obj["data"].update(state="done"))
    await rig.wait(rig.ended)
    assert rig.phase() == "Succeeded"
    assert made(rig) is not None


def with_conditions(rig: Rig, success: str, fail: str = "object.status.failed > 3", limit: int = 30) -> None:
    body = NODE.replace("object.data.state == 'done'", success) + f"    failWhen: {fail}\n  timeoutSeconds: {limit}\n"
    rig.workflow("w2", body)


async def begin_with_conditions(rig: Rig) -> None:
    await rig.up()
    rig.start("w2")
    await rig.wait(lambda: made(rig) is not None)
    await rig.clock.advance(5)


async def test_what_the_object_does_not_have_yet_is_waited_for(rig: Rig) -> None:
    with_conditions(rig, "object.status.succeeded > 0")
    await begin_with_conditions(rig)
    assert rig.nodes() == {"a": "Running"}
    waits = "successWhen: no such key: status at column 7 of `object.status.succeeded > 0`"
    assert rig.first_node()["message"] == waits
    rig.api.edit(CONFIG_MAPS, NAMESPACE, "made", lambda it: it.update(status={"succeeded": 1}))
    await rig.wait(rig.ended, seconds=5)
    assert rig.nodes() == {"a": "Succeeded"}
    assert not rig.first_node().get("message")


async def test_nor_has_it_failed_by_what_it_does_not_have(rig: Rig) -> None:
    with_conditions(rig, "object.data.state == 'done'")
    await begin_with_conditions(rig)
    assert rig.nodes() == {"a": "Running"}
    rig.api.edit(CONFIG_MAPS, NAMESPACE, "made", lambda it: it.update(status={"failed": 4}))
    await rig.wait(rig.ended, seconds=5)
    assert rig.nodes() == {"a": "Failed(ResourceFailed)"}


async def test_what_it_never_has_is_told_when_the_time_is_over(rig: Rig) -> None:
    with_conditions(rig, "object.status.succeeded > 0", limit=10)
    await begin_with_conditions(rig)
    await rig.wait(rig.ended, seconds=30)
    assert rig.nodes() == {"a": "Failed(DeadlineExceeded)"}
    told = "attempt 1 took longer than timeoutSeconds (10 s); ExpressionError in successWhen: no such key: "
    assert rig.first_node()["message"].startswith(told)


async def test_what_it_was_not_allowed_to_be_is_told_when_the_time_is_over(rig: Rig) -> None:
    refused = status(403, "Forbidden", 'configmaps is forbidden: User "x" cannot create resource "configmaps"')
    rig.api.fail(refused, method="POST", plural="configmaps", times=20)
    rig.workflow("w2", NODE + "  timeoutSeconds: 10\n")
    await rig.up()
    rig.start("w2")
    await rig.wait(rig.ended, seconds=30)
    assert rig.nodes() == {"a": "Failed(DeadlineExceeded)"}
    late = "attempt 1 took longer than timeoutSeconds (10 s); it had not started: Forbidden: configmaps is forbidden"
    assert rig.first_node()["message"].startswith(late)


async def test_any_other_error_of_a_condition_fails_the_node(rig: Rig) -> None:
    with_conditions(rig, "int(object.data.state) > 0")
    await begin_with_conditions(rig)
    await rig.wait(rig.ended, seconds=5)
    assert rig.nodes() == {"a": "Failed(ExpressionError)"}
    assert rig.first_node()["message"].startswith("successWhen: ")


async def test_an_object_that_is_somebody_elses_is_left_alone(rig: Rig) -> None:
    await begin(rig)
    rig.api.edit(CONFIG_MAPS, NAMESPACE, "made", lambda obj: obj["metadata"].update(ownerReferences=[]))
    rig.edit(stop="Cancel")
    await rig.wait(rig.ended)
    assert made(rig) is not None


async def test_a_manifest_that_the_api_server_does_not_take_fails_the_node(rig: Rig) -> None:
    """An admission webhook that denies without a code says 400."""
    rig.api.fail(400, method="POST", plural="configmaps")
    await rig.up()
    rig.start("w")
    await rig.wait(rig.ended)
    assert rig.nodes() == {"a": "Failed(ResourceFailed)"}


async def test_a_field_that_the_kind_does_not_have_fails_the_node(rig: Rig) -> None:
    """Unless it is asked to be strict, the API server drops it without a word; kubectl asks, too."""

    async def drop_or_refuse(asked: Asked) -> Response | None:
        if asked.method != "POST" or asked.resource is not CONFIG_MAPS or "dataa" not in asked.body:
            return None
        if asked.params.get("fieldValidation") == "Strict":
            return status(400, "BadRequest", 'strict decoding error: unknown field "dataa"')
        del asked.body["dataa"]
        return None

    rig.api.before.append(drop_or_refuse)
    rig.workflow("w2", NODE.replace("state: open}", "state: done}, dataa: {x: y}"))
    await rig.up()
    rig.start("w2")
    await rig.wait(rig.ended)
    assert rig.nodes() == {"a": "Failed(ResourceFailed)"}
    assert 'unknown field "dataa"' in rig.first_node()["message"]


async def test_of_a_refused_attempt_nothing_is_kept_while_the_run_goes_on(rig: Rig) -> None:
    rig.api.fail(400, method="POST", plural="configmaps")
    rig.workflow("w2", NODE + "- {name: b, wait: {seconds: 600}}\n")
    await rig.up()
    rig.start("w2")
    await rig.wait(lambda: rig.first_node().get("phase") == "Failed")
    assert rig.replica is not None
    [live] = rig.replica.operator.runs._live.values()
    assert rig.nodes() == {"a": "Failed(ResourceFailed)", "b": "Waiting(WaitingForTime)"}
    assert [*live.manifests, *live.objects, *live.refusals, *live.tasks] == []


async def test_a_cluster_scoped_kind_is_refused(rig: Rig) -> None:
    rig.api.documents["/api/v1"] = {"resources": [{"name": "namespaces", "kind": "Namespace", "namespaced": False}]}
    rig.workflow("w2", "nodes: [{name: a, resource: {manifest: {apiVersion: v1, kind: Namespace}}}]")
    await rig.up()
    rig.start("w2")
    await rig.wait(rig.ended)
    assert rig.nodes() == {"a": "Failed(Forbidden)"}
    assert "Namespace is cluster-scoped" in rig.first_node()["message"]
    assert not rig.api.asked("POST", "namespaces")


async def test_what_an_api_server_in_trouble_says_is_shown_while_it_is_asked_again(rig: Rig) -> None:
    sick = status(500, reason="InternalError", message="failed calling webhook")
    rig.api.fail(sick, method="POST", plural="configmaps", times=20)
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: "failed calling webhook" in rig.first_node().get("message", ""))
    await rig.wait(lambda: made(rig) is not None)
    await rig.wait(lambda: not rig.first_node().get("message"))
    assert rig.nodes() == {"a": "Running"}


async def test_the_object_is_deleted_although_the_operator_dies_twice(rig: Rig) -> None:
    """What the object was asked to be stands in no status: the second one has not applied it."""
    await begin(rig)
    await rig.down()
    rig.edit(stop="Cancel")
    rig.api.fail(500, method="DELETE", plural="configmaps", name="made", times=1000)
    await rig.up()
    await rig.wait(lambda: len(rig.api.asked("DELETE", "configmaps")) > 1, seconds=60)
    await rig.down()
    rig.api.before.pop()
    await rig.up()
    await rig.wait(rig.ended)
    assert rig.phase() == "Cancelled"
    assert made(rig) is None


def add(rig: Rig, **metadata: Any) -> None:
    metadata = {"name": "made", "namespace": NAMESPACE} | metadata
    rig.api.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "precious"}})


def owner(uid: str, *, controller: bool = False) -> Obj:
    return {
        "apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun", "name": "r", "uid": uid, "controller": controller
    }  # fmt: skip


@pytest.mark.parametrize("owners", [[], [owner("another")]], ids=["nobody's", "another run's"])
async def test_an_object_that_is_there_already_is_not_touched(rig: Rig, owners: list[Obj]) -> None:
    """Whoever may start a run would overwrite it otherwise, and have it deleted with the run."""
    add(rig, ownerReferences=owners)
    before = made(rig)
    await rig.up()
    rig.start("w")
    await rig.wait(rig.ended)
    assert rig.nodes() == {"a": "Failed(ResourceFailed)"}
    message = rig.first_node()["message"]
    assert message == "ConfigMap made is there already and not this run's: choose another name, or delete it"
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "r")
    await rig.clock.advance(30)
    assert made(rig) == before


async def test_what_the_run_controls_is_no_resource_nodes_to_change(rig: Rig) -> None:
    """Its Jobs, and the ConfigMaps in which its outputs are kept."""
    await rig.up()
    rig.start("w", suspend=True)
    add(rig, ownerReferences=[owner(rig.run()["metadata"]["uid"], controller=True)])
    rig.edit(suspend=False)
    await rig.wait(rig.ended)
    assert rig.nodes() == {"a": "Failed(ResourceFailed)"}
    assert (made(rig) or {})["data"] == {"a": "precious"}


async def test_an_object_of_the_attempt_before_is_taken_up(rig: Rig) -> None:
    retried = NODE.replace("    successWhen", "    failWhen: object.data.state == 'bad'\n    successWhen")
    rig.workflow("w3", retried.replace("- name: a\n", "- name: a\n  retry: {limit: 1, backoff: {initialSeconds: 1}}\n"))
    await rig.up()
    rig.start("w3")
    await rig.wait(lambda: made(rig) is not None)
    uid = uid_of(made(rig) or {})
    rig.api.edit(CONFIG_MAPS, NAMESPACE, "made", lambda obj: obj["data"].update(state="bad"))
    await rig.wait(lambda: (made(rig) or {})["data"]["state"] == "open")
    assert uid_of(made(rig) or {}) == uid
    rig.api.edit(CONFIG_MAPS, NAMESPACE, "made", lambda obj: obj["data"].update(state="done"))
    await rig.wait(rig.ended)
    assert rig.phase() == "Succeeded"


async def test_an_answer_that_got_lost_is_no_strangers_object(rig: Rig) -> None:
    rig.api.fail(500, method="POST", plural="configmaps", after=True)
    await begin(rig)
    rig.api.edit(CONFIG_MAPS, NAMESPACE, "made", lambda obj: obj["data"].update(state="done"))
    await rig.wait(rig.ended)
    assert rig.phase() == "Succeeded"


async def test_an_object_that_takes_the_place_of_ours_meanwhile_is_not_touched(rig: Rig) -> None:
    """Between the look at it and the write somebody deletes ours and makes another."""
    rig.api.fail(500, method="POST", plural="configmaps", after=True)

    def replaced(asked: Asked) -> None:
        if asked.method == "PATCH" and asked.resource is not None and asked.resource.plural == "configmaps":
            rig.api.before.remove(replaced)
            rig.api.remove(CONFIG_MAPS, NAMESPACE, "made")
            add(rig)

    rig.api.before.append(replaced)
    await rig.up()
    rig.start("w")
    await rig.wait(rig.ended)
    assert rig.nodes() == {"a": "Failed(ResourceFailed)"}
    assert (made(rig) or {})["data"] == {"a": "precious"}


@pytest.mark.parametrize("stop", [False, True])
@pytest.mark.parametrize(
    ("version", "name"), [("../../api/v1/namespaces/kube-system/secrets/there", "x"), ("v1", ".."), ("v1", "a/b")]
)
async def test_no_value_leads_to_another_path(rig: Rig, version: str, name: str, stop: bool) -> None:
    manifest = "{apiVersion: '${{ params.v }}', kind: ConfigMap, metadata: {name: '${{ params.n }}'}}"
    rig.workflow(
        "w4", f"{{parameters: [{{name: v}}, {{name: n}}], nodes: [{{name: a, resource: {{manifest: {manifest}}}}}]}}"
    )
    await rig.up()
    rig.start("w4", parameters={"v": version, "n": name})
    if stop:
        rig.edit(stop="Cancel")
    await rig.wait(rig.ended)
    assert stop or rig.nodes() == {"a": "Failed(ResourceFailed)"}
    assert stop or "is no" in rig.first_node()["message"]
    assert not [asked for asked in rig.api.requests if ".." in asked.path or "kube-system" in asked.path]


async def test_a_crowd_of_objects_is_looked_at_bit_by_bit(rig: Rig) -> None:
    now, most = 0, 0

    async def slow(asked: Asked) -> None:
        nonlocal now, most
        if asked.method == "GET" and asked.resource is CONFIG_MAPS and (asked.name or "").startswith("r-a-"):
            now += 1
            most = max(most, now)
            await rig.clock.sleep(1)
            now -= 1

    rig.api.before.append(slow)
    rig.workflow("w5", NODE.replace("metadata: {name: made}, ", "").replace("- name: a\n", MANY))
    await rig.up()
    rig.start("w5")
    await rig.clock.advance(20)
    assert most == OF_A_NAMESPACE
    for made in rig.api.all(CONFIG_MAPS, NAMESPACE):
        rig.api.edit(CONFIG_MAPS, NAMESPACE, made["metadata"]["name"], lambda obj: obj["data"].update(state="done"))
    await rig.wait(rig.ended)
    assert rig.phase() == "Succeeded"
