"""One bench run: the cluster, namespaces, operators, and where the results go."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.harness.api import BATCH, CORE, MERGE, RUNS, Api, Obj, Refused
from bench.harness.machine import REPOSITORY, components, cpu_seconds
from bench.harness.operator import Operator
from bench.harness.report import Report


@dataclass
class Bench:
    """What a measure is handed. `quick`: the same in short."""

    api: Api
    kubeconfig: str
    report: Report
    folder: Path
    quick: bool
    operator_settings: Mapping[str, str] = field(default_factory=dict)

    def operator(self, **settings: Any) -> Operator:
        """Give an operator to be entered; settings by their field's name (`status_interval_seconds=1`)."""
        words = {f"WEFT_{name.upper()}": str(value) for name, value in settings.items()}
        return Operator(self.kubeconfig, self.folder, settings={**self.operator_settings, **words})

    @asynccontextmanager
    async def namespace(self, word: str, *, suits: Callable[[str], bool] = lambda name: True) -> AsyncIterator[str]:
        """Make a namespace, with a name that suits, and take it away with all that is in it."""
        name = next(filter(suits, iter(lambda: f"bench-{word}-{secrets.token_hex(3)}", "")))
        await self.api.call("POST", f"{CORE}/namespaces", {"metadata": {"name": name, "labels": {"bench": "true"}}})
        try:
            yield name
        finally:
            await self._remove(name)

    async def workflow(self, namespace: str, name: str, spec: Obj) -> None:
        """Create a Workflow."""
        body = {"apiVersion": "weft.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": name}, "spec": spec}
        await self.api.call("POST", f"{RUNS}/namespaces/{namespace}/workflows", body)

    async def run(self, namespace: str, workflow: str, name: str) -> None:
        """Create a WorkflowRun."""
        body = {
            "apiVersion": "weft.dev/v1alpha1",
            "kind": "WorkflowRun",
            "metadata": {"name": name},
            "spec": {"workflowRef": {"name": workflow}},
        }
        await self.api.call("POST", f"{RUNS}/namespaces/{namespace}/workflowruns", body)

    def scheduler(self, qps: int | None) -> None:
        """Give the cluster's scheduler another rate, or its own again."""
        environment = {"SCHEDULER_QPS": str(qps)} if qps else {}
        _hack("up", "--kwok", "10", **environment)

    async def calm(self, *, seconds: float = 180.0) -> None:
        """Wait until the cluster has digested what was made in it: its parts together take a quarter of a core."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            shares, began = Shares.begin(), time.monotonic()
            await asyncio.sleep(2)
            if sum(shares.per(time.monotonic() - began).values()) < 250:
                return

    async def _remove(self, namespace: str) -> None:
        """Delete a namespace's content in the order that needs the fewest hands; what is left of it goes by itself."""
        for path in (f"{RUNS}/namespaces/{namespace}/workflowruns", f"{BATCH}/namespaces/{namespace}/jobs"):
            await self._delete_all(path, "?propagationPolicy=Orphan")
        await self._strip(namespace)
        await self._delete_all(f"{CORE}/namespaces/{namespace}/pods", "?gracePeriodSeconds=0")
        await self.api.call("DELETE", f"{CORE}/namespaces/{namespace}")

    async def _delete_all(self, path: str, query: str) -> None:
        while True:
            try:
                await self.api.call("DELETE", path + query)
                return
            except Refused as refused:
                if refused.code not in (429, 500, 504):
                    raise

    async def _strip(self, namespace: str) -> None:
        """Take the finalizers off what an operator that was stopped left."""
        pods = f"{CORE}/namespaces/{namespace}/pods"
        found = (await self.api.call("GET", f"{pods}?resourceVersion=0"))["items"]
        held = [pod["metadata"]["name"] for pod in found if pod["metadata"].get("finalizers")]
        patch = {"metadata": {"finalizers": None}}

        async def strip(name: str) -> None:
            with suppress(Refused):  # gone meanwhile
                await self.api.call("PATCH", f"{pods}/{name}", patch, kind=MERGE)

        await asyncio.gather(*(strip(name) for name in held))


@dataclass
class Shares:
    """CPU seconds of every process that has a part in it, between two moments."""

    pids: dict[str, int]
    before: dict[str, float] = field(default_factory=dict)

    @classmethod
    def begin(cls, **more: int) -> Shares:
        """Begin to measure the cluster's parts and these processes."""
        shares = cls({**components(), **more})
        shares.before = {name: cpu_seconds(pid) for name, pid in shares.pids.items()}
        return shares

    def per(self, count: float) -> dict[str, float]:
        """Give milliseconds of each by that count (nodes), those that count for something."""
        used = {name: cpu_seconds(pid) - self.before[name] for name, pid in self.pids.items()}
        return {name: round(1000 * value / count, 2) for name, value in used.items() if value / count > 0.00005}


async def until(look: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Wait until something holds; raises TimeoutError saying what did not."""
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        await asyncio.sleep(0.05)


def _hack(*words: str, **environment: str) -> None:
    clean = {key: value for key, value in os.environ.items() if key != "SCHEDULER_QPS"}
    subprocess.run(
        [sys.executable, "hack/cluster", *words], cwd=REPOSITORY, env={**clean, **environment}, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def install(kubectl: str) -> None:
    """Have the CRDs of this tree on the cluster, established.

    Exits where Weft is installed: that operator would do half of the work of the one that is measured.
    """
    words = [kubectl, "get", "deployments", "-A", "-l", "app.kubernetes.io/name=weft", "-o", "name"]
    if found := subprocess.run(words, check=True, capture_output=True, text=True).stdout.split():
        raise SystemExit(f"bench: an operator is installed in this cluster ({found[0]}); make cluster-down first")
    words = [kubectl, "apply", "--server-side", "--force-conflicts", "-f", str(REPOSITORY / "crds")]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    words = [kubectl, "wait", "--for=condition=Established", "--timeout=60s", "-f", str(REPOSITORY / "crds")]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
