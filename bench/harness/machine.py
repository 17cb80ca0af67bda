"""What a figure was measured on, and what each process of the cluster costs: read from /proc.

A figure without its machine says nothing, and on a machine shared with others the load average says how much of it
there was. CPU seconds are those of the process itself, so they hardly depend on who else runs.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")
REPOSITORY = Path(__file__).resolve().parents[2]


def facts() -> dict[str, Any]:
    """Give the machine, as it stands in every line."""
    return {"cores": os.cpu_count(), "cpu": _cpu_model(), "mem_mib": _memory_mib(), "kernel": platform.release(),
            "python": platform.python_version(), "load": round(os.getloadavg()[0], 2)}  # fmt: skip


def cpu_seconds(pid: int) -> float:
    """Give the CPU seconds a process has used, user and system; 0.0 when it is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / _TICKS


def rss_mib(pid: int, *, peak: bool = False) -> float:
    """Give the memory a process holds, or the most it ever held, in MiB."""
    word = "VmHWM:" if peak else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(word):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} has no {word}")


def components() -> dict[str, int]:
    """Give the process IDs of the cluster's parts by name; none where the cluster is not a native node (kind)."""
    told = subprocess.run(
        [sys.executable, "hack/cluster", "status"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    rows = (line.split() for line in told.stdout.splitlines())
    return {row[0]: int(row[2]) for row in rows if len(row) == 3 and row[1] == "process"}


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_mib() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
