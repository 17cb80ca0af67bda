"""The native node: up, down, and what is between.

Everything the node is lies in four places: its folders (state and run), its control groups, its network namespace,
and the processes inside them. `down` clears the four, in an order that works however the cluster died; `up` starts by
doing the same whenever it finds anything left. Data are thrown away with the cluster, so ending it is killing it:
nothing is lost that was to be kept.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from hack.cluster import busybox, components, debian, mounts, network, pki, residue, sysctls
from hack.cluster.api import Api, wait_until
from hack.cluster.binaries import locate
from hack.cluster.cgroups import Cgroups
from hack.cluster.console import step
from hack.cluster.processes import Processes
from hack.cluster.settings import ClusterError, Settings
from hack.cluster.shell import run

_MARKER = ".weft-cluster"  # in folders that we made, and so may delete
_PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)


class NativeNode:
    """One real node on this machine, without Docker: the other implementation of cluster.Cluster."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.processes = Processes(settings.state / "processes.json")
        self._cgroups = Cgroups.of_this_machine(settings.name)
        self._api_server = f"https://{settings.node_address}:6443"

    def up(self) -> None:
        """Start the node and wait until a Pod can be created; raises ClusterError when a component ends on the way."""
        self._check_ours()
        if self.left():
            with step("cleaning up what is left of an earlier cluster"):
                self.down()
        debian.require(debian.NODE)
        programs = locate(self.settings.cache, _PROGRAMS)
        with step("starting the node"):
            try:
                self._start(programs)
            except BaseException:
                self._stop_processes()  # the logs stay, for whoever wants to know why
                raise

    def down(self) -> None:
        """Remove every process, mount, control group, interface, lease and file of the node."""
        self._check_ours()
        self._stop_processes()
        mounts.unmount(self._folders)
        self._cgroups.remove()
        network.delete(self.settings)
        sysctls.restore(self.settings.state / "sysctls.json")
        residue.clear(self.settings)
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=not folder.exists())
        self.processes = Processes(self.settings.state / "processes.json")
        if left := self.left():
            raise ClusterError(f"could not remove {', '.join(left)}")

    def adjust(self) -> None:
        """Give a running node the scheduler's rate that the settings ask for; a restart of the scheduler does it."""
        words, flags = self.processes.command("scheduler"), components.scheduler_rate(self.settings)
        wanted = [word for word in words if not word.startswith("--kube-api-")] + flags
        if wanted != words:
            with step("restarting the scheduler with another rate"):
                self.processes.stop("scheduler")
                self.processes.start(
                    "scheduler", wanted, log=self.settings.logs / "scheduler.log", cgroup=self._cgroups.node
                )

    def healthy(self) -> bool:
        """Whether every component lives and the API server is ready."""
        names = self.processes.names()
        alive = set(components.NAMES) <= set(names) and all(self.processes.pid(name) for name in names)
        return alive and Api(self._api_server, self.settings.state / "pki").ready()

    def left(self) -> list[str]:
        """What there is of a node, alive or dead."""
        found = [str(folder) for folder in [*self._folders, *self._cgroups.left()] if folder.exists()]
        found += [f"process {pid}" for pid in self._cgroups.pids()]
        return found + (["network namespace"] if network.exists(self.settings) else [])

    @property
    def kubectl(self) -> Path:
        """The kubectl that fits."""
        return locate(self.settings.cache, ["kubectl"])["kubectl"]

    def start_process(self, name: str, command: list[str]) -> None:
        """Start one more process as a part of the node."""
        words = [*network.inside(self.settings), *command]
        self.processes.start(name, words, log=self.settings.logs / f"{name}.log", cgroup=self._cgroups.node)

    def load(self, archive: Path) -> None:
        """Import an image archive into the node's containerd."""
        run(["ctr", "--address", self.settings.containerd_socket, "--namespace", "k8s.io", "images", "import", archive])

    @property
    def _folders(self) -> list[Path]:
        return [self.settings.state, self.settings.run]

    def _check_ours(self) -> None:
        """Folders that hold something but not our mark were not made here, so nothing in them may be touched."""
        for folder in self._folders:
            if folder.exists() and any(folder.iterdir()) and not (folder / _MARKER).exists():
                raise ClusterError(f"{folder} is in use and not by a cluster: choose another WEFT_STATE")

    def _start(self, programs: dict[str, Path]) -> None:
        settings = self.settings
        for folder in self._folders:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / _MARKER).touch()
        sysctls.remember(settings.state / "sysctls.json")
        keys = pki.create(settings)
        (settings.state / "containerd.toml").write_text(
            components.containerd_configuration(settings, pause_image=busybox.PAUSE)
        )
        (settings.state / "kubelet.json").write_text(components.kubelet_configuration(settings, keys))
        (settings.state / "resolv.conf").touch()  # Pods have no name server: nothing is to be found beyond this machine
        (settings.state / "cni-configuration").mkdir()
        (settings.state / "cni-configuration" / "10-pods.conflist").write_text(network.cni_configuration(settings))
        self._cgroups.create()
        network.create(settings)

        containerd = shutil.which("containerd")
        assert containerd is not None, "debian.require has seen to it"
        commands = components.commands(settings, {**programs, "containerd": Path(containerd)}, keys)
        api = Api(self._api_server, keys)
        for name in ("containerd", "etcd", "apiserver"):
            self.start_process(name, commands[name])
        self._load_first_images()
        wait_until("API server ready", api.ready, alive=self.processes.check_alive)
        for name in ("controller-manager", "scheduler", "kubelet", "proxy"):
            self.start_process(name, commands[name])
        settings.kubeconfig.write_text((keys / "admin.kubeconfig").read_text())
        settings.kubeconfig.chmod(0o600)
        wait_until("node Ready", lambda: api.node_ready(settings.node_name), alive=self.processes.check_alive)
        wait_until("default service account", api.has_default_service_account, alive=self.processes.check_alive)

    def _load_first_images(self) -> None:
        wait_until("containerd", self.settings.containerd_socket.exists, alive=self.processes.check_alive)
        folder = self.settings.state / "images"
        folder.mkdir()
        for number, archive in enumerate(busybox.archives().values()):
            file = folder / f"{number}.tar"
            file.write_bytes(archive)
            self.load(file)

    def _stop_processes(self) -> None:
        self._cgroups.kill_all()
