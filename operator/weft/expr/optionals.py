"""CEL's optionals: `outputs.?count.orValue(0)` reads what may be absent without an error.

A field selected from an optional is an optional again, so one `?` at the first doubtful step is enough.
"""

from typing import Any

from weft.expr.access import optional_index
from weft.expr.error import Fault
from weft.expr.frame import Budget, Function
from weft.expr.values import ABSENT, Optional, describe


def expect(value: Any) -> Optional:
    """The value, which must be an optional; raises Fault if it is none."""
    if not isinstance(value, Optional):
        raise Fault(f"an optional was expected, got {describe(value)}; write `.?field` for one")
    return value


def _value(budget: Budget, value: Any) -> Any:
    if not expect(value).present:
        raise Fault("value() of an optional that is absent")
    return value.value


def _of_non_zero(_: Budget, value: Any) -> Optional:
    return Optional(True, value) if value else ABSENT


def _end(place: int) -> Function:
    def run(_: Budget, values: Any) -> Optional:
        if not isinstance(values, list):
            raise Fault(f"first() and last() need a list, got {describe(values)}")
        return Optional(True, values[place]) if values else ABSENT

    return run


OPTIONALS: dict[str, Function] = {
    "_[?_]": optional_index,
    "_?._": optional_index,
    "optional.of": lambda budget, value: Optional(True, value),
    "optional.none": lambda budget: ABSENT,
    "optional.ofNonZeroValue": _of_non_zero,
    "hasValue": lambda budget, value: expect(value).present,
    "value": _value,
    "first": _end(0),
    "last": _end(-1),
}
"""Operators, functions and methods of optionals, by their names in the checked tree."""
