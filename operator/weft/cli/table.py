"""Tables as kubectl prints them: columns without lines, cut nowhere when piped; colours on a terminal only.

What comes from a cluster (messages of containers, names, parameters) is made harmless first: one line, no control
characters, no markup.
"""

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from weft.cli.nodes import Row

COLOURS = {
    "Succeeded": "green",
    "Failed": "red",
    "Running": "cyan",
    "Waiting": "yellow",
    "Queued": "yellow",
    "Suspended": "yellow",
    "Cancelled": "magenta",
    "Compensated": "magenta",
    "Pending": "dim",
    "Skipped": "dim",
}
"""Of phases, a run's and a node's."""

_PIPE_WIDTH = 100_000
NODE_COLUMNS = ("NODE", "STATUS", "ATTEMPTS", "DURATION", "REASON", "MESSAGE")


def console() -> Console:
    """Give the console for standard output: as wide as the terminal, or as wide as it takes."""
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


def show(shown: RenderableType) -> None:
    """Print to standard output; into a pipe without the blanks that fill lines up."""
    screen = console()
    if screen.is_terminal:
        screen.print(shown)
        return
    with screen.capture() as captured:
        screen.print(shown)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def safe(text: object) -> str:
    """Give a text as one line without control characters."""
    return "".join(letter for letter in " ".join(str(text).split()) if letter.isprintable())


def phase_text(phase: str) -> Text:
    """Give a phase in its colour."""
    return Text(safe(phase), COLOURS.get(phase, ""))


def table(columns: Sequence[str], cells: Iterable[Sequence[str | Text]], *, fold: bool = True) -> Table:
    """Give a table whose last column gives way on a narrow terminal: folded, or cut with an ellipsis."""
    made = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in columns[:-1]:
        made.add_column(column, no_wrap=True)
    made.add_column(columns[-1], overflow="fold")
    for *line, last in cells:
        made.add_row(*map(_text, line), _text(last) if fold else one_line(_text(last)))
    return made


def one_line(text: Text) -> Text:
    """Give a text that is cut where it does not fit. (A column that may not wrap would make the others give way.)"""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _text(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else Text(safe(cell))


def node_table(rows: Iterable[Row], now: float, *, left_out: str = "", fold: bool = True) -> RenderableType:
    """Give the table of nodes; `left_out` tells of those that found no place."""
    cells = (
        (
            # indentation is ours, so it outlives `safe`
            Text(row.label[: len(row.label) - len(row.label.lstrip())] + safe(row.label)),
            phase_text(row.phase),
            str(row.attempts or ""),
            row.duration(now),
            row.reason,
            row.message,
        )
        for row in rows
    )
    made = table(NODE_COLUMNS, cells, fold=fold)
    return Group(made, Text(left_out, "dim")) if left_out else made
