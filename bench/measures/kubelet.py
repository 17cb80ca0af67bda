"""On the real kubelet: what Weft adds to what the cluster itself takes, as ratios within one run.

`chain_ratio`: a chain of ten nodes (in short: of three) against as many bare Pods one after the other, each created the
instant the one before was seen to have ended. `burst_ratio`: a hundred one-node runs at once against a hundred bare
Pods at once. Both sides take turns, so that what else happens on the machine meets both; the ratio is that of the
medians.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable

from bench.harness.api import CORE, Obj
from bench.harness.bare import Bare
from bench.harness.bench import Bench
from bench.harness.load import Load
from bench.harness.workflows import chain, job

LENGTH = 10


async def chain_of_ten(bench: Bench) -> None:
    """Ten nodes one after the other."""
    length = 3 if bench.quick else LENGTH
    async with bench.namespace("chain") as namespace, bench.operator():
        await bench.workflow(namespace, "chain", chain(length, job()))
        async with Load(bench, namespace, "chain") as load, Bare(bench.api, namespace) as bare:

            async def ours() -> None:
                await load.run()

            async def theirs() -> None:
                bare.number += 1
                await bare.chain(f"b-{bare.number}", length, place=None, jobs=False)

            await ours() if not bench.quick else None  # the first one finds cold caches on both sides
            await _compare(bench, "chain_ratio", ours, theirs, rounds=1 if bench.quick else 5, nodes=length)


async def burst(bench: Bench) -> None:
    """Many one-node runs at once."""
    count = 10 if bench.quick else 100
    async with bench.namespace("burst") as namespace, bench.operator():
        await bench.workflow(namespace, "one", chain(1, job()))
        async with Load(bench, namespace, "one") as load, Bare(bench.api, namespace) as bare:

            async def ours() -> None:
                await asyncio.gather(*(load.run() for _ in range(count)))

            async def theirs() -> None:
                bare.number += 1
                each = (bare.chain(f"b-{bare.number}-{i}", 1, place=None, jobs=False) for i in range(count))
                await asyncio.gather(*each)
                await bench.api.call("DELETE", f"{CORE}/namespaces/{namespace}/pods?labelSelector=bench%3Dbare")

            await load.run() if not bench.quick else None
            await _compare(bench, "burst_ratio", ours, theirs, rounds=1 if bench.quick else 3, nodes=count)


async def _compare(
    bench: Bench,
    measure: str,
    ours: Callable[[], Awaitable[None]],
    theirs: Callable[[], Awaitable[None]],
    *,
    rounds: int,
    nodes: int,
) -> None:
    """Take turns and report the ratio of the medians."""
    took: dict[str, list[float]] = {"weft": [], "bare": []}
    for _ in range(rounds):
        for name, work in (("bare", theirs), ("weft", ours)):
            await asyncio.sleep(1 if bench.quick else 2)  # let what the last turn left be cleaned up
            began = time.monotonic()
            await work()
            took[name].append(round(time.monotonic() - began, 2))
    settings: Obj = {"nodes": nodes, "on": "kubelet", "rounds": rounds, **{f"{k}_s": v for k, v in took.items()}}
    value = statistics.median(took["weft"]) / statistics.median(took["bare"])
    bench.report.add(measure, value, **settings, load_after=round(os.getloadavg()[0], 1))
