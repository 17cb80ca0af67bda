"""An operator of the bench's own: a local process on this machine, with the settings a measure asks for.

Local rather than in a Pod, so that what it costs is read from /proc and nothing has to be built before a change can be
measured; it talks to the API server over the same virtual network as a Pod would.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import aiohttp

from bench.harness.machine import REPOSITORY, cpu_seconds, rss_mib

_LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
READY_SECONDS = 120.0


class Operator:
    """`async with Operator(...)`: started and leading inside, stopped after."""

    def __init__(self, kubeconfig: str, folder: Path, *, settings: Mapping[str, str] | None = None):
        self._folder = Path(tempfile.mkdtemp(prefix="operator-", dir=folder))
        self._hops = self._folder / "hops"
        self._ports = [_free_port(), _free_port()]
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "operator"), str(REPOSITORY)]),
            "KUBECONFIG": kubeconfig,
            "WEFT_LEASE_ENABLED": "false",
            "WEFT_LOG_LEVEL": "WARNING",
            "WEFT_METRICS_LISTEN_PORT": str(self._ports[0]),
            "WEFT_PROBE_LISTEN_PORT": str(self._ports[1]),
            "WEFT_BENCH_HOPS": str(self._hops),
            **(settings or {}),
        }
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as in an image: what is imported is compiled already
        self._session: aiohttp.ClientSession | None = None
        self.pid = 0
        self.began = 0.0
        self.led_after = 0.0
        """Seconds from the start of the process until it led."""

    async def __aenter__(self) -> Operator:
        self._session = aiohttp.ClientSession()
        began = self.began = time.monotonic()
        with (self._folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bench.harness.wrapped", env=self._environment, cwd=REPOSITORY, stderr=log
            )
        self.pid = self._process.pid
        while not await self._leads():
            if self._process.returncode is not None or time.monotonic() - began > READY_SECONDS:
                raise RuntimeError(f"the operator does not lead; its log ends:\n{self.log()[-2000:]}")
            await asyncio.sleep(0.02)
        self.led_after = time.monotonic() - began
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), 30)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        assert self._session is not None
        await self._session.close()

    async def metrics(self) -> dict[str, float]:
        """Give every metric as it is now, by name and labels as they are written."""
        assert self._session is not None
        async with self._session.get(f"http://127.0.0.1:{self._ports[0]}/metrics") as answer:
            text = await answer.text()
        found = (_LINE.match(line) for line in text.splitlines() if not line.startswith("#"))
        return {f"{m[1]}{{{m[2]}}}" if m[2] else m[1]: float(m[3]) for m in found if m}

    def cpu(self) -> float:
        """Give the CPU seconds it has used."""
        return cpu_seconds(self.pid)

    def rss(self, *, peak: bool = False) -> float:
        """Give its memory in MiB."""
        return rss_mib(self.pid, peak=peak)

    def hops(self, *, since: float = 0.0, own: bool = False) -> list[float]:
        """Give the seconds of every hop after that time (`time.monotonic()`), sorted; `own`: the operator's part."""
        if not self._hops.exists():
            return []
        rows = (line.split() for line in self._hops.read_text().splitlines())
        return sorted(float(row[2 if own else 1]) for row in rows if float(row[0]) >= since)

    def first_write(self) -> float:
        """Give when its first write left (`time.monotonic()`); 0.0 when none has."""
        file = self._folder / "first"
        return float(file.read_text() or 0) if file.exists() else 0.0

    def log(self) -> str:
        """Give what it has logged."""
        return (self._folder / "log").read_text()

    async def _leads(self) -> bool:
        assert self._session is not None
        try:
            async with self._session.get(f"http://127.0.0.1:{self._ports[0]}/readyz") as answer:
                return bool((await answer.json())["leading"])
        except aiohttp.ClientError:
            return False


def total(metrics: Mapping[str, float], name: str, *, having: str = "") -> float:
    """Sum a metric over its labels; only those series whose labels contain the text."""
    return sum(value for key, value in metrics.items() if key.partition("{")[0] == name and having in key)


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])
