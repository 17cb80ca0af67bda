"""Who may say that a run is a child run: what the chart's policy counts as saying so, by its own expressions."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from weft.api.base import API_VERSION
from weft.api.objects import RUN_UID_ANNOTATION
from weft.controllers.child_controls import SUSPENDED_ANNOTATION
from weft.controllers.enforcement import WITHOUT
from weft.expr.cel import compile_expression
from weft.render.names import IDENTITY_ANNOTATION, RunRef, child_annotations, run_owner

CHART = Path(__file__).resolve().parents[3] / "charts" / "weft"

Obj = dict[str, Any]

OWNER = run_owner(RunRef("shop", "release", "uid-release", "release"))
CHILD = child_annotations("uid-release", ("verify", None, None, "main", 1))
EVERY = [IDENTITY_ANNOTATION, RUN_UID_ANNOTATION, SUSPENDED_ANNOTATION]


def policies() -> dict[str, Obj]:
    """The chart's policies by what follows its name in theirs, without what helm alone could fill in."""
    template = (CHART / "templates" / "admission.yaml").read_text()
    text = re.sub(r"\{\{.*?\}\}", "", template, flags=re.DOTALL)
    documents = [each for each in yaml.safe_load_all(text) if each]
    return {each["metadata"]["name"].lstrip("-"): each for each in documents if "spec" in each and _is_policy(each)}


def _is_policy(document: Obj) -> bool:
    return bool(document["kind"] == "ValidatingAdmissionPolicy")


def claims(new: Obj, old: Obj | None = None) -> list[str]:
    """What a write of a run's metadata claims, by the policy's variables in the order in which they stand."""
    known: Obj = {}
    for variable in policies()["run-parent"]["spec"]["variables"]:
        roots = ("request", "object", "oldObject", "variables")
        program = compile_expression(variable["expression"], roots)
        known[variable["name"]] = program.evaluate(
            {
                "request": {"operation": "CREATE" if old is None else "UPDATE"},
                "object": {"metadata": new},
                "oldObject": None if old is None else {"metadata": old},
                "variables": dict(known),
            }
        )
    found: list[str] = known["claims"]
    return found


def test_the_operator_looks_for_every_policy_and_may_read_it() -> None:
    assert policies().keys() == WITHOUT.keys()
    readable = (CHART / "templates" / "rbac.yaml").read_text()
    assert all("}}-" + policy in readable for policy in WITHOUT)


def test_who_may_adopt_is_asked_and_only_for_who_claims() -> None:
    spec = policies()["run-parent"]["spec"]
    [validation] = spec["validations"]
    nothing, _, asked = validation["expression"].partition(" || ")
    assert nothing == "size(variables.claims) == 0"
    runs = "authorizer.group('weft.dev').resource('workflowruns').namespace(request.namespace)"
    assert asked == f"{runs}.check('adopt').allowed()"
    [rule] = spec["matchConstraints"]["resourceRules"]
    assert rule["resources"] == ["workflowruns"]
    assert rule["operations"] == ["CREATE", "UPDATE"]


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"ownerReferences": [], "annotations": {}},
        {"annotations": {"weft.dev/other": "x", "team": "shop"}},
        {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "release", "uid": "uid-release"}]},
    ],
)
def test_a_run_of_its_own_claims_nothing(metadata: Obj) -> None:
    assert claims(metadata) == []
    assert claims(metadata, {}) == []
    assert claims({}, metadata) == []


@pytest.mark.parametrize("annotation", EVERY)
def test_each_annotation_that_the_operator_trusts_is_a_claim(annotation: str) -> None:
    said = {"annotations": {"team": "shop", annotation: "x"}}
    assert claims(said) == [f"metadata.annotations[{annotation}]"]
    assert claims(said, {"annotations": {"team": "shop"}}) == [f"metadata.annotations[{annotation}]"]
    assert claims(said, {"annotations": {annotation: "y"}}) == [f"metadata.annotations[{annotation}]"]
    assert claims(said, {"annotations": {annotation: "x"}}) == [], "it says nothing new"
    assert claims({"annotations": {"team": "shop"}}, said) == [], "it is taken back"


@pytest.mark.parametrize("version", [API_VERSION, "weft.dev/v1", "other.example/v1"])
def test_a_run_as_owner_is_a_claim_in_whatever_group_it_is_said_to_be(version: str) -> None:
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "uid-c"}
    said = {"ownerReferences": [other, OWNER | {"apiVersion": version}]}
    assert claims(said) == ["metadata.ownerReferences"]
    assert claims(said, {"ownerReferences": [other]}) == ["metadata.ownerReferences"]
    assert claims({"ownerReferences": [other]}, said) == []


@pytest.mark.parametrize("change", [{"name": "another"}, {"uid": "uid-another"}])
def test_another_owner_is_a_new_claim(change: Obj) -> None:
    assert claims({"ownerReferences": [OWNER | change]}, {"ownerReferences": [OWNER]}) == ["metadata.ownerReferences"]


@pytest.mark.parametrize("change", [{"blockOwnerDeletion": False}, {"controller": False}])
def test_what_the_garbage_collector_changes_of_an_owner_is_none(change: Obj) -> None:
    assert claims({"ownerReferences": [OWNER | change]}, {"ownerReferences": [OWNER]}) == []


def test_all_that_has_to_go_is_named_at_once() -> None:
    wanted = ["metadata.ownerReferences", *(f"metadata.annotations[{name}]" for name in EVERY[:2])]
    assert claims({"ownerReferences": [OWNER], "annotations": CHILD}) == wanted
