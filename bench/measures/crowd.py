"""A thousand runs of ten nodes at once: all finish, and no node that is ready waits for the operator.

The wait is the operator's own: from the instant a node could start (the run was created, or the Pod before was seen to
have ended) until its Pod's POST left; with a thousand runs at once the API server and two cores are in it.
"""

from __future__ import annotations

import asyncio
import os
import time

from bench.harness.api import Obj
from bench.harness.bench import Bench
from bench.harness.load import Load
from bench.harness.report import percentile
from bench.harness.workflows import KWOK, chain, job

LENGTH = 10


async def crowd(bench: Bench) -> None:
    """All runs created as fast as the API server takes them."""
    count = 15 if bench.quick else 1000
    async with bench.namespace("crowd") as namespace, bench.operator() as operator:
        await bench.workflow(namespace, "chain", chain(LENGTH, job(KWOK)))
        async with Load(bench, namespace, "chain") as load:
            began = time.monotonic()
            took = await asyncio.wait_for(asyncio.gather(*(load.run() for _ in range(count))), 120 + count)
            seconds = time.monotonic() - began
            hops = operator.hops(since=began)
        settings: Obj = {
            "runs": count, "chain": LENGTH, "nodes": "kwok", "seconds": round(seconds, 1), "finished": len(took),
            "nodes_per_min": round(60 * count * LENGTH / seconds), "hops": len(hops),
            "wait_p50_s": round(percentile(hops, 0.5), 3), "wait_p99_s": round(percentile(hops, 0.99), 3),
            "rss_mib": round(operator.rss(peak=True), 1), "load_after": round(os.getloadavg()[0], 1),
        }  # fmt: skip
    bench.report.add("ready_wait_max_s", hops[-1], **settings)
