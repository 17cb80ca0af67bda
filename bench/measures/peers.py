"""Argo Workflows beside Weft, on one cluster and taking turns: what "faster than its peers" means, as ratios.

The same work given to both on fake nodes, where Pods cost neither side anything, engine against engine: one chain of
ten, many of them at once, and as many runs of one node. Each ratio is Argo's seconds by Weft's. Argo is measured as it
comes, and `tuned`: its client's limit of 20 requests in a second lifted, and the 10 s that it lets pass before it looks
at a workflow again cut to a tenth of a second. Its workflows and Pods stay; Weft's clean-up is within Weft's time.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.harness.argo import Argo, ArgoLoad, argo_chain
from bench.harness.bench import Bench
from bench.harness.load import Load
from bench.harness.operator import Operator
from bench.harness.slownodes import place, slow_nodes
from bench.harness.workflows import Obj, chain, job

SETUPS: dict[str, tuple[list[str], dict[str, str]]] = {
    "defaults": ([], {}),
    "tuned": (["--qps=1000", "--burst=1000"], {"DEFAULT_REQUEUE_TIME": "100ms"}),
}
"""Argo's flags and environment."""


@dataclass(frozen=True)
class Work:
    """So many runs at once, each a chain of that many nodes."""

    name: str
    runs: int
    length: int

    @property
    def nodes(self) -> int:
        """All nodes of all runs."""
        return self.runs * self.length


IN_FULL = (Work("chain", 1, 10), Work("crowd", 50, 10), Work("runs", 200, 1))
IN_SHORT = (Work("chain", 1, 3), Work("crowd", 10, 3), Work("runs", 20, 1))


async def argo(bench: Bench) -> None:
    """Each work by Weft and by Argo, as Argo comes and tuned."""
    async with slow_nodes(bench.api, bench.kubeconfig, bench.folder), bench.operator() as operator:
        for setup, (flags, env) in SETUPS.items():
            async with bench.namespace("argo") as namespace, Argo(bench, namespace, flags=flags, env=env) as controller:
                for work in IN_SHORT if bench.quick else IN_FULL:
                    await _compare(bench, namespace, work, operator, controller, setup)


async def _compare(bench: Bench, namespace: str, work: Work, operator: Operator, controller: Argo, setup: str) -> None:
    await bench.workflow(namespace, work.name, chain(work.length, job(place(0))))
    async with (
        Load(bench, namespace, work.name) as ours,
        ArgoLoad(bench, namespace, work.name, argo_chain(work.length, place(0))) as theirs,
    ):
        weft_seconds, weft_cpu = await _turn(work, ours, operator.cpu)
        argo_seconds, argo_cpu = await _turn(work, theirs, controller.cpu)
    settings: Obj = {"argo": setup, "runs": work.runs, "nodes": work.nodes,
                     "weft_s": weft_seconds, "argo_s": argo_seconds,
                     "weft_cpu_ms_per_node": weft_cpu, "argo_cpu_ms_per_node": argo_cpu,
                     "load_after": round(os.getloadavg()[0], 1)}  # fmt: skip
    bench.report.add(f"argo_{work.name}_ratio", argo_seconds / weft_seconds, unit="ratio", **settings)


async def _turn(work: Work, load: Load, cpu: Callable[[], float]) -> tuple[float, float]:
    """Give the seconds until all have succeeded, and milliseconds of the controller's CPU for each node."""
    await asyncio.sleep(2)  # let what the last turn left be cleaned up
    before, began = cpu(), time.monotonic()
    await asyncio.gather(*(load.run() for _ in range(work.runs)))
    return round(time.monotonic() - began, 2), round(1000 * (cpu() - before) / work.nodes, 2)
