"""Plots from result lines: `python -m bench.plots [FILE...] [--out docs/images]`, as small SVG files.

matplotlib is a tool of this script alone (`pip install matplotlib`); nothing else needs it.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.harness.report import GOALS, MORE_IS_BETTER, read

RESULTS = Path(__file__).parent / "results"
IMAGES = Path(__file__).parents[1] / "docs" / "images"
PARTS = ("apiserver", "operator", "etcd", "kwok", "controller-manager", "scheduler")


def main() -> int:
    """Draw who costs what per node, and each measure against its goal."""
    parser = argparse.ArgumentParser(prog="bench.plots", description="Plots of the benchmarks' results.")
    parser.add_argument("files", nargs="*", type=Path, default=sorted(RESULTS.glob("*.jsonl")))
    parser.add_argument("--out", type=Path, default=IMAGES)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    import_module("matplotlib").use("svg")
    plt: Any = import_module("matplotlib.pyplot")
    last = {line["measure"]: line for line in read(options.files)}
    plt.rcParams["svg.hashsalt"] = "weft"  # the same lines give the same file
    if "nodes_per_min" in last:
        _cost(plt, last["nodes_per_min"]["settings"]["cpu_ms_per_node"], options.out / "bench-cost.svg")
    _goals(plt, [line for name, line in last.items() if name in GOALS], options.out / "bench-goals.svg")
    return 0


def _cost(plt: Any, cpu: dict[str, float], file: Path) -> None:
    figure, axis = plt.subplots(figsize=(7, 1.8))
    left = 0.0
    for part in PARTS:
        value = cpu.get(part, 0.0)
        axis.barh(0, value, left=left, label=f"{part} {value:.1f}")
        left += value
    axis.set_yticks([])
    axis.set_xlabel("CPU milliseconds per node")
    axis.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.45), frameon=False, fontsize=8)
    _save(plt, figure, file)


def _goals(plt: Any, lines: list[dict[str, Any]], file: Path) -> None:
    figure, axis = plt.subplots(figsize=(7, 0.35 * len(lines) + 0.8))
    for row, line in enumerate(reversed(lines)):
        goal = line["goal"]
        part = line["value"] / goal if line["measure"] in MORE_IS_BETTER else goal / max(line["value"], 1e-9)
        axis.barh(row, min(part, 3.0), color="tab:green" if line["met"] else "tab:orange")
        axis.text(0.02, row, f"{line['measure']}  {line['value']:g} (goal {goal:g})", va="center", fontsize=7)
    axis.axvline(1.0, color="black", linewidth=0.8)
    axis.set_yticks([])
    axis.set_xlabel("as a part of the goal (right of the line: met)")
    _save(plt, figure, file)


def _save(plt: Any, figure: Any, file: Path) -> None:
    figure.savefig(file, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    raise SystemExit(main())
