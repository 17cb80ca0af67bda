"""What every model shares: how fields are spelled, how strict they are, and the bounded types they are made of.

Attributes are snake_case in Python and camelCase on the wire. Models are frozen, refuse unknown fields and convert
nothing silently (the API server would refuse "true" for a boolean, so do we). As the API server does, a null property
counts as absent, and so does a null in a map whose values have a type (Helm writes one for an empty value). Every
string and list carries a maximum: the CRD needs it to bound the cost of its rules. A type's marks for the CRD
(int-or-string, list types, open objects) stand beside it as JSON schema, so that `crd.py` only has to collect them.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

GROUP = "weft.dev"
VERSION = "v1alpha1"
ApiVersion = Literal["weft.dev/v1alpha1"]
API_VERSION: ApiVersion = "weft.dev/v1alpha1"

MAX_SECONDS = 2_147_483_647
MAX_EXPRESSION = 8192
"""Characters of an expression, in the CRD and for the compiler alike."""
MAX_TEXT = 32_768

SERVER_DEFAULT: dict[str, Any] = {"x-weft-server-default": True}
"""Marks a field whose default the API server fills in, because kubectl prints it; other defaults stay unwritten."""

Rule = tuple[str, str] | tuple[str, str, str]
"""A CEL validation rule of the API server, the message it prints, and the field it is about, where that is another one
than the one that has the rule (`.spec.rerun`; of an object's root it prints `<nil>` else)."""


class Model(BaseModel):
    """A part of a spec: frozen, strict, no unknown fields; `rules` are its CEL rules in the CRD."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
        strict=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        if not isinstance(data, dict) or None not in data.values():
            return data
        known = {field.alias for field in cls.model_fields.values()} | set(cls.model_fields)
        return {key: value for key, value in data.items() if value is not None or key not in known}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Carry the rules in the JSON schema, where `schema.py` finds them."""
        schema = handler.resolve_ref_schema(handler(core))
        if rules := cls.rules():
            names = ("rule", "message", "fieldPath")
            schema["x-kubernetes-validations"] = [dict(zip(names, rule, strict=False)) for rule in rules]
        return schema

    @classmethod
    def rules(cls) -> list[Rule]:
        """Give the CEL rules the API server holds objects of this type to."""
        return []

    def to_wire(self) -> dict[str, Any]:
        """Give the camelCase mapping a user would have written: only what was set."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class StatusModel(Model):
    """A part of a status: read leniently, since an older or newer operator may have written it."""

    model_config = ConfigDict(extra="ignore", strict=False)


class ObjectMeta(StatusModel):
    """The part of an object's metadata that Weft reads."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class ResourceModel(Model):
    """The outside of a kind: apiVersion and kind are fixed by each kind, metadata is read leniently."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta, description="Standard object metadata.")


def exactly_one(what: str, names: list[str], found: list[str]) -> str | None:
    """Say what is wrong when not exactly one of `names` is `found`; None when all is well."""
    if len(found) == 1:
        return None
    choices = ", ".join(names)
    count = "none was given" if not found else f"found {len(found)}: {' and '.join(found)}"
    return f"{what} has exactly one of {choices}; {count}"


def exactly_one_rule(what: str, names: list[str]) -> Rule:
    """Give the CEL rule for `exactly_one`."""
    flags = ", ".join(f"has(self.{cel_name(name)})" for name in names)
    return f"[{flags}].exists_one(x, x)", f"{what} has exactly one of {', '.join(names)}"


def cel_name(name: str) -> str:
    """Spell a field's name in the API server's CEL, where reserved words are escaped."""
    reserved = {"as", "while", "for", "if", "in", "namespace", "package", "return", "import", "function", "let", "loop"}
    return f"__{name}__" if name in reserved else name


Conditions = Annotated[
    list[dict[str, Any]],
    WithJsonSchema(
        {
            "type": "array",
            "maxItems": 16,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
            "items": {
                "type": "object",
                "required": ["type", "status", "reason", "message", "lastTransitionTime"],
                "properties": {
                    "type": {"type": "string", "maxLength": 316, "description": "What is true or not."},
                    "status": {"type": "string", "enum": ["True", "False", "Unknown"], "description": "Whether it is."},
                    "reason": {"type": "string", "maxLength": 1024, "description": "Why, in one word, for scripts."},
                    "message": {"type": "string", "maxLength": MAX_TEXT, "description": "Why, for people."},
                    "lastTransitionTime": {
                        "type": "string",
                        "format": "date-time",
                        "maxLength": 64,
                        "description": "When status last changed.",
                    },
                    "observedGeneration": {
                        "type": "integer",
                        "format": "int64",
                        "minimum": 0,
                        "description": "The generation of spec this speaks of.",
                    },
                },
            },
        }
    ),
]
"""The standard conditions of a resource, merged by type."""


def whole_or_text(*, low: int, high: int, longest: int, pattern: str | None = None) -> Callable[[Any], int | str]:
    """Give a check that takes a whole number from low to high or a string of bounded length, and raises ValueError."""

    def check(value: Any) -> int | str:
        if isinstance(value, float):
            raise ValueError(f'must be a whole number or a string, got {value}; write it as "{value}"')
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(f"must be a whole number or a string, got {value!r}")
        if isinstance(value, int) and not low <= value <= high:
            raise ValueError(f"must be from {low} to {high}, got {value}")
        if isinstance(value, str) and len(value) > longest:
            raise ValueError(f"must have at most {longest} characters, got {len(value)}")
        if isinstance(value, str) and pattern and not re.fullmatch(pattern, value):
            raise ValueError(f"{value!r} does not match {pattern}")
        return value

    return check


def plain(number: float) -> str:
    """Spell a number as a person writes it: 3, not 3.0."""
    return str(int(number)) if float(number).is_integer() and abs(number) < 1e15 else str(number)


def unique_names(items: list[Any]) -> list[Any]:
    """Refuse a list in which two items bear the same name."""
    seen: dict[str, int] = {}
    for position, item in enumerate(items):
        if item.name in seen:
            raise ValueError(
                f"the name {item.name!r} is used twice, at [{seen[item.name]}] and [{position}]; names are unique"
            )
        seen[item.name] = position
    return items


def _without_nulls(value: Any) -> Any:
    return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


DNS_NAME = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
VALUE_NAME = r"^[A-Za-z_][A-Za-z0-9_-]*$"
OBJECT_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
QUANTITY = r"^[+-]?([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)([KMGTPE]i|[mkMGTPEun]|[eE][+-]?[0-9]+)?$"
ENV_NAME = r"^[-._a-zA-Z][-._a-zA-Z0-9]*$"

Name = Annotated[str, Field(pattern=DNS_NAME, max_length=63)]
"""The name of a node, a graph or a switch case."""
ValueName = Annotated[str, Field(pattern=VALUE_NAME, max_length=63)]
"""The name of a parameter, an output or an expr key."""
ObjectName = Annotated[str, Field(pattern=OBJECT_NAME, max_length=253)]
"""The name of another Kubernetes object."""
NodePath = Annotated[str, Field(min_length=1, max_length=1024)]
"""A node's path through its subgraphs: `publish/upload`."""
Short = Annotated[str, Field(max_length=253)]
Message = Annotated[str, Field(max_length=MAX_TEXT)]
"""A status message; what writes one keeps it far shorter (`conditions.MAX_MESSAGE`)."""
Text = Annotated[str, Field(max_length=MAX_TEXT)]
"""A text of the user's; where a field's description says so, a template."""
Expression = Annotated[str, Field(min_length=1, max_length=MAX_EXPRESSION)]
"""CEL, bare or in `${{ }}`."""
Seconds = Annotated[int, Field(ge=1, le=MAX_SECONDS)]
SecondsOrZero = Annotated[int, Field(ge=0, le=MAX_SECONDS)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Timestamp = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 64})]
Json = Annotated[Any, WithJsonSchema({"x-kubernetes-preserve-unknown-fields": True})]
"""Any JSON value."""
OpenObject = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True, "maxProperties": 1024}),
]
"""A JSON object whose inside Weft hands on without a schema of its own."""
OpenList = Annotated[list[OpenObject], Field(max_length=256)]
NULL_IS_ABSENT = BeforeValidator(_without_nulls)
"""For a map whose values have a type."""
StringMap = Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=256), NULL_IS_ABSENT]


def int_or_string(*, low: int, high: int, longest: int, pattern: str | None = None) -> Any:
    """Give the marks of a field that is a whole number or a string: both bounded, one JSON schema."""
    schema: dict[str, Any] = {"x-kubernetes-int-or-string": True, "minimum": low, "maximum": high, "maxLength": longest}
    if pattern:
        schema["pattern"] = pattern
    return BeforeValidator(whole_or_text(low=low, high=high, longest=longest, pattern=pattern)), WithJsonSchema(schema)


_QUANTITY = int_or_string(low=0, high=2**53, longest=64, pattern=QUANTITY)
Quantity = Annotated[int | str, _QUANTITY[0], _QUANTITY[1]]
"""A resource quantity: `500m`, `2Gi`, `1`."""
Quantities = Annotated[dict[str, Quantity], Field(max_length=32), NULL_IS_ABSENT]
