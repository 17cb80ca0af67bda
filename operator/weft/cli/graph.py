"""`weft graph FILE`: a picture of the first Workflow in a file, also of one that is not right yet."""

import sys
from collections.abc import Callable
from typing import NoReturn

import click

from weft.api.problems import Problem, parse
from weft.api.workflow import Workflow, WorkflowSpec
from weft.api.workflowrun import WorkflowRun
from weft.cli.manifests import Manifest, UnreadableManifest, line, load_manifests
from weft.cli.visible import visible
from weft.graph.dot import to_dot
from weft.graph.draw import Drawing, draw, to_json
from weft.graph.mermaid import to_mermaid
from weft.graph.validate import is_weft

FORMATS: dict[str, Callable[[Drawing], str]] = {"mermaid": to_mermaid, "dot": to_dot, "json": to_json}


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="mermaid", show_default=True)
def graph(file: str, form: str) -> None:
    """Draw the first Workflow in FILE (- for stdin), or a WorkflowRun's inline workflow."""
    try:
        manifests = load_manifests(file)
    except UnreadableManifest as error:
        _give_up([line(file, "", str(error))])
    manifest = next((one for one in manifests if _has_graph(one)), None)
    if manifest is None:
        _give_up([line(file, "", "there is no Workflow in it, nor a WorkflowRun with an inline workflow")])
    spec, problems = _spec(manifest)
    if spec is None:
        _give_up([line(file, manifest.at(problem.path), problem.message) for problem in problems])
    click.echo(visible(FORMATS[form](draw(spec))))


def _give_up(lines: list[str]) -> NoReturn:
    for text in lines:
        click.echo(text, err=True)
    sys.exit(1)


def _has_graph(manifest: Manifest) -> bool:
    content = manifest.content
    if not is_weft(content):
        return False
    spec = content.get("spec")
    return content.get("kind") == "Workflow" or (
        content.get("kind") == "WorkflowRun" and isinstance(spec, dict) and "workflow" in spec
    )


def _spec(manifest: Manifest) -> tuple[WorkflowSpec | None, list[Problem]]:
    if manifest.content["kind"] == "Workflow":
        workflow, problems = parse(Workflow, manifest.content)
        return workflow.spec if workflow else None, problems
    run, problems = parse(WorkflowRun, manifest.content)
    return run.spec.workflow if run else None, problems
