"""Manifests read from YAML as the cluster's tools read them, and safely, whoever wrote them.

PyYAML speaks YAML 1.1 whole; kubectl's reader knows neither timestamps nor sexagesimal numbers, takes 1e3 and 09 for
numbers, and hands on what is whole without a fraction: Helm writes 2.592e+06 for 2592000. Limits come first, over the
stream of events, before anything is built: size, depth, and how much an alias may unfold. A key that stands twice in
one object is refused: one of the two would be lost in silence. So is a key that is no string: kubectl would send `yes`
as "true".

To kubectl `y` and `n` are booleans, too. So they are only to who asks what kubectl would send: a parameter that is
called n does no harm where no kubectl comes between.
"""

import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from weft.api.base import GROUP
from weft.api.numbers import stored_number
from weft.api.problems import YAML_BOOLEANS
from weft.cli.escapes import whole_characters
from weft.cli.visible import visible

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 100
MAX_VALUES = 2_000_000
"""Values in one document, every alias counted with all that it stands for."""
MAX_BITS = 1023
"""Bits of an integer. A longer one does not fit into a floating-point number either: kubectl takes it for a text."""


class UnreadableManifest(ValueError):
    """The text is no YAML that can be used; the message begins with the line, where there is one."""


MAX_MESSAGE = 2_000
"""Characters of a message that are printed: it may quote what was written, whatever its length."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One document: what it says, and its path in the file ("" if it is alone there)."""

    content: Any
    path: str

    def at(self, path: str) -> str:
        """A path inside the document as a path in its file."""
        return f"{self.path}.{path}" if self.path and path else self.path or path


def line(file: str, path: str, message: str) -> str:
    """One line about a file: `file: path: message`, however long and of how many lines the message is."""
    parts = (file, path, " ".join(message.split())) if path else (file, " ".join(message.split()))
    return ": ".join(visible(text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}...") for text in parts)


def load_manifests(file: str, *, for_kubectl: bool = False) -> list[Manifest]:
    """The documents of a file, or of stdin for `-`, as `read_manifests` gives them; raises UnreadableManifest."""
    try:
        if file == "-":
            return read_manifests(sys.stdin.buffer.read(MAX_BYTES + 1), for_kubectl=for_kubectl)
        with Path(file).open("rb") as stream:
            return read_manifests(stream.read(MAX_BYTES + 1), for_kubectl=for_kubectl)  # /dev/zero has no end
    except OSError as error:
        raise UnreadableManifest(f"cannot be read: {error.strerror}") from None


def read_manifests(text: bytes, *, for_kubectl: bool = False) -> list[Manifest]:
    """The documents of a file, empty ones left out and Lists taken apart; raises UnreadableManifest.

    `for_kubectl`: to the letter what kubectl would send.
    """
    if len(text) > MAX_BYTES:
        raise UnreadableManifest(f"has too many bytes; at most {MAX_BYTES} are read")
    text = whole_characters(text)
    try:
        _check_shape(text)
        loader = (_LoaderForKubectl if for_kubectl else _Loader)(text)
        documents = [document for document in _documents(loader) if document is not None]
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UnreadableManifest(f"{line}{error.problem or error.context}") from None
    except (yaml.YAMLError, UnicodeError, ValueError, OverflowError) as error:
        raise UnreadableManifest(" ".join(str(error).split())) from None
    manifests = [
        Manifest(document, f"documents[{index}]" if len(documents) > 1 else "")
        for index, document in enumerate(documents)
    ]
    return [one for manifest in manifests for one in _taken_apart(manifest)]


def _taken_apart(manifest: Manifest) -> Iterator[Manifest]:
    content = manifest.content
    if isinstance(content, dict) and content.get("kind") == "List" and isinstance(content.get("items"), list):
        yield from (Manifest(item, manifest.at(f"items[{index}]")) for index, item in enumerate(content["items"]))
    else:
        yield manifest


_BOOLEAN = "tag:yaml.org,2002:bool"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML 1.1 without what kubectl does not read that way."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


_NUMBERS = {
    "int": r"[-+]?0b[0-1_]+|[-+]?0o?[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+",
    "float": r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|[-+]?0[0-9_]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
}
"""Asked in this order: a number that begins with 0 and is not octal is read like one with a fraction."""
for _first, _resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items():
    for _tag, _pattern in _resolvers:
        if _tag.rpartition(":")[2] in ("bool", "null", "merge"):
            _Loader.yaml_implicit_resolvers.setdefault(_first, []).append((_tag, _pattern))
for _name, _text in _NUMBERS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_text})$"), list("-+0123456789."))


def _whole(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    value: int = loader.construct_yaml_int(node)
    if (bits := value.bit_length()) > MAX_BITS:
        line = node.start_mark.line + 1
        raise UnreadableManifest(f"line {line}: an integer of {bits} bits; nothing reads one so large")
    return value


def _number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int | float | str:
    """As the API server gives it back. What is too large for a number is none, such as the commit 6e45915."""
    value: float = loader.construct_yaml_float(node)
    if math.isinf(value) and "inf" not in node.value.lower():
        return str(node.value)
    return stored_number(value)


_Loader.add_constructor("tag:yaml.org,2002:int", _whole)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)


class _LoaderForKubectl(_Loader):
    """The same with the booleans of one letter."""

    bool_values = {**yaml.SafeLoader.bool_values, "y": True, "n": False}  # noqa: RUF012


_LoaderForKubectl.add_implicit_resolver(_BOOLEAN, re.compile("^[yYnN]$"), list("yYnN"))


def _check_shape(text: bytes) -> None:
    """Hold the events to the limits; raises UnreadableManifest or yaml.YAMLError."""
    depth, open_sizes = 0, [0]
    sizes: dict[str, int] = {}
    names: list[str | None] = []
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.DocumentStartEvent):
            open_sizes, sizes = [0], {}
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise UnreadableManifest(f"line {line}: nested deeper than {MAX_DEPTH} levels")
            names.append(event.anchor)
            open_sizes.append(1)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
            size, name = open_sizes.pop(), names.pop()
            open_sizes[-1] += size
            if name is not None:
                sizes[name] = size
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in names:
                raise UnreadableManifest(f"line {line}: the alias *{event.anchor} stands inside what it stands for")
            open_sizes[-1] += sizes.get(event.anchor or "", 1)
        elif isinstance(event, yaml.ScalarEvent):
            open_sizes[-1] += 1
        if open_sizes[-1] > MAX_VALUES:
            raise UnreadableManifest(f"line {line}: more than {MAX_VALUES} values, with aliases unfolded")


def _documents(loader: _Loader) -> Iterator[Any]:
    try:
        while loader.check_node():
            node = loader.get_node()
            _check_keys(node)
            yield loader.construct_document(node)
    finally:
        loader.dispose()


_STRINGS = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"})


def _check_keys(root: yaml.Node) -> None:
    """Raise UnreadableManifest for a key that stands twice in one mapping, or is no string in what is Weft's."""
    stack, seen, foreign = [root], {id(root)}, _is_foreign(root)
    while stack:
        node = stack.pop()
        children: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            lines: dict[tuple[str, str], int] = {}
            for key, value in node.value:
                line = key.start_mark.line + 1
                if not isinstance(key, yaml.ScalarNode):
                    raise UnreadableManifest(f"line {line}: a key must be a text")
                if key.tag not in _STRINGS and not foreign:
                    mend = YAML_BOOLEANS if key.tag == _BOOLEAN else f'put it in quotes: "{key.value}"'
                    raise UnreadableManifest(f"line {line}: the key {key.value!r} is not a string; {mend}")
                if first := lines.get((key.tag, key.value)):
                    raise UnreadableManifest(
                        f"line {line}: the key {key.value!r} stands twice in one object (first on line {first})"
                    )
                lines[key.tag, key.value] = line
                children.append(value)
        elif isinstance(node, yaml.SequenceNode):
            children = node.value
        for child in children:
            if id(child) not in seen:
                seen.add(id(child))
                stack.append(child)


def _is_foreign(root: yaml.Node) -> bool:
    """Whether a document is of a group that is not Weft's; a List may hold anything."""
    fields = dict.fromkeys(("apiVersion", "kind"), "")
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode) and key.value in fields:
            fields[key.value] = value.value
    return bool(fields["apiVersion"]) and fields["apiVersion"].split("/")[0] != GROUP and fields["kind"] != "List"
