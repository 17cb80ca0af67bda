"""`weft validate FILE...`: the checks of admission, offline.

What is wrong goes to stdout, one line `file: path: message` per problem, to be read by people and by editors; notes
about what was passed over go to stderr. NodeTypes in any of the files can be used by Workflows in any other; if the
files hold none at all, `use` is taken on trust, since the types may be in the cluster.
"""

import sys
from collections.abc import Iterable

import click

from weft.api.nodetype import NodeType, NodeTypeSpec
from weft.api.problems import parse
from weft.cli.manifests import Manifest, UnreadableManifest, line, load_manifests
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
    types = _node_types(one for found in loaded.values() if isinstance(found, list) for one in found)
    failed = False
    for file, found in loaded.items():
        lines = [found] if isinstance(found, str) else _lines(file, found, types)
        ours = [one for one in found if not isinstance(one, str) and is_weft(one.content)]
        for text in lines or [f"{file}: ok ({len(ours)} document{'' if len(ours) == 1 else 's'})"]:
            click.echo(text)
        failed = failed or bool(lines)
    sys.exit(1 if failed else 0)


def _load(file: str) -> list[Manifest] | str:
    """The manifests of a file, or the line that says why there are none."""
    try:
        return load_manifests(file)
    except UnreadableManifest as error:
        return line(file, "", str(error))


def _lines(file: str, manifests: list[Manifest], types: dict[str, NodeTypeSpec] | None) -> list[str]:
    lines = []
    for manifest in manifests:
        content = manifest.content
        if isinstance(content, dict) and not is_weft(content):
            said = f"{content.get('apiVersion', 'no apiVersion')}, {content.get('kind', 'no kind')}"
            click.echo(line(file, manifest.path, f"passed over: not a kind of Weft's ({said})"), err=True)
            continue
        named = name_problems(content) if isinstance(content, dict) else []
        problems = [*named, *check(content, node_types=types)]
        lines += [line(file, manifest.at(problem.path), problem.message) for problem in problems]
    return lines


def _node_types(manifests: Iterable[Manifest]) -> dict[str, NodeTypeSpec] | None:
    """The NodeTypes among the manifests that can be read, None if there are none at all."""
    found = {}
    for manifest in manifests:
        if is_weft(manifest.content) and manifest.content.get("kind") == "NodeType":
            node_type, _ = parse(NodeType, manifest.content)
            if node_type is not None:
                found[node_type.metadata.name] = node_type.spec
    return found or None
