"""`weft stop`, `suspend`, `resume`, `rerun`: each one small merge patch of a run's spec.

The patches are pure functions of the run as it is, so that what cannot be asked (to stop less than before, to rerun
what still runs) is refused here with the mend, before the API server refuses it with a rule.
"""

import sys
from collections.abc import Sequence
from typing import get_args

import click

from weft.api.objects import Obj
from weft.api.paths import plain_path
from weft.api.workflowrun import RerunFrom, Stop
from weft.cli import runs
from weft.cli.follow import follow
from weft.cli.nodes import Entry, unknown_node
from weft.cli.session import Session, in_cluster
from weft.controllers.run_facts import rerun_asked, rerun_known
from weft.kube.resources import WORKFLOW_RUNS

STOPS: tuple[str, ...] = get_args(Stop)
FROM: tuple[str, ...] = get_args(RerunFrom)


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--drain", is_flag=True, help="Let running Jobs end.")
@click.option("--cancel", is_flag=True, help="Stop running Jobs too; compensate, run finally (default).")
@click.option("--terminate", is_flag=True, help="Skip compensation and finally as well.")
@in_cluster
def stop(session: Session, run: str, drain: bool, cancel: bool, terminate: bool) -> None:
    """End RUN early. A stop can only be made stronger: Drain, Cancel, Terminate."""
    given = [how for how, asked in zip(STOPS, (drain, cancel, terminate), strict=True) if asked]
    if len(given) > 1:
        raise click.UsageError("give one of --drain, --cancel and --terminate")
    how = given[0] if given else None
    found = session.find_run(run)
    patch = stop_patch(found, how)
    if patch is None:
        click.echo(f"run {run} is being stopped already ({found['spec']['stop']})")
        return
    session.cluster.patch(WORKFLOW_RUNS, run, patch)
    click.echo(f"run {run} is being stopped ({patch['spec']['stop']})")


def stop_patch(run: Obj, how: str | None) -> Obj | None:
    """Give the patch that stops a run, None when it is being stopped that way already.

    Without `how`: Cancel, or whatever stronger stop there is. Raises ClickException.
    """
    runs.must_be_active(run, "stopped")
    now = run["spec"].get("stop")
    wanted = how or "Cancel"
    if now is None or STOPS.index(wanted) > STOPS.index(now):
        return {"spec": {"stop": wanted}}
    if how is None or wanted == now:
        return None
    name = run["metadata"]["name"]
    raise click.ClickException(f"run {name} is being stopped by {now}; a stop can only be made stronger, not {wanted}")


@click.command()
@click.argument("run", metavar="RUN")
@in_cluster
def suspend(session: Session, run: str) -> None:
    """Let RUN start nothing new. What runs goes on; approvals are still recorded; its clocks stand still."""
    _set_suspend(session, run, True)


@click.command()
@click.argument("run", metavar="RUN")
@in_cluster
def resume(session: Session, run: str) -> None:
    """Let a suspended RUN go on."""
    _set_suspend(session, run, False)


def _set_suspend(session: Session, name: str, wanted: bool) -> None:
    done = "suspended" if wanted else "resumed"
    found = session.find_run(name)
    runs.must_be_active(found, done)
    if bool(found["spec"].get("suspend")) == wanted:
        click.echo(f"run {name} is suspended already" if wanted else f"run {name} is not suspended")
        return
    session.cluster.patch(WORKFLOW_RUNS, name, {"spec": {"suspend": wanted}})
    click.echo(f"run {name} is {done}")


@click.command()
@click.argument("run", metavar="RUN")
@click.option(
    "--from", "start", type=click.Choice(FROM, case_sensitive=False), metavar="|".join(FROM),
    help="Failed (default): what has not succeeded. Nodes: those of --node and all after them. All: everything.",
)  # fmt: skip
@click.option("--node", "paths", metavar="NODE", multiple=True, help="A node to do again, with all after it.")
@click.option("--follow", "following", is_flag=True, help="Show the run until it has ended.")
@click.option("--wait", is_flag=True, help="Wait, silently, until the run has ended.")
@in_cluster
def rerun(session: Session, run: str, start: str | None, paths: tuple[str, ...], following: bool, wait: bool) -> None:
    """Do nodes of RUN again, which has ended. What succeeded and is not asked for keeps its outputs.

    A stop is cleared. With --follow or --wait the exit status tells how the run ended: 0 Succeeded, 1 Failed,
    2 Cancelled (or, with nothing on stdout, a wrong command line).
    """
    origin = origin_of(start, paths)
    found = session.find_run(run)
    patch = rerun_patch(found, runs.node_entries(session.cluster, found), origin, paths)
    session.cluster.patch(WORKFLOW_RUNS, run, patch)
    asked = patch["spec"]["rerun"]
    click.echo(f"run {run} is run again from {asked['from']} (rerun {asked['generation']})", err=following)
    if found["spec"].get("suspend"):
        click.echo(f"it is suspended; to let it go on: {session.command('resume', run)}", err=True)
    if following or wait:
        sys.exit(follow(session, run, generation=asked["generation"], quiet=not following))


def origin_of(start: str | None, paths: Sequence[str]) -> str:
    """Give what a rerun starts from, by --from and --node. Raises UsageError."""
    origin = start or ("Nodes" if paths else "Failed")
    if (origin == "Nodes") != bool(paths):
        raise click.UsageError("--from Nodes needs --node, and --node goes with --from Nodes alone")
    return origin


def rerun_patch(run: Obj, entries: Sequence[Entry], origin: str, paths: Sequence[str]) -> Obj:
    """Give the patch that reruns a run which has ended; it also clears a stop. Raises ClickException."""
    name = run["metadata"]["name"]
    if not runs.has_ended(run):
        raise click.ClickException(f"run {name} is active ({runs.phase_of(run)}); wait for its end, or stop it first")
    known = {plain_path(entry["name"]) for entry in entries}
    for path in paths:
        if plain_path(path) not in known:
            raise click.ClickException(unknown_node(path, name, entries))
    last = max(rerun_known(run), rerun_asked(run))
    # A null removes the nodes of an earlier rerun, which would be merged with this one otherwise.
    return {"spec": {"rerun": {"generation": last + 1, "from": origin, "nodes": list(paths) or None}, "stop": None}}
