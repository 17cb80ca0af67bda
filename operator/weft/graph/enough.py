"""When to stop looking: a hundred problems help as much as ten thousand, and guessing at misspelt names costs time."""

from __future__ import annotations

from collections.abc import Sequence

from weft.api.problems import Problem

MAX_PROBLEMS = 100


class Enough(Exception):
    """So many problems were found that the rest can wait until these are mended."""


def unless_enough(problems: Sequence[Problem]) -> None:
    """Let the search go on; raises Enough if it need not."""
    if len(problems) >= MAX_PROBLEMS:
        raise Enough
