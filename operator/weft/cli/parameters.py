"""`--param name=value`: values typed on a command line, read as the declared parameters say.

A string is taken as it is; whole numbers, numbers and booleans are read as such; arrays and objects are JSON. Numbers
are those that the API server will make of them. What is wrong with a value beyond that is `check_parameters`' to say.
Where the declarations cannot be read, whatever is JSON is taken for it, and all else for a string.
"""

import json
import math
from collections.abc import Iterable
from typing import Any

from weft.api.numbers import as_stored
from weft.api.parameters import Parameter

MAX_DEPTH = 100
SHOWN = 60
"""Characters of a value that are told."""


def read_parameters(pairs: Iterable[str], declared: Iterable[Parameter] | None) -> tuple[dict[str, Any], list[str]]:
    """Give the values by name, and what is wrong with those that cannot be read. `declared` is None when not known."""
    types = {parameter.name: parameter.type for parameter in declared or ()}
    values: dict[str, Any] = {}
    problems: list[str] = []
    given: set[str] = set()
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator or not name:
            problems.append(f"{pair!r} is no parameter; write name=value")
            continue
        if name in given:
            problems.append(f"parameter {name!r} is given twice")
            continue
        given.add(name)
        if declared is None:
            values[name] = _guessed(text)
            continue
        kind = types.get(name, "string")
        try:
            values[name] = _read(text, _KINDS[kind]) if kind != "string" else text
        except ValueError:
            shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
            problems.append(f"parameter {name!r} must be {_EXPECTED[kind]}, got {shown!r}")
    return values, problems


def _guessed(text: str) -> Any:
    try:
        return _read(text, (str, int, float, bool, list, dict))
    except ValueError:
        return text


def _read(text: str, kinds: tuple[type, ...]) -> Any:
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(text) from None
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ValueError(text)
    if not _fits(value):
        raise ValueError(text)
    return as_stored(value)


def _fits(value: Any) -> bool:
    """Whether the API server would take the value: finite numbers, whole ones of 64 bits, not nested for ever."""
    rest = [(value, 0)]
    while rest:
        one, depth = rest.pop()
        if isinstance(one, float) and not math.isfinite(one):
            return False
        if isinstance(one, int) and not -(2**63) <= one < 2**63:
            return False
        inside = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        if inside and depth >= MAX_DEPTH:
            return False
        rest += [(part, depth + 1) for part in inside]
    return True


_KINDS: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
_EXPECTED = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a JSON array, such as [1, 2]",
    "object": 'a JSON object, such as {"a": 1}',
}
