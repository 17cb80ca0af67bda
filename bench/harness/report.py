"""Results as JSON lines, one measure a line, complete in itself: value, goal, settings, seed, machine, time."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from bench.harness.machine import facts

GOALS: dict[str, tuple[float, str]] = {
    "hop_p50_ms": (5, "ms"),
    "hop_p99_ms": (50, "ms"),
    "nodes_per_min": (2700, "1/min"),
    "nodes_per_min_raised": (4000, "1/min"),
    "runs_per_min": (2300, "1/min"),
    "ready_wait_max_s": (1, "s"),
    "big_run_rss_mib": (300, "MiB"),
    "big_run_status_bytes": (1048576, "B"),
    "api_calls_per_one_node_run": (7, "calls"),
    "cold_start_s": (10, "s"),
    "operator_cpu_ms_per_node": (6, "ms"),
    "chain_ratio": (1.05, "ratio"),
    "burst_ratio": (1.15, "ratio"),
}
"""The table of the issue: goal and unit by measure. Measures that are not in it compare, and have no goal."""

MORE_IS_BETTER = frozenset(
    {
        "nodes_per_min", "nodes_per_min_raised", "runs_per_min", "pace_ratio", "managed_by_ratio", "shards_ratio",
        "shards_cpu_ratio", "argo_chain_ratio", "argo_crowd_ratio", "argo_runs_ratio", "bare_nodes_per_min",
        "bare_nodes_per_min_raised", "bare_runs_per_min",
    }
)  # fmt: skip


def met(measure: str, value: float) -> bool | None:
    """Say whether a value meets its goal; None when there is none."""
    if measure not in GOALS:
        return None
    goal = GOALS[measure][0]
    return value >= goal if measure in MORE_IS_BETTER else value <= goal


@dataclass
class Report:
    """Writes lines as they come: to a file, and to standard output."""

    seed: int
    settings: dict[str, Any]
    file: TextIO | None = None
    lines: list[dict[str, Any]] = field(default_factory=list)

    def add(self, measure: str, value: float, *, unit: str = "", **settings: Any) -> None:
        """Write one measure."""
        goal, known = GOALS.get(measure, (None, unit))
        line = {
            "measure": measure,
            "value": round(value, 4),
            "unit": known,
            "goal": goal,
            "met": met(measure, value),
            "settings": {**self.settings, **settings},
            "seed": self.seed,
            "machine": facts(),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.lines.append(line)
        text = json.dumps(line)
        print(text, flush=True)
        if self.file is not None:
            print(text, file=self.file, flush=True)


def read(files: list[Path]) -> Iterator[dict[str, Any]]:
    """Give the lines of result files, in their order."""
    for file in files:
        for text in file.read_text().splitlines():
            if text.strip():
                yield json.loads(text)


def say(text: str) -> None:
    """Tell the person who waits what is going on; standard output is for results."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def percentile(values: list[float], part: float) -> float:
    """Give the value below which that part of the sorted values lies (nearest rank)."""
    if not values:
        raise ValueError("no values were measured")
    return values[min(len(values) - 1, int(part * len(values)))]
