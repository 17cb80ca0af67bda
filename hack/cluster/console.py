"""What the person at the terminal sees: one line per step, and how long it took.

Progress goes to stderr, so that stdout carries only what a command answers (a kubeconfig's path, a status).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(text: str) -> None:
    """Print one line of progress."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announce what is being done, then say how long it took."""
    started = time.monotonic()
    say(f"==> {title}")
    yield
    say(f"    {title}: {duration(time.monotonic() - started)}")


def duration(seconds: float) -> str:
    """Seconds as a person writes them.

    >>> duration(0.34), duration(61.2), duration(330)
    ('0.3s', '1m01s', '5m30s')
    """
    if seconds < 60:
        return f"{seconds:.1f}s"
    return f"{int(seconds) // 60}m{int(seconds) % 60:02d}s"


class Ticker:
    """Repeated progress of one long step: redrawn in place on a terminal, a line each `every` seconds elsewhere."""

    def __init__(self, *, every: float = 15.0) -> None:
        self._terminal = sys.stderr.isatty()
        self._every = 0.2 if self._terminal else every
        self._started = time.monotonic()
        self._last = self._started

    def update(self, text: str) -> None:
        """Show `text` with the time since the start, unless something was shown just before."""
        now = time.monotonic()
        if now - self._last < self._every:
            return
        self._last = now
        line = f"    {duration(now - self._started)}: {text}"
        if self._terminal:
            print(f"\r\033[K{line[:110]}", end="", file=sys.stderr, flush=True)
        else:
            say(line)

    def clear(self) -> None:
        """Take the line away again."""
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
