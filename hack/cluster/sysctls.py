"""The few kernel settings that a kubelet changes for the whole machine: remembered before, put back after."""

from __future__ import annotations

import json
from pathlib import Path

_CHANGED_BY_KUBELET = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def remember(file: Path, *, proc: Path = Path("/proc/sys")) -> None:
    """Write the present values to `file`."""
    present = {key: (proc / key).read_text().strip() for key in _CHANGED_BY_KUBELET if (proc / key).exists()}
    file.write_text(json.dumps(present, indent=1))


def restore(file: Path, *, proc: Path = Path("/proc/sys")) -> None:
    """Put back what `file` remembers, where it differs."""
    if not file.exists():
        return
    for key, value in json.loads(file.read_text()).items():
        if (proc / key).read_text().strip() != value:
            (proc / key).write_text(value)
