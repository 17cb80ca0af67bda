"""What a CRD's schema takes and refuses, told from the schema alone: by the shape, and by its CEL rules.

for place in places(schema):             # every field, item and value of a map, however deep
    place.whole(value)                   # the smallest object that has the value there
list(outside(place.schema))              # values just beyond what the shape allows
broken_rules(schema, anything(schema, rng))
"""

import random
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any

from cel_expr_python import cel

Schema = dict[str, Any]

ONE_OF = (
    ("job", "graph", "workflow", "switch", "approval", "wait", "expr", "http", "resource", "use"),
    ("workflowRef", "workflow"),
    ("url", "urlFrom"),
    ("seconds", "until"),
    ("items", "range"),
    ("value", "expr", "valueFrom"),
    ("forEach", "while"),
    ("script", "args"),
)
"""Fields that stand alone; of those that one of must be there, the first that the schema has is put there."""
FILLED: Schema = {
    "job": {"image": "i"},
    "workflowRef": {"name": "a"},
    "url": "https://a.example",
    "seconds": 1,
    "items": [1],
    "manifest": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}},
    "webhook": {"url": "https://a.example"},
    "users": ["a"],
}
TEXTS = ("a", "A", "https://a.example", "1Gi", "2026-12-24T18:00:00Z")
ODD_TEXTS = ("", " ", "a b", "a\n", "-", "Ä", ".", "a.", "_", "$")
OF_ANOTHER_TYPE: dict[str, tuple[Any, ...]] = {
    "string": (5, True, [], {}),
    "integer": ("3", True, 1.5, [], {}),
    "number": ("3", True, [], {}),
    "boolean": ("true", 1, 0, []),
    "array": ("a", 5, {}),
    "object": ("a", 5, []),
}
LONGEST = 2000
"""Items of the longest list that is tried."""


@dataclass(frozen=True, slots=True)
class At:
    """One place in a schema."""

    path: str
    schema: Schema
    whole: Callable[[Any], Any]


def places(schema: Schema, path: str = "spec", whole: Callable[[Any], Any] = lambda value: value) -> Iterator[At]:
    """Give every place, from the whole inwards."""
    yield At(path, schema, whole)
    for name, inner in schema.get("properties", {}).items():
        yield from places(inner, f"{path}.{name}", lambda value, name=name: whole(_with(smallest(schema), name, value)))
    if "items" in schema:
        yield from places(schema["items"], f"{path}[0]", lambda value: whole([value]))
    if "additionalProperties" in schema:
        yield from places(schema["additionalProperties"], f"{path}.a", lambda value: whole({"a": value}))


def smallest(schema: Schema) -> Any:
    """Give a value that the schema takes, with as little in it as it may have."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            needed = {name: smallest(properties[name]) for name in schema.get("required", ())}
            needed |= {name: deepcopy(value) for name, value in FILLED.items() if name in properties}
            return needed | (
                {"a": smallest(schema["additionalProperties"])} if "additionalProperties" in schema else {}
            )
        case "array":
            return [smallest(schema["items"]) for _ in range(schema.get("minItems", 0))]
        case "string":
            return next(text for text in TEXTS if _matches(schema, text))
        case "boolean":
            return True
        case "integer" | "number":
            return max(schema.get("minimum", 1), 1)
    return 1


def _with(obj: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    rivals = {rival for group in ONE_OF if name in group for rival in group}
    return {key: kept for key, kept in obj.items() if key not in rivals} | {name: value}


def outside(schema: Schema) -> Iterator[Any]:
    """Give values just beyond what the shape of the schema allows."""
    kind = schema.get("type")
    yield from OF_ANOTHER_TYPE.get(kind or "", ())
    if "enum" in schema:
        yield from ("", schema["enum"][0].swapcase())
    if "minimum" in schema:
        yield schema["minimum"] - 1
    if "maximum" in schema:
        yield schema["maximum"] + 1
    if kind == "string" and "maxLength" in schema:
        yield "a" * (schema["maxLength"] + 1)
    yield from (text for text in ODD_TEXTS if "pattern" in schema and not _matches(schema, text))
    if schema.get("minLength"):
        yield ""
    if schema.get("minItems"):
        yield []
    if schema.get("maxItems", LONGEST) < LONGEST:
        yield _list(schema, schema["maxItems"] + 1)
    if schema.get("x-kubernetes-list-type") == "map":
        yield [smallest(schema["items"])] * 2
    if schema.get("properties") and not schema.get("x-kubernetes-preserve-unknown-fields"):
        yield smallest(schema) | {"unknownToAll": 1}


def on_the_edge(schema: Schema) -> Iterator[Any]:
    """Give values that the shape of the schema just allows."""
    yield from schema.get("enum", ())
    yield from (schema[bound] for bound in ("minimum", "maximum") if bound in schema)
    if schema.get("type") == "string" and "maxLength" in schema and _matches(schema, text := "a" * schema["maxLength"]):
        yield text
    if schema.get("maxItems", LONGEST) < LONGEST:
        yield _list(schema, schema["maxItems"])


def _list(schema: Schema, length: int) -> list[Any]:
    """Items of different names, if they have any."""
    items = [smallest(schema["items"]) for _ in range(length)]
    keys = schema.get("x-kubernetes-list-map-keys", ["name"])
    for number, item in enumerate(items):
        if isinstance(item, dict):
            item |= {key: f"a{number}" for key in keys if key in item}
    plain = schema["items"].get("type") == "string" and "enum" not in schema["items"]
    return [f"a{number}" for number in range(length)] if plain else items


def _matches(schema: Schema, text: str) -> bool:
    """As RE2 sees it: its $ is the end of the text."""
    if "enum" in schema:
        return text in schema["enum"]
    pattern = schema.get("pattern", "")
    return re.search(pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern, text) is not None


def anything(schema: Schema, rng: random.Random) -> Any:
    """Give some value of the right shape, whatever the rules say of it."""
    if "enum" in schema:
        return rng.choice(schema["enum"])
    match schema.get("type"):
        case "object" if "additionalProperties" in schema:
            return {"a": anything(schema["additionalProperties"], rng)}
        case "object":
            properties, required = schema.get("properties", {}), schema.get("required", ())
            likely = 0.5 if len(properties) < 8 else 0.15
            return {
                name: anything(inner, rng)
                for name, inner in properties.items()
                if name in required or rng.random() < likely
            }
        case "array":
            return [anything(schema["items"], rng) for _ in range(max(schema.get("minItems", 0), rng.randrange(2)))]
        case "boolean":
            return rng.random() < 0.5
    return smallest(schema)


def broken_rules(schema: Schema, value: Any) -> Iterator[str]:
    """Give the messages of the CEL rules that do not hold; those of changes are not asked."""
    for rule in schema.get("x-kubernetes-validations", ()):
        if "oldSelf" not in rule["rule"] and not _holds(rule["rule"], value):
            yield rule["message"]
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                yield from broken_rules(inner, value[name])
    if isinstance(value, list) and "items" in schema:
        for item in value:
            yield from broken_rules(schema["items"], item)


def _holds(rule: str, value: Any) -> bool:
    return _program(rule).eval(data={"self": _escaped(value)}).value() is True


@cache
def _program(rule: str) -> Any:
    return cel.NewEnv(variables={"self": cel.Type.DYN}).compile(rule)


def _escaped(value: Any) -> Any:
    """With the fields named as rules have to write them: `while` is a word of CEL."""
    if isinstance(value, dict):
        return {"__while__" if name == "while" else name: _escaped(inner) for name, inner in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list) else value
