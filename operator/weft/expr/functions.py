"""CEL's functions over plain values, as far as they are ours; all others are the library's.

Ours are the ones used all the time, and the ones that take far longer than it takes to hand their arguments over, or
whose result can be far larger: these charge the budget and pass the call on (NotImplemented).

What is charged was measured: a step is about a microsecond at the worst input known.
"""

import math
import re
from collections.abc import Callable
from typing import Any

from weft.expr.error import Fault
from weft.expr.frame import Budget, Function
from weft.expr.operators import OPERATORS, ORDERED
from weft.expr.optionals import OPTIONALS
from weft.expr.values import COMPARED, TypeName, describe, is_number, type_of

_REPEATS = re.compile(r"\{(?:\d+,)?(\d{1,4})")
_MOST_REPEATS = 1000
"""The library takes no pattern in which something is repeated more often."""
_ALPHABETS = re.compile(r"\\[pP]")
_ALPHABET = 500
"""What `\\pL`, a class of a hundred thousand characters, makes of a pattern, in characters of a plain one."""
_SHORT_TEXT, _SHORT_PART = 30_000, 100
"""Sizes below which Python may look for a text by trying at each place; beyond them it goes through the text once."""


def _size(_: Budget, value: Any) -> int:
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    raise Fault(f"size() cannot take {describe(value)}")


def _contains(budget: Budget, text: Any, part: Any) -> Any:
    if not (isinstance(text, str) and isinstance(part, str)):
        return NotImplemented
    budget.charge((len(text) + len(part)) // 64 + min(len(text), _SHORT_TEXT) * min(len(part), _SHORT_PART) // 2048)
    return part in text


def _begins(test: Callable[[str, str], bool]) -> Function:
    def run(budget: Budget, text: Any, part: Any) -> Any:
        if not (isinstance(text, str) and isinstance(part, str)):
            return NotImplemented
        budget.charge(min(len(text), len(part)) // COMPARED)
        return test(text, part)

    return run


def _string(_: Budget, value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str.__str__(value) if isinstance(value, str) else str(value) if isinstance(value, int) else NotImplemented


def _int(_: Budget, value: Any) -> Any:
    return value if type(value) is int else NotImplemented


def _double(_: Budget, value: Any) -> Any:
    return float(value) if is_number(value) else NotImplemented


def _matches(budget: Budget, text: Any, pattern: Any) -> Any:
    if isinstance(text, str) and isinstance(pattern, str):
        times = [int(number) for number in _REPEATS.findall(pattern)[:100]]
        repeats = min(math.prod(number for number in times if number), _MOST_REPEATS)
        compiled = 4 * (len(pattern) + _ALPHABET * len(_ALPHABETS.findall(pattern)))
        budget.charge(compiled * repeats)
        budget.charge(len(text) * len(pattern) * repeats // 64)
    return NotImplemented


def _replace(budget: Budget, text: Any, old: Any, new: Any, *limit: Any) -> Any:
    if isinstance(text, str) and isinstance(old, str) and isinstance(new, str):
        budget.charge(text.count(old) * len(new) // 16)
    return NotImplemented


def _join(budget: Budget, texts: Any, separator: Any = "") -> Any:
    if isinstance(texts, list) and isinstance(separator, str):
        budget.charge(len(texts) * len(separator) // 16)
    return NotImplemented


def _range(budget: Budget, length: Any) -> Any:
    if type(length) is not int:
        return NotImplemented
    budget.charge(max(length, 0))
    return list(range(length))


def _slice(budget: Budget, values: Any, start: Any, end: Any) -> Any:
    if not (isinstance(values, list) and type(start) is type(end) is int and 0 <= start <= end <= len(values)):
        return NotImplemented
    budget.charge(end - start)
    return values[start:end]


def _extreme(choose: Callable[..., Any]) -> Function:
    def run(budget: Budget, *args: Any) -> Any:
        values = args[0] if len(args) == 1 and isinstance(args[0], list) else args
        budget.charge(len(values))
        if not values or not all(is_number(candidate) for candidate in values):
            raise Fault("math.greatest() and math.least() take numbers")
        return choose(values)

    return run


def _sorted_by(budget: Budget, values: list[Any], keys: list[Any]) -> list[Any]:
    kinds = {float if is_number(key) else type(key) for key in keys}
    if len(kinds) > 1 or not all(kind is float or issubclass(kind, ORDERED) for kind in kinds):
        raise Fault("sortBy() needs keys of one comparable type")
    sizes = sum(1 + (len(key) // COMPARED if isinstance(key, str | bytes) else 0) for key in keys)
    budget.charge(sizes * len(keys).bit_length())
    return [values[place] for place in sorted(range(len(keys)), key=keys.__getitem__)]


FUNCTIONS: dict[str, Function] = {
    **OPERATORS,
    **OPTIONALS,
    "size": _size,
    "contains": _contains,
    "startsWith": _begins(str.startswith),
    "endsWith": _begins(str.endswith),
    "string": _string,
    "int": _int,
    "double": _double,
    "dyn": lambda budget, value: value,
    "type": lambda budget, value: TypeName(type_of(value)),
    "matches": _matches,
    "replace": _replace,
    "join": _join,
    "lists.range": _range,
    "slice": _slice,
    "math.@max": _extreme(max),
    "math.@min": _extreme(min),
    "@sortByAssociatedKeys": _sorted_by,
}
"""By their names in the checked tree, called with the budget and the arguments."""
