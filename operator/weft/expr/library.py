"""Google's CEL library, as we use it: the parser, the type checker, and the functions that are not ours to rewrite.

Its evaluator is not used, for measured reasons (cel-expr-python 0.1.3): `map` and `filter` copy the list at every step
(9,000 items: 4 s and 1.3 GB); comparing lists of shared lists, or chaining `map(a, a + a)`, escapes its iteration
budget (minutes, or gigabytes, from 300 characters); every variable is converted at each call; an error has no position;
text ends at its first NUL. Our own fold over the checked tree (`evaluate`) is bounded in all of these and several times
faster; regular expressions (RE2), timestamps with their time zones, number formatting, string, math, list, set and
encoder functions come from here, one call at a time.
"""

import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from weft.expr.error import Fault
from weft.expr.frame import Budget
from weft.expr.values import type_of

_CALL_COST = 40
_MAX_DEPTH = 100
_MAX_TOLD = 300
"""Characters of a complaint that are passed on."""
_EXTENSIONS = (
    "extensions: [{name: strings}, {name: math}, {name: lists}, {name: sets}, {name: encoders}, {name: optional}]"
)
_STATUS = re.compile(r"^[A-Z_]+: (ERROR: )?|\s*\[[A-Z_]+\]$")


@lru_cache(maxsize=256)
def checker(names: frozenset[str]) -> cel.Env:
    """Compiles expressions over these names, all of dynamic type; arithmetic and comparisons may mix int and double."""
    pairs = ((cel.Type.INT, cel.Type.DOUBLE), (cel.Type.DOUBLE, cel.Type.INT))
    results = dict.fromkeys(("_+_", "_-_", "_*_", "_/_"), cel.Type.DOUBLE)
    results |= dict.fromkeys(("_<_", "_<=_", "_>_", "_>=_", "_==_", "_!=_"), cel.Type.BOOL)
    mixed = [
        cel.FunctionDecl(name, [_overload(name, result, pair) for pair in pairs]) for name, result in results.items()
    ]
    return _environment(names, [cel.CelExtension("weft_mixed_numbers", mixed)])


def _environment(names: Iterable[str], extensions: Sequence[cel.CelExtension] = ()) -> cel.Env:
    variables = dict.fromkeys(names, cel.Type.DYN)
    return cel.NewEnv(config=cel.NewEnvConfigFromYaml(_EXTENSIONS), variables=variables, extensions=extensions)


def _overload(name: str, result: cel.Type, pair: tuple[cel.Type, cel.Type]) -> cel.Overload:
    return cel.Overload(f"weft{name}{pair[0].name()}_{pair[1].name()}", return_type=result, parameters=list(pair))


def call(budget: Budget, function: str, is_method: bool, args: Sequence[Any]) -> Any:
    """What a library function gives for these arguments; raises Fault if it has no such form or fails."""
    sizes = [_handed_over(budget, arg) for arg in args]
    compared = sizes * 2 if function == "distinct" else sizes
    budget.charge(_CALL_COST + math.prod(compared[:2]) // 64)  # searching takes their product
    wraps, plain = zip(*map(_passed, args), strict=True) if args else ((), ())
    try:
        value = _compiled(function, is_method, wraps).eval(data={f"a{i}": arg for i, arg in enumerate(plain)})
        result = value.plain_value()
    except (RuntimeError, TypeError, ValueError) as error:
        raise _told(function, str(error).partition("\n")[0]) from error
    if value.type() == cel.Type.ERROR:
        if "No matching overloads" in result:
            raise Fault(f"{function}() cannot take ({', '.join(type_of(arg) for arg in args)})")
        raise _told(function, result)
    return bytes(result) if isinstance(result, bytearray) else result


def _told(function: str, complaint: str) -> Fault:
    """The library's complaint about a call; some begin with the function's name, and some hold a whole argument."""
    said = f"{function}(): "
    return Fault(said + _STATUS.sub("", complaint[:_MAX_TOLD]).removeprefix(said))


@lru_cache(maxsize=1024)
def _compiled(function: str, is_method: bool, wraps: tuple[str, ...]) -> cel.Expression:
    names = [f"a{i}" for i in range(len(wraps))]
    args = [f"{wrap}({name})" for wrap, name in zip(wraps, names, strict=True)]
    text = f"{args[0]}.{function}({', '.join(args[1:])})" if is_method else f"{function}({', '.join(args)})"
    return _environment(names).compile(text)


def _passed(arg: Any) -> tuple[str, Any]:
    """How an argument gets across: timestamps and durations are refused by the binding, so they travel as text."""
    if isinstance(arg, datetime):
        return "timestamp", arg.isoformat()
    if isinstance(arg, timedelta):
        return "duration", f"{arg // timedelta(microseconds=1)}us"
    return "", arg


def _handed_over(budget: Budget, value: Any) -> int:
    """The size of an argument: a character counts one and an element two, shared parts each time they occur.

    Charges what it takes to hand it over: two steps for an element, half a step for a character. Raises Fault for what
    the binding cannot take: it would cut text at a NUL, and crash on deeply nested values.
    """
    size, pending = 0, [(value, 0)]
    while pending:
        part, depth = pending.pop()
        if depth > _MAX_DEPTH:
            raise Fault("a value is nested too deeply")
        if isinstance(part, str | bytes):
            size += len(part)
            budget.charge(len(part) // 2)
            if isinstance(part, str) and "\0" in part:
                raise Fault("text with a NUL character can be compared and joined, but not be given to this function")
        elif isinstance(part, list | dict):
            elements = part if isinstance(part, list) else [*part, *part.values()]
            size += 2 * len(elements)
            budget.charge(2 * len(elements))
            pending.extend((element, depth + 1) for element in elements)
    return size
