"""Several replicas against one, where the operator's CPU is the limit: `shards_ratio`.

Chains of ten in eight namespaces, one in each shard, past the scheduler. Every operator is held to a small part of a
core, so that the API server and the rest have room on two cores, and what limits is what is measured. First one
operator without shards, then one with all eight, then two with four each: nodes per minute of two by those of one.

`shards_cpu_ratio` is what two could do by their CPU: the operator's CPU per node when there is one, by that of the
busier of two. On a machine that cannot even give each operator its part, `shards_ratio` says nothing; this still does.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from weft.kube.shards import shard_of

from bench.harness.api import Obj
from bench.harness.bench import Bench, Shares
from bench.harness.cap import capped
from bench.harness.load import Load
from bench.harness.operator import Operator, total
from bench.harness.workflows import chain, job, pinned

SHARDS = 8
CORES = 0.2
LENGTH = 10
ACTIVE = 6
"""Runs in each namespace."""
WARM_UP_SECONDS = 4.0


async def shards(bench: Bench) -> None:
    """One operator without shards, one with them, two with them."""
    seconds = 8.0 if bench.quick else 60.0
    rates: dict[str, float] = {}
    costs: dict[str, dict[str, float]] = {}
    for name, replicas, count in (("single", 1, 0), ("one", 1, SHARDS), ("two", 2, SHARDS)):
        rates[name], costs[name] = await _throughput(bench, replicas, count, seconds)
    settings: Obj = {
        "shards": SHARDS, "namespaces": SHARDS, "runs_active": SHARDS * ACTIVE, "chain": LENGTH, "seconds": seconds,
        "cores_each": CORES, "past_scheduler": True, "nodes_per_min": {name: round(of) for name, of in rates.items()},
        "cpu_ms_per_node": costs, "load_after": round(os.getloadavg()[0], 1),
    }  # fmt: skip
    bench.report.add("shards_ratio", rates["two"] / rates["one"], unit="ratio", **settings)
    alone, busier = costs["one"]["operator_0"], max(costs["two"][f"operator_{number}"] for number in range(2))
    bench.report.add("shards_cpu_ratio", alone / busier, unit="ratio", **settings)
    bench.report.add("shards_overhead_ratio", rates["one"] / rates["single"], unit="ratio", **settings)


async def _throughput(bench: Bench, replicas: int, count: int, seconds: float) -> tuple[float, dict[str, float]]:
    """Nodes per minute, and milliseconds of CPU per node of each process."""
    async with AsyncExitStack() as stack:
        namespaces = [await stack.enter_async_context(_namespace(bench, shard)) for shard in range(SHARDS)]
        settings = {"lease_enabled": "true", "lease_namespace": namespaces[0], "shards": count}
        operators = [
            await stack.enter_async_context(bench.operator(identity=f"bench-{number}", **settings))
            for number in range(replicas)
        ]
        await _shared(operators, count)
        for operator in operators:
            stack.enter_context(capped(operator.pid, CORES))
        loads = []
        for number, namespace in enumerate(namespaces):
            await bench.workflow(namespace, "chain", chain(LENGTH, job(pinned(number))))
            loads.append(await stack.enter_async_context(Load(bench, namespace, "chain")))
        working = [asyncio.create_task(load.keep(ACTIVE, seconds=WARM_UP_SECONDS + seconds)) for load in loads]
        await asyncio.sleep(WARM_UP_SECONDS)
        began, before = time.monotonic(), await _nodes(operators)
        shares = Shares.begin(**{f"operator_{number}": one.pid for number, one in enumerate(operators)})
        await asyncio.sleep(seconds)
        nodes, took = await _nodes(operators) - before, time.monotonic() - began
        costs = shares.per(nodes)
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
    return 60 * nodes / took, costs


def _namespace(bench: Bench, shard: int) -> AbstractAsyncContextManager[str]:
    return bench.namespace("shards", suits=lambda name: shard_of(name, SHARDS) == shard)


async def _nodes(operators: list[Operator]) -> float:
    return sum([total(await operator.metrics(), "weft_nodes_total") for operator in operators])


async def _shared(operators: list[Operator], count: int) -> None:
    """Wait until the operators have shared the shards evenly."""
    wanted = [count / len(operators)] * len(operators)
    for _ in range(600):
        if [total(await operator.metrics(), "weft_shards") for operator in operators] == wanted:
            return
        await asyncio.sleep(0.1)
    raise TimeoutError("the operators do not share the shards")
