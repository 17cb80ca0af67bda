"""Where the operator's CPU goes: cProfile over the whole process, written as text, by own time and with callees."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable
from pathlib import Path

TOP = 70


def profiled(work: Callable[[], int], file: Path) -> int:
    """Run the work and write its profile to the file; gives what the work gives."""
    profile = cProfile.Profile()
    try:
        return profile.runcall(work)
    finally:
        with file.open("w") as out:
            stats = pstats.Stats(profile, stream=out)
            stats.sort_stats("tottime").print_stats(TOP)
            stats.sort_stats("cumulative").print_stats(2 * TOP)
        profile.dump_stats(file.with_suffix(".pstats"))
