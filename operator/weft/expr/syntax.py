"""The syntax tree of a checked expression, read from the CEL library's own serialized form.

cel-expr-python parses and type-checks, but shows no tree: it only serializes one, as a `cel.expr.CheckedExpr` message.
Reading that message (a published, stable wire format) gives us exactly what Google's parser understood: macros
expanded, comprehension variables bound, a character offset for every node. No second parser, hence no second opinion
about what an expression refers to.
"""

import struct
from dataclasses import dataclass
from typing import Any, TypeAlias

from weft.expr.wire import every, fields, first, packed, text_of


@dataclass(frozen=True, slots=True)
class Const:
    """A literal: null, bool, int, float, str or bytes (an unsigned literal becomes an int)."""

    at: int
    value: Any


@dataclass(frozen=True, slots=True)
class Ident:
    """A name: a variable, a comprehension variable or a type such as `int`."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """`operand.field`, or `has(operand.field)` when `test` is set."""

    at: int
    operand: "Node"
    field: str
    test: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A function or operator (`_+_`, `_[_]`, `math.round`, ...); `target` is what stands before the dot of a method."""

    at: int
    function: str
    target: "Node | None"
    args: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class ListLiteral:
    """`[a, b, ?c]`; `optional` holds the indices written with a question mark."""

    at: int
    elements: "tuple[Node, ...]"
    optional: frozenset[int]


@dataclass(frozen=True, slots=True)
class MapLiteral:
    """`{k: v, ?o: w}` as (key, value, optional) entries; `message` is set for a protobuf message literal."""

    at: int
    entries: "tuple[tuple[Node, Node, bool], ...]"
    message: str


@dataclass(frozen=True, slots=True)
class Comprehension:
    """What the macros all, exists, exists_one, map, filter and the optional ones expand to: a fold."""

    at: int
    variable: str
    range: "Node"
    accumulator: str
    start: "Node"
    step: "Node"
    result: "Node"


Node: TypeAlias = Const | Ident | Select | Call | ListLiteral | MapLiteral | Comprehension


def read_tree(serialized: bytes) -> Node:
    """The tree in what `Expression.serialize()` gave; raises ValueError for a message of another form."""
    checked = first(serialized, 2, b"")
    positions: dict[int, int] = {}
    for entry in every(first(checked, 5, b""), 4):
        positions[first(entry, 1, 0)] = first(entry, 2, 0)
    return _node(first(checked, 4, b""), positions)


def children(node: Node) -> tuple[Node, ...]:
    """The direct sub-expressions of a node, in order of evaluation."""
    match node:
        case Select():
            return (node.operand,)
        case Call():
            return node.args if node.target is None else (node.target, *node.args)
        case ListLiteral():
            return node.elements
        case MapLiteral():
            return tuple(part for key, value, _ in node.entries for part in (key, value))
        case Comprehension():
            return (node.range, node.start, node.step, node.result)
        case _:
            return ()


def count(node: Node) -> int:
    """How many nodes the tree has: what one evaluation of it can cost at most, loops aside."""
    return 1 + sum(count(child) for child in children(node))


def _node(data: bytes, positions: dict[int, int]) -> Node:
    at = positions.get(first(data, 2, 0), 0)
    for number, value in fields(data):
        match number:
            case 3:
                return Const(at, _constant(value))
            case 4:
                return Ident(at, text_of(value, 1).lstrip("."))
            case 5:
                return Select(at, _node(first(value, 1, b""), positions), text_of(value, 2), bool(first(value, 3, 0)))
            case 6:
                target = first(value, 1, None)
                args = tuple(_node(arg, positions) for arg in every(value, 3))
                return Call(at, text_of(value, 2), None if target is None else _node(target, positions), args)
            case 7:
                elements = tuple(_node(element, positions) for element in every(value, 1))
                return ListLiteral(at, elements, frozenset(packed(first(value, 2, b""))))
            case 8:
                entries = tuple(
                    (_node(first(e, 3, b""), positions), _node(first(e, 4, b""), positions), bool(first(e, 5, 0)))
                    for e in every(value, 2)
                    if first(e, 3, None) is not None
                )
                return MapLiteral(at, entries, text_of(value, 1))
            case 9:
                parts = [_node(first(value, part, b""), positions) for part in (2, 4, 6, 7)]
                return Comprehension(at, text_of(value, 1), parts[0], text_of(value, 3), *parts[1:])
    raise ValueError("an expression without content")


def _constant(data: bytes) -> Any:
    for number, value in fields(data):
        match number:
            case 1:
                return None
            case 2:
                return bool(value)
            case 3:
                return value - (1 << 64) if value >> 63 else value
            case 4:
                return value
            case 5:
                return struct.unpack("<d", value)[0]
            case 6:
                return value.decode()
            case 7:
                return value
    raise ValueError("a constant of an unknown kind")
