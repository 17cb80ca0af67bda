"""What this machine leaves possible: the measures `hop`, `nodes`, `raised` and `runs`, done by the bare loop.

As many chains, of the same Jobs and Pods, on the same fake nodes, by way of the same scheduler; but nothing is kept,
nothing is written down, and no status is told (see `bench.harness.bare`). Where not even that reaches a goal, no
workflow engine can show it here: its figure is to be read beside the loop's, not beside the goal.
"""

from __future__ import annotations

import asyncio
import os
import time

from bench.harness.api import Obj
from bench.harness.bare import Bare
from bench.harness.bench import Bench, Shares
from bench.harness.report import percentile
from bench.harness.slownodes import place, slow_nodes
from bench.harness.workflows import KWOK
from bench.measures.paced import POD_SECONDS
from bench.measures.sustained import ACTIVE, LENGTH, WARM_UP_SECONDS


async def ceiling(bench: Bench) -> None:
    """A hundred chains of ten at an easy pace and in a race, then of one."""
    seconds = 8.0 if bench.quick else 60.0
    async with slow_nodes(bench.api, bench.kubeconfig, bench.folder):
        rate, hops, settings = await _race(bench, LENGTH, place(POD_SECONDS), seconds, pod_seconds=POD_SECONDS)
    for part in (50, 99):
        value = 1000 * percentile(hops, part / 100)
        bench.report.add(f"bare_hop_p{part}_ms", value, unit="ms", **settings, nodes_per_min=round(rate))
    rate, _, settings = await _race(bench, LENGTH, KWOK, seconds)
    bench.report.add("bare_nodes_per_min", rate, unit="1/min", **settings)
    bench.scheduler(500)
    try:
        rate, _, settings = await _race(bench, LENGTH, KWOK, seconds)
    finally:
        bench.scheduler(None)
    bench.report.add("bare_nodes_per_min_raised", rate, unit="1/min", **settings)
    rate, _, settings = await _race(bench, 1, KWOK, seconds)
    bench.report.add("bare_runs_per_min", rate, unit="1/min", **settings)


async def _race(
    bench: Bench, length: int, where: Obj, seconds: float, *, pod_seconds: float = 0.0
) -> tuple[float, list[float], Obj]:
    """Give nodes per minute, the hops in order of length, and the settings of the line."""
    warm = max(WARM_UP_SECONDS, 2 * pod_seconds)
    async with bench.namespace("bare") as namespace, Bare(bench.api, namespace) as bare:
        chains = bare.chains(ACTIVE, length, place=where, seconds=warm + seconds, spread=pod_seconds)
        working = asyncio.create_task(chains)
        await asyncio.sleep(warm)
        began, before = time.monotonic(), bare.nodes
        bare.hops.clear()
        shares = Shares.begin(bench=os.getpid())
        await asyncio.sleep(seconds)
        nodes, took, hops = bare.nodes - before, time.monotonic() - began, sorted(bare.hops)
        cpu = shares.per(nodes)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    settings: Obj = {
        "chains_active": ACTIVE, "chain": length, "pod_seconds": round(pod_seconds, 2), "seconds": seconds,
        "nodes": "kwok", "hops": len(hops), "cpu_ms_per_node": cpu, "load_after": round(os.getloadavg()[0], 1),
    }  # fmt: skip
    return 60 * nodes / took, hops, settings
