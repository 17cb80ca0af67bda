"""The cluster's own control group: where all its processes are, and so the sure way to find and end them.

Every component is started inside `/<name>/node`, and the kubelet puts Pods under `/<name>/kubepods`. Whatever is in
there is ours, however it was started and whoever its parent is, and nothing else is: ending the cluster means ending
what is listed there, process by process. Machines with the old hierarchies (v1: one folder per controller) and the
new (v2: one folder) both work; on v1 every hierarchy needs the kubelet's root to exist.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from hack.cluster.settings import ClusterError

_TRACKING = "pids"  # on v1, the hierarchy by which we know our processes


def hierarchies(mountinfo: str) -> list[tuple[Path, str]]:
    """The mounted control group hierarchies as (folder, controllers), controllers being "" for v2.

    `mountinfo` is the text of /proc/self/mountinfo. Bind mounts of a part of a hierarchy are left out.
    """
    found: dict[Path, str] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if not kind or kind[0] not in ("cgroup", "cgroup2") or fields[3] != "/":
            continue
        controllers = "" if kind[0] == "cgroup2" else Path(fields[4]).name
        found[Path(fields[4])] = controllers
    return sorted(found.items())


class Cgroups:
    """The control groups of one cluster."""

    def __init__(self, name: str, mounted: list[tuple[Path, str]]) -> None:
        self.name = name
        self._mounted = mounted
        self.unified = any(folder == Path("/sys/fs/cgroup") and not kind for folder, kind in mounted)

    @classmethod
    def of_this_machine(cls, name: str) -> Cgroups:
        """Look at what is mounted here."""
        mountinfo = Path("/proc/self/mountinfo")
        return cls(name, hierarchies(mountinfo.read_text()) if mountinfo.exists() else [])

    @property
    def _roots(self) -> list[Path]:
        return [folder / self.name for folder, _ in self._mounted]

    @property
    def _tracking_root(self) -> Path:
        for folder, controllers in self._mounted:
            if (self.unified and not controllers) or _TRACKING in controllers.split(","):
                return folder / self.name
        raise ClusterError("no control groups under /sys/fs/cgroup: mount cgroup v2, or v1 with its pids controller")

    @property
    def node(self) -> Path:
        """The folder whose cgroup.procs a component joins."""
        return self._tracking_root / "node"

    def create(self) -> None:
        """Make the folders, with every controller the kubelet asks for."""
        for folder, controllers in self._mounted:
            root = folder / self.name
            if not controllers and not self.unified:
                continue  # the empty v2 hierarchy beside v1: runc makes its own folders there
            root.mkdir(exist_ok=True)
            if not controllers:
                _delegate(folder)
                _delegate(root)
            elif "cpuset" in controllers:
                for file in ("cpuset.cpus", "cpuset.mems"):  # a v1 cpuset takes no process while these are empty
                    (root / file).write_text((folder / file).read_text())
        self.node.mkdir(exist_ok=True)

    def pids(self) -> list[int]:
        """Every process of the cluster, now."""
        try:
            files = [folder / "cgroup.procs" for folder in _tree(self._tracking_root)]
        except ClusterError:
            return []
        pids: list[int] = []
        for file in files:
            try:
                pids += [int(line) for line in file.read_text().split()]
            except OSError:
                continue  # the group went away while we looked
        return pids

    def kill_all(self, *, seconds: float = 20) -> None:
        """End every process of the cluster, by id; raises ClusterError when one does not go."""
        deadline = time.monotonic() + seconds
        ended: set[int] = set()
        while pids := self.pids():
            if time.monotonic() > deadline:
                raise ClusterError(f"processes {pids} do not end; look at them with: ps -fp {','.join(map(str, pids))}")
            for pid in pids:
                ended.add(pid)
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.02)
        # The dead stay in the process table until their parent, by now init, has looked: give it a moment.
        deadline = time.monotonic() + 3
        while any(Path(f"/proc/{pid}").exists() for pid in ended) and time.monotonic() < deadline:
            time.sleep(0.02)

    def remove(self) -> None:
        """Remove the folders, innermost first. A group just emptied may be busy for a moment."""
        for root in self._roots:
            for folder in reversed(_tree(root)):
                for _ in range(100):
                    try:
                        folder.rmdir()
                        break
                    except FileNotFoundError:
                        break
                    except OSError:
                        time.sleep(0.02)

    def left(self) -> list[Path]:
        """Folders that still exist."""
        return [root for root in self._roots if root.exists()]


def _tree(root: Path) -> list[Path]:
    """`root` and all folders under it, outer before inner; empty when there is none."""
    return [Path(folder) for folder, _, _ in os.walk(root)]


def _delegate(folder: Path) -> None:
    """v2: let the groups under `folder` use every controller it has; some kernels refuse some, which is fine."""
    for controller in (folder / "cgroup.controllers").read_text().split():
        try:
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError:
            continue
