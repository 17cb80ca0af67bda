"""Unmount what kubelet and containerd mounted: everything under the cluster's own folders, and only that."""

from __future__ import annotations

import re
from pathlib import Path

from hack.cluster.shell import succeeds


def under(folders: list[Path], mountinfo: str) -> list[Path]:
    """Mount points at or below one of `folders`, innermost first. `mountinfo` is /proc/self/mountinfo's text."""
    points = []
    for line in mountinfo.splitlines():
        # The kernel writes spaces and the like as octal escapes.
        point = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), line.split()[4]))
        if any(point == folder or folder in point.parents for folder in folders):
            points.append(point)
    return points[::-1]


def unmount(folders: list[Path]) -> None:
    """Unmount everything there; lazily, since what used it has been killed but may not be reaped yet."""
    for point in under(folders, Path("/proc/self/mountinfo").read_text()):
        succeeds(["umount", "-l", point])
