"""`weft operator`, watched from within: exact hop times, and a slowdown planted for the gate's own test.

Runs in a process of its own. The product has no switches for any of this: what is needed is put around its parts here.
The recorder notes when the informer is told of a Pod's end and when the next Pod's POST leaves, byte for byte the
operator's own request, and writes a line to the file named by WEFT_BENCH_HOPS: the time, the whole hop, and the part of
it until the next Job's POST left, which is the operator's own (the rest is the API server's answer to that). When the
first write of all left goes to the file `first` beside it.
WEFT_BENCH_PLANT=MILLISECONDS lets every pass over a run block the loop for so long; WEFT_BENCH_LOOP=asyncio takes the
standard library's event loop instead of uvloop.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import uvloop
from weft import process
from weft.controllers.runs import RunController
from weft.kube.http import HttpTransport
from weft.kube.store import RunKey
from weft.kube.transport import Response

_RUN = re.compile(rb'"weft\.dev/run-uid":"([^"]+)"')


def record_hops(file: Path) -> None:
    """Write every hop from now on to the file."""
    ends: dict[str, float] = {}
    jobs: dict[str, float] = {}
    known: set[str] = set()
    started: list[float] = []
    told, touch, request = file.open("a", buffering=1), RunController.touch, HttpTransport.request

    def touched(self: RunController, run: RunKey, kind: str, name: str, *args: Any, ended: bool) -> bool:
        if ended and name not in known:  # a Pod that has ended is heard of again when it is let go
            known.add(name)
            if run.uid not in ends:
                ends[run.uid] = time.monotonic()
                jobs.pop(run.uid, None)
        return touch(self, run, kind, name, *args, ended=ended)

    async def requested(self: HttpTransport, method: str, path: str, **options: Any) -> Response:
        if method != "GET" and not started:
            started.append(time.monotonic())
            file.with_name("first").write_text(str(started[0]))
        if method == "POST" and path.endswith(("/jobs", "/pods")):
            found, now = _RUN.search(options["body"]), time.monotonic()
            run = found[1].decode() if found else ""
            if path.endswith("/jobs"):
                jobs.setdefault(run, now)
            elif run in ends:
                end = ends.pop(run)
                told.write(f"{now:.4f} {now - end:.6f} {jobs.get(run, now) - end:.6f}\n")
                jobs.pop(run, None)
        return await request(self, method, path, **options)

    RunController.touch = touched  # type: ignore[method-assign, assignment]
    HttpTransport.request = requested  # type: ignore[method-assign]


def plant(milliseconds: float) -> None:
    """Slow every pass over a run down by blocking the loop."""
    reconcile = RunController.reconcile

    async def slow(self: RunController, key: Any) -> None:
        time.sleep(milliseconds / 1000)  # noqa: ASYNC251 - blocking the loop is the point
        await reconcile(self, key)

    RunController.reconcile = slow  # type: ignore[method-assign]


def main() -> int:
    """Run the operator as `weft operator` does."""
    if hops := os.environ.get("WEFT_BENCH_HOPS"):
        record_hops(Path(hops))
    if milliseconds := os.environ.get("WEFT_BENCH_PLANT"):
        plant(float(milliseconds))
    if os.environ.get("WEFT_BENCH_LOOP") == "asyncio":
        uvloop.new_event_loop = asyncio.new_event_loop  # type: ignore[assignment]
    if profile := os.environ.get("WEFT_BENCH_PROFILE"):
        from bench.harness.profiled import profiled  # only for who asks: it needs nothing but time

        return profiled(process.from_environment, Path(profile))
    return process.from_environment()


if __name__ == "__main__":
    sys.exit(main())
