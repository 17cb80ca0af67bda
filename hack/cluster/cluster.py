"""What every kind of cluster can do, and which kind this machine gets: kind where a Docker engine answers, else native.

A cluster that exists decides for itself: it is whatever made it, which stands in the file `flavour` of its state.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from hack.cluster.kind import KindCluster
from hack.cluster.native import NativeNode
from hack.cluster.processes import Processes
from hack.cluster.settings import ClusterError, Settings
from hack.cluster.shell import succeeds


class Cluster(Protocol):
    """One Kubernetes cluster on this machine."""

    settings: Settings
    processes: Processes

    @property
    def kubectl(self) -> Path:
        """A kubectl that fits the server."""

    def up(self) -> None:
        """Start it, after removing what is left of an earlier one."""

    def down(self) -> None:
        """Remove it and everything of it."""

    def adjust(self) -> None:
        """Give it, while it runs, what the settings ask for; nothing happens when it has that."""

    def healthy(self) -> bool:
        """Whether all of it runs."""

    def load(self, archive: Path) -> None:
        """Make the images of an archive usable in Pods."""

    def start_process(self, name: str, command: list[str]) -> None:
        """Start one more process that belongs to the cluster."""


def choose(settings: Settings) -> Cluster:
    """The cluster that exists, else the kind that this machine can run; raises ClusterError when it can run none."""
    if (settings.state / "kind").exists():
        return KindCluster(settings)
    native = NativeNode(settings)
    root_on_linux = sys.platform == "linux" and os.geteuid() == 0
    if root_on_linux and native.left():
        return native
    docker = shutil.which("docker") is not None and succeeds(["docker", "version", "--format", "{{.Server.Version}}"])
    if docker and shutil.which("kind"):
        return KindCluster(settings)
    if root_on_linux:
        return native
    raise ClusterError(
        "no cluster can run here. Either start Docker and install kind"
        f" ({'Docker answers, kind is not on PATH' if docker else 'no Docker engine answers'}),"
        " or run as root on Linux, where a native node needs neither"
    )


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """One at a time: two people's `make cluster` at once must not both start one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
