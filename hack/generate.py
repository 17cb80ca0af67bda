"""Files that are written by code and still committed: written anew, or, with --check, compared.

`make generate` writes them; `make check` fails, with the difference, when one is not what the code would write. To
add one, write a function that gives {path: text} and add a line to GENERATED.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from weft.api.crd import crds, file_name, to_yaml

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from hack import dashboard, podschema, reference  # noqa: E402 - the path comes first


@dataclass(frozen=True)
class Generated:
    """Some generated files: a function that gives their texts by path, and a pattern for all files that it may give.

    Whatever else matches the pattern is a leftover of something renamed or removed, and is deleted.
    """

    pattern: str
    produce: Callable[[], dict[str, str]]


def crd_files(folder: str) -> dict[str, str]:
    """One file per kind, as `weft crds` prints them."""
    return {f"{folder}/{file_name(definition)}": to_yaml(definition) for definition in crds()}


GENERATED = (
    Generated("crds/*.yaml", lambda: crd_files("crds")),
    Generated("charts/weft/crds/*.yaml", lambda: crd_files("charts/weft/crds")),  # helm takes no links
    Generated(dashboard.FILE, lambda: {dashboard.FILE: dashboard.dashboard()}),
    Generated(podschema.FILE, lambda: {podschema.FILE: podschema.module()}),
    Generated("docs/reference/*.md", lambda: reference.pages("docs/reference")),
)


def differences(root: Path, generated: Sequence[Generated]) -> dict[str, str]:
    """What stands in `root` otherwise than it should: by path, a unified diff to what it should be."""
    found: dict[str, str] = {}
    for each in generated:
        wanted = each.produce()
        present = {str(path.relative_to(root)): path.read_text() for path in root.glob(each.pattern)}
        for path in sorted(wanted.keys() | present.keys()):
            before, after = present.get(path, ""), wanted.get(path, "")
            if before != after or (path in wanted) != (path in present):
                lines = difflib.unified_diff(
                    before.splitlines(), after.splitlines(), f"{path} (committed)", f"{path} (generated)", lineterm=""
                )
                found[path] = "\n".join(lines)
    return found


def write(root: Path, generated: Sequence[Generated]) -> list[str]:
    """Make `root` what it should be; gives the paths that changed."""
    changed = list(differences(root, generated))
    for each in generated:
        wanted = each.produce()
        for file in root.glob(each.pattern):
            if str(file.relative_to(root)) not in wanted:
                file.unlink()
        for path, text in wanted.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
    return changed


def main(arguments: Sequence[str]) -> int:
    """Write or check; gives the exit code."""
    parser = argparse.ArgumentParser(prog="hack/generate.py", description="Write the generated files.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file differs")
    if not parser.parse_args(arguments).check:
        for path in write(REPOSITORY, GENERATED):
            print(f"changed: {path}")
        return 0
    found = differences(REPOSITORY, GENERATED)
    for path, difference in found.items():
        print(f"{path} is not what the code writes (make generate):")
        print("\n".join(difference.splitlines()[:40]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
