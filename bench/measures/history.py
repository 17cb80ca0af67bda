"""A history: thousands of runs that are over, as people let them stand, and an operator that comes to lead among them.

`history_rss_mib` is the operator's memory once it leads, by the kernel's own figure, and at its peak; `history_lead_s`
the time from its process's start until it led. Each run is a copy of a real one, a chain of ten nodes that succeeded.
"""

from __future__ import annotations

import asyncio
import os

from bench.harness.api import MERGE, RUNS, Obj
from bench.harness.bench import Bench
from bench.harness.load import Load
from bench.harness.workflows import KWOK, chain, job

LENGTH = 10
AT_ONCE = 8


async def history(bench: Bench) -> None:
    """Five thousand runs."""
    count = 100 if bench.quick else 5000
    async with bench.namespace("history") as namespace:
        path = f"{RUNS}/namespaces/{namespace}/workflowruns"
        await bench.workflow(namespace, "chain", chain(LENGTH, job(KWOK)))
        async with bench.operator(), Load(bench, namespace, "chain") as load:
            await load.run()
            await asyncio.sleep(2)  # it is cleaned up
        status: Obj = (await bench.api.call("GET", f"{path}/{load.name(0)}"))["status"]
        numbers = iter(range(count))

        async def copies() -> None:
            for number in numbers:
                await bench.run(namespace, "chain", f"copy-{number}")
                await bench.api.call("PATCH", f"{path}/copy-{number}/status", {"status": status}, kind=MERGE)

        await asyncio.gather(*(copies() for _ in range(AT_ONCE)))
        async with bench.operator() as operator:
            await asyncio.sleep(5)
            rss, peak, led = operator.rss(), operator.rss(peak=True), operator.led_after
        settings: Obj = {"runs": count, "chain": LENGTH, "peak_mib": round(peak, 1), "led_after_s": round(led, 2),
                         "load_after": round(os.getloadavg()[0], 1)}  # fmt: skip
    bench.report.add("history_rss_mib", rss, unit="MiB", **settings)
    bench.report.add("history_lead_s", led, unit="s", **settings)
