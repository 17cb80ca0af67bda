"""What the API server itself holds people to, tried by two real users: ana, a merchant, and eve, who is nobody."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from e2e.harness.api import Obj, Refused
from e2e.harness.operator import Operator
from e2e.harness.people import Person, enroll
from e2e.harness.place import Cluster, Place, Run, refused
from e2e.harness.stage import node, spec
from weft.render.names import Identity, RunRef, child_annotations, run_owner

ASKED = {"from": {"groups": ["merchants"]}}


@pytest.fixture(scope="module")
def ana(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Person:
    return enroll(cluster, tmp_path_factory.mktemp("ana"), "ana", "merchants")


@pytest.fixture(scope="module")
def eve(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Person:
    return enroll(cluster, tmp_path_factory.mktemp("eve"), "eve")


@pytest.fixture(scope="module")
def shop(make_place: Callable[[str], Place], operator: Operator, ana: Person, eve: Person) -> Place:
    """Both may write everything of Weft's; only ana may create Pods and adopt runs."""
    place = make_place("admission")
    operator.install()
    place.kubectl("create", "role", "writer", "--verb=get,list,create,patch,update", "--resource=workflows.weft.dev,"
                  "workflowruns.weft.dev,nodetypes.weft.dev,approvals.weft.dev")  # fmt: skip
    place.kubectl("create", "rolebinding", "writer", "--role=writer", "--user=ana", "--user=eve")
    place.kubectl("create", "role", "pods", "--verb=create", "--resource=pods")
    place.kubectl("create", "rolebinding", "pods", "--role=pods", "--user=ana")
    place.kubectl("create", "role", "adopter", "--verb=adopt", "--resource=workflowruns.weft.dev")
    place.kubectl("create", "rolebinding", "adopter", "--role=adopter", "--user=ana")
    return place


def started(person: Person, place: Place, **body: object) -> Run:
    return place.find_run(person.create(place, "WorkflowRun", dict(body))["metadata"]["name"])


def test_an_approval_is_its_authors_own(shop: Place, ana: Person, eve: Person) -> None:
    ana.create(shop, "Workflow", spec([node("review", approval={})]), name="ask-anyone")
    run = started(eve, shop, workflowRef={"name": "ask-anyone"})
    run.reaches("review", "Waiting")
    told = refused(lambda: eve.decide(run, "review", by="ana"))
    assert "must be the user who creates the Approval, 'eve', got 'ana'" in told
    made = eve.decide(run, "review")
    run.finish()
    assert run.node("review")["outputs"]["by"] == ["eve"]
    told = refused(lambda: ana.change(shop, "approvals", made["metadata"]["name"], {"spec": {"by": "ana"}}))
    assert "written once" in told


def test_nobody_speaks_for_a_group_he_is_not_in(shop: Place, ana: Person, eve: Person) -> None:
    ana.create(shop, "Workflow", spec([node("review", approval=ASKED)]), name="ask-merchants")
    run = started(eve, shop, workflowRef={"name": "ask-merchants"})
    run.reaches("review", "Waiting")
    assert "must be groups of 'eve', got merchants" in refused(lambda: eve.decide(run, "review", groups=("merchants",)))
    own = eve.decide(run, "review")["metadata"]["name"]  # her own, and nobody asks for her: it does not count
    ana.decide(run, "review", groups=("merchants",))
    run.finish()
    assert run.node("review")["outputs"]["by"] == ["ana"]
    status = shop.wait_for(lambda: approval(shop, own).get("status"), "eve is not told")
    assert status["accepted"] is False


def test_what_is_no_decision_is_anybodys_to_change(shop: Place, ana: Person, eve: Person) -> None:
    ana.create(shop, "Workflow", spec([node("review", approval={"quorum": 2})]), name="ask-two")
    run = started(eve, shop, workflowRef={"name": "ask-two"})
    run.reaches("review", "Waiting")
    made = eve.decide(run, "review")["metadata"]["name"]
    ana.change(shop, "approvals", made, {"metadata": {"labels": {"seen-by": "ana"}}})
    assert approval(shop, made)["metadata"]["labels"]["seen-by"] == "ana"
    assert approval(shop, made)["spec"]["by"] == "eve"
    run.edit(stop="Terminate")
    run.finish("Cancelled")


def test_an_approval_can_be_deleted_in_every_way(shop: Place, ana: Person, eve: Person) -> None:
    ana.create(shop, "Workflow", spec([node("review", approval={"quorum": 2})]), name="ask-pair")
    run = started(eve, shop, workflowRef={"name": "ask-pair"})
    run.reaches("review", "Waiting")
    for policy in ("Foreground", "Orphan"):  # the garbage collector takes its own finalizer off, as itself
        path = f"{APPROVALS.format(shop.name)}/{eve.decide(run, 'review')['metadata']['name']}"
        shop.cluster.api.delete(path, propagationPolicy=policy)
        shop.wait_for(lambda path=path: gone(shop, path), f"the Approval stays, deleted with {policy}")
    run.edit(stop="Terminate")
    run.finish("Cancelled")


def gone(shop: Place, path: str) -> bool:
    try:
        shop.cluster.api.get(path)
    except Refused as refusal:
        return refusal.code == 404
    return False


APPROVALS = "/apis/weft.dev/v1alpha1/namespaces/{}/approvals"


def approval(shop: Place, name: str) -> Obj:
    return shop.cluster.api.get(f"{APPROVALS.format(shop.name)}/{name}")


@pytest.mark.parametrize("kind", ["Workflow", "NodeType", "WorkflowRun"])
def test_who_may_not_create_pods_gets_none_through_weft(kind: str, shop: Place, ana: Person, eve: Person) -> None:
    graph = spec([node("a")])
    bodies = {"Workflow": graph, "WorkflowRun": {"workflow": graph}, "NodeType": {"job": {"image": "busybox:1"}}}
    told = refused(lambda: eve.create(shop, kind, bodies[kind]))
    assert "'eve' may not create Pods in namespace" in told
    ana.create(shop, kind, bodies[kind])


def test_what_brings_no_pods_needs_no_such_right(shop: Place, ana: Person, eve: Person) -> None:
    ana.create(shop, "Workflow", spec([node("a", "sleep 600")]), name="anas")
    run = started(eve, shop, workflowRef={"name": "anas"})
    eve.change(shop, "workflows", "anas", {"metadata": {"labels": {"seen-by": "eve"}}})
    told = refused(lambda: eve.change(shop, "workflows", "anas", {"spec": spec([node("a", "evil")])}))
    assert "may not create Pods" in told
    inline = started(ana, shop, workflow=spec([node("a", "sleep 600")]))
    for each in (run, inline):  # controls change no Pod
        eve.change(shop, "workflowruns", each.name, {"spec": {"stop": "Terminate"}})
        each.finish("Cancelled")


def test_what_a_run_carries_out_is_fixed(shop: Place, ana: Person) -> None:
    parameters = [{"name": "a", "default": "x"}, {"name": "b", "default": "y"}]
    ana.create(shop, "Workflow", spec([node("ask", approval={})], parameters=parameters), name="with-parameters")
    run = started(ana, shop, workflowRef={"name": "with-parameters"}, parameters={"a": "1"})
    for change in (
        {"parameters": {"a": "2"}},
        {"parameters": {"a": None, "b": "1"}},  # renamed: the CRD's own rule lets this pass
        {"parameters": {"a": "1", "b": "1"}},
        {"parameters": None},
        {"queue": "other"},
        {"workflowRef": {"name": "ask-anyone"}},
        {"workflowRef": None, "workflow": spec([node("a")])},
    ):
        patch = {"spec": change}
        assert "is immutable" in refused(lambda patch=patch: ana.change(shop, "workflowruns", run.name, patch))
    ana.change(shop, "workflowruns", run.name, {"spec": {"suspend": True, "priority": "High"}})
    ana.change(shop, "workflowruns", run.name, {"spec": {"stop": "Terminate"}})
    run.finish("Cancelled")


CHECK: Identity = ("check", None, None, "main", 1)


def test_nobody_passes_his_run_off_as_another_runs_child(shop: Place, ana: Person, eve: Person) -> None:
    ana.create(shop, "Workflow", spec([node("a", "sleep 600")]), name="long")
    ana.create(shop, "Workflow", spec([node("check", workflow={"name": "long"})]), name="checked")
    run = started(ana, shop, workflowRef={"name": "checked"})
    child = run.until(lambda run: next(iter(shop.child_runs(run)), None), "the operator makes no child run")
    owner = run_owner(RunRef(shop.name, run.name, run.uid, "checked"))
    marks = child_annotations(run.uid, CHECK) | {"weft.dev/suspended-with-parent": "true"}
    forged: Obj = {"name": "forged", "ownerReferences": [owner], "annotations": marks}
    told = refused(lambda: eve.create(shop, "WorkflowRun", {"workflowRef": {"name": "long"}}, **forged))
    assert "metadata.ownerReferences, metadata.annotations[weft.dev/identity], " in told
    assert f"'eve' may not adopt workflowruns.weft.dev in namespace {shop.name}" in told
    own = started(eve, shop, workflowRef={"name": "long"})
    for name, value in marks.items():
        patch: Obj = {"metadata": {"annotations": {name: value}}}
        told = refused(lambda patch=patch: eve.change(shop, "workflowruns", own.name, patch))
        assert f"metadata.annotations[{name}]: would make it the child run of another run" in told
    for mine in (owner, owner | {"name": own.name, "uid": own.uid}):
        patch = {"metadata": {"ownerReferences": [mine]}}
        assert "may not adopt" in refused(lambda patch=patch: eve.change(shop, "workflowruns", own.name, patch))
    eve.change(shop, "workflowruns", child.name, {"metadata": {"labels": {"seen-by": "eve"}}})
    mark = "weft.dev/suspended-with-parent"
    ana.change(shop, "workflowruns", own.name, {"metadata": {"annotations": {mark: "true"}}})  # she may adopt
    eve.change(shop, "workflowruns", own.name, {"metadata": {"annotations": {mark: None}}})
    for each in (run, own):
        each.edit(stop="Terminate")
        each.finish("Cancelled")


def test_a_child_run_goes_in_every_way_its_parent_is_deleted(shop: Place, ana: Person, eve: Person) -> None:
    ana.create(shop, "Workflow", spec([node("a")]), name="short")
    ana.create(shop, "Workflow", spec([node("check", workflow={"name": "short"})]), name="checked-shortly")
    for policy in ("Background", "Foreground", "Orphan"):  # the garbage collector changes owners, as itself
        run = started(eve, shop, workflowRef={"name": "checked-shortly"}).finish()
        [child] = shop.child_runs(run)
        shop.cluster.api.delete(run.path, propagationPolicy=policy)
        shop.wait_for(lambda run=run: gone(shop, run.path), f"the run stays, deleted with {policy}")
        if policy != "Orphan":
            shop.wait_for(lambda child=child: gone(shop, child.path), f"its child stays, deleted with {policy}")
            continue
        left = shop.cluster.api.get(child.path)["metadata"]
        assert not left.get("ownerReferences")
        eve.change(shop, "workflowruns", child.name, {"metadata": {"annotations": dict.fromkeys(left["annotations"])}})


def test_a_status_is_nobodys_but_the_operators(shop: Place, ana: Person) -> None:
    ana.create(shop, "Workflow", spec([node("a")]), name="honest")
    run = started(ana, shop, workflowRef={"name": "honest"}).finish()
    path = f"{run.name}/status"
    told = refused(lambda: ana.change(shop, "workflowruns", path, {"status": {"phase": "Failed"}}))
    assert "403" in told
    ana.change(shop, "workflowruns", run.name, {"status": {"phase": "Failed"}})  # taken, and without effect
    assert run.obj["status"]["phase"] == "Succeeded"


def test_what_is_not_enforced_is_said(operator: Operator, place: Place, eve: Person) -> None:
    place.create("Workflow", "before", spec([node("a")]))
    assert enforced(place, "before", "True")["reason"] == "PoliciesInForce"
    place.kubectl("create", "role", "decider", "--verb=create", "--resource=approvals.weft.dev")
    place.kubectl("create", "rolebinding", "decider", "--role=decider", "--user=eve")
    operator.install(admission={"policies": {"enabled": False}}, resyncSeconds=10)
    try:
        condition = enforced(place, "before", "False")
        assert condition["reason"] == "PoliciesMissing"
        assert "sign it as anyone" in condition["message"]
        run = place.start("forged", spec([node("review", approval={})]))
        run.reaches("review", "Waiting")
        made = eve.decide(run, "review", by="ana")["metadata"]["name"]
        run.finish()
        status = place.wait_for(lambda: approval(place, made).get("status"), "the Approval has no status")
        assert "that it is from ana is not enforced" in status["message"]
    finally:
        operator.install()
    enforced(place, "before", "True")


def enforced(place: Place, workflow: str, status: str) -> Obj:
    """The condition AdmissionEnforced of a Workflow, waited for until it has that status."""

    def look() -> Obj | None:
        obj = place.cluster.chronicle.latest("Workflow", place.name, workflow) or {}
        found = {each["type"]: each for each in (obj.get("status") or {}).get("conditions") or ()}
        condition: Obj | None = found.get("AdmissionEnforced")
        return condition if condition is not None and condition["status"] == status else None

    return place.wait(look, f"AdmissionEnforced of {workflow} is not {status}", 60)
