"""`weft status`: the runs of a namespace, or one run with its nodes and what it waits for.

Without a name it prints the server's own table, as kubectl does; with a name, what kubectl would leave to `describe`
and a good eye. `-o json|yaml` of one run is the object with its nodes in full, wherever they are kept.
"""

import json
import time
from typing import Any

import click
import yaml

from weft.api.objects import Obj
from weft.api.times import moment
from weft.cli import nodes, runs
from weft.cli.detail import run_detail
from weft.cli.session import Session, in_cluster
from weft.cli.table import COLOURS, phase_text, show, table
from weft.cli.visible import visible
from weft.kube.resources import WORKFLOW_RUNS


@click.command()
@click.argument("run", metavar="[RUN]", required=False)
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="The runs of all namespaces.")
@click.option(
    "-o", "--output", type=click.Choice(["wide", "json", "yaml"]), help="wide: more columns; of one run, every item."
)
@in_cluster
def status(session: Session, run: str | None, everywhere: bool, output: str | None) -> None:
    """Show the runs, or where RUN stands and what it waits for."""
    if run is not None and everywhere:
        raise click.UsageError("-A shows all runs; leave RUN out, or name its namespace with -n")
    if run is not None:
        _one(session, run, output)
    elif output in ("json", "yaml"):
        found = session.cluster.find_all(WORKFLOW_RUNS, all_namespaces=everywhere)
        click.echo(dumped({"apiVersion": "v1", "kind": "List", "items": found}, output), nl=False)
    else:
        _all(session, everywhere, wide=output == "wide")


def _one(session: Session, name: str, output: str | None) -> None:
    found = session.find_run(name)
    entries = runs.node_entries(session.cluster, found, outputs=output in ("json", "yaml"))
    if output in ("json", "yaml"):
        click.echo(dumped(runs.unpacked(found, entries), output), nl=False)
        return
    rows = nodes.rows(entries, items=output == "wide")
    show(run_detail(found, entries, rows, now=time.time(), command=session.command))


def _all(session: Session, everywhere: bool, *, wide: bool) -> None:
    columns, cells = run_rows(session.cluster.table(WORKFLOW_RUNS, all_namespaces=everywhere), wide=wide)
    if everywhere:
        columns = ["NAMESPACE", *columns]
    if not cells:
        place = "in any namespace" if everywhere else f"in namespace {session.cluster.namespace}"
        click.echo(f"no runs {place}; start one: {session.command('run', 'WORKFLOW')}", err=True)
        return
    shown = [
        [phase_text(text) if text in COLOURS else text for text in ([namespace, *line] if everywhere else line)]
        for namespace, line in cells
    ]
    show(table(columns, shown))


def run_rows(answer: Obj, *, wide: bool) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Give the columns and, oldest run first, namespace and cells of the server's Table."""
    shown = [place for place, column in enumerate(answer["columnDefinitions"]) if wide or not column.get("priority")]
    columns = [answer["columnDefinitions"][place]["name"].upper() for place in shown]
    lines = sorted(answer["rows"], key=lambda row: _created(row["object"]))
    return columns, [(_namespace(row["object"]), [_cell(row["cells"][place]) for place in shown]) for row in lines]


def _created(obj: Obj) -> tuple[float, str]:
    return moment(obj["metadata"]["creationTimestamp"]) or 0.0, obj["metadata"]["name"]


def _namespace(obj: Obj) -> str:
    return str(obj["metadata"].get("namespace", ""))


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def dumped(obj: Obj, form: str) -> str:
    """Give an object as json or yaml, without the field owners that nobody asked for."""
    bare = _bare(obj)
    if form == "json":
        return visible(json.dumps(bare, indent=2, ensure_ascii=False)) + "\n"
    return yaml.safe_dump(bare, sort_keys=False, allow_unicode=True)


def _bare(obj: Obj) -> Obj:
    if "items" in obj:
        return {**obj, "items": [_bare(item) for item in obj["items"]]}
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}
