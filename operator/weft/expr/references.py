"""What an expression refers to: read from its tree, so it is exact, and complete where it is not (a computed name
counts as all).
"""

from collections.abc import Collection
from dataclasses import dataclass

from weft.expr.syntax import Call, Comprehension, Const, Ident, Node, Select, children

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class References:
    """The free names of an expression, and what it reads of `nodes` and `params`.

    `nodes` and `params` are the names read from each, None when one is used as a whole or with a computed name;
    `node_fields` are the (node, field) pairs read, `run_fields` the names read from `run`. `outputs` are the (node,
    output) pairs that must be there, or the expression fails: no `has()`, no `?` and no look at the node's outputs as a
    whole stands beside.
    """

    roots: frozenset[str]
    nodes: frozenset[str] | None
    node_fields: frozenset[tuple[str, str]]
    params: frozenset[str] | None
    run_fields: frozenset[str]
    outputs: frozenset[tuple[str, str]]


def references(tree: Node, names: Collection[str]) -> References:
    """The references of a tree in which `names` are the variables."""
    paths: set[Path] = set()
    asked: set[Path] = set()
    _collect(tree, frozenset(names), paths, asked)
    return References(
        roots=frozenset(path[0] for path in paths),
        nodes=_members("nodes", paths),
        node_fields=frozenset((path[1], path[2]) for path in paths if path[0] == "nodes" and len(path) > 2),
        params=_members("params", paths),
        run_fields=frozenset(path[1] for path in paths if path[0] == "run" and len(path) > 1),
        outputs=_needed(paths, asked),
    )


def _needed(paths: set[Path], asked: set[Path]) -> frozenset[tuple[str, str]]:
    """The outputs read, but for those whose absence the expression has thought of."""
    of_nodes = {path for path in paths if path[0] == "nodes"}
    whole = {path[:2] for path in of_nodes if len(path) < 3 or path[2:] == ("outputs",)}
    read = {path[:4] for path in of_nodes if len(path) > 3 and path[2] == "outputs" and path[:2] not in whole}
    return frozenset((path[1], path[3]) for path in read - {path[:4] for path in asked} if ("nodes",) not in whole)


def _members(root: str, paths: set[Path]) -> frozenset[str] | None:
    of_root = [path for path in paths if path[0] == root]
    return frozenset(path[1] for path in of_root) if all(len(path) > 1 for path in of_root) else None


def _collect(node: Node, free: frozenset[str], paths: set[Path], asked: set[Path]) -> None:
    """Fill `paths`, and of them `asked` with those that are read on the condition that they are there."""
    path = _path(node)
    if path is not None:
        if path[0] in free:
            paths.add(path)
            if _is_asked(node):
                asked.add(path)
    elif isinstance(node, Comprehension):
        for part in (node.range, node.start):
            _collect(part, free, paths, asked)
        for part in (node.step, node.result):
            _collect(part, free - {node.variable, node.accumulator}, paths, asked)
    else:
        for child in children(node):
            _collect(child, free, paths, asked)


def _path(node: Node) -> Path | None:
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


def _is_asked(node: Node) -> bool:
    """Whether a chain of fixed names has `has()` around it, or a `?` in it."""
    match node:
        case Select(operand=operand, test=test):
            return test or _is_asked(operand)
        case Call(function=function, args=(operand, _)):
            return function != "_[_]" or _is_asked(operand)
    return False
