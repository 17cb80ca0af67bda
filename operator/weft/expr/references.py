"""What an expression refers to: read from its tree, so it is exact, and complete where it is not (a computed name
counts as all).
"""

from collections.abc import Collection
from dataclasses import dataclass

from weft.expr.syntax import Call, Comprehension, Const, Ident, Node, Select, children


@dataclass(frozen=True, slots=True)
class References:
    """The free names of an expression, and what it reads of `nodes` and `params`.

    `nodes` and `params` are the names read from each, None when one is used as a whole or with a computed name;
    `node_fields` are the (node, field) pairs read, `run_fields` the names read from `run`.
    """

    roots: frozenset[str]
    nodes: frozenset[str] | None
    node_fields: frozenset[tuple[str, str]]
    params: frozenset[str] | None
    run_fields: frozenset[str]


def references(tree: Node, names: Collection[str]) -> References:
    """The references of a tree in which `names` are the variables."""
    paths: set[tuple[str, ...]] = set()
    _collect(tree, frozenset(names), paths)
    return References(
        roots=frozenset(path[0] for path in paths),
        nodes=_members("nodes", paths),
        node_fields=frozenset((path[1], path[2]) for path in paths if path[0] == "nodes" and len(path) > 2),
        params=_members("params", paths),
        run_fields=frozenset(path[1] for path in paths if path[0] == "run" and len(path) > 1),
    )


def _members(root: str, paths: set[tuple[str, ...]]) -> frozenset[str] | None:
    of_root = [path for path in paths if path[0] == root]
    return frozenset(path[1] for path in of_root) if all(len(path) > 1 for path in of_root) else None


def _collect(node: Node, free: frozenset[str], paths: set[tuple[str, ...]]) -> None:
    path = _path(node)
    if path is not None:
        if path[0] in free:
            paths.add(path)
    elif isinstance(node, Comprehension):
        for part in (node.range, node.start):
            _collect(part, free, paths)
        for part in (node.step, node.result):
            _collect(part, free - {node.variable, node.accumulator}, paths)
    else:
        for child in children(node):
            _collect(child, free, paths)


def _path(node: Node) -> tuple[str, ...] | None:
    """`a.b["c"].?d` as ("a", "b", "c", "d"); None for anything that is not a chain of fixed names."""
    match node:
        case Ident(name=name):
            return (name,)
        case Select(operand=operand, field=name):
            rest = _path(operand)
        case Call(function="_[_]" | "_[?_]" | "_?._", args=(operand, Const(value=str() as name))):
            rest = _path(operand)
        case _:
            return None
    return None if rest is None else (*rest, name)
