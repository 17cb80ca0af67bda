"""`weft validate FILE...`: the checks of admission, offline.

What is wrong goes to stdout, one line `file: path: message` per problem, to be read by people and by editors; notes
about what was passed over or taken on trust go to stderr. What any of the files holds is known to all others: NodeTypes
to those who use them, Workflows to their runs and to those who call them, each in its namespace. A Workflow that none
holds may be in the cluster and is taken on trust; so are NodeTypes, if the files hold none at all of a namespace.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import click

from weft.admission.judge import names_in
from weft.api.nodetype import NodeType, NodeTypeSpec
from weft.api.problems import parse
from weft.cli.manifests import Manifest, UnreadableManifest, line, load_manifests
from weft.graph.declared import NONE_KNOWN, Declared, declared_by
from weft.graph.notes import notes_on
from weft.graph.validate import is_weft, name_problems
from weft.graph.validate import validate as check


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
def validate(files: tuple[str, ...]) -> None:
    """Check manifests, offline, as the cluster would.

    FILE may be - for stdin and may hold several documents; kinds that are not Weft's are passed over. One line
    'file: path: message' per problem on stdout; exit status 1 if there is one.
    """
    loaded = {file: _load(file) for file in files}
    known = _known(one.content for found in loaded.values() if isinstance(found, list) for one in found)
    failed = False
    for file, found in loaded.items():
        lines = [found] if isinstance(found, str) else _lines(file, found, known)
        ours = [one for one in found if not isinstance(one, str) and is_weft(one.content)]
        for text in lines or [f"{file}: ok ({len(ours)} document{'' if len(ours) == 1 else 's'})"]:
            click.echo(text)
        failed = failed or bool(lines)
    sys.exit(1 if failed else 0)


@dataclass(frozen=True)
class _Known:
    """What manifests may refer to, by namespaces: NodeTypes, where any file holds one, and Workflows."""

    types: dict[str, dict[str, NodeTypeSpec]]
    workflows: dict[str, Declared]


def _load(file: str) -> list[Manifest] | str:
    """The manifests of a file, or the line that says why there are none."""
    try:
        return load_manifests(file, for_kubectl=True)
    except UnreadableManifest as error:
        return line(file, "", str(error))


def _lines(file: str, manifests: list[Manifest], known: _Known) -> list[str]:
    lines = []
    trusted: set[str] = set()
    for manifest in manifests:
        content = manifest.content
        if isinstance(content, dict) and not is_weft(content):
            said = f"{content.get('apiVersion', 'no apiVersion')}, {content.get('kind', 'no kind')}"
            click.echo(line(file, manifest.path, f"passed over: not a kind of Weft's ({said})"), err=True)
            continue
        namespace, _ = _place(content)
        types = known.types.get(namespace)
        problems = check(content, node_types=types, workflows=known.workflows.get(namespace, NONE_KNOWN))
        if isinstance(content, dict):
            problems = [*name_problems(content), *problems]
            trusted |= names_in(content, "").types if types is None else set()
        lines += [line(file, manifest.at(problem.path), problem.message) for problem in problems]
        for note in () if problems else notes_on(content, types or {}):
            click.echo(line(file, manifest.at(note.path), note.message), err=True)
    if trusted:
        click.echo(line(file, "", f"taken on trust, no file holds NodeTypes: {', '.join(sorted(trusted))}"), err=True)
    return lines


def _known(contents: Iterable[Any]) -> _Known:
    types: dict[str, dict[str, NodeTypeSpec]] = {}
    workflows: dict[str, dict[str, Any]] = {}
    for content in filter(is_weft, contents):
        namespace, name = _place(content)
        if content.get("kind") == "NodeType":
            node_type, _ = parse(NodeType, content)
            if node_type is not None:
                types.setdefault(namespace, {})[name] = node_type.spec
        elif content.get("kind") == "Workflow":
            there = workflows.setdefault(namespace, {})
            there[name] = None if name in there else content.get("spec")  # of two, nobody can say which is meant
    return _Known(types, {namespace: declared_by(specs) for namespace, specs in workflows.items()})


def _place(content: Any) -> tuple[str, str]:
    """The namespace ("": none said) and the name of an object that nobody has checked yet."""
    metadata = content.get("metadata") if isinstance(content, Mapping) else None
    found = metadata if isinstance(metadata, Mapping) else {}
    return str(found.get("namespace") or ""), str(found.get("name") or "")
