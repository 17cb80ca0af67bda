"""Ten thousand nodes through the installed operator and the real API server: the status fits, and its end is written.

The shape is as bad as one object lets it be: names as long as they may be and unlike each other, half of the nodes
failing with messages as long as they may be, the rest with outputs that do not compress. The nodes are `expr`, since
the size of a status does not depend on Pods. tests/unit/engine/test_budget.py has the shapes that no Workflow of
1.5 MiB can bring about, such as 10,000 long error messages of Pods.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import orjson
from e2e.harness.operator import Operator
from e2e.harness.place import Place, Run
from weft.controllers.writer import chunk_name
from weft.engine import budget

NODES = 10_000
MIB = 2**20

_CHANCE = random.Random(1)


def _noise(length: int) -> str:
    return _CHANCE.randbytes(length // 2 + 1).hex()[:length]


def _nodes() -> list[dict[str, Any]]:
    """Half of them, a moment in which the operator can be killed, and the other half; every other node fails."""
    nodes: list[dict[str, Any]] = []
    for number in range(NODES - 1):
        value = f"{{'':0}}['{_noise(8)}'+params.t]" if number % 2 else f"'{_noise(8)}'+params.t"
        one = {"name": f"n{_noise(62)}", "expr": {"v": value}, "allowFailure": True}
        nodes.append(one if number < NODES // 2 else {**one, "dependsOn": ["gate"]})
    gate = {"name": "gate", "wait": {"seconds": 10}, "dependsOn": [f"{nodes[NODES // 2 - 1]['name']}:Done"]}
    return [*nodes[: NODES // 2], gate, *nodes[NODES // 2 :]]


def test_ten_thousand_nodes_end_within_one_mebibyte(operator: Operator, place: Place) -> None:
    text = {"name": "t", "type": "string", "default": _noise(900)}
    run = place.start("vast", {"nodes": _nodes(), "parameters": [text], "outputs": [{"name": "n", "value": "1"}]})
    run.until(lambda run: run.status.get("progress") == f"{NODES // 2}/{NODES}", "half of it is not done")
    half = _entries(run)
    assert sum(entry["phase"] in ("Succeeded", "Failed") for entry in half.values()) == NODES // 2
    operator.kill()
    operator.wait_ready()
    run.finish()
    whole = run.place.cluster.api.text(run.path)
    assert len(whole) < MIB, f"the object has {len(whole)} bytes"
    assert len(orjson.dumps(json.loads(whole)["status"])) <= budget.MAX_STATUS
    assert run.condition("Succeeded")["status"] == "True"
    assert (run.status["progress"], run.outputs) == (f"{NODES}/{NODES}", {"n": 1})
    entries = _entries(run)
    assert Counter(entry["phase"] for entry in entries.values()) == {"Succeeded": 5001, "Failed": 4999}
    ended = {name: entry for name, entry in half.items() if entry["phase"] in ("Succeeded", "Failed")}
    again = [name for name, entry in ended.items() if entries[name]["completionTime"] != entry["completionTime"]]
    assert not again, f"done again after the kill: {again[:5]}"
    assert not run.jobs()


def _entries(run: Run) -> dict[str, dict[str, Any]]:
    """Every node's entry, from wherever the status has put it."""
    api, maps = run.place.cluster.api, f"/api/v1/namespaces/{run.place.name}/configmaps"
    chunks: dict[str, Any] = {}
    while missing := budget.chunk_names(run.status, chunks):
        for suffix in missing:
            stored = api.get(f"{maps}/{chunk_name(run.uid, suffix)}")
            chunks[suffix] = json.loads(stored["data"]["outputs.json"])
    return {entry["name"]: entry for entry in budget.read_nodes(run.status, chunks)}
