"""`weft simulate` as a user calls it."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from weft.cli.main import weft

WORKFLOW = """
apiVersion: weft.dev/v1alpha1
kind: Workflow
metadata: {name: one}
spec:
  parameters:
  - {name: count, type: integer, default: 2, maximum: 5}
  - {name: words, type: array, default: []}
  - {name: fast, type: boolean, default: true}
  - {name: note, default: ""}
  nodes:
  - {name: a, forEach: {range: params.count}, job: {image: i}}
  - {name: b, dependsOn: [a], expr: {words: params.words, fast: params.fast, note: params.note}}
  - {name: c, dependsOn: [b], workflow: {name: two}}
---
apiVersion: weft.dev/v1alpha1
kind: Workflow
metadata: {name: two}
spec: {nodes: [{name: x, job: {image: i}}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: passed-over}
"""


def call(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(weft, ["simulate", *arguments], input=stdin)


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "w.yaml").write_text(WORKFLOW)
    return str(tmp_path / "w.yaml")


def report(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_json_is_one_object_with_the_keys_of_the_design(file: str) -> None:
    found = report(call(file, "--json"))
    assert list(found) == ["outcome", "reason", "message", "makespanSeconds", "outputs", "nodes", "jobs"]
    assert (found["outcome"], found["makespanSeconds"]) == ("Succeeded", 2.0)
    assert found["nodes"]["a"] == {
        "phase": "Succeeded", "reason": None, "attempts": 2, "start": 0.0, "end": 1.0, "outputs": {},
        "items": [
            {"index": 0, "phase": "Succeeded", "attempts": 1, "start": 0.0, "end": 1.0},
            {"index": 1, "phase": "Succeeded", "attempts": 1, "start": 0.0, "end": 1.0},
        ],
    }  # fmt: skip
    assert "items" not in found["nodes"]["b"]
    assert found["jobs"][2] == {
        "node": "c/x", "index": None, "iteration": None, "role": "main", "attempt": 1, "start": 1.0, "end": 2.0,
    }  # fmt: skip


def test_parameters_are_read_by_their_declared_types(file: str) -> None:
    arguments = ["--param", "count=3", "--param", 'words=["x"]', "--param", "fast=false", "--param", "note=3=4"]
    found = report(call(file, "--json", *arguments))
    assert found["nodes"]["b"]["outputs"] == {"words": ["x"], "fast": False, "note": "3=4"}
    assert len(found["nodes"]["a"]["items"]) == 3


def test_a_parameter_that_is_a_whole_double_is_the_integer_that_the_api_server_makes_of_it(tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    parameters = "[{name: n, type: number}, {name: l, type: array}]"
    nodes = '[{name: a, expr: {n: "params.n / 2", l: "params.l[0] / 2"}}]'
    file.write_text(
        "apiVersion: weft.dev/v1alpha1\nkind: Workflow\nmetadata: {name: w}\n"
        f"spec: {{parameters: {parameters}, nodes: {nodes}}}"
    )
    found = report(call(str(file), "--json", "--param", "n=5.0", "--param", "l=[5.0]"))
    assert found["nodes"]["a"]["outputs"] == {"n": 2, "l": 2}


BAD = [
    (["--param", "count=x"], "parameter 'count' must be a whole number, got 'x'"),
    (["--param", "count=9"], "parameter 'count' must be at most 5, got 9"),
    (["--param", "count"], "write name=value"),
    (["--param", "cont=1"], "did you mean 'count'"),
    (["--param", "words=x"], "must be a JSON array"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD)
def test_wrong_parameters_are_refused_with_the_mend(file: str, arguments: list[str], words: str) -> None:
    result = call(file, "--json", *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"{file}: parameters: ")
    assert words in result.stderr


def test_an_invalid_workflow_is_refused_with_its_path(file: str) -> None:
    Path(file).write_text(WORKFLOW.replace("dependsOn: [a]", "dependsOn: [nobody]"))
    result = call(file)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"{file}: documents[0].spec.nodes[1].dependsOn[0]: ")


@pytest.mark.parametrize("text", ["", "kind: ConfigMap", "- 1", "a: [", "kind: Workflow"])
def test_a_file_without_a_workflow_is_refused(file: str, text: str) -> None:
    Path(file).write_text(text)
    result = call(file)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"{file}: ")


def test_a_scenario_is_taken_from_its_file_and_a_wrong_one_refused(file: str, tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text("events: [{node: a, index: 1, exitCode: 1}]")
    failed = report(call(file, "--scenario", str(scenario), "--json"))
    assert (failed["outcome"], failed["nodes"]["a"]["phase"]) == ("Failed", "Failed")
    scenario.write_text("events: [{nod: a}]")
    wrong = call(file, "--scenario", str(scenario))
    assert wrong.exit_code == 1
    assert f"{scenario}: events[0]: unknown field 'nod'; did you mean 'node'?" in wrong.stderr
    scenario.write_text("actions: [{at: 9, rerun: {from: Nodes, nodes: [zz]}}]")
    unknown = call(file, "--scenario", str(scenario))
    assert unknown.exit_code == 1
    assert "actions[0]" in unknown.stderr


def test_files_that_are_not_there_are_named(file: str) -> None:
    for arguments in (["missing.yaml"], [file, "--scenario", "missing.yaml"]):
        result = call(*arguments)
        assert result.exit_code == 1
        assert result.stderr.startswith("missing.yaml: ")


def test_stdin_and_a_timeline_to_read() -> None:
    result = call("-", stdin=WORKFLOW)
    assert result.exit_code == 0
    assert result.stdout.startswith("one: Succeeded after 2 s")


def test_a_seed_turns_chance_on(file: str, tmp_path: Path) -> None:
    Path(file).write_text(
        "kind: Workflow\napiVersion: weft.dev/v1alpha1\nmetadata: {name: r}\n"
        "spec: {nodes: [{name: a, retry: {backoff: {initialSeconds: 10, jitter: 0.5}}, job: {image: i}}]}\n"
    )
    scenario = tmp_path / "s.yaml"
    scenario.write_text("events: [{node: a, attempt: 1, exitCode: 1}]")
    ends = [
        report(call(file, "--json", "--scenario", str(scenario), *seed))["makespanSeconds"]
        for seed in ([], ["--seed", "1"], ["--seed", "1"], ["--seed", "2"])
    ]
    assert ends[0] == 12
    assert ends[1] == ends[2]
    assert len(set(ends)) == 3


READS = """
apiVersion: weft.dev/v1alpha1
kind: Workflow
metadata: {name: reads}
spec:
  nodes:
  - {name: sub, graph: {name: inner}}
  - {name: ask, cache: {key: "'k'"}, http: {url: "http://a.example"}}
  - {name: c, dependsOn: [ask], join: Any, expr: {x: nodes.ask.outputs.nothing}}
  - {name: price-list, job: {image: i}}
  - name: d
    dependsOn: [price-list]
    expr: {x: "nodes['price-list'].outputs.total + nodes['price-list'].outputs.count"}
  graphs:
  - name: inner
    nodes:
    - {name: a, forEach: {range: "2"}, job: {image: i}}
    - {name: b, dependsOn: [a], expr: {x: nodes.a.outputs.sum}}
    - {name: b2, dependsOn: [a], expr: {x: nodes.a.outputs.sum}}
"""
HINT = (
    "no event gives {0} the output '{1}' that {2} reads; add to a scenario's events:"
    " {{node: {0}, outputs: {{{1}: ...}}}}"
)


def test_an_output_that_the_scenario_should_give_is_asked_for_once(file: str, tmp_path: Path) -> None:
    Path(file).write_text(READS)
    assert call(file).stderr.splitlines() == [
        f"{file}: {HINT.format('sub/a', 'sum', 'sub/b')}",
        f"{file}: {HINT.format('price-list', 'total', 'd')}",
    ]
    scenario = tmp_path / "s.yaml"
    scenario.write_text("events: [{node: sub/a, outputs: {sum: 1}}, {node: price-list, outputs: {total: 1}}]")
    result = call(file, "--scenario", str(scenario))
    assert result.stderr == f"{scenario}: {HINT.format('price-list', 'count', 'd')}\n"


def test_the_workflows_own_outputs_may_lack_one_too(file: str) -> None:
    Path(file).write_text(
        READS.partition("  nodes:")[0]
        + """  nodes: [{name: a, job: {image: i}}]
  outputs: [{name: o, value: nodes.a.outputs.x}]
"""
    )
    assert call(file).stderr == f"{file}: {HINT.format('a', 'x', 'reads')}\n"


def test_an_entry_that_never_matches_is_told_and_changes_nothing(file: str, tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text("{events: [{node: aa}], approvals: [{node: b}]}")
    result = call(file, "--scenario", str(scenario), "--json")
    assert result.stderr.splitlines() == [
        f"{scenario}: events[0].node: never matches: there is no node named 'aa'; did you mean \"a\"?",
        f"{scenario}: approvals[0].node: never matches: 'b' is no approval (expr)",
    ]
    assert (result.exit_code, result.stdout) == (0, call(file, "--json").stdout)


def test_a_job_without_an_image_is_noted_and_runs() -> None:
    result = call("-", "--json", stdin=WORKFLOW.replace("job: {image: i}", "job: {}", 1))
    assert report(result)["outcome"] == "Succeeded"
    assert result.stderr == (
        "-: documents[0].spec.nodes[0].job: node a has no image, and no Pod starts without; give it one, or all nodes"
        " one in spec.defaults.image\n"
    )
    assert call("-", stdin=WORKFLOW).stderr == ""


def test_what_validate_notes_is_told_here_too(file: str) -> None:
    mounts = "volumeMounts: [{name: data, mountPath: /data}]"
    Path(file).write_text(
        f"""
apiVersion: weft.dev/v1alpha1
kind: Workflow
metadata: {{name: w}}
spec: {{nodes: [{{name: a, retry: {{}}, wait: {{seconds: 1}}}}, {{name: b, use: {{name: t}}}}]}}
---
apiVersion: weft.dev/v1alpha1
kind: NodeType
metadata: {{name: t}}
spec: {{job: {{script: "echo {{{{params.x}}}}", {mounts}}}}}
"""
    )
    result, notes = call(file), CliRunner().invoke(weft, ["validate", file]).stderr
    assert result.exit_code == 0
    assert result.stderr == notes
    assert [line.split(": ")[1] for line in notes.splitlines()] == [
        "documents[0].spec.nodes[1].use",
        "documents[0].spec.nodes[0].retry",
        "documents[0].spec.nodes[1].use",
        "documents[1].spec.job.script",
    ]


def test_a_cache_key_may_be_a_text_with_expressions_in_it() -> None:
    each = "forEach: {items: ['p', 'q', 'p'], maxParallel: 1}, cache: {key: 'v2-${{ item }}'}"
    found = report(call("-", "--json", stdin=WORKFLOW.replace("forEach: {range: params.count}", each)))
    assert [job["index"] for job in found["jobs"] if job["node"] == "a"] == [0, 1]
