"""Resource nodes: what becomes of their objects when the node is stopped, and after a crash in between."""

from collections.abc import AsyncIterator

import pytest
from support.rig import NAMESPACE, Rig
from support.transport import status
from weft.kube.objects import Obj
from weft.kube.resources import CONFIG_MAPS

CORE = {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}
NODE = """
nodes:
- name: a
  resource:
    manifest: {apiVersion: v1, kind: ConfigMap, metadata: {name: made}, data: {state: open}}
    successWhen: object.data.state == 'done'
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


async def test_an_object_that_is_somebody_elses_is_left_alone(rig: Rig) -> None:
    await begin(rig)
    rig.api.edit(CONFIG_MAPS, NAMESPACE, "made", lambda obj: obj["metadata"].update(ownerReferences=[]))
    rig.edit(stop="Cancel")
    await rig.wait(rig.ended)
    assert made(rig) is not None


async def test_a_manifest_that_the_api_server_does_not_take_fails_the_node(rig: Rig) -> None:
    """An admission webhook that denies without a code says 400."""
    rig.api.fail(400, method="PATCH", plural="configmaps")
    await rig.up()
    rig.start("w")
    await rig.wait(rig.ended)
    assert rig.nodes() == {"a": "Failed(ResourceFailed)"}


async def test_a_cluster_scoped_kind_is_refused(rig: Rig) -> None:
    rig.api.documents["/api/v1"] = {"resources": [{"name": "namespaces", "kind": "Namespace", "namespaced": False}]}
    rig.workflow("w2", "nodes: [{name: a, resource: {manifest: {apiVersion: v1, kind: Namespace}}}]")
    await rig.up()
    rig.start("w2")
    await rig.wait(rig.ended)
    assert rig.nodes() == {"a": "Failed(Forbidden)"}
    assert "Namespace is cluster-scoped" in rig.first_node()["message"]
    assert not rig.api.asked("PATCH", "namespaces")


async def test_what_an_api_server_in_trouble_says_is_shown_while_it_is_asked_again(rig: Rig) -> None:
    sick = status(500, reason="InternalError", message="failed calling webhook")
    rig.api.fail(sick, method="PATCH", plural="configmaps", times=20)
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
