"""One-node runs: how many in a minute, from WorkflowRun created to Succeeded written, and what each costs in calls.

The calls are those of the operator's own counter over runs that came one wave after the other, from the first creation
until nothing was left to clean up; what is shared (the frozen revision, watches that begin again) is in them.
"""

from __future__ import annotations

import asyncio
import os
import time

from bench.harness.api import BATCH, Obj
from bench.harness.bench import Bench, Shares
from bench.harness.load import Load
from bench.harness.operator import total
from bench.harness.report import percentile
from bench.harness.workflows import KWOK, chain, job

ACTIVE = 100
WARM_UP_SECONDS = 3.0
WAVE = 10


async def runs(bench: Bench) -> None:
    """A hundred one-node runs at a time."""
    seconds = 5.0 if bench.quick else 120.0
    async with bench.namespace("runs") as namespace, bench.operator() as operator:
        await bench.workflow(namespace, "one", chain(1, job(KWOK)))
        async with Load(bench, namespace, "one") as load:
            working = asyncio.create_task(load.keep(ACTIVE, seconds=WARM_UP_SECONDS + seconds))
            await asyncio.sleep(WARM_UP_SECONDS)
            began, before = time.monotonic(), load.ended
            shares = Shares.begin(operator=operator.pid, bench=os.getpid())
            await asyncio.sleep(seconds)
            ended, took = load.ended - before, time.monotonic() - began
            cpu = shares.per(ended)
            working.cancel()
    settings: Obj = {"runs_active": ACTIVE, "seconds": seconds, "nodes": "kwok", "cpu_ms_per_run": cpu,
                "load_after": round(os.getloadavg()[0], 1)}  # fmt: skip
    bench.report.add("runs_per_min", 60 * ended / took, **settings)


async def calls(bench: Bench) -> None:
    """API calls per one-node run, in waves that leave the server time to breathe: over a second costs a call more."""
    waves = 3 if bench.quick else 20
    async with bench.namespace("calls") as namespace, bench.operator() as operator:
        await bench.workflow(namespace, "one", chain(1, job(KWOK)))
        async with Load(bench, namespace, "one") as load:
            await load.run()  # makes the revision
            await _settled(bench, namespace)
            before = await operator.metrics()
            took = []
            for _ in range(waves):
                took += await asyncio.gather(*(load.run() for _ in range(WAVE)))
            await _settled(bench, namespace)
            after = await operator.metrics()
    count = WAVE * waves
    made = {key: after[key] - before.get(key, 0.0) for key in after if key.startswith("weft_api_calls_total")}
    writes = {key: value for key, value in made.items() if not any(f'verb="{verb}"' in key for verb in ("list", "get"))}
    kinds = {key.partition("{")[2].rstrip("}"): round(value / count, 2) for key, value in writes.items() if value}
    took.sort()
    settings: Obj = {"runs": count, "calls": kinds, "run_p50_s": round(percentile(took, 0.5), 3)}
    value = total(made, "weft_api_calls_total") / count
    bench.report.add("api_calls_per_one_node_run", value, **settings)


async def _settled(bench: Bench, namespace: str) -> None:
    """Wait until no Job is left, and the Events (which take their time) are written."""
    for _ in range(300):
        if not await bench.api.count(f"{BATCH}/namespaces/{namespace}/jobs"):
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(3.0)
