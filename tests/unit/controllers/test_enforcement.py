"""What is not enforced is said, by Workflows and NodeTypes, as soon as it is known and as long as it is so."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.manifests import node_type, workflow
from support.shell import World
from weft.api.objects import Obj
from weft.controllers.enforcement import WITHOUT
from weft.controllers.workflows import Readiness
from weft.kube.resources import NODE_TYPES, VALIDATING_ADMISSION_POLICY_BINDINGS, WORKFLOWS, Resource

API = "admissionregistration.k8s.io/v1"


class Cluster(World):
    def __init__(self) -> None:
        super().__init__()
        self.readiness = self.make()
        self.readiness.follow()

    def make(self) -> Readiness:
        return Readiness(
            self.client, self.catalog, self.compiler, self.revisions, self.recorder, self.enforcement, **self.tools
        )

    def install(self, *policies: str, **binding: Any) -> None:
        for policy in policies or WITHOUT:
            name = f"weft-{policy}"
            spec = {"policyName": name, "validationActions": ["Deny"]} | binding
            self.add(_object("ValidatingAdmissionPolicy", name, {}))
            self.add(_object("ValidatingAdmissionPolicyBinding", name, spec))

    def said(self, resource: Resource = WORKFLOWS, name: str = "w") -> str:
        conditions = {each["type"]: each for each in self.status(resource, name)["conditions"]}
        found = conditions.get("AdmissionEnforced")
        return f"{found['status']} {found['reason']}: {found['message']}" if found else ""


def _object(kind: str, name: str, spec: Obj) -> Obj:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}


@pytest.fixture
async def world() -> AsyncIterator[Cluster]:
    made = Cluster()
    made.readiness.start()
    made.add(workflow())
    made.add(node_type())
    events = asyncio.create_task(made.recorder.run())
    yield made
    events.cancel()
    await made.readiness.shutdown()


async def test_nothing_is_said_before_it_is_known(world: Cluster) -> None:
    await world.settle()
    assert world.said() == ""


async def test_all_in_force(world: Cluster) -> None:
    world.install()
    await world.enforcement.look()
    await world.settle()
    assert world.said().startswith("True PoliciesInForce: ")
    assert world.said(NODE_TYPES, "t").startswith("True PoliciesInForce: ")


@pytest.mark.parametrize("left_out", WITHOUT)
async def test_one_that_is_missing_is_named_with_what_it_would_prevent(left_out: str, world: Cluster) -> None:
    world.install(*(policy for policy in WITHOUT if policy != left_out))
    await world.enforcement.look()
    await world.settle()
    for said in (world.said(), world.said(NODE_TYPES, "t")):
        assert said.startswith(f"False PoliciesMissing: {WITHOUT[left_out]}, since ")
        assert f"weft-{left_out}; " in said


@pytest.mark.parametrize("binding", [{"validationActions": ["Warn", "Audit"]}, {"policyName": "another"}])
async def test_a_binding_that_denies_nothing_is_none(binding: dict[str, Any], world: Cluster) -> None:
    world.install(**binding)
    await world.enforcement.look()
    await world.settle()
    assert world.said().startswith("False PoliciesMissing: ")


async def test_what_may_not_be_read_is_unknown(world: Cluster) -> None:
    world.install()
    world.api.fail(403, plural="validatingadmissionpolicies", times=3)
    await world.enforcement.look()
    await world.settle()
    assert world.said().startswith("Unknown PoliciesUnknown: ")


async def test_news_are_told_and_only_news(world: Cluster) -> None:
    await world.settle()
    await world.enforcement.look()
    await world.settle()
    assert world.said().startswith("False ")
    writes = len(world.api.asked("PATCH", "workflows", subresource="status"))
    await world.enforcement.look()
    await world.settle()
    assert len(world.api.asked("PATCH", "workflows", subresource="status")) == writes
    world.install()
    await world.enforcement.look()
    await world.settle()
    assert world.said().startswith("True ")
    world.api.remove(VALIDATING_ADMISSION_POLICY_BINDINGS, "", "weft-approval-author")
    await world.enforcement.look()
    await world.settle()
    assert world.said().startswith("False ")


async def test_what_cannot_be_read_just_now_stays_as_it_was(world: Cluster) -> None:
    world.install()
    await world.enforcement.look()
    told: list[str] = []
    world.enforcement.subscribe(lambda: told.append("news"))
    world.api.fail(500, plural="validatingadmissionpolicies", times=100)
    await world.clock.run(world.enforcement.look())
    assert told == []
    await world.settle()
    assert world.said().startswith("True ")


async def test_a_restart_keeps_what_was_said_until_it_has_looked(world: Cluster) -> None:
    world.install()
    await world.enforcement.look()
    await world.settle()
    world.enforcement = Cluster().enforcement  # of a new process, which has not looked yet
    restarted = world.make()
    restarted.follow()
    restarted.start()
    world.api.edit(WORKFLOWS, "ns", "w", lambda obj: obj["spec"].update(description="new"))
    await world.readiness.shutdown()
    await world.settle()
    assert world.status(WORKFLOWS, "w")["observedGeneration"] == 2
    assert world.said().startswith("True PoliciesInForce: ")
    await restarted.shutdown()
