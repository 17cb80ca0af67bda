"""`weft logs RUN [NODE]`: what the containers of a run have written, of each node's and item's latest attempt.

Pods are found by the run's label, and of each the container `main` is read; lines of several begin with whose they are.
With `-f` it looks for new Pods every second and reads each to its end, until the run has ended. An API server that is
away for a while is waited for, and a log that breaks off goes on from where it was.
"""

import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from weft.api.objects import Obj, uid_of
from weft.api.paths import plain_path
from weft.cli import runs
from weft.cli.absence import no_logs, no_logs_of_run
from weft.cli.follow import INTERRUPTED
from weft.cli.frozen import body_kind, frozen_workflow, node_spec
from weft.cli.nodes import matching, unknown_node
from weft.cli.refusals import explain
from weft.cli.session import Session, in_cluster
from weft.cli.sources import CONTAINER, Source, chosen, latest_attempt, source_of
from weft.cli.visible import visible
from weft.controllers.retention import kept_jobs
from weft.controllers.run_facts import rerun_asked
from weft.kube.errors import ApiError, NotFound
from weft.kube.resources import WORKFLOW_RUNS
from weft.render.names import RUN_LABEL, label_value

MAX_FOLLOWED = 50
"""Logs followed at once; the next one begins when one of them has ended."""
POLL_SECONDS = 1

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")


@click.command()
@click.argument("run", metavar="RUN")
@click.argument("node", metavar="[NODE]", required=False)
@click.option("--attempt", type=click.IntRange(min=1), metavar="N", help="That attempt, instead of the latest.")
@click.option("--item", type=click.IntRange(min=0), metavar="I", help="That item of a forEach alone.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on, until the run has ended.")
@in_cluster
def logs(session: Session, run: str, node: str | None, attempt: int | None, item: int | None, follow: bool) -> None:
    """Show the logs of RUN, or of one NODE of it: price, price[3], publish/upload, or publish for all in it."""
    found = session.find_run(run)
    entries = runs.node_entries(session.cluster, found)
    if node is not None and plain_path(node) not in {plain_path(entry["name"]) for entry in entries}:
        raise click.ClickException(unknown_node(node, run, entries))
    selection = Selection(session, found, node, attempt, item)
    if follow:
        sys.exit(follow_pods(session, selection))
    sources = selection.look()
    if not sources:
        raise click.ClickException(_nothing(session, found, entries, node, attempt))
    if len(sources) == 1 and attempt is None and (last := latest_attempt(sources[0], entries)) > sources[0].attempt:
        click.echo(f"{sources[0].title}: the Pod of attempt {last} is gone; this is an earlier one", err=True)
    writer = Writer(titled=len(sources) > 1)
    sys.exit(max([_copy(session, source, writer, follow=False) for source in sources]))


@dataclass(frozen=True)
class Selection:
    """Which Pods of a run are meant."""

    session: Session
    run: Obj
    node: str | None
    attempt: int | None
    item: int | None

    def look(self) -> list[Source]:
        """Give the Pods there are now. Raises ApiError."""
        pods = self.session.cluster.pods(f"{RUN_LABEL}={label_value(self.run['metadata']['name'])}")
        found = (source_of(pod, uid_of(self.run)) for pod in pods)
        known = (source for source in found if source is not None)
        return chosen(known, node=self.node, attempt=self.attempt, item=self.item)


class Writer:
    """Writes whole lines, of several threads at once; `titled` lines say whose they are. `closed`: nobody reads."""

    def __init__(self, *, titled: bool) -> None:
        self._titled = titled
        self._lock = threading.Lock()
        self._out = sys.stdout.buffer
        self._colours: dict[str, str] = {}
        self._coloured = sys.stdout.isatty()
        self.closed = False

    def write(self, source: Source, lines: Iterable[bytes]) -> None:
        """Write lines as they come."""
        for line in lines:
            with self._lock:
                try:
                    self._out.write(self._title(source) + line + b"\n")
                    self._out.flush()
                except OSError as error:
                    self.closed = True
                    if not isinstance(error, BrokenPipeError):
                        click.echo(f"cannot write: {error.strerror or error}", err=True)
                    return

    def _title(self, source: Source) -> bytes:
        if not self._titled:
            return b""
        if not self._coloured:
            return f"{source.title} ".encode()
        colour = self._colours.setdefault(source.place, _COLOURS[len(self._colours) % len(_COLOURS)])
        return f"{click.style(source.title, fg=colour)} ".encode()


def _copy(session: Session, source: Source, writer: Writer, *, follow: bool) -> int:
    """Write one Pod's log; give 0, or 1 when it could not be read."""
    if not source.started:
        click.echo(f"{source.title}: Pod {source.pod} has not started yet ({visible(source.waits)})", err=True)
        return 0
    cluster = session.cluster
    try:
        if follow:
            writer.write(source, cluster.follow_log(source.pod, container=CONTAINER))
        else:
            writer.write(source, cluster.log(source.pod, container=CONTAINER, follow=False))
    except ApiError as error:
        click.echo(f"{source.title}: {explain(error)}", err=True)
        return 1
    return 0


def follow_pods(session: Session, selection: Selection) -> int:
    """Follow every Pod that is meant, also those to come, until the run has ended."""
    writer = Writer(titled=True)
    readers: dict[str, threading.Thread] = {}
    name = selection.run["metadata"]["name"]
    try:
        for ended in _endings(session, selection.run):
            found = session.cluster.patiently(selection.look)
            sources = [source for source in found if source.started and source.pod not in readers]
            room = MAX_FOLLOWED - sum(reader.is_alive() for reader in readers.values())
            for source in sources[: max(0, room)]:
                reader = threading.Thread(
                    target=_copy, args=(session, source, writer), kwargs={"follow": True}, daemon=True
                )
                readers[source.pod] = reader
                reader.start()
            over = ended and len(sources) <= room and not any(reader.is_alive() for reader in readers.values())
            if over or writer.closed:
                break
            session.cluster.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        return INTERRUPTED
    except NotFound:
        for reader in readers.values():
            reader.join(timeout=0.1)
        click.echo(f"run {name} is gone: it was deleted", err=True)
        return 1
    if not readers:
        click.echo(f"run {name} has ended, and no Pod of it is left to read", err=True)
    return 0


def _endings(session: Session, run: Obj) -> Iterator[bool]:
    """Say again and again whether the run has ended. Raises NotFound when it is gone, and ApiError."""
    name, uid = run["metadata"]["name"], uid_of(run)
    while uid_of(run) == uid:
        yield runs.has_ended(run, generation=rerun_asked(run))
        run = session.cluster.patiently(lambda: session.cluster.get(WORKFLOW_RUNS, name))
    raise NotFound(f"run {name} is another one now")


def _nothing(session: Session, run: Obj, entries: list[Any], node: str | None, attempt: int | None) -> str:
    """Say why there are no logs. The Workflow is asked for only here."""
    workflow = frozen_workflow(session.cluster, run)
    keep = kept_jobs(workflow or {})
    if node is None:
        return no_logs_of_run(run, keep=keep)
    meant = matching(node, entries) or matching(plain_path(node), entries)
    return no_logs(run, meant[0], kind=body_kind(node_spec(workflow, node)), keep=keep, attempt=attempt)
