"""Every place, name and address of the cluster, from a handful of environment variables.

| variable | default | meaning |
|---|---|---|
| WEFT_CLUSTER | weft | the cluster's name; two names give two clusters that share nothing |
| WEFT_CACHE | ~/.cache/weft | binaries, base images: outlives the cluster |
| WEFT_STATE | /var/lib/NAME-cluster | data, certificates, logs, kubeconfig: gone with the cluster |
| WEFT_NETWORK | 10.84.0.0/14 | cut in four: link to the host, Pods, Services, fake Pods |
| SCHEDULER_QPS | the scheduler's own 50 | queries per second the scheduler may send |

State needs root and a Linux file system for the native node; with kind it may be anywhere writable.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


class ClusterError(Exception):
    """Something a person can mend; its text says what and how."""


@dataclass(frozen=True)
class Settings:
    """Where the cluster lives and what its parts are called."""

    name: str
    cache: Path
    state: Path
    network: ipaddress.IPv4Network
    scheduler_qps: int | None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the variables above; raises ClusterError naming the one that is wrong."""
        name = environ.get("WEFT_CLUSTER") or "weft"
        # The name also names network interfaces, which the kernel limits to 15 characters.
        if not (name.isalnum() and name.islower() and name.isascii() and len(name) <= 8):
            raise ClusterError(f"WEFT_CLUSTER: must be 1 to 8 lower-case letters and digits, got {name!r}")
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        cache = Path(environ.get("WEFT_CACHE") or Path.home() / ".cache" / "weft").absolute()
        state_default = Path(f"/var/lib/{name}-cluster") if root else cache / f"{name}-cluster"
        try:
            network = ipaddress.IPv4Network(environ.get("WEFT_NETWORK") or "10.84.0.0/14")
        except ValueError as error:
            raise ClusterError(f"WEFT_NETWORK: {error}") from error
        if network.prefixlen > 18 or not network.is_private:
            raise ClusterError(f"WEFT_NETWORK: must be a private network of /18 or larger, got {network}")
        qps = environ.get("SCHEDULER_QPS") or None
        if qps is not None and not (qps.isdigit() and int(qps) > 0):
            raise ClusterError(f"SCHEDULER_QPS: must be a whole number above 0, got {qps!r}")
        return cls(
            name=name,
            cache=cache,
            state=Path(environ.get("WEFT_STATE") or state_default).absolute(),
            network=network,
            scheduler_qps=int(qps) if qps else None,
        )

    def _quarter(self, number: int) -> ipaddress.IPv4Network:
        return list(self.network.subnets(prefixlen_diff=2))[number]

    @property
    def link(self) -> ipaddress.IPv4Network:
        """The two-address network between the host and the node."""
        return ipaddress.IPv4Network((int(self._quarter(0).network_address), 30))

    @property
    def host_address(self) -> str:
        """How the node and its Pods reach the host."""
        return str(self.link[1])

    @property
    def node_address(self) -> str:
        """How the host reaches the node: the API server's and the kubelet's address."""
        return str(self.link[2])

    @property
    def pods(self) -> ipaddress.IPv4Network:
        """Addresses of Pods."""
        return self._quarter(1)

    @property
    def services(self) -> ipaddress.IPv4Network:
        """Addresses of Services: the first 65,536 of their quarter, which is all the API server takes easily."""
        quarter = self._quarter(2)
        return ipaddress.IPv4Network((int(quarter.network_address), max(quarter.prefixlen, 16)))

    @property
    def fake_pods(self) -> ipaddress.IPv4Network:
        """Addresses that kwok gives to Pods on fake nodes; nothing ever answers there."""
        return self._quarter(3)

    @property
    def kubernetes_service(self) -> str:
        """The Service by which Pods reach the API server."""
        return str(self.services[1])

    @property
    def run(self) -> Path:
        """Sockets and containerd's live state; short, since a socket's path has a limit of 108 bytes."""
        return Path(f"/run/{self.name}-cluster")

    @property
    def netns(self) -> Path:
        """The node's network namespace, where `ip netns` keeps it."""
        return Path(f"/run/netns/{self.name}")

    @property
    def lock(self) -> Path:
        """Held while the cluster is changed."""
        return self.cache / f"{self.name}.lock"

    @property
    def node_name(self) -> str:
        """The node's name in Kubernetes."""
        return f"{self.name}-node"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "kubeconfig"

    @property
    def logs(self) -> Path:
        """One log file per component."""
        return self.state / "logs"

    @property
    def containerd_socket(self) -> Path:
        """containerd's socket."""
        return self.run / "containerd.sock"
