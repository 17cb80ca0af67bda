"""Templates of other systems. Here they are plain text, and no error: a script may well have to write `{{ x }}`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from weft.api.problems import Location, Problem, path_text

SHOWN = 5
"""Of a manifest: whoever has one has many, and one mend helps them all."""

_FOREIGN = re.compile(
    r"(?<!\$)\{\{-?\s*(?:params|inputs|outputs|item|tasks|steps|workflow|nodes|run|matrix)\b[^{}]{0,200}\}\}"
    r"|\$\((?:params|tasks|workspaces|context|inputs|outputs)\.[^()]{1,200}\)"
)
"""Those of Argo Workflows, GitHub Actions without their `$`, and Tekton; of Weft's own names a forgotten `$`, too."""
_PROSE = frozenset({"description"})


def foreign_templates(manifest: Mapping[str, Any]) -> list[Problem]:
    """Give a note for each text (of many, the first) of a manifest's spec that has such a template."""
    found = _found(manifest.get("spec"), ("spec",))
    return [
        Problem(path_text(location), f"{text} is plain text here; templates are written ${{{{ ... }}}}")
        for location, text in islice(found, SHOWN)
    ]


def _found(value: Any, location: Location) -> Iterator[tuple[Location, str]]:
    if isinstance(value, str):
        if match := _FOREIGN.search(value):
            yield location, match[0]
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in _PROSE:
                yield from _found(inner, (*location, str(key)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _found(inner, (*location, index))
