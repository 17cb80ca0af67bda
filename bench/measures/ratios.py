"""Ratios within one run, which a slow machine does not change: against a bare loop, and between the two ways of Jobs.

`pace_ratio`, `cpu_ratio`, `reaction_ratio`: chains of ten on fake nodes, past the scheduler (its limit would hide who
is slow), by Weft and by a bare create-and-watch loop taking turns: nodes per minute by nodes per minute, CPU per node
by CPU per node, and the operator's own part of a hop by the time that the API server takes for a Job. They are what
the gate looks at. `managed_by_ratio` is how much faster Weft is as the Job's controller than with the built-in one, on
the same chains; `loop_cpu_ratio` what a node costs the operator on the standard library's event loop by what it costs
on uvloop, operators of both kinds taking turns.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time

from bench.harness.api import Obj
from bench.harness.bare import Bare
from bench.harness.bench import Bench
from bench.harness.load import Load
from bench.harness.machine import cpu_seconds
from bench.harness.operator import Operator, total
from bench.harness.report import percentile
from bench.harness.workflows import KWOK, chain, job, pinned

LENGTH = 10
ACTIVE = 8
"""Few enough that neither side saturates two cores: then the slower loop shows as fewer nodes."""


async def pace(bench: Bench) -> None:
    """Weft against the bare loop."""
    rounds, seconds = (3, 3.0) if bench.quick else (8, 8.0)
    place = pinned(1)
    rates: dict[str, list[float]] = {"weft": [], "bare": []}
    costs: dict[str, list[float]] = {"weft": [], "bare": []}
    async with bench.namespace("pace") as namespace, bench.operator() as operator:
        await bench.workflow(namespace, "chain", chain(LENGTH, job(place)))
        async with Load(bench, namespace, "chain") as load, Bare(bench.api, namespace) as bare:
            await load.keep(ACTIVE, seconds=2)
            await bare.chains(ACTIVE, LENGTH, place=place, seconds=2)
            bare.posts, warm = [], time.monotonic()
            for _ in range(rounds):
                before, began, cpu = bare.nodes, time.monotonic(), cpu_seconds(os.getpid())
                await bare.chains(ACTIVE, LENGTH, place=place, seconds=seconds)
                nodes, took = bare.nodes - before, time.monotonic() - began
                rates["bare"].append(60 * nodes / took)
                costs["bare"].append(1000 * (cpu_seconds(os.getpid()) - cpu) / nodes)
                rate, cost = await _turn(operator, load, seconds)
                rates["weft"].append(rate)
                costs["weft"].append(cost)
            own = operator.hops(since=warm, own=True)
    reaction, post = percentile(own, 0.5), percentile(sorted(bare.posts), 0.5)
    for measure, values, digits in (("pace_ratio", rates, 0), ("cpu_ratio", costs, 2)):
        each = [round(ours / theirs, 3) for ours, theirs in zip(values["weft"], values["bare"], strict=True)]
        settings: Obj = {"rounds": each, "runs_active": ACTIVE, "chain": LENGTH, "past_scheduler": True,
                    **{name: round(statistics.median(of), digits) for name, of in values.items()}}  # fmt: skip
        load_after = round(os.getloadavg()[0], 1)
        bench.report.add(measure, statistics.median(each), unit="ratio", **settings, load_after=load_after)
    settings = {"own_p50_ms": round(1000 * reaction, 2), "job_post_p50_ms": round(1000 * post, 2), "hops": len(own)}
    bench.report.add("reaction_ratio", reaction / post, unit="ratio", **settings, load_after=load_after)


async def job_controllers(bench: Bench) -> None:
    """managedBy against the built-in Job controller: the same runs, one operator after the other."""
    count, length = (16, 2) if bench.quick else (50, 4)
    took: dict[str, float] = {}
    for controller in ("managedBy", "builtin"):
        async with bench.namespace("jobs") as namespace, bench.operator(job_controller=controller):
            await bench.workflow(namespace, "chain", chain(length, job(KWOK)))
            async with Load(bench, namespace, "chain") as load:
                await load.run()  # caches, connections, the revision
                began = time.monotonic()
                await asyncio.gather(*(load.run() for _ in range(count)))
                took[controller] = time.monotonic() - began
    settings: Obj = {"runs": count, "chain": length, "nodes": "kwok", "load_after": round(os.getloadavg()[0], 1),
                **{f"{name}_s": round(seconds, 1) for name, seconds in took.items()}}  # fmt: skip
    bench.report.add("managed_by_ratio", took["builtin"] / took["managedBy"], unit="ratio", **settings)


async def event_loops(bench: Bench) -> None:
    """The standard library's event loop against uvloop: what a node costs the operator, and its part of a hop."""
    rounds, seconds = (1, 3.0) if bench.quick else (6, 12.0)
    costs: dict[str, list[float]] = {"asyncio": [], "uvloop": []}
    own: dict[str, list[float]] = {"asyncio": [], "uvloop": []}
    for turn in range(2 * rounds):
        loop = ("asyncio", "uvloop", "uvloop", "asyncio")[turn % 4]  # so that a machine that tires is fair to both
        async with bench.namespace("loop") as namespace, bench.operator(bench_loop=loop) as operator:
            await bench.workflow(namespace, "chain", chain(LENGTH, job(pinned(1))))
            async with Load(bench, namespace, "chain") as load:
                await load.keep(ACTIVE, seconds=2)
                began = time.monotonic()
                _, cost = await _turn(operator, load, seconds)
                costs[loop].append(cost)
                own[loop].append(1000 * percentile(operator.hops(since=began, own=True), 0.5))
    each = [round(theirs / ours, 3) for theirs, ours in zip(costs["asyncio"], costs["uvloop"], strict=True)]
    settings: Obj = {"rounds": each, "runs_active": ACTIVE, "chain": LENGTH, "past_scheduler": True,
                "load_after": round(os.getloadavg()[0], 1),
                **{f"{name}_cpu_ms_per_node": round(statistics.median(of), 2) for name, of in costs.items()},
                **{f"{name}_hop_own_p50_ms": round(statistics.median(of), 2) for name, of in own.items()}}  # fmt: skip
    bench.report.add("loop_cpu_ratio", statistics.median(each), unit="ratio", **settings)


async def _turn(operator: Operator, load: Load, seconds: float) -> tuple[float, float]:
    """Keep the runs going for so long: nodes per minute, and milliseconds of the operator's CPU per node."""
    metrics, began, cpu = await operator.metrics(), time.monotonic(), operator.cpu()
    await load.keep(ACTIVE, seconds=seconds)
    took = time.monotonic() - began
    ended = total(await operator.metrics(), "weft_nodes_total") - total(metrics, "weft_nodes_total")
    return 60 * ended / took, 1000 * (operator.cpu() - cpu) / ended
