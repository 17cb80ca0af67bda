"""A process held to a part of a core by a control group of its own, so that its CPU is the limit and not the machine's.

Two cores that the control plane shares cannot show what a second operator adds: it would take from the API server what
it needs. Held to a small part of a core each, operators cost the others little, and do what their own CPU allows.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.cluster.cgroups import hierarchies

PERIOD_US = 50_000


@contextmanager
def capped(pid: int, cores: float) -> Iterator[None]:
    """Hold a process to that many cores inside; it must have ended, or goes back to the root, at the end."""
    folder = _root() / f"weft-bench-{os.getpid()}-{secrets.token_hex(2)}"
    folder.mkdir()
    try:
        quota = round(cores * PERIOD_US)
        if (folder / "cpu.max").exists():
            (folder / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        else:
            (folder / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (folder / "cpu.cfs_quota_us").write_text(str(quota))
        (folder / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for left in (folder / "cgroup.procs").read_text().split():
            (folder.parent / "cgroup.procs").write_text(left)
        folder.rmdir()


def _root() -> Path:
    """The hierarchy that has the cpu controller."""
    mounted = hierarchies(Path("/proc/self/mountinfo").read_text())
    for folder, controllers in mounted:
        if "cpu" in controllers.split(","):
            return folder
    for folder, controllers in mounted:
        if not controllers and "cpu" in (folder / "cgroup.controllers").read_text().split():
            (folder / "cgroup.subtree_control").write_text("+cpu")
            return folder
    raise RuntimeError("no control group hierarchy with the cpu controller is mounted; run the bench as root")
