"""The two images that every native cluster starts with: busybox, and the pause image that holds a Pod's namespaces."""

from __future__ import annotations

from pathlib import Path

from hack.cluster import oci
from hack.cluster.settings import ClusterError
from hack.cluster.shell import run

BUSYBOX = "docker.io/library/busybox:1"  # the full form of `busybox:1`, as the container runtime writes it
PAUSE = "weft.local/pause:1"
_STATIC = (Path("/bin/busybox"), Path("/usr/bin/busybox"))


def archives() -> dict[str, bytes]:
    """Both images as OCI archives, by name; raises ClusterError when there is no busybox to put in."""
    program = next((path for path in _STATIC if path.exists()), None)
    if program is None:
        raise ClusterError("no /bin/busybox on this machine: install busybox-static")
    applets = run([program, "--list"]).split()
    entries: dict[str, oci.File | oci.Link | oci.Folder] = {
        "bin/busybox": oci.File(program.read_bytes(), 0o755),
        **{f"bin/{applet}": oci.Link("busybox") for applet in applets if applet != "busybox"},
        "etc/passwd": oci.File(b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
        "etc/group": oci.File(b"root:x:0:\nnogroup:x:65534:\n"),
        "root": oci.Folder(0o700),
        "tmp": oci.Folder(0o1777),
        "usr/bin/env": oci.Link("/bin/busybox"),
    }
    pause: dict[str, oci.File | oci.Link | oci.Folder] = {"bin/busybox": oci.File(program.read_bytes(), 0o755)}
    return {
        BUSYBOX: oci.image(BUSYBOX, oci.layer(entries), command=["sh"]),
        PAUSE: oci.image(PAUSE, oci.layer(pause), command=["/bin/busybox", "sleep", "2147483647"]),
    }
