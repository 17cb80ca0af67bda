"""Following a run to its end: a page redrawn in place on a terminal, else a line per change, or nothing.

The exit code is the run's verdict: 0 Succeeded, 1 Failed, 2 Cancelled. Ctrl-C (130) ends the following, never the run.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, Self

import click
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from weft.api.conditions import NodePhase, Reason
from weft.api.objects import Obj, uid_of
from weft.api.times import moment
from weft.cli import nodes, runs
from weft.cli.detail import run_detail
from weft.cli.nodes import Row
from weft.cli.session import Session
from weft.cli.table import console, safe
from weft.kube.resources import WORKFLOW_RUNS

INTERRUPTED = 130


class View(Protocol):
    """Something that shows a run each time it has changed."""

    def show(self, run: Obj) -> None:
        """Show the run as it is now."""
        ...


def follow(session: Session, name: str, *, generation: int = 0, quiet: bool = False) -> int:
    """Follow a run until it has ended (after that rerun, if one was asked for); give the exit code.

    Raises ClickException when the run is deleted meanwhile, and ApiError.
    """
    try:
        with _view(session, quiet=quiet) as view:
            for run in states(session, name, generation=generation):
                view.show(run)
    except KeyboardInterrupt:
        click.echo(f"run {name} goes on; to stop it: {session.command('stop', name)}", err=True)
        return INTERRUPTED
    code = runs.exit_code(run)
    if quiet and code:
        click.echo(f"run {name} {runs.phase_of(run)}: {safe(runs.why(run)[1])}", err=True)
    return code


def states(session: Session, name: str, *, generation: int = 0) -> Iterator[Obj]:
    """Give a run each time it has changed; the last one has ended."""
    uid = ""
    for run in session.cluster.watch(WORKFLOW_RUNS, name):
        uid = uid or uid_of(run)
        if uid_of(run) != uid:
            break
        yield run
        if runs.has_ended(run, generation=generation):
            return
    raise click.ClickException(f"run {name} was deleted before it had ended")


def _view(session: Session, *, quiet: bool) -> AbstractContextManager[View]:
    if quiet:
        return nullcontext(Nothing())
    screen = console()
    return Page(session, screen) if screen.is_terminal else nullcontext(Lines(session, screen))


class Nothing:
    """Shows nothing."""

    def show(self, run: Obj) -> None:
        """Show nothing."""


class Lines:
    """A line per change, for pipes and logs of CI systems."""

    def __init__(self, session: Session, screen: Console, *, now: Callable[[], float] = time.time) -> None:
        """Take where to write, and the clock."""
        self._session = session
        self._screen = screen
        self._now = now
        self._before: dict[str, Row] = {}

    def show(self, run: Obj) -> None:
        """Print what has changed."""
        name, now = run["metadata"]["name"], self._now()
        entries = runs.node_entries(self._session.cluster, run)
        # A thousand items that go well are told by their node's line; each that fails has one of its own.
        every = nodes.rows(entries, items=True)
        rows = [row for row in every if not row.path.endswith("]") or row.phase == NodePhase.Failed]
        rows.insert(len(rows) if runs.has_ended(run) else 0, _run_row(run))
        for row in nodes.changes(self._before, rows):
            self._print(nodes.change_line(row, now), now)
            if row.reason == Reason.AwaitingApproval:
                self._print(f"to approve: {self._session.command('approve', name, row.path)}", now)
        self._before = {row.path: row for row in rows}

    def _print(self, text: str, now: float) -> None:
        self._screen.print(Text(f"{time.strftime('%H:%M:%S', time.localtime(now))}  {safe(text)}"), soft_wrap=True)


def _run_row(run: Obj) -> Row:
    status = run.get("status") or {}
    reason, message = runs.why(run) if runs.has_ended(run) else ("", "")
    start, end = moment(status.get("startTime")), moment(status.get("completionTime"))
    return Row("run", run["metadata"]["name"], runs.phase_of(run), 0, start, end, reason, message)


class Page:
    """The run's page, redrawn in place; durations go on between changes."""

    def __init__(self, session: Session, screen: Console, *, now: Callable[[], float] = time.time) -> None:
        """Take where to draw, and the clock."""
        self._session = session
        self._screen = screen
        self._now = now
        self._page: Callable[[], RenderableType] = Text
        self._live = Live(get_renderable=lambda: self._page(), console=screen, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def show(self, run: Obj) -> None:
        """Draw the run."""
        entries = runs.node_entries(self._session.cluster, run)
        rows = nodes.rows(entries)
        self._page = lambda: run_detail(
            run, entries, rows, now=self._now(), command=self._session.command, height=self._screen.size.height
        )
