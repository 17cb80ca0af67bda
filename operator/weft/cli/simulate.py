"""`weft simulate FILE`: the real engine on a virtual clock, without a cluster.

What is wrong with the workflow, its parameters or the scenario goes to stderr as `file: path: message`, exit status 1.
However the run itself ends, the exit status is 0. What a scenario says of nodes that are not there is only told, and so
is what it does not say of outputs that are read, and what `weft validate` notes of the workflows.
"""

import re
import shutil
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

import click
import orjson

from weft.api.conditions import Reason
from weft.api.nodetype import NodeType
from weft.api.problems import Problem, parse
from weft.cli.manifests import Manifest, UnreadableManifest, line, load_manifests
from weft.cli.parameters import read_parameters
from weft.cli.visible import visible
from weft.graph.notes import notes_on
from weft.simulate.history import History
from weft.simulate.program import Document, Program, load_program
from weft.simulate.report import json_report, node_reports, pods
from weft.simulate.scenario import Scenario, parse_scenario
from weft.simulate.timeline import timeline
from weft.simulate.unmatched import unmatched
from weft.simulate.world import ScenarioError, World


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--scenario", metavar="FILE", help="What the world does: durations, failures, decisions, stops (YAML).")
@click.option(
    "-p", "--param", "params", metavar="NAME=VALUE", multiple=True, help="A parameter; arrays and objects as JSON."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a timeline.")
@click.option(
    "--seed", type=int, metavar="N", help="Let chance (the jitter of back-offs) play, always the same for one N."
)
def simulate(file: str, scenario: str | None, params: tuple[str, ...], as_json: bool, seed: int | None) -> None:
    """Run a workflow on a virtual clock, without a cluster.

    The first Workflow of FILE (- for stdin) runs; its other documents can be named by `workflow` and `use`. Without a
    scenario, every attempt succeeds after one second and writes no outputs. Exit status 0 however the run ends, 1 if
    FILE, a parameter or the scenario is invalid.
    """
    program = _program(file)
    values = _values(file, program, params)
    happens = _scenario(scenario)
    for problem in unmatched(happens, program):
        print(line(scenario or file, problem.path, problem.message), file=sys.stderr)
    world = World(program.workflows, happens, seed=seed)
    try:
        history = world.run(program.main, values)
    except ScenarioError as error:
        _refuse(scenario or file, [Problem("", str(error))])
    for hint in _hints(history):
        print(line(scenario or file, "", hint), file=sys.stderr)
    if as_json:
        text = orjson.dumps(json_report(history), option=orjson.OPT_INDENT_2).decode() + "\n"
    else:
        text = timeline(history, width=shutil.get_terminal_size((100, 24)).columns)
    sys.stdout.write(visible(text))


def _program(file: str) -> Program:
    manifests = _read(file)
    program, problems = load_program(Document(one.content, one.path) for one in manifests)
    if program is None:
        _refuse(file, problems)
    kinds = ("Workflow", "NodeType")
    simulated = [one for one in manifests if isinstance(one.content, dict) and one.content.get("kind") in kinds]
    types = [parse(NodeType, one.content)[0] for one in simulated if one.content["kind"] == "NodeType"]
    known = {one.metadata.name: one.spec for one in types if one is not None}
    for one in simulated:
        for note in notes_on(one.content, known):
            print(line(file, one.at(note.path), note.message), file=sys.stderr)
    return program


def _values(file: str, program: Program, params: Iterable[str]) -> dict[str, Any]:
    given, unreadable = read_parameters(params, program.parameters)
    values, wrong = program.check(given)
    if unreadable:  # what could not be read would be reported as missing, too
        wrong = unreadable
    if wrong:
        _refuse(file, [Problem("parameters", message) for message in wrong])
    return values


_NO_KEY = re.compile(r"no such key: (\S+) at [^`]*`([^`]*)`")


def _hints(history: History) -> list[str]:
    """What a scenario lacks where an expression read an output that no event gave to a Job, once per output."""
    reports, state = node_reports(history), history.run.state
    failed = {path: report.whole.message for path, report in reports.items()}
    if state.reason == Reason.ExpressionError:
        failed[state.workflow.name] = state.message
    jobs = reports.keys() & {attempt.place.node for attempt in pods(history.attempts)}
    hints: dict[tuple[str, str], str] = {}
    for reader, message in failed.items():
        for key, text in _NO_KEY.findall(message):
            for name in re.findall(rf"\bnodes\W+([\w-]+)\W+outputs\W+{re.escape(key)}\b", text):
                job = "/".join([*reader.split("/")[:-1], name])
                if job in jobs and key not in (reports[job].whole.outputs or {}):
                    told = f"no event gives {job} the output {key!r} that {reader} reads; add to a scenario's events: "
                    hints.setdefault((job, key), f"{told}{{node: {job}, outputs: {{{key}: ...}}}}")
    return list(hints.values())


def _scenario(file: str | None) -> Scenario:
    if file is None:
        return Scenario()
    documents = _read(file)
    if len(documents) > 1:
        _refuse(file, [Problem("", f"holds {len(documents)} documents; a scenario is one")])
    scenario, problems = parse_scenario(documents[0].content if documents else None)
    if scenario is None:
        _refuse(file, problems)
    return scenario


def _read(file: str) -> list[Manifest]:
    try:
        return load_manifests(file)
    except UnreadableManifest as error:
        _refuse(file, [Problem("", str(error))])


def _refuse(file: str, problems: Iterable[Problem]) -> NoReturn:
    for problem in problems:
        print(line(file, problem.path, problem.message), file=sys.stderr)
    sys.exit(1)
