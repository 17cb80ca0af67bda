"""A cluster by kind, where a Docker engine answers: kind does the work, this file asks it.

kind publishes the API server on 127.0.0.1 only. Whichever Kubernetes this kind brings is taken, if it is new enough
for Jobs that name their own controller (spec.managedBy, on by default from 1.32).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from hack.cluster.binaries import locate
from hack.cluster.console import say, step
from hack.cluster.processes import Processes
from hack.cluster.settings import ClusterError, Settings
from hack.cluster.shell import Words, run, succeeds

OLDEST = (1, 32)


class KindCluster:
    """The cluster as a container: one implementation of cluster.Cluster."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.processes = Processes(settings.state / "processes.json")

    @property
    def kubectl(self) -> Path:
        """kubectl from PATH whatever its version, since kind's server is not one we pin; built when there is none."""
        found = shutil.which("kubectl")
        return Path(found) if found else locate(self.settings.cache, ["kubectl"])["kubectl"]

    def up(self) -> None:
        """Create the cluster; raises ClusterError when its Kubernetes is too old."""
        self.down()
        self.settings.state.mkdir(parents=True, exist_ok=True)
        (self.settings.state / "kind").touch()
        with step("creating the cluster with kind"):
            create: Words = ["kind", "create", "cluster", "--name", self.settings.name, "--wait", "120s"]
            run([*create, "--kubeconfig", self.settings.kubeconfig])
        version = json.loads(run([*self._kubectl, "version", "-o", "json"]))["serverVersion"]
        if not new_enough(version["major"], version["minor"]):
            needed = ".".join(map(str, OLDEST))
            raise ClusterError(f"kind brought {version['gitVersion']}, Weft needs {needed}: install a newer kind")

    def down(self) -> None:
        """Delete the cluster and our own processes beside it."""
        for name in self.processes.names():
            self.processes.kill(name)
        run(["kind", "delete", "cluster", "--name", self.settings.name])
        if (self.settings.state / "kind").exists():
            shutil.rmtree(self.settings.state)

    def adjust(self) -> None:
        """Nothing here can be changed while it runs."""
        if self.settings.scheduler_qps:
            say("    SCHEDULER_QPS has no effect with kind")

    def healthy(self) -> bool:
        """Whether the API server answers and our own processes live."""
        alive = all(self.processes.pid(name) for name in self.processes.names())
        return alive and self.settings.kubeconfig.exists() and succeeds([*self._kubectl, "get", "--raw", "/readyz"])

    def load(self, archive: Path) -> None:
        """Load an image archive into the node."""
        run(["kind", "load", "image-archive", archive, "--name", self.settings.name])

    def start_process(self, name: str, command: list[str]) -> None:
        """Start a process on this machine that belongs to the cluster."""
        self.processes.start(name, command, log=self.settings.logs / f"{name}.log")

    @property
    def _kubectl(self) -> list[str | Path]:
        return [self.kubectl, "--kubeconfig", self.settings.kubeconfig]


def new_enough(major: str, minor: str) -> bool:
    """Whether a server that says this of itself (some write `34+`) can run Weft."""
    digits = "".join(letter for letter in minor if letter.isdigit())
    return (int(major), int(digits)) >= OLDEST
