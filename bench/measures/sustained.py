"""Chains of ten nodes without pause: how long from one node to the next, how many in a minute, at what cost.

So many runs are active all the time, on fake nodes whose Pods end as soon as they are bound: nothing in the cluster
works, so all that is seen is machinery. The first seconds (caches, connections) do not count.
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

LENGTH = 10
ACTIVE = 100
WARM_UP_SECONDS = 4.0


async def nodes(bench: Bench) -> None:
    """A hundred runs, with the scheduler as it comes."""
    await _sustain(bench, seconds=6 if bench.quick else 300)


async def raised(bench: Bench) -> None:
    """The same with the scheduler's limit raised."""
    bench.scheduler(500)
    try:
        await _sustain(bench, seconds=5 if bench.quick else 120, suffix="_raised")
    finally:
        bench.scheduler(None)


async def _sustain(bench: Bench, *, seconds: float, suffix: str = "") -> None:
    async with bench.namespace("sustain") as namespace, bench.operator() as operator:
        await bench.workflow(namespace, "chain", chain(LENGTH, job(KWOK)))
        async with Load(bench, namespace, "chain") as load:
            working = asyncio.create_task(load.keep(ACTIVE, seconds=WARM_UP_SECONDS + seconds))
            await asyncio.sleep(WARM_UP_SECONDS)
            began, before = time.monotonic(), await operator.metrics()
            shares = Shares.begin(operator=operator.pid, bench=os.getpid())
            await asyncio.sleep(seconds)
            took, after = time.monotonic() - began, await operator.metrics()
            nodes = total(after, "weft_nodes_total") - total(before, "weft_nodes_total")
            cpu, hops = shares.per(nodes), operator.hops(since=began)
            left = await bench.api.count(f"{BATCH}/namespaces/{namespace}/jobs")
            working.cancel()
        calls = total(after, "weft_api_calls_total") - total(before, "weft_api_calls_total")
        settings: Obj = {
            "runs_active": ACTIVE, "chain": LENGTH, "seconds": seconds, "nodes": "kwok", "jobs_standing": left,
            "rss_mib": round(operator.rss(), 1), "load_after": round(os.getloadavg()[0], 1), "cpu_ms_per_node": cpu,
            "calls_per_node": round(calls / nodes, 2),
        }  # fmt: skip
    bench.report.add(f"nodes_per_min{suffix}", 60 * nodes / took, **settings)
    bench.report.add(f"operator_cpu_ms_per_node{suffix}", cpu["operator"], unit="ms", **settings)
    for part in (50, 99):
        value = 1000 * percentile(hops, part / 100)
        bench.report.add(f"hop_saturated{suffix}_p{part}_ms", value, unit="ms", **settings)
