"""The workflows and Pods of the benchmarks: small, on fake nodes unless a measure asks for the real kubelet."""

from __future__ import annotations

from typing import Any

Obj = dict[str, Any]

KWOK: Obj = {
    "nodeSelector": {"type": "kwok"},
    "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists", "effect": "NoSchedule"}],
}
"""On fake nodes, by way of the scheduler."""


def pinned(number: int) -> Obj:
    """On one fake node, past the scheduler: what is left are the client, the API server and kwok."""
    return {**KWOK, "podTemplate": {"spec": {"nodeName": f"kwok-{number % 10}"}}}


def job(place: Obj | None = None) -> Obj:
    """A node's job; without a place, on the real kubelet."""
    words: Obj = {"image": "busybox:1", "command": ["true"], "imagePullPolicy": "IfNotPresent"}
    return {**words, **(place or {})}


def chain(length: int, body: Obj) -> Obj:
    """Nodes one after the other."""
    return {
        "nodes": [{"name": f"n{i}", "job": body, **({"dependsOn": [f"n{i - 1}"]} if i else {})} for i in range(length)]
    }


def fan(width: int, body: Obj) -> Obj:
    """One node, then as many items as `width` says, then one node."""
    return {
        "nodes": [
            {"name": "first", "job": body},
            {"name": "many", "dependsOn": ["first"], "job": body, "forEach": {"range": width}},
            {"name": "last", "dependsOn": ["many"], "job": body},
        ]
    }


def diamonds(count: int, body: Obj) -> Obj:
    """Diamonds one after the other: four nodes each, 1 -> 2 -> 1."""
    nodes: list[Obj] = []
    for i in range(count):
        before = {"dependsOn": [f"d{i - 1}"]} if i else {}
        nodes.append({"name": f"a{i}", "job": body, **before})
        nodes += [{"name": f"{side}{i}", "job": body, "dependsOn": [f"a{i}"]} for side in ("b", "c")]
        nodes.append({"name": f"d{i}", "job": body, "dependsOn": [f"b{i}", f"c{i}"]})
    return {"nodes": nodes}


def bare_pod(name: str, namespace: str, place: Obj | None, *, labels: dict[str, str]) -> Obj:
    """The Pod that a node's Job would have, by itself."""
    where = place or {}
    spec: Obj = {
        "restartPolicy": "Never",
        "containers": [{"name": "main", "image": "busybox:1", "imagePullPolicy": "IfNotPresent", "command": ["true"]}],
        **{key: value for key, value in where.items() if key not in ("podTemplate", "annotations")},
        **where.get("podTemplate", {}).get("spec", {}),
    }
    metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": where.get("annotations", {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
