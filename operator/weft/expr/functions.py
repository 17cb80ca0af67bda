"""CEL's functions over plain values, as far as they are ours; all others are the library's.

Ours are the ones used all the time, and the ones whose result can be far larger than their arguments: these charge the
budget and pass the call on (NotImplemented).
"""

import math
import re
from collections.abc import Callable
from typing import Any

from weft.expr.error import Fault
from weft.expr.frame import Budget, Function
from weft.expr.operators import OPERATORS, ORDERED
from weft.expr.optionals import OPTIONALS
from weft.expr.values import TypeName, describe, is_number, type_of

_REPEATS = re.compile(r"\{(?:\d+,)?(\d+)")


def _size(_: Budget, value: Any) -> int:
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    raise Fault(f"size() cannot take {describe(value)}")


def _of_texts(test: Callable[[str, str], bool]) -> Function:
    def run(_: Budget, text: Any, part: Any) -> Any:
        return test(text, part) if isinstance(text, str) and isinstance(part, str) else NotImplemented

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
        repeats = math.prod(int(number) for number in _REPEATS.findall(pattern)[:100] if int(number))
        budget.charge(len(text) * len(pattern) * min(repeats, 1000) // 64)
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


def _extreme(choose: Callable[..., Any]) -> Function:
    def run(_: Budget, *args: Any) -> Any:
        values = args[0] if len(args) == 1 and isinstance(args[0], list) else args
        if not values or not all(is_number(candidate) for candidate in values):
            raise Fault("math.greatest() and math.least() take numbers")
        return choose(values)

    return run


def _sorted_by(budget: Budget, values: list[Any], keys: list[Any]) -> list[Any]:
    kinds = {float if is_number(key) else type(key) for key in keys}
    if len(kinds) > 1 or not all(kind is float or issubclass(kind, ORDERED) for kind in kinds):
        raise Fault("sortBy() needs keys of one comparable type")
    budget.charge(len(keys) * len(keys).bit_length())
    return [values[place] for place in sorted(range(len(keys)), key=keys.__getitem__)]


FUNCTIONS: dict[str, Function] = {
    **OPERATORS,
    **OPTIONALS,
    "size": _size,
    "contains": _of_texts(lambda text, part: part in text),
    "startsWith": _of_texts(str.startswith),
    "endsWith": _of_texts(str.endswith),
    "string": _string,
    "int": _int,
    "double": _double,
    "dyn": lambda budget, value: value,
    "type": lambda budget, value: TypeName(type_of(value)),
    "matches": _matches,
    "replace": _replace,
    "join": _join,
    "lists.range": _range,
    "math.@max": _extreme(max),
    "math.@min": _extreme(min),
    "@sortByAssociatedKeys": _sorted_by,
}
"""By their names in the checked tree, called with the budget and the arguments."""
