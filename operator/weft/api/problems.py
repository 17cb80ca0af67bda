"""What is wrong with a resource, for the person who wrote it: where (a kubectl-like path), what, and the mend.

`parse` is the one way from a mapping (YAML, or an object from the API) to a model. It accepts wire names only, as the
API server does, and never raises on bad input: it gives every problem at once.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from weft.api.base import DNS_NAME, OBJECT_NAME, VALUE_NAME, plain
from weft.api.depth import TOO_DEEP, is_too_deep
from weft.api.schema import structural_schema

Parsed = TypeVar("Parsed", bound=BaseModel)
Location = tuple[int | str, ...]

MOST_PROBLEMS = 500
"""What is wrong so often is one mistake: nobody reads on, and a hostile file must not fill a terminal or a status."""

OUTCOMES = ("Succeeded", "Failed", "Done", "Ready")

_PATTERNS = {
    DNS_NAME: "lower-case letters, digits and '-', starting with a letter and not ending in '-'",
    VALUE_NAME: "letters, digits, '_' and '-', starting with a letter or '_'",
    OBJECT_NAME: "the name of a Kubernetes object: lower-case letters, digits, '-' and '.'",
}
_TYPES = {
    "string_type": "a string",
    "bool_type": "a boolean (true or false)",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
_CALLED_HERE: Mapping[str, tuple[str, str]] = {
    "activeDeadlineSeconds": ("timeoutSeconds", "timeoutSeconds (of one attempt)"),
    "args": ("job", "job: {args: [...]}"),
    "arguments": ("parameters", "parameters"),
    "command": ("job", "job: {command: [...]}"),
    "container": ("job", "job"),
    "continueOn": ("allowFailure", "allowFailure: true"),
    "daemon": ("service", "service: true"),
    "dag": ("nodes", "nodes, or a node with graph"),
    "depends": ("dependsOn", "dependsOn"),
    "dependencies": ("dependsOn", "dependsOn"),
    "env": ("job", "job: {env: [...]}"),
    "image": ("job", "job: {image: ...}"),
    "inputs": ("parameters", "parameters"),
    "matrix": ("forEach", "forEach: {items: ...}"),
    "memoize": ("cache", "cache: {key: ...}"),
    "needs": ("dependsOn", "dependsOn"),
    "onError": ("allowFailure", "allowFailure: true"),
    "onExit": ("finally", "finally"),
    "params": ("parameters", "parameters"),
    "podGC": ("jobs", "jobs: {keep: ...}"),
    "results": ("outputs", "outputs"),
    "retries": ("retry", "retry: {limit: ...}"),
    "retryStrategy": ("retry", "retry"),
    "runAfter": ("dependsOn", "dependsOn"),
    "script": ("job", "job: {script: ...}"),
    "sidecars": ("podTemplate", "podTemplate: {spec: {containers: [...]}}"),
    "steps": ("nodes", "nodes"),
    "suspend": ("approval", "approval (until somebody decides) or wait: {seconds: ...}"),
    "synchronization": ("concurrency", "concurrency: {key: ...}"),
    "taskRef": ("use", "use: {name: ...}, a NodeType, or workflow: {name: ...}"),
    "tasks": ("nodes", "nodes"),
    "template": ("graph", "graph: {name: ...}, or use: {name: ...}, a NodeType"),
    "templates": ("graphs", "graphs, or a NodeType"),
    "timeout": ("timeoutSeconds", "timeoutSeconds"),
    "ttlStrategy": ("ttlSecondsAfterFinished", "ttlSecondsAfterFinished"),
    "withItems": ("forEach", "forEach: {items: ...}"),
    "withParam": ("forEach", "forEach: {items: ...}"),
    "withSequence": ("forEach", "forEach: {range: ...}"),
}
"""Words of Argo Workflows, Tekton and CI systems: the field that stands here for it, and how it is written."""
YAML_BOOLEANS = "YAML reads on, off, yes, no, y and n as booleans; put it in quotes"


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong: where, and what with its mend."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def parse(model: type[Parsed], mapping: Any, *, at: str = "") -> tuple[Parsed | None, list[Problem]]:
    """Read a mapping as a model; give the model, or None and every problem (of very many, the first).

    `at` is where the mapping stands, when it is not a whole object: at="spec.nodes[3]".
    """
    if is_too_deep(mapping):
        return None, [Problem(at, TOO_DEEP)]
    try:
        return model.model_validate(mapping, by_alias=True, by_name=False), []
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems = [_problem(model, detail, at) for detail in details[:MOST_PROBLEMS]]
        if len(details) > MOST_PROBLEMS:
            problems.append(Problem(at, f"and {len(details) - MOST_PROBLEMS} problems more"))
        return None, problems


def summary(problems: Sequence[Problem], shown: int = 3) -> str:
    """Give the first problems in a line, with their paths, and say how many more there are."""
    told = "; ".join(str(problem) for problem in problems[:shown])
    return told + (f" (and {len(problems) - shown} more)" if len(problems) > shown else "")


def path_text(location: Location, at: str = "") -> str:
    """Spell a location as kubectl does: spec.nodes[3].retry.limit."""
    text = at
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


def _problem(model: type[BaseModel], detail: ErrorDetails, at: str) -> Problem:
    location = tuple(part for part in detail["loc"] if part != "[key]")
    if detail["type"] == "invalid_key" or (detail["type"] == "string_type" and detail["loc"][-1] == "[key]"):
        return Problem(path_text(location[:-1], at), _no_key(detail["input"]))
    if detail["type"] == "extra_forbidden":
        return Problem(path_text(location[:-1], at), _unknown_field(model, location))
    return Problem(path_text(location, at), _message(detail))


def _message(detail: ErrorDetails) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind in _TYPES:
        return f"must be {_TYPES[kind]}, got {_named(value)}{_hint(kind, value)}"
    match kind:
        case "missing":
            return "is required"
        case "value_error":
            return str(context["error"])
        case "greater_than_equal":
            return f"must be at least {plain(context['ge'])}, got {plain(value)}"
        case "less_than_equal":
            return f"must be at most {plain(context['le'])}, got {plain(value)}"
        case "string_too_short" | "too_short":
            return f"must have at least {context['min_length']} {_unit(value)}, got {len(value)}"
        case "string_too_long" | "too_long":
            return f"must have at most {context['max_length']} {_unit(value)}, got {len(value)}"
        case "string_pattern_mismatch":
            return _mismatch(str(context["pattern"]), str(value))
        case "literal_error":
            return _choice(str(context["expected"]), value)
    return f"{detail['msg'][0].lower()}{detail['msg'][1:]}, got {_named(value)}"


def _no_key(key: Any) -> str:
    mend = YAML_BOOLEANS if isinstance(key, bool) else f'put it in quotes: "{key}"'
    return f"the key {key!r} is not a string; {mend}"


def _unknown_field(model: type[BaseModel], location: Location) -> str:
    name = str(location[-1])
    known = _fields_at(model, location[:-1])
    field, written = _CALLED_HERE.get(name, ("", ""))
    if field in known:
        return f"unknown field {name!r}; here it is {written}"
    close = get_close_matches(name, known, n=1) or get_close_matches(name.replace("_", "").lower(), known, n=1)
    if close:
        return f"unknown field {name!r}; did you mean {close[0]!r}?"
    return f"unknown field {name!r}; known: {', '.join(known)}" if known else f"unknown field {name!r}"


def _fields_at(model: type[BaseModel], location: Location) -> list[str]:
    schema = structural_schema(model)
    for part in location:
        if isinstance(part, int):
            schema = schema.get("items", {})
        else:
            schema = schema.get("properties", {}).get(part) or schema.get("additionalProperties", {})
    return list(schema.get("properties", {}))


def _mismatch(pattern: str, value: str) -> str:
    words = _PATTERNS.get(pattern, f"a text that matches {pattern}")
    hint = "; Succeeded, Failed, Done and Ready are outcomes of every node" if value in OUTCOMES else ""
    return f"must be {words}, got {value!r}{hint}"


def _choice(expected: str, value: Any) -> str:
    choices = re.findall(r"'([^']*)'", expected)
    close = get_close_matches(str(value), choices, n=1) or [one for one in choices if one.lower() == str(value).lower()]
    hint = f"; did you mean {close[0]}?" if close else ""
    if isinstance(value, bool):
        hint = f"; {YAML_BOOLEANS}"
    return f"must be one of {', '.join(choices)}, got {_named(value)}{hint}"


def _hint(kind: str, value: Any) -> str:
    if kind == "string_type" and isinstance(value, bool):
        return f"; {YAML_BOOLEANS}"
    if kind == "string_type" and isinstance(value, int | float):
        return f'; put it in quotes: "{value}"'
    if kind == "bool_type" and str(value).lower() in ("true", "false"):
        return f"; write {str(value).lower()} without quotes"
    if kind in ("int_type", "float_type") and isinstance(value, str) and re.fullmatch(r"-?[0-9.]+", value):
        return f"; write {value} without quotes"
    if kind == "list_type" and isinstance(value, str | Mapping):
        return "; write each item on a line of its own, after '- '"
    return ""


def _named(value: Any) -> str:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    match value:
        case bool():
            return f"the boolean {str(value).lower()}"
        case None:
            return "null"
        case str():
            return f"the string {shown}"
        case int() | float():
            return f"the number {value}"
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
    return shown


def _unit(value: Any) -> str:
    return "characters" if isinstance(value, str) else "entries" if isinstance(value, Mapping) else "items"
