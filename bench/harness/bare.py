"""What Weft is compared with: the same Jobs and Pods, made and watched by a loop that does nothing else.

So many chains side by side; each step is one Job and one Pod, posted the instant the Pod before was seen to have
ended, and a chain's Jobs are deleted at its end. There is no state to keep, nothing is written down, and a crash loses
everything: this is what the API server, the scheduler and the kubelet leave possible.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import orjson

from bench.harness.api import BATCH, CORE, Api, Obj
from bench.harness.workflows import bare_pod

_MANAGED_BY = "weft.dev/bench"
"""No controller of that name: nobody else carries these Jobs out."""


@dataclass
class Bare:
    """`async with Bare(...)`: watches Pods; `chains` runs the loop."""

    api: Api
    namespace: str
    waiting: dict[str, asyncio.Future[float]] = field(default_factory=dict)
    nodes: int = 0
    posts: list[float] = field(default_factory=list)
    """Seconds of each POST of a Job: how fast the API server is."""
    hops: list[float] = field(default_factory=list)
    """Seconds of each hop: from a Pod's end being seen to the POST of the next one being sent."""
    number: int = 0

    async def __aenter__(self) -> Bare:
        self._watching = asyncio.create_task(self._watch())
        await asyncio.sleep(0.2)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)

    async def chains(self, active: int, length: int, *, place: Obj | None, seconds: float, spread: float = 0.0) -> None:
        """Keep so many chains going for so long, then let them end; the first ones begin within `spread` seconds."""
        until = time.monotonic() + seconds

        async def slot() -> None:
            await asyncio.sleep(spread * random.random())
            while time.monotonic() < until:
                self.number += 1
                await self.chain(f"b-{self.number}", length, place=place)

        await asyncio.gather(*(slot() for _ in range(active)))

    async def chain(self, name: str, length: int, *, place: Obj | None, jobs: bool = True) -> None:
        """One chain; without Jobs, of Pods alone."""
        ended = None
        for step in range(length):
            pod = bare_pod(f"{name}-{step}", self.namespace, place, labels={"bench": "bare"})
            if jobs:
                job = await self._job(pod)
                owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job["name"], "uid": job["uid"]}
                pod["metadata"]["ownerReferences"] = [owner | {"controller": True}]
            future = self.waiting[f"{name}-{step}"] = asyncio.get_running_loop().create_future()
            if ended is not None:
                self.hops.append(time.monotonic() - ended)
            await self.api.call("POST", f"{CORE}/namespaces/{self.namespace}/pods", pod)
            ended = await future
            self.nodes += 1
        if jobs:
            path = f"{BATCH}/namespaces/{self.namespace}/jobs"
            query = "?propagationPolicy=Background"
            await asyncio.gather(*(self.api.call("DELETE", f"{path}/{name}-{step}{query}") for step in range(length)))

    async def _job(self, pod: Obj) -> dict[str, Any]:
        template = {"metadata": {"labels": pod["metadata"]["labels"]}, "spec": pod["spec"]}
        body = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": pod["metadata"]["name"]},
            "spec": {"backoffLimit": 0, "managedBy": _MANAGED_BY, "template": template},
        }
        began = time.monotonic()
        stored = await self.api.call("POST", f"{BATCH}/namespaces/{self.namespace}/jobs", body)
        self.posts.append(time.monotonic() - began)
        metadata: dict[str, Any] = stored["metadata"]
        return metadata

    async def _watch(self) -> None:
        while True:
            path = f"{CORE}/namespaces/{self.namespace}/pods"
            async for line in self.api.watch(path, query="&labelSelector=bench%3Dbare"):
                pod = orjson.loads(line)["object"]
                if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                    future = self.waiting.pop(pod["metadata"]["name"], None)
                    if future is not None:
                        future.set_result(time.monotonic())
