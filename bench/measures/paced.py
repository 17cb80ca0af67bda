"""How long from one node to the next while twenty or a hundred runs are active and the machine is not saturated.

Each run is a chain whose Pods take some seconds on fake nodes, so that those of a hundred runs end at half the rate of
the throughput goal, spread over time, and once more at a fifth of it, for machines to which that half is too much. This
is `hop_p50_ms` and `hop_p99_ms`; the same at full throttle, where every hop waits for its turn on two full cores, is
reported beside them as `hop_saturated_*`. A hop holds one request by
design, the next Job's POST, whose Pod is made from what was stored; `hop_own_*` is the hop without it.
"""

from __future__ import annotations

import asyncio
import os
import random
import time

from bench.harness.api import Obj
from bench.harness.bench import Bench, Shares
from bench.harness.load import Load
from bench.harness.operator import total
from bench.harness.report import percentile
from bench.harness.slownodes import place, slow_nodes
from bench.harness.workflows import chain, job

POD_SECONDS = 60 * 100 / 1350.0
"""A hundred runs, 1,350 nodes a minute."""
CALM_SECONDS = 2.5 * POD_SECONDS
LENGTH = 10


async def hop(bench: Bench) -> None:
    """Hops with 20 and 100 runs of the same kind active, at a rate that leaves room."""
    async with slow_nodes(bench.api, bench.kubeconfig, bench.folder):
        await _hop(bench, 100, POD_SECONDS)
        if not bench.quick:
            await _hop(bench, 20, POD_SECONDS)
            await _hop(bench, 100, CALM_SECONDS)


async def _hop(bench: Bench, active: int, pod_seconds: float) -> None:
    measured = 6.0 if bench.quick else 60.0
    async with bench.namespace("hop") as namespace, bench.operator() as operator:
        await bench.workflow(namespace, "chain", chain(LENGTH, job(place(pod_seconds))))
        async with Load(bench, namespace, "chain") as load:
            warm = (1.5 if bench.quick else 2) * pod_seconds
            end = time.monotonic() + warm + measured

            async def slot() -> None:
                await asyncio.sleep(pod_seconds * random.random())  # else all Pods end in the same instant
                while time.monotonic() < end:
                    await load.run()

            slots = [asyncio.create_task(slot()) for _ in range(active)]
            await asyncio.sleep(warm)
            began, before = time.monotonic(), await operator.metrics()
            shares = Shares.begin(operator=operator.pid, bench=os.getpid())
            await asyncio.sleep(measured)
            took, after = time.monotonic() - began, await operator.metrics()
            nodes = total(after, "weft_nodes_total") - total(before, "weft_nodes_total")
            hops, own, cpu = operator.hops(since=began), operator.hops(since=began, own=True), shares.per(nodes)
            for each in slots:
                each.cancel()
            await asyncio.gather(*slots, return_exceptions=True)
    job_posts = _mean_ms(before, after, "create", "jobs")
    settings: Obj = {
        "runs_active": active, "chain": LENGTH, "pod_seconds": round(pod_seconds, 2), "seconds": measured,
        "nodes": "kwok", "hops": len(hops), "nodes_per_min": round(60 * nodes / took), "job_post_mean_ms": job_posts,
        "cpu_ms_per_node": cpu, "load_after": round(os.getloadavg()[0], 1),
    }  # fmt: skip
    bench.report.add("hop_p50_ms", 1000 * percentile(hops, 0.50), **settings)
    bench.report.add("hop_p99_ms", 1000 * percentile(hops, 0.99), **settings)
    bench.report.add("hop_own_p50_ms", 1000 * percentile(own, 0.50), unit="ms", **settings)
    bench.report.add("hop_own_p99_ms", 1000 * percentile(own, 0.99), unit="ms", **settings)


def _mean_ms(before: dict[str, float], after: dict[str, float], verb: str, resource: str) -> float:
    """The mean time of a call: what of a hop is the API server's."""
    key = "weft_api_call_duration_seconds"
    series = f'resource="{resource}",verb="{verb}"'
    spent, calls = (
        total(after, f"{key}_{part}", having=series) - total(before, f"{key}_{part}", having=series)
        for part in ("sum", "count")
    )
    return round(1000 * spent / calls, 1) if calls else 0.0
