"""What each of the operator's requests costs the API server: milliseconds of its CPU, each kind by itself.

No operator is there and no scheduler touches the Pods, so what is measured is one request, and telling the cluster's
own watchers of it. A node of a chain is two POSTs, a status, a finalizer, a Job's status and a DELETE: `node_cpu_ms`
is the least that the API server pays for it, before the scheduler, the kubelet and the garbage collector come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from weft.api.workflow import WorkflowSpec
from weft.engine import advance, status
from weft.engine.observation import AttemptEnded
from weft.engine.state import RunContext, RunState
from weft.graph.compile import compile_workflow
from weft.render.job import JobTemplate
from weft.render.job_status import succeeded_status
from weft.render.names import RunRef
from weft.render.pod import pod_for

from bench.harness.api import BATCH, CORE, MERGE, RUNS, Obj
from bench.harness.bench import Bench
from bench.harness.machine import components, cpu_seconds
from bench.harness.workflows import chain, job

LENGTH = 10
TOGETHER = 8
START = 1_700_000_000.0
_NOBODY: Obj = {"podTemplate": {"spec": {"schedulerName": "nobody"}}}

Send = Callable[[int], Awaitable[Any]]


async def requests(bench: Bench) -> None:
    """A few hundred of each kind, eight at a time."""
    count = 100 if bench.quick else 400
    pid = components()["apiserver"]
    async with bench.namespace("requests") as namespace:
        cost = {name: await _cost(pid, send, count) for name, send in _kinds(bench, namespace).items()}
    for name, milliseconds in cost.items():
        bench.report.add(
            "request_cpu_ms", milliseconds, unit="ms", request=name, count=count, together=TOGETHER,
            by_a_get=round(milliseconds / cost["GET namespace"], 2),
        )  # fmt: skip
    node = sum(cost[name] for name in cost if name not in ("GET namespace", "POST workflowrun and its first status"))
    bench.report.add("node_cpu_ms", node, unit="ms", count=count, together=TOGETHER)


def _kinds(bench: Bench, namespace: str) -> dict[str, Send]:
    call, core, batch = bench.api.call, f"{CORE}/namespaces/{namespace}", f"{BATCH}/namespaces/{namespace}"
    runs = f"{RUNS}/namespaces/{namespace}/workflowruns"
    begun, halfway = _statuses(namespace)
    template = JobTemplate(job(_NOBODY))

    async def make_job(i: int) -> None:
        name = f"r-{i}"
        body = template.render(RunRef(namespace, name, "u", "chain"), ("n0", None, None, "main", 1), {})
        body["metadata"] |= {"name": name, "ownerReferences": []}
        stored[i] = await call("POST", f"{batch}/jobs?fieldManager=weft", body)

    async def make_pod(i: int) -> None:
        pod = pod_for(stored[i])
        pod["metadata"] |= {"name": f"r-{i}", "ownerReferences": []}
        await call("POST", f"{core}/pods?fieldManager=weft", pod)

    async def write_status(i: int, body: Obj) -> None:
        await call("PATCH", f"{runs}/r-{i}/status?fieldManager=weft", {"status": body}, kind=MERGE)

    async def make_run(i: int) -> None:
        await bench.run(namespace, "chain", f"r-{i}")
        await write_status(i, begun)

    stored: dict[int, Obj] = {}
    let_go, ended = {"metadata": {"finalizers": None}}, succeeded_status(START, START + 1)
    return {
        "GET namespace": lambda i: call("GET", core),
        "POST job": make_job,
        "POST pod": make_pod,
        "POST workflowrun and its first status": make_run,
        "PATCH workflowrun/status": lambda i: write_status(i, halfway),
        "PATCH pod": lambda i: call("PATCH", f"{core}/pods/r-{i}?fieldManager=weft", let_go, kind=MERGE),
        "PATCH job/status": lambda i: call("PATCH", f"{batch}/jobs/r-{i}/status?fieldManager=weft", ended, kind=MERGE),
        "DELETE job": lambda i: call("DELETE", f"{batch}/jobs/r-{i}?propagationPolicy=Background"),
    }


def _statuses(namespace: str) -> tuple[Obj, Obj]:
    """What is written of a chain of ten when it has begun, and when half of it is over."""
    spec = chain(LENGTH, job())
    compiled = compile_workflow(WorkflowSpec.model_validate(spec), name="chain", raw=spec)
    state, _ = advance.begin(compiled, RunContext(name="r", namespace=namespace, uid="u"), START)
    begun = _status(state, {}, START)
    for now in range(1, LENGTH // 2):
        seen = [AttemptEnded(id_, START + now, succeeded=True, exit_code=0) for id_ in list(state.active)]
        advance.advance(state, seen, START + now)
    return begun, _status(state, begun, START + LENGTH)


def _status(state: RunState, previous: Obj, now: float) -> Obj:
    return status.make(state, previous=previous, generation=1, now=now).status


async def _cost(pid: int, send: Send, count: int) -> float:
    slots = asyncio.Semaphore(TOGETHER)

    async def one(i: int) -> None:
        async with slots:
            await send(i)

    before = cpu_seconds(pid)
    await asyncio.gather(*(one(i) for i in range(count)))
    await asyncio.sleep(0.5)  # until the watchers have been told
    return 1000 * (cpu_seconds(pid) - before) / count
