"""The chart gives the operator what its code asks for: every setting, every right, and the version it is made for."""

import ast
import json
import re
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from weft.controllers.catalog import KINDS
from weft.controllers.workflows import KINDS as READY
from weft.kube import resources
from weft.kube.resources import Resource
from weft.settings import Settings, variable

REPOSITORY = Path(__file__).resolve().parents[3]
CHART = REPOSITORY / "charts" / "weft"
OPERATOR = REPOSITORY / "operator" / "weft"
RULES: dict[str, list[dict[str, Any]]] = yaml.safe_load((CHART / "files" / "rules.yaml").read_text())

_VERBS = {
    "get": "get", "list": "list", "page": "list", "pages": "list", "watch": "watch", "create": "create",
    "patch": "patch", "patch_status": "patch", "delete": "delete",
}  # fmt: skip
"""The client's methods that name a resource, and which right each of them takes."""


def rights(*roles: str) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for role in roles
        for rule in RULES[role]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@cache
def calls() -> set[tuple[str, str, str]]:
    """Every (group, resource, verb) that the operator's code asks of the API server by a resource's name.

    The name may stand beside the client's method, or go through functions that hand it on to one.
    """
    trees = [
        ast.parse(file.read_text())
        for file in OPERATOR.rglob("*.py")
        if "cli" not in file.relative_to(OPERATOR).parts  # a user's rights, not the operator's
    ]
    made = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)]
    asking: dict[str, set[str]] = {}
    """The methods of the client to which a function hands on one of its parameters, by its name."""
    while True:
        before = sum(map(len, asking.values()))
        for function in functions:
            for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                if _names(call) & _resources_of(function):
                    asking.setdefault(function.name, set()).update(_methods(call, asking))
        if sum(map(len, asking.values())) == before:
            break
    return {
        (resource.group, f"{resource.plural}/status" if method == "patch_status" else resource.plural, _VERBS[method])
        for call in made
        for method in _methods(call, asking)
        for name in _names(call)
        if isinstance(resource := getattr(resources, name, None), Resource)
    }


def _names(call: ast.Call) -> set[str]:
    given = (*call.args, *(keyword.value for keyword in call.keywords))
    return {value.id for value in given if isinstance(value, ast.Name)}


def _resources_of(function: ast.AsyncFunctionDef) -> set[str]:
    """The parameters that are declared to be a Resource."""
    declared = (*function.args.args, *function.args.kwonlyargs)
    return {each.arg for each in declared if each.annotation is not None and ast.unparse(each.annotation) == "Resource"}


def _methods(call: ast.Call, asking: dict[str, set[str]]) -> set[str]:
    """The methods of the client that a call comes to."""
    called = ast.unparse(call.func)
    holder, _, name = called.rpartition(".")
    return {name} if name in _VERBS and holder.endswith("client") else asking.get(name, set())


def test_there_are_calls_to_check() -> None:
    assert ("batch", "jobs", "create") in calls()
    assert ("weft.dev", "workflowruns/status", "patch") in calls()


def test_calls_by_a_function_in_between_are_seen() -> None:
    assert ("weft.dev", "nodetypes", "get") in calls()  # the loader asks for what no watch has told of yet
    assert ("", "configmaps", "list") in calls()  # a Realm lists in each of its namespaces


def test_every_call_of_the_operator_is_allowed() -> None:
    assert calls() - rights("operator", "secrets", "lease", "policies") == set()


def test_every_watched_kind_may_be_listed_and_watched() -> None:
    for group, resource in [("batch", "jobs"), ("", "pods"), *(("weft.dev", kind) for kind in weft_kinds())]:
        assert {(group, resource, verb) for verb in ("list", "watch")} <= rights("operator")


IN_OTHER_WORDS = {
    *((group, resource, verb) for group, resource in (("batch", "jobs"), ("", "pods")) for verb in ("list", "watch")),
    *(("weft.dev", kind.plural, verb) for kind in KINDS for verb in ("list", "watch")),
    # Readiness writes three kinds by one line.
    *(("weft.dev", f"{kind.plural}/status", "patch") for kind in READY),
    # Not asked for by us, but by our own policy run-parent,
    ("weft.dev", "workflowruns", "adopt"),
    # and by the admission plugin OwnerReferencesPermissionEnforcement.
    ("weft.dev", "workflowruns/finalizers", "update"),
    ("batch", "jobs/finalizers", "update"),
    ("weft.dev", "approvals", "delete"),
}
"""What the code asks for without naming it beside the verb."""


def test_no_right_is_given_that_nothing_uses() -> None:
    assert rights("operator", "secrets", "lease", "policies") - calls() == IN_OTHER_WORDS - calls()


@pytest.mark.parametrize(
    "owned",
    [("batch", "jobs"), ("", "pods"), ("", "configmaps"), ("weft.dev", "workflowruns"), ("weft.dev", "approvals")],
)
def test_what_is_given_an_owner_may_be_deleted(owned: tuple[str, str]) -> None:
    """OwnerReferencesPermissionEnforcement: "cannot set an ownerRef on a resource you can't delete"."""
    assert (*owned, "delete") in rights("operator")


def weft_kinds() -> list[str]:
    return [each.plural for each in vars(resources).values() if isinstance(each, Resource) and each.group == "weft.dev"]


def test_a_users_spec_is_never_written() -> None:
    for kind in set(weft_kinds()) - {"workflowruns"}:
        verbs = {verb for _, resource, verb in rights("operator") if resource == kind}
        # Of an Approval the spec cannot be changed by anybody: what is written is that its run is its owner.
        assert verbs - {"get"} == {"list", "watch"} | ({"patch", "delete"} if kind == "approvals" else set())


def test_nobody_but_the_operator_is_given_the_right_to_adopt_runs() -> None:
    assert {role for role in RULES if ("weft.dev", "workflowruns", "adopt") in rights(role)} == {"operator"}


def test_secrets_are_only_read_and_never_listed() -> None:
    everything = rights("operator", "secrets", "lease", "policies", "resourceNodes", "cleanup")
    assert {right for right in everything if right[1] == "secrets"} == {("", "secrets", "get")}


@pytest.mark.parametrize("role", RULES)
def test_every_right_has_its_reason_and_no_wildcard(role: str) -> None:
    for rule in RULES[role]:
        assert rule["reason"].endswith(".")
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


def test_what_is_for_the_chart_alone_stays_out_of_the_roles() -> None:
    helpers = (CHART / "templates" / "_helpers.tpl").read_text()
    omitted = re.search(r"omit \.((?: \"\w+\")+)", helpers)
    assert omitted is not None
    ours = {key for role in RULES for rule in RULES[role] for key in rule} - {"apiGroups", "resources", "verbs"}
    assert set(re.findall(r"\w+", omitted[1])) == ours


def test_the_deployment_sets_every_setting() -> None:
    template = (CHART / "templates" / "deployment.yaml").read_text()
    chosen = {"lease_enabled"}  # always on: there may be several replicas
    wanted = {variable(name) for name in Settings.model_fields.keys() - chosen}
    assert {name for name in wanted if name not in template} == set()


def test_who_wrote_an_approval_is_asked_only_when_its_spec_is_written() -> None:
    """Finalizers and owners are the garbage collector's to take off: deleting in the foreground hung otherwise."""
    policy = (CHART / "templates" / "admission.yaml").read_text().partition("---")[0]
    assert "resources: [approvals]" in policy
    conditions = policy.partition("matchConditions:")[2].partition("validations:")[0]
    assert "request.operation == 'CREATE' || object.spec != oldObject.spec" in conditions


def test_the_chart_is_of_the_packages_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r'^version = "(.*)"$', (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert chart["appVersion"] == chart["version"] == version[1]


@pytest.mark.parametrize("field", ["nameOverride", "fullnameOverride"])
def test_what_becomes_a_name_is_held_to_be_one(field: str) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"][field]
    assert re.search(schema["pattern"], "my-weft")
    for bad in ("Bad_Name", "-a", "a-", "a b", "a: b"):
        assert not re.search(schema["pattern"], bad)
    assert re.search(schema["pattern"], "")


@pytest.mark.parametrize(
    "network",
    [
        *("10.0.0.0/8", "10.0.0.1", "0.0.0.0/0", "192.168.255.255/32", "fd00::/8", "::/0", "::1", "fd00::1/128"),
        *("2001:db8:0:0:0:0:0:0/119", "::ffff:10.0.0.0/104", "10.0.0.0/99", "10.0.0.0/33", "10.0.0/8", "256.0.0.0/8"),
        *("fd00::/129", "fd00::/999", "fd00::/", "10.0.0.0/", "face", "10", "", "a.b.c.d"),
    ],
)
def test_the_schema_takes_the_networks_that_the_operator_takes(network: str) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    notify = schema["properties"]["notify"]["properties"]
    assert notify["allowedCidrs"]["items"] == notify["deniedCidrs"]["items"] == {"$ref": "#/definitions/network"}
    try:
        taken = bool(ip_network(network))
    except ValueError:
        taken = False
    assert bool(re.search(schema["definitions"]["network"]["pattern"], network)) is taken


def test_a_secret_of_ones_own_is_asked_for_by_its_name() -> None:
    helpers = (CHART / "templates" / "_helpers.tpl").read_text()
    secret = helpers.partition('define "weft.webhookSecret"')[2].partition("{{- define")[0]
    own = secret.partition('eq $certificate.source "Secret"')[2].partition("{{- else")[0]
    assert 'required "admission.webhook.certificate.secretName: ' in own
    assert "$certificate.secretName" in own


def test_the_schema_knows_every_value_and_no_other() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    def compare(path: str, value: Any, part: dict[str, Any]) -> None:
        if not isinstance(value, dict) or part.get("additionalProperties") is not False:
            return
        assert value.keys() == part["properties"].keys() - {"global"}, path
        for name, inner in value.items():
            compare(f"{path}.{name}", inner, part["properties"][name])

    compare("values", values, schema)
