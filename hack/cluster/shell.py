"""Run a command and, when it fails, say so with its own words."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from hack.cluster.settings import ClusterError

Words = Sequence[str | Path]


def run(
    command: Words, *, input: str | None = None, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> str:
    """Run `command` to its end and give its stdout; raises ClusterError with the last lines it printed."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            env=env,
            cwd=cwd,
            check=False,
        )
    except FileNotFoundError as error:
        raise ClusterError(f"{words[0]}: no such program on this machine") from error
    if done.returncode != 0:
        said = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-15:])
        raise ClusterError(f"{shlex.join(words)[:300]} failed ({done.returncode}):\n{said}")
    return done.stdout


def succeeds(command: Words, *, timeout: float = 15) -> bool:
    """Whether `command` exists and exits 0 in time; its output is thrown away."""
    try:
        words, no = [str(word) for word in command], subprocess.DEVNULL
        done = subprocess.run(words, stdin=no, stdout=no, stderr=no, timeout=timeout, check=False)
        return done.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
