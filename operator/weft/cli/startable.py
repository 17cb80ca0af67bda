"""What `weft run -f` starts: of a file one Workflow, one run, or one of each, where the run names the Workflow.

The Workflow of a file is taken as it stands there, whatever the cluster has under its name. All else in the file is
left aside, and what is Weft's of it is told: the command starts a run, and applies nothing.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import click

from weft.api.objects import Obj
from weft.api.problems import Problem
from weft.cli.manifests import Manifest, UnreadableManifest, line, load_manifests
from weft.cli.session import refuse
from weft.graph.validate import is_weft, validate


class Startable(NamedTuple):
    """A run to start, with its Workflow in it or by its name, and what it is called after if it has no name itself."""

    run: Obj
    called: str


def startable(file: str, namespace: str) -> Startable:
    """Give what a file holds to be started in the namespace. Raises ClickException."""
    try:
        manifests = [one for one in load_manifests(file) if is_weft(one.content)]
    except UnreadableManifest as error:
        raise refuse(file, [Problem("", str(error))]) from None
    workflows, runs = (
        [one for one in manifests if one.content.get("kind") == kind] for kind in ("Workflow", "WorkflowRun")
    )
    if max(len(workflows), len(runs)) != 1:
        wanted = "one Workflow or one WorkflowRun, or one of each, the run naming the Workflow"
        told = f"must hold {wanted}; found {len(workflows)} and {len(runs)}; kubectl apply -f takes whatever it holds"
        raise refuse(file, [Problem("", told)])
    problems = [
        Problem(one.at(problem.path), problem.message)
        for one in (*workflows, *runs)
        for problem in _problems(one.content, namespace)
    ]
    if problems := problems or _strangers(workflows, runs):
        raise refuse(file, problems)
    _tell_of(file, (one for one in manifests if one not in (*workflows, *runs)))
    inline = {"workflow": workflows[0].content["spec"]} if workflows else {}
    if not runs:
        return Startable({"spec": inline}, _name(workflows[0].content) or "run")
    run = runs[0].content
    called = _named_by(run) or "run"
    if inline:
        run = {**run, "spec": {key: value for key, value in run["spec"].items() if key != "workflowRef"} | inline}
    return Startable(run, called)


def _problems(content: Obj, here: str) -> list[Problem]:
    """What is wrong with a manifest, but for a run's parameters: the command line may add some, so they come later."""
    is_run = content["kind"] == "WorkflowRun"
    problems = [problem for problem in validate(content) if not (is_run and problem.path == "spec.parameters")]
    namespace = (content.get("metadata") or {}).get("namespace") or here
    if namespace != here:
        told = f"is {namespace!r}, but the run would go to {here!r}; give -n {namespace}"
        problems.append(Problem("metadata.namespace", told))
    return problems


def _strangers(workflows: list[Manifest], runs: list[Manifest]) -> list[Problem]:
    """That a run is of another Workflow than the one beside it."""
    for workflow, run in zip(workflows, runs, strict=False):
        name = _name(workflow.content)
        if _named_by(run.content) != name:
            told = f"must be that of the Workflow beside it, {name!r}, or the run be in a file of its own"
            return [Problem(run.at("spec.workflowRef.name"), told)]
    return []


def _tell_of(file: str, others: Iterable[Manifest]) -> None:
    for one in others:
        what = f"{one.content.get('kind')} {_name(one.content)}"
        told = f"passed over: {what}; the run finds it only where it has been applied"
        click.echo(line(file, one.path, told), err=True)


def _name(content: Mapping[str, Obj]) -> str:
    return str((content.get("metadata") or {}).get("name") or "")


def _named_by(run: Obj) -> str:
    return str((run["spec"].get("workflowRef") or {}).get("name") or "")
