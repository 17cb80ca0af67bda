"""One run on a screen: a summary, the table of its nodes, its outputs, and what to do next.

`weft status RUN` prints it once; `--follow` draws it again and again, cut to the height of the terminal.
"""

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from weft.api.objects import Obj
from weft.cli.nodes import Entry, Row, fitting
from weft.cli.runs import assignments, next_steps, phase_of, summary
from weft.cli.table import COLOURS, node_table, one_line, safe

_SPACE_AROUND = 5
"""Lines that are neither rows of the table nor lines of the summary: its header, what was left out, blank lines."""


def run_detail(
    run: Obj,
    entries: Sequence[Entry],
    rows: Sequence[Row],
    *,
    now: float,
    command: Callable[..., str],
    height: int | None = None,
) -> RenderableType:
    """Give a run's page. `command` spells a command for the shell; `height` is that of the terminal, to fit into."""
    lines = summary(run, now)
    steps = [("Next", command(*words)) for words in next_steps(run, entries)]
    outputs = _outputs(run)
    left_out = ""
    if height is not None:
        room = height - len(lines) - len(steps) - len(outputs) - _SPACE_AROUND
        rows, left_out = fitting(rows, max(3, room))
    fold = height is None
    parts: list[RenderableType] = [_grid(lines, phase_of(run), fold=fold)]
    if rows:
        parts += ["", node_table(rows, now, left_out=left_out, fold=fold)]
    if outputs or steps:
        parts += ["", _grid(outputs + steps, "", fold=fold)]
    return Group(*parts)


def _outputs(run: Obj) -> list[tuple[str, str]]:
    values: dict[str, Any] = (run.get("status") or {}).get("outputs") or {}
    return [("Output", text) for text in assignments(values)]


def _grid(lines: Sequence[tuple[str, str]], phase: str, *, fold: bool) -> Table:
    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for word, text in lines:
        told = Text(safe(text), COLOURS.get(phase, "") if word == "Status" else "")
        grid.add_row(f"{word}:", told if fold else one_line(told))
    return grid
