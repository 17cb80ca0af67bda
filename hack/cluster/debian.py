"""What the host must have, installed where that is ours to do: as root on Debian and its relatives.

A person's own machine is told what is missing instead. Packages that come with a service (containerd) are installed
with the service held back: the cluster runs a containerd of its own, and a second one would only be in the way.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.cluster.console import step
from hack.cluster.settings import ClusterError
from hack.cluster.shell import run, succeeds

# What is asked for: a command, or a file; and the package that brings it.
NODE = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "/bin/busybox": "busybox-static",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "mount": "mount",
    "nsenter": "util-linux",
    "openssl": "openssl",
}
IMAGES = {"buildah": "buildah", "mmdebstrap": "mmdebstrap"}
_POLICY = Path("/usr/sbin/policy-rc.d")


def missing(needs: dict[str, str]) -> list[str]:
    """The packages of `needs` that this machine lacks."""
    return [package for need, package in needs.items() if not _present(need)]


def require(needs: dict[str, str]) -> None:
    """Install what is missing, or raise ClusterError saying what a person should install."""
    packages = missing(needs)
    if not packages:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterError(f"missing on this machine: {', '.join(packages)}; install them, or run as root on Debian")
    with step(f"installing {' '.join(packages)}"), _services_held_back(packages):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
        try:
            run(install, env=environment)
        except ClusterError:
            run(["apt-get", "update", "-q"], env=environment)  # no lists yet, or older than the packages
            run(install, env=environment)
    if left := missing(needs):
        raise ClusterError(f"installed, but still not found: {', '.join(left)}")


def _present(need: str) -> bool:
    if not need.startswith("/"):
        return shutil.which(need, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None
    path = Path(need)
    return path.exists() or (Path("/opt/cni/bin") / path.name).exists()


@contextmanager
def _services_held_back(packages: Iterable[str]) -> Iterator[None]:
    """Debian's own way to install without starting: a policy script that says no (exit 101)."""
    ours = not _POLICY.exists()
    if ours:
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            _POLICY.unlink()
        if "containerd" in packages and Path("/run/systemd/system").exists():
            succeeds(["systemctl", "disable", "--now", "containerd.service"], timeout=60)
