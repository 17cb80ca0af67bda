"""CI's gate: `python -m bench.gate` fails when Weft has become slow against a bare loop on the same machine.

The measure is `pace`: Weft and a bare create-and-watch loop take turns on the same cluster, past the scheduler. Three
ratios are judged: nodes per minute (`pace_ratio`, which must not fall below its limit), CPU per node (`cpu_ratio`) and
the time from a Pod's end to the next Job's POST (`reaction_ratio`), which must not rise above theirs. One that fails is
taken once more: a machine may have a bad minute, a slow operator has two.

`--calibrate N` measures N times and proposes limits: three spreads (median absolute deviations, scaled as for a normal
distribution) beyond the median, and at least `ROOM`, so that what a noisy machine does by itself passes.
`--plant MS` slows every pass down by so many milliseconds: the gate must fail then.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
from pathlib import Path

from bench.harness.api import Api
from bench.harness.bench import Bench, install
from bench.harness.report import MORE_IS_BETTER, Report, say
from bench.measures.ratios import pace

LIMITS = Path(__file__).parent / "gate.json"
SPREADS = 3 * 1.4826
ROOM = {"pace_ratio": 0.25, "cpu_ratio": 0.25, "reaction_ratio": 4.0}
"""Parts of the median. A reaction takes a few milliseconds: a busy machine multiplies them, a slow operator by more."""


def proposed(name: str, values: list[float]) -> float:
    """Give the limit for a ratio that was measured so often."""
    middle = statistics.median(values)
    spread = statistics.median(abs(value - middle) for value in values)
    room = max(SPREADS * spread, ROOM[name] * middle)
    return round(middle - room if name in MORE_IS_BETTER else middle + room, 3)


def broken(found: dict[str, float], limits: dict[str, float]) -> list[str]:
    """Say which limits the ratios do not keep."""
    told = []
    for name, limit in limits.items():
        value, lowest = found[name], name in MORE_IS_BETTER
        if value < limit if lowest else value > limit:
            told.append(f"{name} {value:.3f} is {'below' if lowest else 'above'} {limit:.3f}")
    return told


async def measured(plant: float) -> dict[str, float]:
    """Take the measure once, with an operator that is slowed down by so many milliseconds a pass."""
    kubeconfig = os.environ["KUBECONFIG"]
    install(os.environ.get("WEFT_KUBECTL", "kubectl"))
    settings = {"WEFT_BENCH_PLANT": str(plant)} if plant else {}
    api = Api(kubeconfig)
    report = Report(1, {"mode": "gate", "plant_ms": plant})
    try:
        with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder:
            await pace(Bench(api, kubeconfig, report, Path(folder), True, settings))
    finally:
        await api.close()
    return {line["measure"]: line["value"] for line in report.lines}


def main() -> int:
    """Judge (exit code 1: too slow), or calibrate."""
    parser = argparse.ArgumentParser(prog="bench.gate", description="Is Weft as fast as it was, on this machine?")
    parser.add_argument("--calibrate", type=int, default=0, metavar="N", help="measure so often and propose limits")
    parser.add_argument("--plant", type=float, default=0.0, metavar="MS", help="slow every pass down, to see it fail")
    options = parser.parse_args()
    if options.calibrate:
        runs = [asyncio.run(measured(options.plant)) for _ in range(options.calibrate)]
        limits = {name: proposed(name, [run[name] for run in runs]) for name in ROOM}
        print(json.dumps({**limits, "measured": runs}, indent=1))
        return 0
    limits = json.loads(LIMITS.read_text())
    told: list[str] = []
    for attempt in (1, 2):
        told = broken(asyncio.run(measured(options.plant)), limits)
        if not told:
            say("the gate is passed")
            return 0
        say(f"measurement {attempt}: {'; '.join(told)}")
    print("the gate is not passed: " + "; ".join(told))
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
