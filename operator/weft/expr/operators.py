"""CEL's operators over plain values.

int and float mix freely (`params.ratio * 2`); an int operation that leaves 64 bits is an error, and so is a comparison
of things without a common order. Whatever makes a value larger than its arguments, or takes longer the larger they are,
charges the budget for it.
"""

import math
import operator
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from weft.expr.access import find, index
from weft.expr.error import Fault
from weft.expr.frame import Budget, Function
from weft.expr.values import ABSENT, COMPARED, describe, equal, is_number

ORDERED: tuple[type, ...] = (str, bytes, bool, datetime, timedelta)


def _checked(value: Any) -> Any:
    if type(value) is int and not -(1 << 63) <= value < 1 << 63:
        raise Fault("integer overflow")
    return value


def _no_sum(sign: str, a: Any, b: Any) -> Fault:
    mend = (
        "; string(...) makes text of a number, int(...) or double(...) a number of text"
        if isinstance(a, str) != isinstance(b, str)
        else ""
    )
    return Fault(f"`{sign}` cannot take {describe(a)} and {describe(b)}{mend}")


def _add(budget: Budget, a: Any, b: Any) -> Any:
    if is_number(a) and is_number(b):
        return _checked(a + b)
    if any(isinstance(a, kind) and isinstance(b, kind) for kind in (str, bytes, list)):
        budget.charge((len(a) + len(b)) // (1 if isinstance(a, list) else 16))
        return a + b
    if isinstance(a, datetime | timedelta) and isinstance(b, datetime | timedelta) and timedelta in (type(a), type(b)):
        return _timed(operator.add, a, b)
    raise _no_sum("+", a, b)


def _subtract(_: Budget, a: Any, b: Any) -> Any:
    if is_number(a) and is_number(b):
        return _checked(a - b)
    if (isinstance(a, datetime) and isinstance(b, datetime | timedelta)) or (
        isinstance(a, timedelta) and isinstance(b, timedelta)
    ):
        return _timed(operator.sub, a, b)
    raise _no_sum("-", a, b)


def _timed(operation: Function, a: Any, b: Any) -> Any:
    try:
        return operation(a, b)
    except OverflowError as error:
        raise Fault("the time is out of range") from error


def _multiply(_: Budget, a: Any, b: Any) -> Any:
    if is_number(a) and is_number(b):
        return _checked(a * b)
    raise _no_sum("*", a, b)


def _divide(_: Budget, a: Any, b: Any) -> Any:
    if not (is_number(a) and is_number(b)):
        raise _no_sum("/", a, b)
    if type(a) is int and type(b) is int:
        if b == 0:
            raise Fault("division by zero")
        return _checked(abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1))
    if b == 0:
        return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1, b)
    return a / b


def _modulo(_: Budget, a: Any, b: Any) -> Any:
    if type(a) is not int or type(b) is not int:
        raise _no_sum("%", a, b)
    if b == 0:
        raise Fault("modulus by zero")
    return abs(a) % abs(b) * (-1 if a < 0 else 1)


def _negate(_: Budget, a: Any) -> Any:
    if not is_number(a):
        raise Fault(f"`-` cannot take {describe(a)}")
    return _checked(-a)


def _not(_: Budget, a: Any) -> bool:
    if not isinstance(a, bool):
        raise Fault(f"`!` cannot take {describe(a)}, a true or false was expected")
    return not a


def _ordering(sign: str, compare: Callable[[Any, Any], bool]) -> Function:
    def run(budget: Budget, a: Any, b: Any) -> bool:
        if isinstance(a, str | bytes) and isinstance(b, str | bytes):
            budget.charge(min(len(a), len(b)) // COMPARED)
        if (is_number(a) and is_number(b)) or any(isinstance(a, kind) and isinstance(b, kind) for kind in ORDERED):
            return compare(a, b)
        raise Fault(f"`{sign}` cannot compare {describe(a)} with {describe(b)}")

    return run


def _contains(budget: Budget, element: Any, container: Any) -> bool:
    if isinstance(container, dict):
        return find(container, element) is not ABSENT
    if isinstance(container, list):
        budget.charge(len(container))
        return any(equal(budget, element, candidate) for candidate in container)
    raise Fault(f"`in` needs a list or a map on its right, got {describe(container)}")


OPERATORS: dict[str, Function] = {
    "_+_": _add,
    "_-_": _subtract,
    "_*_": _multiply,
    "_/_": _divide,
    "_%_": _modulo,
    "-_": _negate,
    "!_": _not,
    "_==_": equal,
    "_!=_": lambda budget, a, b: not equal(budget, a, b),
    "_<_": _ordering("<", operator.lt),
    "_<=_": _ordering("<=", operator.le),
    "_>_": _ordering(">", operator.gt),
    "_>=_": _ordering(">=", operator.ge),
    "@in": _contains,
    "_[_]": index,
}
"""By their names in the checked tree."""
