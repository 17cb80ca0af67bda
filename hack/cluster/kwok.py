"""Fake nodes: kwok plays the kubelet for nodes that do not exist, so that thousands of Pods cost almost nothing.

Pods go there only when they tolerate the taint and select the label: `nodeSelector: {type: kwok}` and a toleration of
`kwok.x-k8s.io/node`. Pods of Jobs succeed at once; the others run until deleted.
"""

from __future__ import annotations

import json

from hack.cluster.binaries import files_of, locate
from hack.cluster.cluster import Cluster
from hack.cluster.console import step
from hack.cluster.settings import ClusterError
from hack.cluster.shell import Words, run

ANNOTATION = "kwok.x-k8s.io/node"


def node(number: int) -> dict[str, object]:
    """The manifest of fake node `number`."""
    name = f"kwok-{number}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {ANNOTATION: "fake"},
            "labels": {"type": "kwok", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"},
        },
        "spec": {"taints": [{"key": ANNOTATION, "value": "fake", "effect": "NoSchedule"}]},
    }


def ensure(cluster: Cluster, count: int) -> None:
    """Have kwok running and at least `count` fake nodes; those that exist are left alone."""
    settings = cluster.settings
    program = locate(settings.cache, ["kwok"])["kwok"]
    if "kwok" not in cluster.processes.names() or cluster.processes.pid("kwok") is None:
        stages = [f"--config={file}" for file in files_of(settings.cache, "kwok")]
        command = [
            str(program),
            f"--kubeconfig={settings.kubeconfig}",
            f"--manage-nodes-with-annotation-selector={ANNOTATION}=fake",
            f"--cidr={settings.fake_pods}",
            "--node-lease-duration-seconds=40",
            *stages,
        ]
        cluster.start_process("kwok", command)
    kubectl: Words = [cluster.kubectl, "--kubeconfig", settings.kubeconfig]
    present = set(run([*kubectl, "get", "nodes", "-l", "type=kwok", "-o", "name"]).split())
    absent = [number for number in range(count) if f"node/kwok-{number}" not in present]
    if absent:
        with step(f"adding {len(absent)} fake nodes"):
            nodes = {"apiVersion": "v1", "kind": "List", "items": [node(number) for number in absent]}
            run([*kubectl, "create", "-f", "-"], input=json.dumps(nodes))
            try:
                run([*kubectl, "wait", "node", "-l", "type=kwok", "--for=condition=Ready", "--timeout=60s"])
            except ClusterError:
                cluster.processes.check_alive()
                raise
