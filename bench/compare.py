"""How results stand against the last committed ones: `python -m bench.compare NEW.jsonl [--against DIR]`.

Only what no machine changes is judged: ratios of two sides in the same run, calls, bytes. A slower machine is not a
regression. The absolute figures are listed beside them, to read.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.harness.report import MORE_IS_BETTER, read

RESULTS = Path(__file__).parent / "results"
MACHINE_FREE = frozenset(
    {"pace_ratio", "cpu_ratio", "chain_ratio", "burst_ratio", "managed_by_ratio", "api_calls_per_one_node_run",
     "big_run_status_bytes"}
)  # fmt: skip
WORSE = 1.15
"""By this factor a ratio has to be worse than the committed one to be called so."""

Line = dict[str, Any]


def latest(lines: Iterable[Line]) -> dict[tuple[str, ...], Line]:
    """Give the last line of each measure, apart for what was measured in another size or shape."""
    found: dict[tuple[str, ...], Line] = {}
    for line in lines:
        settings = line["settings"]
        size = (str(settings.get(key, "")) for key in ("mode", "shape", "runs_active", "nodes", "request", "argo"))
        found[line["measure"], *size] = line
    return found


def factor(measure: str, new: float, old: float) -> float:
    """Say by which factor the new value is worse (above 1) or better (below 1)."""
    if not new or not old:
        return 1.0
    return old / new if measure in MORE_IS_BETTER else new / old


def main() -> int:
    """Print the comparison; exit code 1 when a machine-free value is worse by more than `WORSE`."""
    parser = argparse.ArgumentParser(prog="bench.compare", description="Compare results with the committed ones.")
    parser.add_argument("new", type=Path)
    parser.add_argument("--against", type=Path, default=RESULTS, metavar="DIR")
    options = parser.parse_args()
    old = latest(read(sorted(path for path in options.against.glob("*.jsonl") if path != options.new)))
    worse = 0
    for key, line in latest(read([options.new])).items():
        before = old.get(key)
        if before is None:
            print(f"{' ':8} {line['measure']:32} {line['value']:>12}  nothing to compare with")
            continue
        by = factor(line["measure"], line["value"], before["value"])
        judged = line["measure"] in MACHINE_FREE
        verdict = "WORSE" if by > WORSE else "better" if by < 1 / WORSE else ""
        verdict = verdict if judged else "(read)"
        worse += verdict == "WORSE"
        print(f"{verdict:8} {line['measure']:32} {line['value']:>12}  was {before['value']:>12}  x{by:.2f}")
    return 1 if worse else 0


if __name__ == "__main__":
    raise SystemExit(main())
