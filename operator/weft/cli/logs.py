"""`weft logs RUN [NODE]`: what the containers of a run have written, of each node's and item's latest attempt.

Pods say by an annotation which attempt they are, so this finds them by the run's label and reads the container `main`.
With `-f` it looks for new Pods every second and reads each to its end, until the run has ended.
"""

import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from weft.api.conditions import NodePhase, Reason
from weft.cli import runs
from weft.cli.frozen import body_kind, frozen_workflow, node_spec
from weft.cli.nodes import Entry, matching, plain, unknown_node
from weft.cli.refusals import explain
from weft.cli.session import Session, in_cluster
from weft.kube.errors import ApiError
from weft.kube.objects import Obj, annotation, uid_of
from weft.render.names import IDENTITY_ANNOTATION, NODE_LABEL, RUN_LABEL, label_value, parse_identity

CONTAINER = "main"
MAX_FOLLOWED = 50
"""Logs followed at once; the next one begins when one of them has ended."""
POLL_SECONDS = 1
INTERRUPTED = 130

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")


@dataclass(frozen=True)
class Source:
    """One Pod of a run: which attempt of what it is, and whether it has started to write."""

    pod: str
    path: str
    index: int | None
    iteration: int | None
    role: str
    attempt: int
    started: bool
    waits: str = ""

    @property
    def place(self) -> str:
        """The path with the position in the node's own loop: price[3]."""
        position = self.index if self.index is not None else self.iteration
        return self.path if position is None else f"{self.path}[{position}]"

    @property
    def title(self) -> str:
        """What its lines begin with: price[3]#2."""
        return f"{self.place}{'' if self.role == 'main' else ' ' + self.role}#{self.attempt}"


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
    if node is not None and plain(node) not in {plain(entry["name"]) for entry in entries}:
        raise click.ClickException(unknown_node(node, run, entries))
    selection = Selection(session, found, node, attempt, item)
    if follow:
        sys.exit(_follow(session, selection))
    sources = selection.look()
    if not sources:
        raise click.ClickException(_nothing(session, found, entries, node, attempt))
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


def source_of(pod: Obj, run_uid: str) -> Source | None:
    """Give what a Pod is of the run of that UID; None for a stranger."""
    identity = parse_identity(annotation(pod, IDENTITY_ANNOTATION) or "")
    if identity is None or identity[0] != run_uid:
        return None
    status: dict[str, Any] = pod.get("status") or {}
    states = [one.get("state") or {} for one in status.get("containerStatuses") or () if one["name"] == CONTAINER]
    state = states[0] if states else {}
    started = "running" in state or "terminated" in state
    waits = (state.get("waiting") or {}).get("reason") or status.get("reason") or status.get("phase") or "Pending"
    path, index, iteration, role, attempt = identity[1]
    name = pod["metadata"]["name"]
    return Source(name, path, index, iteration, role, attempt, started=started, waits="" if started else waits)


def chosen(sources: Iterable[Source], *, node: str | None, attempt: int | None, item: int | None) -> list[Source]:
    """Give those that are meant, in the order of their names: of each item the latest attempt, or the one asked for."""
    latest: dict[tuple[Any, ...], Source] = {}
    for source in sources:
        if not _is_meant(source, node, item) or attempt not in (None, source.attempt):
            continue
        key = (source.path, source.index, source.iteration, source.role)
        if key not in latest or latest[key].attempt < source.attempt:
            latest[key] = source
    order = sorted(latest.items(), key=lambda found: tuple(-1 if part is None else part for part in found[0]))
    return [source for _, source in order]


def _is_meant(source: Source, node: str | None, item: int | None) -> bool:
    if item is not None and source.index != item and f"[{item}]" not in source.path:
        return False
    if node is None:
        return True
    inside = (f"{node}/", f"{node}[")
    return any(place == node or place.startswith(inside) for place in (source.place, plain(source.place)))


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
                except BrokenPipeError:
                    self.closed = True
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
        click.echo(f"{source.title}: Pod {source.pod} has not started yet ({source.waits})", err=True)
        return 0
    try:
        writer.write(source, session.cluster.log(source.pod, container=CONTAINER, follow=follow))
    except ApiError as error:
        click.echo(f"{source.title}: {explain(error)}", err=True)
        return 1
    return 0


def _follow(session: Session, selection: Selection) -> int:
    """Follow every Pod that is meant, also those to come, until the run has ended."""
    writer = Writer(titled=True)
    readers: dict[str, threading.Thread] = {}
    name = selection.run["metadata"]["name"]
    try:
        for ended in _endings(session, selection.run):
            sources = [source for source in selection.look() if source.started and source.pod not in readers]
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
    if not readers:
        click.echo(f"run {name} has ended, and no Pod of it is left to read", err=True)
    return 0


def _endings(session: Session, run: Obj) -> Iterator[bool]:
    """Say again and again whether the run has ended, or is gone."""
    while True:
        generation = (run["spec"].get("rerun") or {}).get("generation") or 0
        yield runs.has_ended(run, generation=generation)
        run = session.find_run(run["metadata"]["name"])


def _nothing(session: Session, run: Obj, entries: list[Any], node: str | None, attempt: int | None) -> str:
    """Say why there are no logs. The Workflow is asked for only here."""
    workflow = frozen_workflow(session.cluster, run)
    keep = ((workflow or {}).get("jobs") or {}).get("keep") or "Failed"
    if node is None:
        return no_logs_of_run(run, keep=keep)
    meant = matching(node, entries) or matching(plain(node), entries)
    return no_logs(run, meant[0], kind=body_kind(node_spec(workflow, node)), keep=keep, attempt=attempt)


def no_logs_of_run(run: Obj, *, keep: str) -> str:
    """Say why a run as a whole has no logs."""
    name = run["metadata"]["name"]
    if runs.has_ended(run):
        return f"no Pod of run {name} is left: {_cleaned(keep)}"
    reason, message = runs.why(run)
    return f"no Pod of run {name} has started yet ({': '.join(filter(None, (reason, message))) or runs.phase_of(run)})"


def no_logs(run: Obj, entry: Entry, *, kind: str, keep: str, attempt: int | None) -> str:
    """Say why a node has no logs. `kind` is its body ("" when not known), `keep` the Workflow's jobs.keep."""
    name, path = run["metadata"]["name"], entry["name"]
    phase, reason, attempts = entry.get("phase"), entry.get("reason") or "", entry.get("attempts") or 0
    if kind == "workflow":
        labels = f"{RUN_LABEL}={label_value(name)},{NODE_LABEL}={label_value(path)}"
        return f"node {path} is carried out by a run of its own; find its name with: kubectl get wfr -l {labels}"
    if kind not in ("", "job", "graph", "use"):
        return f"node {path} has no Pod, hence no logs: its body is {kind}"
    if phase == NodePhase.Skipped:
        return f"node {path} was skipped ({reason}), hence no logs"
    if reason == Reason.Cached:
        return f"node {path} took its outputs from the cache, hence no logs of this run"
    if attempts == 0:
        told = ": ".join(filter(None, (reason, entry.get("message")))) or phase
        return f"node {path} has not started yet ({told})"
    if attempt is not None and "itemCount" not in entry and attempt > attempts:
        return f"node {path} has made {attempts} attempts so far; there is no attempt {attempt}"
    if runs.has_ended(run):
        return f"the Pods of node {path} are gone: {_cleaned(keep)}"
    return f"node {path} has no Pod at the moment ({': '.join(filter(None, (str(phase), reason)))})"


def _cleaned(keep: str) -> str:
    return (
        f"Jobs are deleted when a run ends (jobs.keep is {keep}); to keep all of them, set spec.jobs.keep: All in the"
        " Workflow"
    )
