"""Start, recognise and end our own processes, and no others.

A process id alone says little: the kernel gives it to the next process after the first has ended. So each one is
recorded with its start time, and is signalled only while both still agree. The record is a file, since `up`,
`restart` and `down` are different runs of this program.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from hack.cluster.settings import ClusterError


def start_time(pid: int) -> str | None:
    """When process `pid` started, in the kernel's own words; None when there is none or it is only a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None if Path("/proc/self").exists() else _start_time_by_ps(pid)
    fields = stat.rpartition(")")[2].split()  # the name, in brackets, may itself hold spaces and brackets
    return None if fields[0] in "ZX" and not _threads(pid) else fields[19]


def _threads(pid: int) -> bool:
    """Whether threads live on whose first has ended: until they are gone, so are the process's ports not free."""
    try:
        return len(os.listdir(f"/proc/{pid}/task")) > 1
    except OSError:
        return False


def _start_time_by_ps(pid: int) -> str | None:
    said = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return said.stdout.strip() or None


class Processes:
    """The components that were started, by name."""

    def __init__(self, record: Path) -> None:
        self._record = record
        self._entries: dict[str, dict[str, object]] = json.loads(record.read_text()) if record.exists() else {}

    def names(self) -> list[str]:
        """Everything that was started, in order."""
        return list(self._entries)

    def pid(self, name: str) -> int | None:
        """The id of component `name` while it lives; raises ClusterError for a name that was never started."""
        if name not in self._entries:
            raise ClusterError(f"{name}: no such component; there are {', '.join(self._entries) or 'none'}")
        entry = self._entries[name]
        pid = int(str(entry["pid"]))
        return pid if start_time(pid) == entry["started"] else None

    def command(self, name: str) -> list[str]:
        """The words that component `name` was started with."""
        words = self._entries[name]["command"]
        assert isinstance(words, list)
        return [str(word) for word in words]

    def check_alive(self) -> None:
        """Raise ClusterError, with the last words of its log, when any component has ended."""
        for name, entry in self._entries.items():
            if self.pid(name) is None:
                log = Path(str(entry["log"]))
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                raise ClusterError(f"{name} has ended; {log} closes with:\n{tail}")

    def start(self, name: str, command: Sequence[str], *, log: Path, cgroup: Path | None = None) -> int:
        """Start component `name` in the background, its output added to `log`, and record it; gives its process id."""

        def join_cgroup() -> None:
            if cgroup is not None:
                (cgroup / "cgroup.procs").write_text("0")

        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
                preexec_fn=join_cgroup,  # before the program runs, so that nothing it starts can be missed
            )
        started = start_time(process.pid)
        self._entries[name] = {
            "pid": process.pid,
            "started": started,
            "command": list(command),
            "log": str(log),
            "cgroup": str(cgroup) if cgroup else None,
        }
        self._write()
        return process.pid

    def start_again(self, name: str) -> int:
        """Start component `name` exactly as it was started before."""
        if self.pid(name) is not None:
            raise ClusterError(f"{name}: still runs")
        entry = self._entries[name]
        cgroup = Path(str(entry["cgroup"])) if entry["cgroup"] else None
        return self.start(name, self.command(name), log=Path(str(entry["log"])), cgroup=cgroup)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to component `name`, if it lives."""
        if (pid := self.pid(name)) is not None:
            os.kill(pid, number)

    def stop(self, name: str, *, patience: float = 5) -> None:
        """Ask component `name` to end, and make it end when it has not after `patience` seconds."""
        self.signal(name, signal.SIGTERM)
        if not self._gone(name, patience):
            self.kill(name)

    def kill(self, name: str) -> None:
        """End component `name` as a crash would."""
        self.signal(name, signal.SIGKILL)
        if not self._gone(name, 10):
            raise ClusterError(f"{name}: process {self.pid(name)} does not end")

    def _gone(self, name: str, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.pid(name) is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _write(self) -> None:
        temporary = self._record.with_suffix(".new")
        temporary.write_text(json.dumps(self._entries, indent=1))
        temporary.replace(self._record)
