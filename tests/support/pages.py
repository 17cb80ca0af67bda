"""The fenced blocks of the documentation, and what a reader would do with them.

When timelines look otherwise on purpose, `.venv/bin/python tests/support/pages.py` writes those of all pages anew.
"""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from weft.cli.main import weft

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SCENARIO = {"default", "events", "approvals", "actions"}
WIDTH = "90"
"""Columns of a timeline in the pages."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line it begins at."""

    language: str
    text: str
    line: int

    @property
    def documents(self) -> list[Any]:
        """The YAML documents in it."""
        return [one for one in yaml.safe_load_all(self.text) if one is not None]

    @property
    def is_scenario(self) -> bool:
        """Whether it says what the world does."""
        if self.language != "yaml":
            return False
        return all(isinstance(one, dict) and one.keys() <= _SCENARIO for one in self.documents)


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(one[1], one[2], text[: one.start()].count("\n") + 1) for one in _FENCE.finditer(text)]


def manifests(page: Path) -> Iterator[Block]:
    """The blocks of a page that hold manifests."""
    for block in blocks(page.read_text()):
        if block.language == "yaml" and not block.is_scenario:
            yield block


def simulations(page: Path) -> Iterator[tuple[Block, Block, Block | None]]:
    """The manifests last shown before a scenario, the scenario, and the timeline that follows it."""
    found = blocks(page.read_text())
    manifest = None
    for place, block in enumerate(found):
        if block.is_scenario and manifest is not None:
            after = found[place + 1] if place + 1 < len(found) else None
            yield manifest, block, after if after is not None and after.language == "text" else None
        elif block.language == "yaml":
            manifest = block


def run_weft(*arguments: str) -> Result:
    """Run the command line in this process, in a terminal as wide as the pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", WIDTH)
        return CliRunner().invoke(weft, arguments)


def without_legend(timeline: str) -> str:
    """A timeline as the pages show it: without the line that explains its signs, and what follows an ending."""
    kept = [line for line in timeline.splitlines() if not line.startswith("# running")]
    return re.sub(r"\n{2,}", "\n\n", "\n".join(kept)).strip() + "\n"


def simulated(workflow: Block, scenario: Block) -> str:
    """The timeline of manifests under a scenario, as the pages show it."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "workflow.yaml"), Path(folder, "scenario.yaml")
        for file, block in zip(files, (workflow, scenario), strict=True):
            file.write_text(block.text)
        result = run_weft("simulate", str(files[0]), "--scenario", str(files[1]))
    assert result.exit_code == 0, result.output
    return without_legend(result.output)


def rewrite(page: Path) -> None:
    """Write the timelines of a page anew."""
    text = page.read_text()
    for workflow, scenario, shown in simulations(page):
        if shown is not None:
            text = text.replace(f"```text\n{shown.text}", f"```text\n{simulated(workflow, scenario)}", 1)
    page.write_text(text)


if __name__ == "__main__":
    for each in PAGES:
        rewrite(each)
