"""What the API server refuses and may take a moment later, and what it will never take."""

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import yaml
from support.asked import Asked
from support.rig import NAMESPACE, Fate, Rig
from support.transport import over_quota, status
from weft.kube.resources import JOBS
from weft.kube.transport import Response
from weft.render.names import ATTEMPT_LABEL, NODE_LABEL

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
    pytest.param(RESOURCE, "configmaps", "POST", id="a resource"),
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


WEBHOOK = "Internal error occurred: failed calling webhook"
BESIDE = "[{name: b, job: {image: i}}, {name: c, dependsOn: [b], job: {image: i}}]"


def fail_first_node(rig: Rig, method: str, plural: str) -> None:
    """A webhook that fails for whatever is made for node a."""

    def hook(asked: Asked) -> Response | None:
        named = str(((asked.body or {}).get("metadata") or {}).get("name", asked.name))
        ours = (asked.method, asked.resource.plural) == (method, plural) and ("-a-" in named or named == "made")
        return status(500, "InternalError", WEBHOOK) if ours else None

    rig.api.before.append(hook)


@pytest.mark.parametrize(("nodes", "plural", "method"), BODIES)
async def test_a_webhook_that_fails_holds_up_its_node_and_no_other(
    rig: Rig, nodes: str, plural: str, method: str
) -> None:
    rig.workflow("w", {"nodes": yaml.safe_load(nodes)["nodes"] + yaml.safe_load(BESIDE)})
    fail_first_node(rig, method, plural)
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: "status" in rig.run() and rig.nodes().get("c") == "Succeeded", seconds=20)
    assert rig.first_node()["reason"] == "ApiServerError"
    assert WEBHOOK in rig.first_node()["message"]
    rig.api.before.pop()
    await rig.wait(rig.ended, seconds=40)
    assert rig.nodes() == {"a": "Succeeded", "b": "Succeeded", "c": "Succeeded"}
    assert rig.first_node().get("attempts", 1) == 1


@pytest.mark.parametrize(("nodes", "plural", "method"), BODIES)
async def test_a_stop_does_not_wait_for_the_webhook(rig: Rig, nodes: str, plural: str, method: str) -> None:
    rig.workflow("w", nodes)
    fail_first_node(rig, method, plural)
    await rig.up()
    rig.start("w")
    await rig.clock.advance(60)
    rig.edit(stop="Cancel")
    await rig.wait(rig.ended, seconds=10)
    assert rig.phase() == "Cancelled"


async def test_the_wait_for_a_webhook_counts_as_pending(rig: Rig) -> None:
    rig.workflow("w", "nodes: [{name: a, pendingTimeoutSeconds: 30, job: {image: i}}]")
    fail_first_node(rig, "POST", "pods")
    await rig.up()
    rig.start("w")
    await rig.wait(rig.ended, seconds=60)
    assert rig.nodes() == {"a": "Failed(ApiServerError)"}


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_job_that_was_made_although_the_answer_was_an_error_is_not_made_again(rig: Rig, deleted: bool) -> None:
    rig.workflow("w", "nodes: [{name: a, retry: {disruptions: 0}, job: {image: i}}]")
    rig.api.fail(status(500, "InternalError", WEBHOOK), method="POST", plural="jobs", times=5, after=True)
    rig.api.hold_watches(JOBS)
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: bool(rig.api.all(JOBS)), seconds=10)
    await rig.clock.advance(0.9)
    if deleted:
        rig.api.remove(JOBS, NAMESPACE, rig.api.all(JOBS)[0]["metadata"]["name"])
    rig.api.release_watches()
    await rig.wait(rig.ended, seconds=60)
    assert rig.nodes() == {"a": "Failed(JobDeleted)" if deleted else "Succeeded"}
    assert set(rig.jobs_made().values()) == {1}


BUSY = "{name: busy, forEach: {range: 100, maxParallel: 1}, job: {image: i}}"


@pytest.mark.parametrize("answer", [over_quota(), forbidden(RBAC)], ids=["a quota", "a right"])
@pytest.mark.parametrize(("nodes", "plural", "method"), BODIES[:3])
async def test_what_else_happens_in_the_run_asks_no_earlier_for_a_second_attempt(
    rig: Rig, nodes: str, plural: str, method: str, answer: Response
) -> None:
    """The pauses grow, though the run has news several times a second all the while."""
    asked_at: list[float] = []

    def refuse(asked: Asked) -> Response | None:
        labels = ((asked.body or {}).get("metadata") or {}).get("labels") or {}
        second = (labels.get(NODE_LABEL), labels.get(ATTEMPT_LABEL)) == ("a", "2")
        if not second or (asked.method, asked.resource.plural) != (method, plural):
            return None
        asked_at.append(rig.clock.now())
        return answer

    rig.behave = lambda node, attempt: Fate(seconds=0.3, code=int(node in ("a", "x")))
    rig.workflow("w", {"nodes": yaml.safe_load(nodes)["nodes"] + [yaml.safe_load(BUSY)]})
    rig.api.before.append(refuse)
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: bool(asked_at), seconds=30)
    await rig.clock.advance(30)
    assert [round(later - earlier) for earlier, later in pairwise(asked_at)] == [1, 2, 4, 8]
