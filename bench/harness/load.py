"""Runs as users make them: so many active at a time, each that ends replaced at once, seen to its end by a watch.

The watch's lines are searched and not parsed, so that the bench takes as little as it can of the CPU that is measured.
"""

from __future__ import annotations

import asyncio
import re
import time
from types import TracebackType

from bench.harness.api import RUNS
from bench.harness.bench import Bench


class Load:
    """`async with Load(...)`: watches the runs of a namespace; `run` creates one and waits for its end."""

    ended_as = re.compile(rb'"status":"(True|False)","type":"Succeeded"')
    """In the line of a run that has ended: as what."""
    success = b"True"
    watched_with = ""

    def __init__(self, bench: Bench, namespace: str, workflow: str):
        self._bench = bench
        self._namespace = namespace
        self._workflow = workflow
        self._name = re.compile(rb'"name":"(%s-\d+)"' % workflow.encode())
        self._waiting: dict[bytes, asyncio.Future[float]] = {}
        self._next = 0
        self.started = 0
        self.ended = 0

    async def __aenter__(self) -> Load:
        self._watching = asyncio.create_task(self._watch())
        await asyncio.sleep(0.2)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)

    async def run(self) -> float:
        """Create a run and give the seconds from its creation until its success was seen; RuntimeError if it failed."""
        name = self.name(self._next)
        self._next += 1
        ended = self._waiting[name.encode()] = asyncio.get_running_loop().create_future()
        began = time.monotonic()
        self.started += 1
        await self._create(name)
        took: float = await ended - began
        self.ended += 1
        return took

    def name(self, number: int) -> str:
        """Give the name of a run by its number, from 0 in the order of their creation."""
        return f"{self._workflow}-{number}"

    async def keep(self, active: int, *, seconds: float) -> None:
        """Keep so many runs active for so long, then let them end."""
        until = time.monotonic() + seconds

        async def slot() -> None:
            while time.monotonic() < until:
                await self.run()

        await asyncio.gather(*(slot() for _ in range(active)))

    @property
    def _collection(self) -> str:
        return f"{RUNS}/namespaces/{self._namespace}/workflowruns"

    async def _create(self, name: str) -> None:
        await self._bench.run(self._namespace, self._workflow, name)

    async def _watch(self) -> None:
        while True:
            async for line in self._bench.api.watch(self._collection, query=self.watched_with):
                ended, name = self.ended_as.search(line), self._name.search(line)
                future = self._waiting.get(name[1]) if ended and name else None
                if ended and future is not None and not future.done():
                    if ended[1] == self.success:
                        future.set_result(time.monotonic())
                    else:
                        future.set_exception(RuntimeError(f"a run has not succeeded: {line[:2000]!r}"))
