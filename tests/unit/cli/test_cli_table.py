import io

import pytest
from rich.console import Console
from weft.cli.table import safe, table

LINES = [["a-rather-long-name", "1 of 3 items failed; item 1: main exited with code 1"]]


@pytest.mark.parametrize(
    ("fold", "shown"),
    [
        (False, ["NAME                 MESSAGE", "a-rather-long-name   1 of 3 items failed; item …"]),
        (True, ["NAME                 MESSAGE", "a-rather-long-name   1 of 3 items failed; item",
                "                     1: main exited with code 1"]),
    ],
)  # fmt: skip
def test_the_last_column_gives_way_on_a_narrow_terminal(fold, shown):
    out = io.StringIO()
    Console(file=out, width=48).print(table(["NAME", "MESSAGE"], LINES, fold=fold))
    assert [line.rstrip() for line in out.getvalue().splitlines()] == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("two\nlines\tof  text", "two lines of text"), ("\x1b]0;title\x07bell", "]0;titlebell"), (3, "3"), ("é✓", "é✓")],
)
def test_what_containers_wrote_is_made_harmless(text, shown):
    assert safe(text) == shown
