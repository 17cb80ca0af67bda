"""`make bench`: runs the measures and prints a JSON line for each; progress goes to standard error.

    python -m bench.run [--quick] [--only NAME ...] [--out FILE] [--seed N]

It needs the cluster (`make cluster KWOK=1`) and its variables (`hack/cluster env`). Operators are started here, as
local processes, each measure its own, and are gone at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import tempfile
import time
from pathlib import Path

from bench.harness.api import Api
from bench.harness.bench import Bench, install
from bench.harness.machine import REPOSITORY
from bench.harness.report import Report, say
from bench.measures import BESIDE, MEASURES


def main() -> int:
    """Run what was asked for; exit code 1 when a measure could not be taken."""
    options = _parser().parse_args()
    unknown = set(options.only) - MEASURES.keys()
    if unknown:
        raise SystemExit(f"no such measure: {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    random.seed(options.seed)
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder:
        return asyncio.run(_run(options, Path(folder)))


async def _run(options: argparse.Namespace, folder: Path) -> int:
    kubeconfig = os.environ["KUBECONFIG"]
    install(os.environ.get("WEFT_KUBECTL", "kubectl"))
    api = Api(kubeconfig)
    failed = []
    file = options.out.open("a") if options.out else None
    settings = {"mode": "quick" if options.quick else "full", "operator": "local process", "commit": _commit()}
    bench = Bench(api, kubeconfig, Report(options.seed, settings, file), folder, options.quick)
    try:
        for name, measure in MEASURES.items():
            if name not in options.only and (options.only or (options.quick and name in BESIDE)):
                continue
            began = time.monotonic()
            try:
                await measure(bench)
            except Exception as error:
                say(f"{name} could not be measured: {type(error).__name__}: {error}")
                failed.append(name)
            say(f"{name}: {time.monotonic() - began:.0f} s")
    finally:
        await api.close()
        if file is not None:
            file.close()
    return 1 if failed else 0


def _commit() -> str:
    words = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description="Weft's benchmarks.")
    parser.add_argument("--quick", action="store_true", help="the measures that have a goal, in short")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help=f"of {', '.join(MEASURES)}")
    parser.add_argument("--out", type=Path, metavar="FILE", help="append the lines to this file, too")
    parser.add_argument("--seed", type=int, default=1)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
