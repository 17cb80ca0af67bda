"""One big run: the memory it takes, and the size of its status.

1 -> 5,000 -> 1, and 10,000 nodes as a chain of diamonds. The peak of the operator's memory is the kernel's own figure
(VmHWM), the status is what the API server stores, as JSON. The chain of diamonds has 5,000 hops one after the other:
in short mode both are smaller, and the settings say how small.
"""

from __future__ import annotations

import asyncio
import os
import time

import orjson

from bench.harness.api import RUNS
from bench.harness.bench import Bench
from bench.harness.load import Load
from bench.harness.workflows import KWOK, Obj, diamonds, fan, job

PATIENCE = 3600.0


async def fan_out(bench: Bench) -> None:
    """1 -> many -> 1."""
    width = 100 if bench.quick else 5000
    await _big(bench, "fan", fan(width, job(KWOK)), nodes=width + 2)


async def chain_of_diamonds(bench: Bench) -> None:
    """Many nodes, none wide."""
    count = 8 if bench.quick else 2500
    words = {key: KWOK[key] for key in ("nodeSelector", "tolerations")}
    spec = diamonds(count, {"image": "i"}) | {"defaults": words}
    await _big(bench, "diamonds", spec, nodes=4 * count)


async def _big(bench: Bench, shape: str, spec: Obj, *, nodes: int) -> None:
    async with bench.namespace(shape) as namespace, bench.operator() as operator:
        await bench.workflow(namespace, shape, spec)
        await asyncio.sleep(1)
        idle = operator.rss()
        async with Load(bench, namespace, shape) as load:
            began, cpu = time.monotonic(), operator.cpu()
            await asyncio.wait_for(load.run(), PATIENCE)
            seconds = time.monotonic() - began
        run = await bench.api.call("GET", f"{RUNS}/namespaces/{namespace}/workflowruns/{load.name(0)}")
        settings: Obj = {
            "shape": shape, "nodes": nodes, "on": "kwok", "seconds": round(seconds, 1), "idle_rss_mib": round(idle, 1),
            "phase": run["status"]["phase"], "progress": run["status"]["progress"],
            "nodes_per_min": round(60 * nodes / seconds), "load_after": round(os.getloadavg()[0], 1),
            "cpu_ms_per_node": round(1000 * (operator.cpu() - cpu) / nodes, 2),
        }  # fmt: skip
        bench.report.add("big_run_rss_mib", operator.rss(peak=True), **settings)
    bench.report.add("big_run_status_bytes", len(orjson.dumps(run["status"])), **settings)
