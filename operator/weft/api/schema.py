"""pydantic's JSON schema made structural, as a CRD wants it: no references, no null alternatives, typed lists.

Defaults are told in descriptions (kubectl explain shows them) and, with few exceptions, not filled in by the API
server: what a user left out must stay visible as left out, for a node's settings give way to the Workflow's
`defaults`.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from pydantic import BaseModel

from weft.api.base import plain

KEPT = (
    "type",
    "format",
    "description",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-int-or-string",
    "x-kubernetes-validations",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
)

LONGEST_WORD = 63
"""Of an enum: every string has a maximum, and a mistyped word is still told as one, not also as too long a text."""

Schema = dict[str, Any]


@cache
def structural_schema(model: type[BaseModel]) -> Schema:
    """Give the structural schema of a model (shared between callers: do not change it)."""
    schema = model.model_json_schema(by_alias=True)
    return _structural(schema, schema.get("$defs", {}))


def without_descriptions(schema: Schema) -> Schema:
    """Give the same schema without its descriptions, for a copy of what is explained elsewhere."""
    stripped = {key: value for key, value in schema.items() if key != "description"}
    if "properties" in schema:
        stripped["properties"] = {name: without_descriptions(inner) for name, inner in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in schema:
            stripped[key] = without_descriptions(schema[key])
    return stripped


def _structural(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    schema = _resolved(schema, definitions)
    result: Schema = {key: schema[key] for key in KEPT if key in schema}
    if "const" in schema:
        result["enum"] = [schema["const"]]
    if result.get("type") == "string" and "enum" in result:
        result.setdefault("maxLength", LONGEST_WORD)
    default = schema.get("default")
    if isinstance(default, bool | int | float | str) and default not in (False, ""):
        result["description"] = f"{result.get('description', '')} Default: {_spelled(default)}.".strip()
        if schema.get("x-weft-server-default"):
            result["default"] = default
    if "properties" in schema:
        result["properties"] = {name: _structural(inner, definitions) for name, inner in schema["properties"].items()}
    if "items" in schema and result.get("type") == "array":
        result["items"] = _structural(schema["items"], definitions)
        if result.setdefault("x-kubernetes-list-type", "atomic") == "map":
            result.setdefault("x-kubernetes-list-map-keys", ["name"])
    if values := _map_values(schema):
        result["additionalProperties"] = _structural(values, definitions)
    if result.get("type") == "integer":
        result["format"] = "int32" if result.get("maximum", 2**31) < 2**31 else "int64"
    return result


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference and drop the null alternative; what is said beside them (a description) has the last word."""
    alternatives = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
    if len(alternatives) == 1:
        beside = {key: value for key, value in schema.items() if key != "anyOf"}
        return _resolved({**alternatives[0], **beside}, definitions)
    if reference := schema.get("$ref"):
        target = definitions[reference.removeprefix("#/$defs/")]
        return _resolved({**target, **{key: value for key, value in schema.items() if key != "$ref"}}, definitions)
    return schema


def _map_values(schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Give the schema of a map's values; what its keys look like cannot be said in a CRD."""
    if by_pattern := schema.get("patternProperties"):
        return cast(Mapping[str, Any], next(iter(by_pattern.values())))
    values = schema.get("additionalProperties")
    return values if isinstance(values, Mapping) else None


def _spelled(default: bool | float | str) -> str:
    if isinstance(default, bool):
        return json.dumps(default)
    return default if isinstance(default, str) else plain(default)
