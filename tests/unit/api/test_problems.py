"""Bad YAML becomes a path, what is wrong there, and the mend."""

from typing import Any

import pytest
import yaml
from weft.api.problems import MOST_PROBLEMS, Problem, parse, path_text
from weft.api.workflow import Workflow
from weft.api.workflowrun import WorkflowRun


def problems(text: str) -> list[str]:
    workflow, found = parse(Workflow, {"metadata": {"name": "w"}, "spec": yaml.safe_load(text)})
    assert workflow is None
    return [str(problem) for problem in found]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "nodes: [{name: a, job: {}, dependOn: [b]}]",
            "spec.nodes[0]: unknown field 'dependOn'; did you mean 'dependsOn'?",
        ),
        (
            "nodes: [{name: a, job: {}, depends_on: []}]",
            "spec.nodes[0]: unknown field 'depends_on'; did you mean 'dependsOn'?",
        ),
        (
            "nodes: [{name: a, wait: {zzz: 1, seconds: 1}}]",
            "spec.nodes[0].wait: unknown field 'zzz'; known: seconds, until",
        ),
        (
            "nodes: [{name: a, job: {resources: {limit: {}}}}]",
            "spec.nodes[0].job.resources: unknown field 'limit'; did you mean 'limits'?",
        ),
        (
            "nodes: [{name: a, job: {}, runAfter: [b]}]",
            "spec.nodes[0]: unknown field 'runAfter'; here it is dependsOn",
        ),
        (
            "nodes: [{name: a, job: {}, onError: continue}]",
            "spec.nodes[0]: unknown field 'onError'; here it is allowFailure: true",
        ),
        (
            "nodes: [{name: a, wait: {suspend: true, seconds: 1}}]",  # what would be said has no place here
            "spec.nodes[0].wait: unknown field 'suspend'; known: seconds, until",
        ),
        ("nodes: [{name: a, job: {}, retry: {limit: -1}}]", "spec.nodes[0].retry.limit: must be at least 0, got -1"),
        (
            "nodes: [{name: a, job: {}, retry: {backoff: {jitter: 1.5}}}]",
            "spec.nodes[0].retry.backoff.jitter: must be at most 1, got 1.5",
        ),
        (
            "nodes: [{name: a, job: {}, retry: {limit: '3'}}]",
            "spec.nodes[0].retry.limit: must be a whole number, got the string '3'; write 3 without quotes",
        ),
        (
            "nodes: [{name: a, job: {}, retry: {limit: 3.5}}]",
            "spec.nodes[0].retry.limit: must be a whole number, got the number 3.5",
        ),
        (
            "nodes: [{name: a, job: {}, retry: 3}]",
            "spec.nodes[0].retry: must be an object, got the number 3",
        ),
        (
            "nodes: [{name: a, job: {}, allowFailure: 'true'}]",
            "spec.nodes[0].allowFailure: must be a boolean (true or false), got the string 'true';"
            " write true without quotes",
        ),
        (
            "nodes: [{name: a, job: {env: [{name: A, value: 5}]}}]",
            'spec.nodes[0].job.env[0].value: must be a string, got the number 5; put it in quotes: "5"',
        ),
        (
            "nodes: [{name: no, job: {}}]",
            "spec.nodes[0].name: must be a string, got the boolean false;"
            " YAML reads on, off, yes, no, y and n as booleans; put it in quotes",
        ),
        (
            "nodes: [{name: a, job: {command: python}}]",
            "spec.nodes[0].job.command: must be a list, got the string 'python';"
            " write each item on a line of its own, after '- '",
        ),
        (
            "nodes: [{name: a, job: {}}, {name: a, job: {}}]",
            "spec.nodes: the name 'a' is used twice, at [0] and [1]; names are unique",
        ),
        ("nodes: [{job: {}}]", "spec.nodes[0].name: is required"),
        ("nodes: []", "spec.nodes: must have at least 1 items, got 0"),
        ("{}", "spec.nodes: is required"),
        ("nodes: null", "spec.nodes: is required"),
        (
            "{failurePolicy: drain, nodes: [{name: a, job: {}}]}",
            "spec.failurePolicy: must be one of Cancel, Drain, Continue, got the string 'drain'; did you mean Drain?",
        ),
        (
            "{jobs: {keep: off}, nodes: [{name: a, job: {}}]}",
            "spec.jobs.keep: must be one of All, Failed, None, got the boolean false;"
            " YAML reads on, off, yes, no, y and n as booleans; put it in quotes",
        ),
        (
            "nodes: [{name: a, job: {resources: {requests: {cpu: 0.5}}}}]",
            'spec.nodes[0].job.resources.requests.cpu: must be a whole number or a string, got 0.5; write it as "0.5"',
        ),
        (
            "nodes: [{name: a, expr: {'1 x': '2'}}]",
            "spec.nodes[0].expr[\"1 x\"]: must be letters, digits, '_' and '-', starting with a letter or '_',"
            " got '1 x'",
        ),
        (
            "nodes: [{name: a, job: {}, on: x}]",
            "spec.nodes[0]: the key True is not a string; YAML reads on, off, yes, no, y and n as booleans;"
            " put it in quotes",
        ),
        (
            "nodes: [{name: a, use: {name: Foo_}}]",
            "spec.nodes[0].use.name: must be the name of a Kubernetes object: lower-case letters, digits, '-' and '.',"
            " got 'Foo_'",
        ),
        (
            "nodes: [{name: a, resource: {manifest: {kind: Pod}}}]",
            "spec.nodes[0].resource.manifest: needs apiVersion",
        ),
    ],
)
def test_a_mistake_is_told_with_its_mend(text: str, said: str) -> None:
    assert problems(text) == [said]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "job: {labels: {yes: x}}",
            "spec.nodes[0].job.labels: the key True is not a string;"
            " YAML reads on, off, yes, no, y and n as booleans; put it in quotes",
        ),
        ("job: {labels: {1: x}}", 'spec.nodes[0].job.labels: the key 1 is not a string; put it in quotes: "1"'),
        ("expr: {no: '1'}", "spec.nodes[0].expr: the key False is not a string; YAML reads on, off"),
        ("use: {name: a, with: {1.5: x}}", "spec.nodes[0].use.with: the key 1.5 is not a string; put it in quotes"),
    ],
)
def test_a_key_that_is_no_string_is_told_where_its_map_stands(text: str, said: str) -> None:
    (problem,) = problems(f"nodes: [{{name: a, {text}}}]")
    assert problem.startswith(said)


def test_every_mistake_is_told_at_once() -> None:
    found = problems("{nodes: [{name: A, job: {}, jon: 1}, {name: b, wait: {seconds: []}}], outputs: [{name: x}]}")
    assert [problem.split(":")[0] for problem in found] == [
        "spec.nodes[0].name",
        "spec.nodes[0]",
        "spec.nodes[1].wait.seconds",
        "spec.outputs[0].value",
    ]


@pytest.mark.parametrize("given", [None, "text", 5, [1], {}])
def test_anything_can_be_parsed_without_an_exception(given: Any) -> None:
    workflow, found = parse(Workflow, given)
    assert workflow is None
    assert found


def test_another_kind_is_refused() -> None:
    _, found = parse(WorkflowRun, {"kind": "Workflow", "spec": {"workflowRef": {"name": "w"}}})
    assert found == [
        Problem("kind", "must be one of WorkflowRun, got the string 'Workflow'; did you mean WorkflowRun?")
    ]


@pytest.mark.parametrize(
    ("location", "text"),
    [
        (("spec", "nodes", 3, "retry", "limit"), "spec.nodes[3].retry.limit"),
        (("spec", "parameters", "a b"), 'spec.parameters["a b"]'),
        ((), ""),
    ],
)
def test_paths_are_spelled_as_kubectl_does(location: tuple[int | str, ...], text: str) -> None:
    assert path_text(location) == text


def test_a_part_can_be_parsed_where_it_stands() -> None:
    assert path_text(("limit",), "spec.nodes[3].retry") == "spec.nodes[3].retry.limit"


def test_of_very_many_problems_the_first_are_told_and_the_rest_counted():
    model, problems = parse(Workflow, {"metadata": {"name": "w"}, "spec": {"nodes": [{"bad": 1}] * 400}})
    assert model is None
    assert len(problems) == MOST_PROBLEMS + 1
    assert str(problems[-1]) == "and 300 problems more"
