"""What names mean where, and the checks of what an expression refers to that need no evaluation.

Everywhere: `params`, `nodes`, `run`. In a forEach the item (by `item` or its `as` name) and `index`; in a while
`iteration` and `previous`; in `retry.when` how the attempt ended; in a resource's or http body's conditions the object
or the response.
"""

from collections.abc import Collection, Iterable, Mapping

from weft.expr import lexical
from weft.expr.cel import Program, suggestion
from weft.expr.template import Structure, Template

BASE_NAMES = frozenset({"params", "nodes", "run"})
LOOP_NAMES = frozenset({"item", "index"})
WHILE_NAMES = frozenset({"iteration", "previous"})
RETRY_NAMES = frozenset({"exitCode", "reason", "message", "attempt", "outputs"})
RESOURCE_NAMES = frozenset({"object"})
HTTP_NAMES = frozenset({"response"})

NODE_FIELDS = frozenset({"outputs", "phase", "reason", "exitCode"})


def loop_names(alias: str | None) -> frozenset[str]:
    """The names a forEach brings: the item by its `as` name (`item` without one) and `index`."""
    return LOOP_NAMES - {"item"} | {alias} if alias else LOOP_NAMES


def check_references(
    subject: Program | Template | Structure | str,
    *,
    ancestors: Collection[str],
    all_nodes: Collection[str],
    params: Collection[str],
) -> list[str]:
    """What is wrong with the nodes and parameters an expression reads, as messages (none: all is well).

    `ancestors` are the nodes that have surely ended before, `all_nodes` those of the same graph, `params` the declared
    parameters.
    """
    messages: list[str] = []
    for program in _programs(subject):
        dashed = sorted(name for name in program.dashed if name in all_nodes)
        messages += [f'write nodes["{name}"]: a dash in a name reads as a subtraction' for name in dashed]
        split = {name.split("-")[0] for name in dashed}
        messages += _node_messages(program, split, ancestors=ancestors, all_nodes=all_nodes)
        for name in sorted((program.params or frozenset()) - frozenset(params)):
            messages.append(
                f'{_written("params", name)}: there is no parameter named "{name}"{suggestion(name, params)}'
            )
    return list(dict.fromkeys(messages))


def _node_messages(
    program: Program, skipped: set[str], *, ancestors: Collection[str], all_nodes: Collection[str]
) -> Iterable[str]:
    fields: dict[str, list[str]] = {}
    for node, field in sorted(program.node_fields):
        fields.setdefault(node, []).append(field)
    for name in sorted((program.nodes or frozenset()) - skipped):
        written = _written("nodes", name)
        if name not in all_nodes:
            used = f"{written}.{fields[name][0]}" if name in fields else written
            yield f'{used}: there is no node named "{name}"{suggestion(name, all_nodes)}'
        elif name not in ancestors:
            yield f"{written} is not an ancestor of this node; add it to dependsOn (directly or through another node)"
        for field in fields.get(name, ()):
            if field not in NODE_FIELDS:
                known = ", ".join(sorted(NODE_FIELDS))
                yield f'{written}.{field}: a node has no "{field}"{suggestion(field, NODE_FIELDS)} (it has {known})'


def output_messages(program: Program, outputs: Mapping[str, Collection[str]]) -> Iterable[str]:
    """Give a message for each output the expression needs and a node can never have.

    `outputs` are those that nodes can have, without the nodes of which nobody knows.
    """
    for name, output in sorted(program.outputs):
        known = outputs.get(name)
        if known is not None and output not in known:
            read = _written(f"{_written('nodes', name)}.outputs", output)
            has = f"it has {', '.join(known)}" if known else "it has none"
            yield f'{read}: {name} has no output "{output}"{suggestion(output, known)} ({has})'


def _written(root: str, name: str) -> str:
    return f"{root}.{name}" if name.isidentifier() and name not in lexical.WORDS else f'{root}["{name}"]'


def _programs(subject: Program | Template | Structure | str) -> tuple[Program, ...]:
    if isinstance(subject, str):
        return ()
    return (subject,) if isinstance(subject, Program) else subject.programs
