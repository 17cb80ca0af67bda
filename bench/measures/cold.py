"""The cold start: runs are active, their Jobs stand, and an operator that has never seen them takes over.

Each run has nine Jobs that have ended (and are kept) and one whose Pod runs. The first operator is stopped, some of
those Pods end with nobody there to see it, and, once the cluster is calm again, a new operator is started:
`cold_start_s` is the time from its process's start until its first write leaves, which is the next Job of such a run.
"""

from __future__ import annotations

import asyncio
import os

from bench.harness.api import BATCH, CORE, MERGE, Obj
from bench.harness.bench import Bench, until
from bench.harness.slownodes import place, slow_nodes
from bench.harness.workflows import KWOK, job

ENDED = 9
PATIENCE = 1800.0
_SELECTOR = "labelSelector=weft.dev/node%3Dlong"


async def cold_start(bench: Bench) -> None:
    """A thousand active runs, ten thousand Jobs."""
    count = 15 if bench.quick else 1000
    slow = job(place(36_000))
    spec: Obj = {
        "jobs": {"keep": "All"},
        "nodes": [
            {"name": "short", "forEach": {"range": ENDED}, "job": job(KWOK)},
            {"name": "long", "dependsOn": ["short"], "job": slow},
            {"name": "after", "dependsOn": ["long"], "job": slow},
        ],
    }
    async with slow_nodes(bench.api, bench.kubeconfig, bench.folder, count=10), bench.namespace("cold") as namespace:
        pods, jobs = f"{CORE}/namespaces/{namespace}/pods", f"{BATCH}/namespaces/{namespace}/jobs"
        await bench.workflow(namespace, "cold", spec)
        async with bench.operator():
            for number in range(count):
                await bench.run(namespace, "cold", f"r-{number}")
            await _wait(bench, pods, count)
        running = (await bench.api.call("GET", f"{pods}?{_SELECTOR}"))["items"]
        for pod in running[:: max(1, count // 10)]:
            ended = {"status": {"phase": "Succeeded"}}
            path = f"{pods}/{pod['metadata']['name']}/status"
            await bench.api.call("PATCH", path, ended, kind=MERGE)
        await bench.calm()
        settings: Obj = {"runs": count, "jobs": await bench.api.count(jobs), "pods": await bench.api.count(pods)}
        async with bench.operator() as operator:
            await until(lambda: operator.first_write() > 0, seconds=120, what="a first write")
            took = operator.first_write() - operator.began
            settings |= {"led_after_s": round(operator.led_after, 2), "rss_mib": round(operator.rss(peak=True), 1)}
        # Before all of it is taken away: that takes as long again.
        bench.report.add("cold_start_s", took, **settings, load_after=round(os.getloadavg()[0], 1))


async def _wait(bench: Bench, pods: str, count: int) -> None:
    """Wait until the long Pod of every run is there, running, and written down."""
    for _ in range(round(PATIENCE)):
        found = await bench.api.call("GET", f"{pods}?{_SELECTOR}&resourceVersion=0")
        if sum(pod["status"].get("phase") == "Running" for pod in found["items"]) >= count:
            await asyncio.sleep(2)
            return
        await asyncio.sleep(1)
    raise TimeoutError(f"the {count} runs do not get as far as their long node")
