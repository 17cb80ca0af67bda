"""Simulations in a line, and their results in a word, so that a test case reads as a sentence.

    ran = simulate("nodes: [{name: a, job: {image: i}}]", "events: [{node: a, exitCode: 1}]")
    ran.nodes == {"a": "Failed(Error) 0-1"}

A node reads as phase, reason in brackets, start-end, and xN for N attempts other than one; `J` in a workflow stands for
a job.
"""

from dataclasses import dataclass
from typing import Any

import yaml
from weft.simulate.program import Document, Program, load_program
from weft.simulate.report import json_report
from weft.simulate.scenario import parse_scenario
from weft.simulate.world import World

JOB = {"image": "example/work:1"}
BAD = "events: [{node: bad, exitCode: 1}, {node: slow, durationSeconds: 3}]"
"""A scenario: the node called bad fails, while the one called slow still runs."""


@dataclass
class Ran:
    report: dict[str, Any]

    @property
    def nodes(self) -> dict[str, str]:
        return {name: shown(node) for name, node in self.report["nodes"].items()}

    @property
    def jobs(self) -> list[str]:
        return [_job(job) for job in self.report["jobs"]]

    @property
    def outcome(self) -> str:
        return f"{self.report['outcome']}({self.report['reason']}) {self.report['makespanSeconds']:g}"

    def items(self, node: str) -> list[str]:
        return [shown(item) for item in self.report["nodes"][node]["items"]]

    def outputs(self, node: str) -> Any:
        return self.report["nodes"][node]["outputs"]

    def message(self) -> str:
        return self.report["message"]


def shown(node: dict[str, Any]) -> str:
    reason = f"({node['reason']})" if node.get("reason") else ""
    end = "" if node["end"] is None else f"{node['end']:g}"
    times = "" if node["start"] is None else f" {node['start']:g}-{end}"
    attempts = "" if node["attempts"] <= 1 else f" x{node['attempts']}"
    return f"{node['phase']}{reason}{times}{attempts}"


def _job(job: dict[str, Any]) -> str:
    index = "" if job["index"] is None else f"[{job['index']}]"
    iteration = "" if job["iteration"] is None else f"<{job['iteration']}>"
    role = "~" if job["role"] == "compensate" else ""
    return f"{role}{job['node']}{index}{iteration}#{job['attempt']} {job['start']:g}-{job['end']:g}"


def program(workflow: str | dict[str, Any], others: str = "") -> Program:
    """A spec (YAML or a mapping; J is a job) and further documents, loaded as from a file. Fails on any problem."""
    spec = yaml.safe_load(workflow) if isinstance(workflow, str) else workflow
    first = {"apiVersion": "weft.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "test"}, "spec": spec}
    loaded, problems = load_program(Document(_with_jobs(document)) for document in [first, *yaml.safe_load_all(others)])
    assert loaded is not None, [str(problem) for problem in problems]
    return loaded


def simulate(
    workflow: str | dict[str, Any],
    scenario: str | dict[str, Any] = "",
    *,
    params: dict[str, Any] | None = None,
    others: str = "",
    seed: int | None = None,
) -> Ran:
    loaded = program(workflow, others)
    given, problems = parse_scenario(yaml.safe_load(scenario) if isinstance(scenario, str) else scenario)
    assert given is not None, [str(problem) for problem in problems]
    values, wrong = loaded.check(params or {})
    assert not wrong, wrong
    return Ran(json_report(World(loaded.workflows, given, seed=seed).run(loaded.main, values)))


def _with_jobs(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: JOB if key == "job" and item == "J" else _with_jobs(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_jobs(item) for item in value]
    return value
