"""`weft run WORKFLOW`: start a run, of a Workflow in the cluster or of a file.

What can be known before the run exists is said before it exists: a Workflow that is not there or not valid, and
parameters that do not fit. Only the parameters given are written into the run; defaults are the Workflow's. Whoever may
create runs, and not read Workflows, starts them all the same: then the operator says it.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import click

from weft.api.base import API_VERSION
from weft.api.conditions import ConditionType, find_condition
from weft.api.objects import Obj
from weft.api.parameters import Parameter, check_parameters
from weft.api.problems import parse
from weft.api.workflowrun import Priority
from weft.cli.follow import follow
from weft.cli.parameters import read_parameters
from weft.cli.refusals import explain
from weft.cli.session import Session, in_cluster
from weft.cli.startable import startable
from weft.kube.errors import AlreadyExists, Forbidden
from weft.kube.resources import WORKFLOW_RUNS, WORKFLOWS

PRIORITIES = get_args(Priority)


@dataclass(frozen=True)
class Wish:
    """What the command line asks of the run, beside its workflow and its parameters."""

    name: str | None = None
    queue: str | None = None
    priority: str | None = None


@click.command()
@click.argument("workflow", metavar="[WORKFLOW]", required=False)
@click.option("-f", "--file", metavar="FILE", help="A Workflow, to run inline; a WorkflowRun; or both (- for stdin).")
@click.option(
    "-p", "--param", "params", metavar="NAME=VALUE", multiple=True, help="A parameter; arrays and objects as JSON."
)
@click.option("--name", metavar="NAME", help="The run's name; <workflow>-<random> by default.")
@click.option("--queue", metavar="NAME", help="The WorkflowQueue to wait in.")
@click.option(
    "--priority",
    type=click.Choice(PRIORITIES, case_sensitive=False),
    metavar="|".join(PRIORITIES),
    help="Which runs of a queue go first.",
)
@click.option("--follow", "following", is_flag=True, help="Show the run until it has ended.")
@click.option("--wait", is_flag=True, help="Wait, silently, until the run has ended.")
@in_cluster
def run(
    session: Session,
    workflow: str | None,
    file: str | None,
    params: tuple[str, ...],
    name: str | None,
    queue: str | None,
    priority: str | None,
    following: bool,
    wait: bool,
) -> None:
    """Start a run of WORKFLOW and print the run's name.

    With --follow or --wait the exit status tells how the run ended: 0 Succeeded, 1 Failed, 2 Cancelled (or, with
    nothing on stdout, a wrong command line). Ctrl-C ends the following, not the run.
    """
    if (workflow is None) == (file is None):
        raise click.UsageError("give the name of a Workflow, or a file with -f; one of the two")
    wish = Wish(name, queue, priority)
    body = _of_file(session, file, params, wish) if file else _of_workflow(session, str(workflow), params, wish)
    try:
        created = session.cluster.create(WORKFLOW_RUNS, body)
    except AlreadyExists:
        taken = body["metadata"]["name"]
        raise click.ClickException(f"there is a run {taken!r} already; give another --name") from None
    started = created["metadata"]["name"]
    click.echo(started)
    if following or wait:
        sys.exit(follow(session, started, quiet=not following))


def _of_workflow(session: Session, name: str, params: Iterable[str], wish: Wish) -> Obj:
    workflow = _readable(session, name)
    if workflow is not None and (problem := not_ready(workflow)):
        raise click.ClickException(f"Workflow {name} is invalid: {problem}")
    parameters = declared(workflow["spec"]) if workflow is not None else None
    return run_of({"workflowRef": {"name": name}}, name, _values(params, parameters, {}), wish)


def _readable(session: Session, name: str) -> Obj | None:
    """The Workflow of that name; None, and a note, for a user who may not read it."""
    try:
        return session.find(WORKFLOWS, name)
    except Forbidden as error:
        click.echo(f"Workflow {name} cannot be read: {explain(error)}; the operator checks the run", err=True)
        return None


def _of_file(session: Session, file: str, params: Iterable[str], wish: Wish) -> Obj:
    manifest, called = startable(file, session.cluster.namespace)
    spec = manifest["spec"]
    if spec.get("workflow") is not None:
        source, its = {"workflow": spec["workflow"]}, spec["workflow"]
    else:
        source, its = {"workflowRef": spec["workflowRef"]}, (_readable(session, called) or {}).get("spec")
    parameters = declared(its) if its is not None else None
    body = run_of(source, called, _values(params, parameters, spec.get("parameters") or {}), wish)
    metadata = dict(manifest.get("metadata") or {})
    if wish.name or not (metadata.get("name") or metadata.get("generateName")):
        metadata = {key: value for key, value in metadata.items() if key not in ("name", "generateName")}
        metadata |= body["metadata"]
    return {**body, "metadata": metadata, "spec": {**spec, **body["spec"]}}


def run_of(source: Obj, name: str, values: Obj, wish: Wish) -> Obj:
    """Give the WorkflowRun to create: `source` is its workflowRef or workflow, `name` what its name begins with."""
    metadata = {"name": wish.name} if wish.name else {"generateName": f"{name}-"}
    spec: Obj = dict(source)
    if values:
        spec["parameters"] = values
    for field, value in (("queue", wish.queue), ("priority", wish.priority)):
        if value:
            spec[field] = value
    return {"apiVersion": API_VERSION, "kind": "WorkflowRun", "metadata": metadata, "spec": spec}


def declared(spec: Mapping[str, Any]) -> list[Parameter]:
    """Give the parameters a Workflow's spec declares; what cannot be read is the operator's to complain of."""
    found = (parse(Parameter, parameter)[0] for parameter in spec.get("parameters") or ())
    return [parameter for parameter in found if parameter is not None]


def not_ready(workflow: Obj) -> str:
    """Give the message of a Workflow whose Ready condition is False for the spec it has now; "" for any other."""
    ready = find_condition((workflow.get("status") or {}).get("conditions") or (), ConditionType.Ready) or {}
    speaks_of = ready.get("observedGeneration", workflow["status"].get("observedGeneration") if ready else None)
    current = ready.get("status") == "False" and speaks_of == workflow["metadata"].get("generation")
    return str(ready.get("message") or "") if current else ""


def _values(params: Iterable[str], parameters: list[Parameter] | None, given: Obj) -> Obj:
    """The values of a file and of the command line, checked, unless nobody knows what they have to be (None)."""
    values, problems = read_parameters(params, parameters)
    merged = {**given, **values}
    if parameters is not None:
        # What could not be read would be reported as missing, too.
        problems = problems or check_parameters(parameters, merged)[1]
    elif values:
        told = """values of -p are JSON where they can be, else strings; a string that looks like JSON: -p 'name="7"'"""
        click.echo(told, err=True)
    if problems:
        raise click.ClickException("; ".join(problems))
    return merged
