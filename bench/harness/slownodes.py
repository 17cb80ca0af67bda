"""Fake nodes of the bench's own, on which a Pod takes as long as its annotation says.

The cluster's fake nodes end a Pod at once, so a hundred active runs there are a hundred runs in a race for two cores.
To see how long a hop takes while the machine is not saturated, Pods have to last: a second kwok with the same stages,
but for one delay, plays nodes of its own label.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.harness.api import CORE, Api, Refused
from hack.cluster.binaries import files_of, locate
from hack.cluster.settings import Settings

Obj = dict[str, Any]
SECONDS = "bench.example/duration"
"""The annotation: how long the Pod runs, as kwok reads it (4s)."""
_WORD = "bench-slow"
_MARK = "kwok.x-k8s.io/node"
_DELAY = f"""  delay:
    durationMilliseconds: 0
    durationFrom:
      expressionFrom: '.metadata.annotations["{SECONDS}"]'
"""


def place(seconds: float) -> Obj:
    """Where a node's job goes, and how long its Pod takes there."""
    return {
        "nodeSelector": {"type": _WORD},
        "tolerations": [{"key": _MARK, "operator": "Exists", "effect": "NoSchedule"}],
        "annotations": {SECONDS: f"{round(1000 * seconds)}ms"},
    }


@asynccontextmanager
async def slow_nodes(api: Api, kubeconfig: str, folder: Path, *, count: int = 5) -> AsyncIterator[None]:
    """Have such nodes inside, and none of them after."""
    settings = Settings.from_environment()
    program = locate(settings.cache, ["kwok"])["kwok"]
    stages = []
    for file in files_of(settings.cache, "kwok"):
        text = file.read_text()
        if "name: pod-complete\n" in text:
            text = text.replace("spec:\n", "spec:\n" + _DELAY, 1).replace("- 'Job'\n", "- 'Job'\n      - 'Workflow'\n")
        stage = folder / file.name
        stage.write_text(text)
        stages.append(f"--config={stage}")
    words = [str(program), f"--kubeconfig={kubeconfig}", f"--manage-nodes-with-annotation-selector={_MARK}={_WORD}",
             f"--cidr={settings.fake_pods}", "--node-lease-duration-seconds=40", *stages]  # fmt: skip
    with (folder / "kwok.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*words, stdout=log, stderr=log)
    names = [f"{_WORD}-{number}" for number in range(count)]
    try:
        for name in names:
            await _make(api, name)
        for name in names:
            await _ready(api, name)
        yield
    finally:
        for name in names:
            await api.call("DELETE", f"{CORE}/nodes/{name}")
        process.terminate()
        await process.wait()


async def _make(api: Api, name: str) -> None:
    node: Obj = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name, "annotations": {_MARK: _WORD}, "labels": {"type": _WORD, "kubernetes.io/hostname": name},
        },
        "spec": {"taints": [{"key": _MARK, "value": "fake", "effect": "NoSchedule"}]},
    }  # fmt: skip
    try:
        await api.call("POST", f"{CORE}/nodes", node)
    except Refused as refused:
        if refused.code != 409:
            raise


async def _ready(api: Api, name: str) -> None:
    for _ in range(200):
        node = await api.call("GET", f"{CORE}/nodes/{name}")
        conditions = node.get("status", {}).get("conditions", ())
        if any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
            return
        await asyncio.sleep(0.1)
    raise TimeoutError(f"fake node {name} does not become Ready")
