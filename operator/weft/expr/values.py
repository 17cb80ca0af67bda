"""The values an expression works on, and their way back to JSON.

JSON values are taken as they are, without a copy or a conversion: `None`, `bool`, `int`, `float`, `str`, `list`,
`dict`. CEL adds bytes, timestamps (`datetime`), durations (`timedelta`), optionals and types; as a result they become
base64 text, RFC 3339 text, a number of seconds, the value or null, and the type's name. An unsigned integer is an int
here: JSON knows no other.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from weft.expr.frame import Budget


@dataclass(frozen=True, slots=True)
class Optional:
    """A CEL optional: a value that may be absent."""

    present: bool
    value: Any = None


@dataclass(frozen=True, slots=True)
class TypeName:
    """A CEL type as a value, as in `type(x) == int`."""

    name: str


ABSENT = Optional(False)
COMPARED = 256
"""Characters of two texts that are compared in one step: those of different widths take the longest."""
TYPES: dict[str, type] = {
    "null_type": type(None),
    "bool": bool,
    "int": int,
    "double": float,
    "string": str,
    "bytes": bytes,
    "list": list,
    "map": dict,
    "google.protobuf.Timestamp": datetime,
    "google.protobuf.Duration": timedelta,
    "optional_type": Optional,
    "type": TypeName,
}


def is_number(value: Any) -> bool:
    """Whether a value is an int or a float (a bool is none)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def type_of(value: Any) -> str:
    """The CEL name of a value's type."""
    return next((name for name, kind in TYPES.items() if isinstance(value, kind)), type(value).__name__)


def describe(value: Any) -> str:
    """A value for an error message: `3 (int)`, `"abc" (string)`, `a list`."""
    match value:
        case None:
            return "null"
        case bool():
            return f"{str(value).lower()} (bool)"
        case str():
            return f'"{value[:20]}{"…" if len(value) > 20 else ""}" (string)'
        case int() | float():
            return f"{value} ({type_of(value)})"
        case _:
            return f"a {type_of(value).removeprefix('google.protobuf.').removesuffix('_type').lower()}"


def equal(budget: Budget, a: Any, b: Any) -> bool:
    """CEL equality: numbers by value whatever their type, lists and maps deeply, values of different types never."""
    if isinstance(a, str | bytes):
        if not isinstance(b, str | bytes) or len(a) != len(b):
            return False
        budget.charge(len(a) // COMPARED)
        return a == b
    if isinstance(a, list):
        if not isinstance(b, list) or len(a) != len(b):
            return False
        budget.charge(1 + len(a))
        return all(equal(budget, x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        if not isinstance(b, dict) or len(a) != len(b):
            return False
        budget.charge(1 + len(a))
        return all(key in b and equal(budget, value, b[key]) for key, value in a.items())
    if isinstance(a, Optional):
        return isinstance(b, Optional) and a.present == b.present and equal(budget, a.value, b.value)
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    return bool(a == b)
