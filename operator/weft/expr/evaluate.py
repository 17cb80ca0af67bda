"""Evaluation: a checked tree is turned once into nested closures, which then run over plain Python values.

Without a loop an expression costs no more than its own length, so only the loops count: each step charges the size of
its body. `&&`, `||`, `all` and `exists` absorb an error when the other operand decides, as CEL has it; an exhausted
budget is never absorbed.
"""

from typing import Any

from weft.expr import library
from weft.expr.access import find, index, optional_index
from weft.expr.error import Fault
from weft.expr.frame import Frame, Plan
from weft.expr.functions import FUNCTIONS
from weft.expr.macros import plan_macro
from weft.expr.optionals import expect
from weft.expr.syntax import Call, Comprehension, Const, Ident, ListLiteral, MapLiteral, Node, Select, children
from weft.expr.values import ABSENT, TYPES, Optional, TypeName, describe

_MISSING = object()


def plan(node: Node) -> Plan:
    """The closure that evaluates a tree; it raises Fault. Raises Fault itself for what Weft does not support."""
    match node:
        case Const(value=value):
            return lambda frame: value
        case Ident():
            return _name(node)
        case Select():
            return _has(node) if node.test else _select(node)
        case Call(function="_&&_"):
            return _decided(node, False)
        case Call(function="_||_"):
            return _decided(node, True)
        case Call(function="_?_:_"):
            return _conditional(node)
        case Call(function="or" | "orValue"):
            return _otherwise(node)
        case Call():
            return _call(node)
        case ListLiteral():
            return _list(node)
        case MapLiteral():
            return _map_literal(node)
        case Comprehension():
            return plan_macro(node, plan)


def _name(node: Ident) -> Plan:
    name = node.name

    def run(frame: Frame) -> Any:
        value = frame.values.get(name, _MISSING)
        if value is not _MISSING:
            return value
        if name in TYPES:
            return TypeName(name)
        raise Fault(f"{name} has no value here", node.at)

    return run


def _select(node: Select) -> Plan:
    operand, field, at = plan(node.operand), node.field, node.at

    def run(frame: Frame) -> Any:
        container = operand(frame)
        if type(container) is dict and field in container:
            return container[field]
        try:
            return index(frame.budget, container, field)
        except Fault as fault:
            raise fault.located(at) from None

    return run


def _has(node: Select) -> Plan:
    operand, field, at = plan(node.operand), node.field, node.at

    def run(frame: Frame) -> bool:
        container = operand(frame)
        if isinstance(container, Optional):
            return optional_index(frame.budget, container, field).present
        if not isinstance(container, dict):
            raise Fault(f"has() needs a map, got {describe(container)}", at)
        return find(container, field) is not ABSENT

    return run


def _call(node: Call) -> Plan:
    name, at, is_method = node.function, node.at, node.target is not None
    args = [plan(arg) for arg in children(node)]
    function = FUNCTIONS.get(name)

    def run(frame: Frame) -> Any:
        values = [arg(frame) for arg in args]
        try:
            result = function(frame.budget, *values) if function is not None else NotImplemented
            return library.call(frame.budget, name, is_method, values) if result is NotImplemented else result
        except Fault as fault:
            raise fault.located(at) from None
        except ArithmeticError as error:
            raise Fault("the number is out of range", at) from error

    return run


def _decided(node: Call, decisive: bool) -> Plan:
    sign = "||" if decisive else "&&"
    operands = [(plan(arg), arg.at) for arg in node.args]

    def run(frame: Frame) -> bool:
        pending: Fault | None = None
        for operand, at in operands:
            try:
                value: object = operand(frame)
                if value is decisive:
                    return decisive
                if not isinstance(value, bool):
                    raise Fault(f"`{sign}` cannot take {describe(value)}, a true or false was expected", at)
            except Fault as fault:
                if fault.final:
                    raise
                pending = pending or fault
        if pending is not None:
            raise pending
        return not decisive

    return run


def _conditional(node: Call) -> Plan:
    condition, yes, no = (plan(arg) for arg in node.args)

    def run(frame: Frame) -> Any:
        value = condition(frame)
        if not isinstance(value, bool):
            raise Fault(f"`?` cannot take {describe(value)}, a true or false was expected", node.at)
        return yes(frame) if value else no(frame)

    return run


def _otherwise(node: Call) -> Plan:
    """`a.or(b)` and `a.orValue(b)`: `b` is evaluated only if `a` is absent."""
    (optional, other), unwrapped = map(plan, children(node)), node.function == "orValue"

    def run(frame: Frame) -> Any:
        value = optional(frame)
        try:
            if expect(value).present:
                return value.value if unwrapped else value
            return other(frame) if unwrapped else expect(other(frame))
        except Fault as fault:
            raise fault.located(node.at) from None

    return run


def _list(node: ListLiteral) -> Plan:
    elements = [(plan(element), place in node.optional) for place, element in enumerate(node.elements)]

    def run(frame: Frame) -> list[Any]:
        result = []
        for element, optional in elements:
            value = element(frame)
            if not optional:
                result.append(value)
            elif expect(value).present:
                result.append(value.value)
        return result

    return run


def _map_literal(node: MapLiteral) -> Plan:
    if node.message:
        raise Fault(f"{node.message}{{}}: message literals are not supported", node.at)
    entries = [(plan(key), key.at, plan(value), optional) for key, value, optional in node.entries]

    def run(frame: Frame) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key_of, at, value_of, optional in entries:
            key, value = key_of(frame), value_of(frame)
            if isinstance(key, bool) or not isinstance(key, str | int):
                raise Fault(f"a map's key is a string or an int, not {describe(key)}", at)
            if key in result:
                raise Fault(f"the key {describe(key)} stands twice", at)
            if not optional:
                result[key] = value
            elif expect(value).present:
                result[key] = value.value
        return result

    return run
