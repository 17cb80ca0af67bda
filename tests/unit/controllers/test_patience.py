"""What the API server refuses and may take a moment later, and what it will never take."""

from collections.abc import AsyncIterator

import pytest
from support.rig import Fate, Rig
from support.transport import over_quota, status
from weft.kube.transport import Response

RBAC = 'x is forbidden: User "weft" cannot create resource "x" in API group "y" in the namespace "n"'
ACCOUNT = 'pods "p" is forbidden: error looking up service account n/default: serviceaccount "default" not found'
NOT_READY = 'pods "p" is forbidden: not yet ready to handle request'
ADMISSION = 'pods "p" is forbidden: violates PodSecurity "restricted:latest": privileged'

JOB = "nodes: [{name: a, retry: {limit: 2}, job: {image: i}}]"
CHILD = "nodes: [{name: a, retry: {limit: 2}, workflow: {name: child}}]"
RESOURCE = """
nodes:
- name: a
  retry: {limit: 2}
  resource: {manifest: {apiVersion: v1, kind: ConfigMap, metadata: {name: made}}, successWhen: "true"}
"""
BODIES = [
    pytest.param(JOB, "jobs", "POST", id="a Job"),
    pytest.param(JOB, "pods", "POST", id="a Pod"),
    pytest.param(CHILD, "workflowruns", "POST", id="a child run"),
    pytest.param(RESOURCE, "configmaps", "PATCH", id="a resource"),
]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig(resource_impersonation=True)
    rig.api.documents["/api/v1"] = {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}
    rig.workflow("child", "nodes: [{name: x, job: {image: i}}]")
    yield rig
    await rig.close()


def forbidden(message: str) -> Response:
    return status(403, "Forbidden", message)


async def begin(rig: Rig, nodes: str, plural: str, method: str, answer: Response, *, times: int) -> None:
    rig.workflow("w", nodes)
    await rig.up()
    rig.start("w")
    rig.api.fail(answer, method=method, plural=plural, times=times)


@pytest.mark.parametrize("message", [RBAC, ACCOUNT, NOT_READY], ids=["a right", "an account", "a plugin"])
@pytest.mark.parametrize(("nodes", "plural", "method"), BODIES)
async def test_what_is_only_late_fails_no_node(rig: Rig, nodes: str, plural: str, method: str, message: str) -> None:
    await begin(rig, nodes, plural, method, forbidden(message), times=3)
    await rig.wait(lambda: rig.first_node().get("reason") == "Forbidden", seconds=3)
    assert rig.first_node()["phase"] in ("Pending", "Running")
    assert rig.first_node()["message"] == message
    await rig.wait(rig.ended, seconds=60)
    assert rig.nodes() == {"a": "Succeeded"}
    assert rig.first_node().get("attempts", 1) == 1


@pytest.mark.parametrize(("nodes", "plural", "method"), BODIES)
async def test_what_is_taken_at_last_is_not_shown_as_refused_any_more(
    rig: Rig, nodes: str, plural: str, method: str
) -> None:
    rig.behave = lambda node, attempt: Fate(seconds=60)
    nodes = nodes.replace('successWhen: "true"', 'successWhen: "false"')
    await begin(rig, nodes, plural, method, forbidden(RBAC), times=2)
    await rig.wait(lambda: rig.first_node().get("reason") == "Forbidden", seconds=3)
    await rig.wait(lambda: "reason" not in rig.first_node() and rig.first_node()["phase"] == "Running", seconds=10)


@pytest.mark.parametrize(("nodes", "plural", "method"), BODIES)
async def test_what_is_missing_for_long_fails_the_node(rig: Rig, nodes: str, plural: str, method: str) -> None:
    await begin(rig, nodes, plural, method, forbidden(RBAC), times=100)
    await rig.wait(rig.ended, seconds=40)
    assert rig.nodes() == {"a": "Failed(Forbidden)"}
    assert rig.first_node()["message"] == RBAC


@pytest.mark.parametrize(("nodes", "plural", "method"), BODIES)
async def test_what_admission_forbids_fails_at_once(rig: Rig, nodes: str, plural: str, method: str) -> None:
    await begin(rig, nodes, plural, method, forbidden(ADMISSION), times=1)
    await rig.wait(rig.ended, seconds=3)
    assert rig.nodes() == {"a": "Failed(Forbidden)"}


async def test_a_child_run_that_was_refused_when_the_operator_died_is_begun_by_the_next(rig: Rig) -> None:
    await begin(rig, CHILD, "workflowruns", "POST", forbidden(RBAC), times=2)
    await rig.wait(lambda: rig.first_node().get("reason") == "Forbidden", seconds=3)
    await rig.down()
    await rig.up()
    await rig.wait(rig.ended, seconds=20)
    assert rig.nodes() == {"a": "Succeeded"}


@pytest.mark.parametrize(("nodes", "plural", "method"), BODIES)
async def test_an_operator_that_dies_does_not_begin_to_wait_anew(
    rig: Rig, nodes: str, plural: str, method: str
) -> None:
    await begin(rig, nodes, plural, method, forbidden(RBAC), times=100)
    for _ in range(4):
        await rig.clock.advance(10)
        await rig.down()
        await rig.up()
    await rig.wait(rig.ended, seconds=10)
    assert rig.nodes() == {"a": "Failed(Forbidden)"}


async def test_what_is_missing_only_after_a_quota_was_waited_for_is_asked_for_as_often(rig: Rig) -> None:
    await begin(rig, JOB, "jobs", "POST", over_quota(), times=8)
    await rig.wait(lambda: len(rig.api.asked("POST", "jobs")) == 8)
    rig.api.fail(forbidden(RBAC), method="POST", plural="jobs", times=2)
    await rig.wait(rig.ended)
    assert rig.nodes() == {"a": "Succeeded"}
