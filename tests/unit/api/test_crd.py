"""The CRDs: structural, bounded, small enough for client-side apply, and the same as the files in crds/."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from weft.api.crd import KINDS, crd, crds, file_name, to_yaml
from weft.api.node import BODIES

FILES = Path(__file__).parents[3] / "crds"
BY_KIND = {kind.name: crd(kind) for kind in KINDS}
CLIENT_SIDE_APPLY_LIMIT = 262_144
YAML_BOOLEANS = {"y", "yes", "n", "no", "true", "false", "on", "off"}


def root_of(kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = BY_KIND[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def walk(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from walk(inner, f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from walk(schema["additionalProperties"], f"{path}{{}}")


EVERYTHING = [(f"{kind}{path}", schema) for kind in BY_KIND for path, schema in walk(root_of(kind))]


@pytest.mark.parametrize("definition", crds(), ids=file_name)
def test_the_files_are_what_is_generated(definition: dict[str, Any]) -> None:
    assert (FILES / file_name(definition)).read_text() == to_yaml(definition), "run: weft crds, and commit crds/"


def test_there_is_a_file_per_kind_and_no_other() -> None:
    assert {path.name for path in FILES.iterdir()} == {file_name(definition) for definition in crds()}


@pytest.mark.parametrize("definition", crds(), ids=file_name)
def test_client_side_apply_can_carry_it(definition: dict[str, Any]) -> None:
    assert len(json.dumps(definition)) < CLIENT_SIDE_APPLY_LIMIT * 0.6
    assert len(to_yaml(definition)) < CLIENT_SIDE_APPLY_LIMIT


@pytest.mark.parametrize("definition", crds(), ids=file_name)
def test_the_yaml_says_the_same(definition: dict[str, Any]) -> None:
    text = to_yaml(definition)
    assert yaml.safe_load(text) == definition
    assert "&id" not in text


def test_schemas_are_structural() -> None:
    allowed = {"$ref", "$defs", "anyOf", "oneOf", "allOf", "title", "const", "propertyNames", "patternProperties"}
    for path, schema in EVERYTHING:
        assert not allowed & set(schema), path
        opened = schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-int-or-string")
        assert "type" in schema or opened, path
        assert not ("properties" in schema and "additionalProperties" in schema), path


def test_every_string_list_and_map_has_a_maximum() -> None:
    for path, schema in EVERYTHING:
        match schema.get("type"):
            case "string":
                assert "maxLength" in schema, path
            case "array":
                assert "maxItems" in schema, path
            case "object" if "additionalProperties" in schema:
                assert "maxProperties" in schema, path
            case None if schema.get("x-kubernetes-int-or-string"):
                assert "maxLength" in schema, path


def test_every_field_a_user_writes_is_explained() -> None:
    inline = "WorkflowRun.spec.workflow."
    silent = [path for path, schema in EVERYTHING if "description" not in schema and not path.startswith(inline)]
    assert [path for path in silent if not path.endswith(("[]", "{}", ".metadata"))] == []


def test_no_key_is_a_yaml_boolean_and_all_are_camel_case() -> None:
    for path, schema in EVERYTHING:
        for name in schema.get("properties", {}):
            assert name.lower() not in YAML_BOOLEANS, f"{path}.{name}"
            assert name[0].islower(), f"{path}.{name}"
            assert name.isalpha(), f"{path}.{name}"


def test_durations_end_in_seconds() -> None:
    for path, schema in EVERYTHING:
        for name in schema.get("properties", {}):
            assert name == "onTimeout" or not name.lower().endswith(
                ("timeout", "deadline", "minutes", "interval", "ttl")
            ), f"{path}.{name}"


def test_enums_are_camel_case() -> None:
    lower_case_by_nature = (".parameters[].type",)
    for path, schema in EVERYTHING:
        for value in schema.get("enum", []):
            assert value[0].isupper() or path.endswith(lower_case_by_nature), f"{path}: {value}"


def test_lists_say_how_they_merge() -> None:
    for path, schema in EVERYTHING:
        if schema.get("type") == "array":
            assert schema["x-kubernetes-list-type"] in ("atomic", "map"), path
            if schema["x-kubernetes-list-type"] == "map":
                assert set(schema["x-kubernetes-list-map-keys"]) <= set(schema["items"]["required"]), path


def test_the_nodes_of_a_status_are_one_atomic_open_list() -> None:
    nodes = root_of("WorkflowRun")["properties"]["status"]["properties"]["nodes"]
    assert nodes["x-kubernetes-list-type"] == "atomic"
    assert nodes["items"]["x-kubernetes-preserve-unknown-fields"] is True


def test_a_runs_status_is_owned_as_a_whole() -> None:
    """Its one writer pays for what the API server keeps about each field's owner, with each node."""
    atomic = [path for path, schema in EVERYTHING if schema.get("x-kubernetes-map-type")]
    assert atomic == ["WorkflowRun.status"]
    assert root_of("WorkflowRun")["properties"]["status"]["x-kubernetes-map-type"] == "atomic"


def test_a_node_has_one_body_by_rule() -> None:
    node = root_of("Workflow")["properties"]["spec"]["properties"]["nodes"]["items"]
    rule = node["x-kubernetes-validations"][0]["rule"]
    assert all(f"has(self.{body})" in rule for body in BODIES)


def test_a_rule_of_the_whole_object_names_the_field_it_is_about() -> None:
    """Else kubectl prints `<nil>: Invalid value`."""
    rules = [(path, rule) for path, schema in EVERYTHING for rule in schema.get("x-kubernetes-validations", ())]
    at_root = [rule["fieldPath"] for path, rule in rules if "." not in path]
    assert at_root == [".spec.rerun"]
    assert not any("fieldPath" in rule for path, rule in rules if "." in path)


def test_names() -> None:
    assert {(name, tuple(definition["spec"]["names"]["categories"])) for name, definition in BY_KIND.items()} == {
        (name, ("weft",))
        for name in ("Workflow", "WorkflowRun", "Approval", "WorkflowQueue", "NodeType", "NotificationChannel")
    }
    assert BY_KIND["Workflow"]["spec"]["names"]["shortNames"] == ["wfd"]
    assert BY_KIND["WorkflowRun"]["spec"]["names"]["shortNames"] == ["wfr"]
    short_names = [short for definition in BY_KIND.values() for short in definition["spec"]["names"]["shortNames"]]
    assert len(short_names) == len(set(short_names))


@pytest.mark.parametrize("definition", crds(), ids=file_name)
def test_every_kind_is_namespaced_and_has_a_status(definition: dict[str, Any]) -> None:
    assert definition["spec"]["scope"] == "Namespaced"
    (version,) = definition["spec"]["versions"]
    assert version["name"] == "v1alpha1"
    assert version["subresources"] == {"status": {}}
    assert "status" in version["schema"]["openAPIV3Schema"]["properties"]


def test_what_kubectl_prints_of_runs() -> None:
    columns = BY_KIND["WorkflowRun"]["spec"]["versions"][0]["additionalPrinterColumns"]
    narrow = [column["name"].upper() for column in columns if not column.get("priority")]
    wide = [column["name"].upper() for column in columns if column.get("priority")]
    assert narrow == ["WORKFLOW", "STATUS", "PROGRESS", "REASON", "DURATION", "AGE"]
    assert wide == ["PRIORITY", "QUEUE", "MESSAGE"]


@pytest.mark.parametrize(
    ("kind", "paths"),
    [
        ("WorkflowRun", [".status.phase", ".spec.workflowRef.name", ".spec.queue"]),
        ("Approval", [".spec.run.name"]),
        ("Workflow", []),
    ],
)
def test_what_field_selectors_can_ask_for_is_a_string_of_the_schema(kind: str, paths: list[str]) -> None:
    (version,) = BY_KIND[kind]["spec"]["versions"]
    assert [field["jsonPath"] for field in version.get("selectableFields", [])] == paths
    found = dict(walk(root_of(kind)))
    assert {found[path]["type"] for path in paths} <= {"string"}
