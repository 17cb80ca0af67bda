"""The few files that Kubernetes and containerd leave in fixed places which no setting moves.

Ours among them are known by the names of our containers, so another runtime on the same machine keeps its own.
Folders are removed only when nothing is in them.
"""

from __future__ import annotations

from pathlib import Path

from hack.cluster.settings import Settings
from hack.cluster.shell import succeeds

_RESULTS = Path("/var/lib/cni/results")  # the CNI library's cache of what each Pod was given
_LOG_LINKS = Path("/var/log/containers")
_DEVICE_SOCKET = Path("/var/lib/kubelet/device-plugins/kubelet.sock")
_NAMESPACES = Path("/run/netns")
_FOLDERS = (
    _RESULTS,
    _RESULTS.parent,
    _LOG_LINKS,
    _DEVICE_SOCKET.parent,
    _DEVICE_SOCKET.parent.parent,
    Path("/run/containerd/s"),
    Path("/run/containerd"),
    _NAMESPACES,
)


def clear(settings: Settings) -> None:
    """Remove what is ours; to be called when all processes have ended, before the cluster's own folders go."""
    for task in settings.run.glob("containerd/io.containerd.runtime.v2.task/k8s.io/*"):
        address = task / "address"
        if address.exists():
            Path(address.read_text().strip().removeprefix("unix://")).unlink(missing_ok=True)
        _unlink(_RESULTS, f"*-{task.name}-*")
    _unlink(_RESULTS, f"{settings.name}-pods-*")
    for link in _LOG_LINKS.glob("*"):
        if link.is_symlink() and settings.logs in link.readlink().parents:
            link.unlink()
    _DEVICE_SOCKET.unlink(missing_ok=True)
    if _NAMESPACES.is_dir() and not any(_NAMESPACES.iterdir()):
        succeeds(["umount", _NAMESPACES])  # `ip netns` mounts it on itself
    for folder in _FOLDERS:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _unlink(folder: Path, pattern: str) -> None:
    for file in folder.glob(pattern):
        file.unlink(missing_ok=True)
