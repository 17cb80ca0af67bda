"""What a Workflow, a graph or a NodeType asks to be given, and the check of what it was given.

`check_parameters` is the one place where values meet declarations: for a run's parameters, a graph node's, a `use`'s.
It fills in defaults and reports every problem, each with the parameter's name and the mend; it converts nothing.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator
from pydantic.alias_generators import to_camel

from weft.api.base import Count, Json, Model, Short, ValueName, plain, unique_names
from weft.api.depth import TOO_DEEP, is_too_deep
from weft.api.patterns import InvalidPattern, matches
from weft.api.problems import YAML_BOOLEANS, Problem

ParameterType = Literal["string", "integer", "number", "boolean", "array", "object"]
Number = Annotated[float, Field(allow_inf_nan=False)]

LEAST, GREATEST = -(2**63), 2**63 - 1
"""Of the integers that the API server, CEL and our JSON writer hold; a larger one would fail where it is used."""


class Parameter(Model):
    """One parameter: its type, its default and its bounds. Without a default it must be given."""

    name: ValueName = Field(description="Name, as in params.<name>.")
    type: ParameterType = Field("string", description="Type of the value; nothing is converted.")
    description: Annotated[str, Field(max_length=4096)] | None = Field(None, description="What it is for.")
    default: Json | None = Field(None, description="Value when none is given; without it the parameter is required.")
    enum: Annotated[list[Json], Field(min_length=1, max_length=256)] | None = Field(
        None, description="The values allowed."
    )
    minimum: Number | None = Field(None, description="Least value of an integer or number.")
    maximum: Number | None = Field(None, description="Greatest value of an integer or number.")
    min_length: Count | None = Field(None, description="Least length of a string.")
    max_length: Count | None = Field(None, description="Greatest length of a string.")
    pattern: Short | None = Field(
        None, description="Regular expression (RE2) a string must match somewhere; anchor it with ^ and $."
    )
    min_items: Count | None = Field(None, description="Least length of an array.")
    max_items: Count | None = Field(None, description="Greatest length of an array.")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            matches(pattern or "", "")
        except InvalidPattern as error:
            raise ValueError(f"is not a regular expression (RE2): {error}") from error
        return pattern


Parameters = Annotated[
    list[Parameter],
    Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "map"}),
    AfterValidator(unique_names),
]

_CLASSES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
_WORDS = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}
_MOST_UNKNOWN = 10
"""Unknown names that are told of: what each might have meant takes a comparison with all that are declared."""
_LONGEST = 100
"""Characters of an unknown name that are shown."""


def check_parameters(declared: Iterable[Parameter], given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Hold the values given against the parameters declared.

    Gives the values a run works with (defaults filled in, in declared order) and the problems found; with problems the
    values are not to be used.
    """
    parameters = {parameter.name: parameter for parameter in declared}
    unknown = [name for name in given if name not in parameters]
    problems = [_unknown(name, parameters) for name in unknown[:_MOST_UNKNOWN]]
    if len(unknown) > _MOST_UNKNOWN:
        problems.append(f"and {len(unknown) - _MOST_UNKNOWN} more that are not declared")
    values: dict[str, Any] = {}
    for name, parameter in parameters.items():
        if name in given:
            values[name] = given[name]
            problems += check_value(parameter, given[name])
        elif parameter.default is not None:
            values[name] = parameter.default
            problems += [f"{problem} (its default)" for problem in check_value(parameter, parameter.default)]
        else:
            problems.append(
                f"parameter {name!r} is required: give it a value of type {parameter.type}, or declare a default"
            )
    return values, problems


_RANGES = (("minimum", "maximum"), ("min_length", "max_length"), ("min_items", "max_items"))
_RULES: dict[str, tuple[str, ...]] = {
    "minimum": ("integer", "number"),
    "maximum": ("integer", "number"),
    "min_length": ("string",),
    "max_length": ("string",),
    "pattern": ("string",),
    "min_items": ("array",),
    "max_items": ("array",),
}
"""The types of which each rule is asked."""


def check_declarations(declared: Iterable[Parameter], at: str) -> list[Problem]:
    """Say what is wrong with the declarations at the path `at` themselves: rules that are asked of nothing or can never
    hold, and defaults and enum values that break them.
    """
    return [
        Problem(f"{at}[{index}].{field}", message)
        for index, parameter in enumerate(declared)
        for field, message in _declaration_messages(parameter)
    ]


def _declaration_messages(parameter: Parameter) -> Iterator[tuple[str, str]]:
    for name, types in _RULES.items():
        if getattr(parameter, name) is not None and parameter.type not in types:
            wanted = f"is a rule for a parameter of type {' or '.join(types)}"
            yield to_camel(name), f"{wanted}; {parameter.name!r} is of type {parameter.type}"
    for low, high in _RANGES:
        least, most = getattr(parameter, low), getattr(parameter, high)
        if least is not None and most is not None and least > most:
            told = f"{plain(least)} is more than {to_camel(high)}, {plain(most)}: no value can fit"
            yield to_camel(low), told
    within = parameter.model_copy(update={"enum": None})
    for index, value in enumerate(parameter.enum or ()):
        yield from (
            (f"enum[{index}]", message) for message in check_value(within, value) or _infinite(parameter, value)
        )
    if parameter.default is not None:
        problems = check_value(parameter, parameter.default) or _infinite(parameter, parameter.default)
        yield from (("default", message) for message in problems)


def _infinite(parameter: Parameter, value: Any) -> list[str]:
    """Say that there is a number somewhere in the value that JSON cannot write, as YAML can: .inf and .nan."""
    found = (one for one in _numbers(value) if isinstance(one, float) and not math.isfinite(one))
    return [f"parameter {parameter.name!r} must hold finite numbers alone, got {one}" for one in islice(found, 1)]


def _numbers(value: Any) -> Iterator[int | float]:
    """Give every number in a JSON value, however deep it stands."""
    rest = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, int | float):
            yield one
        rest += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()


def check_value(parameter: Parameter, value: Any) -> list[str]:
    """Say what is wrong with one value of one parameter."""
    if is_too_deep(value):
        return [f"parameter {parameter.name!r} {TOO_DEEP}"]
    if any(isinstance(one, int) and not LEAST <= one <= GREATEST for one in _numbers(value)):
        within = f"from {LEAST} to {GREATEST}; give a larger one as a string"
        return [f"parameter {parameter.name!r} must hold integers of 64 bits alone, {within}"]
    if problem := _type_problem(parameter, value):
        return [problem]
    name = f"parameter {parameter.name!r}"
    if isinstance(value, float) and not math.isfinite(value):
        return [f"{name} must be a finite number, got {value}"]
    problems: list[str] = []
    if parameter.enum is not None and not any(_same(value, choice) for choice in parameter.enum):
        problems.append(f"{name} must be one of {', '.join(map(str, parameter.enum))}, got {value!r}")
    if parameter.type in ("integer", "number"):
        problems += _bounds(name, value, parameter.minimum, parameter.maximum, "")
    if parameter.type == "string":
        problems += _bounds(name, len(value), parameter.min_length, parameter.max_length, " characters")
        if parameter.pattern is not None and not matches(parameter.pattern, value):
            problems.append(f"{name} must match {parameter.pattern}, got {value!r}")
    if parameter.type == "array":
        problems += _bounds(name, len(value), parameter.min_items, parameter.max_items, " items")
    return problems


def _same(left: Any, right: Any) -> bool:
    """Say whether two JSON values are one, however deep: to Python, but not to JSON, true is 1."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(value, right[key]) for key, value in left.items())
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _type_problem(parameter: Parameter, value: Any) -> str | None:
    fits = isinstance(value, _CLASSES[parameter.type]) and (parameter.type == "boolean" or not isinstance(value, bool))
    if fits:
        return None
    word = _WORDS.get(type(value), type(value).__name__)
    hint = ""
    if parameter.type == "string" and word == "boolean":
        hint = f"; {YAML_BOOLEANS}"
    elif parameter.type == "string":
        hint = f'; write it in quotes: "{value}"' if word in ("integer", "number") else ""
    elif word == "string" and parameter.type in ("integer", "number", "boolean"):
        hint = "; write it without quotes"
    return f"parameter {parameter.name!r} must be of type {parameter.type}, got the {word} {value!r}{hint}"


def _bounds(name: str, size: float, low: float | None, high: float | None, unit: str) -> list[str]:
    if low is not None and size < low:
        return [f"{name} must be at least {plain(low)}{unit}, got {plain(size)}"]
    if high is not None and size > high:
        return [f"{name} must be at most {plain(high)}{unit}, got {plain(size)}"]
    return []


def _unknown(name: str, parameters: Mapping[str, Parameter]) -> str:
    name = name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"
    close = get_close_matches(name, parameters, n=1)
    if close:
        return f"parameter {name!r} is not declared; did you mean {close[0]!r}?"
    known = ", ".join(parameters) or "none"
    return f"parameter {name!r} is not declared; declared: {known}"
