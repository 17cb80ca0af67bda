"""The node's network: a namespace of its own, tied to the host by one cable.

    host  10.84.0.1 ---- veth ---- 10.84.0.2  node (API server, kubelet)  ---- veth each ----  Pods 10.85.0.0/16

The namespace has no default route and checks where packets come from, so nothing beyond this machine can talk with
the API server, a Service or a Pod, whatever they bind to; and kube-proxy's rules never touch the host's own firewall.
Pods are routed, not bridged (the `ptp` plugin): no bridge to clean up, and Service traffic between two Pods of the
node passes kube-proxy's rules without help from br_netfilter. Deleting the namespace deletes all of it.
"""

from __future__ import annotations

import json
from pathlib import Path

from hack.cluster.settings import ClusterError, Settings
from hack.cluster.shell import run, succeeds

_PLUGIN_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))


def inside(settings: Settings) -> list[str]:
    """The words to put before a command that shall run in the node's network."""
    return ["nsenter", f"--net={settings.netns}", "--"]


def create(settings: Settings) -> None:
    """Make the namespace, the cable and the routes; raises ClusterError when the host already uses the network."""
    for line in run(["ip", "-4", "route", "show", "root", str(settings.network)]).splitlines():
        raise ClusterError(f"this machine already routes `{line.strip()}`: choose another WEFT_NETWORK")
    host, node = f"{settings.name}-host", f"{settings.name}-node"
    run(["ip", "netns", "add", settings.name])
    run(["ip", "link", "add", host, "type", "veth", "peer", "name", node, "netns", settings.name])
    run(["ip", "address", "add", f"{settings.host_address}/30", "dev", host])
    run(["ip", "link", "set", host, "up"])
    for network in (settings.pods, settings.services):
        run(["ip", "route", "add", str(network), "via", settings.node_address, "dev", host])
    run(["ip", "-n", settings.name, "address", "add", f"{settings.node_address}/30", "dev", node])
    run(["ip", "-n", settings.name, "link", "set", "lo", "up"])
    run(["ip", "-n", settings.name, "link", "set", node, "up"])
    # The API server calls webhooks at their Services: kube-proxy's rules apply only to what has some route.
    run(["ip", "-n", settings.name, "route", "add", str(settings.services), "dev", node])
    for key in ("ip_forward", "conf/all/rp_filter", f"conf/{node}/rp_filter"):
        run([*inside(settings), "sh", "-c", f"echo 1 > /proc/sys/net/ipv4/{key}"])


def delete(settings: Settings) -> None:
    """Remove all of it; fine when some or all is gone already."""
    succeeds(["ip", "link", "delete", f"{settings.name}-host"])
    succeeds(["ip", "netns", "delete", settings.name])


def exists(settings: Settings) -> bool:
    """Whether the namespace is there."""
    return settings.netns.exists()


def plugin_folder() -> Path:
    """Where the CNI plugins are installed."""
    for folder in _PLUGIN_FOLDERS:
        if (folder / "ptp").exists():
            return folder
    raise ClusterError("no CNI plugins in /usr/lib/cni or /opt/cni/bin: install containernetworking-plugins")


def cni_configuration(settings: Settings) -> str:
    """The CNI configuration for containerd; address leases are kept in the cluster's own state."""
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": str(settings.pods)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(settings.state / "cni"),
    }
    plugins = [{"type": "ptp", "ipMasq": False, "ipam": ipam}]
    return json.dumps({"cniVersion": "1.0.0", "name": f"{settings.name}-pods", "plugins": plugins}, indent=2)
