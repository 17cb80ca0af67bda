"""Argo Workflows for the bench: its controller as a local process, for one namespace, and runs of it.

Everything is as its own installation has it (flags, an empty configuration, CRDs with full schemas), but that the
controller is no Pod, as the operator under test is none. Settings are environment variables and flags, so that it can
be measured as it comes and as people turn it who need it to be fast. Its executor runs nowhere, since it is measured on
fake nodes: what it would cost in each Pod does not count against it.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import aiohttp

from bench.harness.api import CORE, Obj
from bench.harness.bench import Bench
from bench.harness.load import Load
from bench.harness.machine import cpu_seconds
from bench.harness.operator import READY_SECONDS
from bench.harness.workflows import job
from hack.cluster.binaries import files_of, locate
from hack.cluster.settings import Settings

_API = "/apis/argoproj.io/v1alpha1"
_CONFIGURATION = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "workflow-controller-configmap"}}
"""The controller wants it to be there."""
_HEALTH = "http://127.0.0.1:6060/healthz"
"""Fixed in its source."""


def build() -> tuple[Path, list[Path]]:
    """Build the controller where it is not in the cache; gives it, and the files of the CRDs."""
    cache = Settings.from_environment().cache
    return locate(cache, ["workflow-controller"])["workflow-controller"], files_of(cache, "argo")


class Argo:
    """`async with Argo(...)`: CRDs applied, the controller started and healthy inside, stopped after."""

    def __init__(self, bench: Bench, namespace: str, *, flags: Sequence[str], env: Mapping[str, str]):
        self._bench = bench
        self._namespace = namespace
        self._flags = flags
        self._env = {**os.environ, "LEADER_ELECTION_DISABLE": "true", **env}
        self._pid = 0

    async def __aenter__(self) -> Argo:
        controller, self._crds = await asyncio.to_thread(build)
        await asyncio.to_thread(_kubectl, self._crds, "apply", "--server-side")
        await asyncio.to_thread(_kubectl, self._crds, "wait", "--for=condition=Established")
        await self._bench.api.call("POST", f"{CORE}/namespaces/{self._namespace}/configmaps", _CONFIGURATION)
        words = [
            f"--kubeconfig={self._bench.kubeconfig}", f"--namespace={self._namespace}", "--namespaced",
            "--executor-image=none", "--loglevel=warn", *self._flags,
        ]  # fmt: skip
        self._log = self._bench.folder / "argo.log"
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                controller, *words, env=self._env, stdout=log, stderr=log
            )
        self._pid = self._process.pid
        await self._healthy()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.kill()  # it keeps nothing: what it knows is in the API server
        await self._process.wait()
        await asyncio.to_thread(_kubectl, self._crds, "delete")

    def cpu(self) -> float:
        """Give the CPU seconds the controller has used."""
        return cpu_seconds(self._pid)

    async def _healthy(self) -> None:
        until = time.monotonic() + READY_SECONDS
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(_HEALTH) as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                if self._process.returncode is not None or time.monotonic() > until:
                    raise RuntimeError(f"Argo does not start; its log ends:\n{self._log.read_text()[-2000:]}")
                await asyncio.sleep(0.1)


class ArgoLoad(Load):
    """The same as `Load`, of Argo's Workflows: the chain stands in each, as `argo submit` sends it."""

    ended_as = re.compile(rb'"workflows.argoproj.io/phase":"(Succeeded|Failed|Error)"')
    success = b"Succeeded"
    watched_with = "&labelSelector=workflows.argoproj.io%2Fcompleted%3Dtrue"

    def __init__(self, bench: Bench, namespace: str, workflow: str, spec: Obj):
        super().__init__(bench, namespace, workflow)
        self._spec = spec

    @property
    def _collection(self) -> str:
        return f"{_API}/namespaces/{self._namespace}/workflows"

    async def _create(self, name: str) -> None:
        body = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": name}}
        await self._bench.api.call("POST", self._collection, {**body, "spec": self._spec})


def argo_chain(length: int, place: Obj | None) -> Obj:
    """Nodes one after the other, as Argo writes them: a DAG, or for one node its template alone."""
    where = dict(place or {})
    annotations = where.pop("annotations", None)
    node: Obj = {"name": "node", "container": job(), **where}
    if annotations:
        node["metadata"] = {"annotations": annotations}
    tasks = [
        {"name": f"n{i}", "template": "node", **({"dependencies": [f"n{i - 1}"]} if i else {})} for i in range(length)
    ]
    if length == 1:
        return {"entrypoint": "node", "templates": [node]}
    return {"entrypoint": "chain", "templates": [{"name": "chain", "dag": {"tasks": tasks}}, node]}


def _kubectl(files: list[Path], *words: str) -> None:
    command = [os.environ.get("WEFT_KUBECTL", "kubectl"), *words, *(f"--filename={file}" for file in files)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
