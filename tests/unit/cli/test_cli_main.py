import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from support.apiserver import workflow_run
from support.transport import status
from weft.cli.main import COMMANDS, weft

LISTING = Path(__file__).parents[2] / "data" / "listing.yaml"


def run(*arguments):
    return CliRunner().invoke(weft, arguments)


def test_help_lists_every_command_without_importing_one():
    code = (
        "import sys\nfrom weft.cli.main import weft\n"
        "try: weft(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(name for name in sys.modules if name.startswith('weft.')))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "['weft.cli', 'weft.cli.main']"
    assert all(f"  {name} " in shown for name in COMMANDS)


@pytest.mark.parametrize("command", [["validate", str(LISTING)], ["crds"], ["graph", str(LISTING)], ["--help"]])
def test_what_cannot_be_written_is_said_in_a_line(command):
    with open("/dev/full", "wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "weft.cli.main", *command],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (1, "Error: No space left on device\n")


def in_shell(words, **env):
    command = f"{sys.executable} -m weft.cli.main {words}"
    return subprocess.run(["sh", "-c", command], capture_output=True, check=False, env=os.environ | env)


@pytest.fixture
def noted(tmp_path):
    """A Workflow that something is noted of, on stderr: its job has no image."""
    file = tmp_path / "w.yaml"
    spec = "{nodes: [{name: a, job: {}}, {name: b, expr: {x: \"'grün'\"}}]}"
    file.write_text(f"apiVersion: weft.dev/v1alpha1\nkind: Workflow\nmetadata: {{name: w}}\nspec: {spec}\n", "utf-8")
    return file


@pytest.mark.parametrize("words", ["validate {} >&-", "simulate {} >&-", "graph {} 2>&-", "validate - <&-"])
def test_nobody_misses_a_stream_that_the_shell_has_closed(noted, words):
    ran = in_shell(words.format(noted))
    assert ran.returncode == 0
    assert b"Traceback" not in ran.stderr


def test_notes_do_not_go_among_the_json_when_nobody_wants_them(noted):
    assert json.loads(in_shell(f"simulate {noted} --json 2>&-").stdout)["outcome"] == "Succeeded"


def test_output_is_utf_8_in_every_locale(noted):
    ran = in_shell(f"simulate {noted} --json", PYTHONIOENCODING="ascii")
    assert json.loads(ran.stdout)["nodes"]["b"]["outputs"] == {"x": "grün"}


@pytest.mark.parametrize(
    "value",
    ["[" * 50_000, "[" * 50_000 + "]" * 50_000, "[" * 200 + "]" * 200, "[NaN]", "[1e999]", "[9" + "9" * 30 + "]"],
    ids=lambda value: value[:5] + str(len(value)),
)
def test_a_parameter_that_no_cluster_would_take_is_refused_in_a_line(tmp_path, value):
    file = tmp_path / "w.yaml"
    spec = "{parameters: [{name: l, type: array}], nodes: [{name: a, job: {image: i}}]}"
    file.write_text(f"apiVersion: weft.dev/v1alpha1\nkind: Workflow\nmetadata: {{name: w}}\nspec: {spec}\n")
    for form in ([], ["--json"]):
        result = run("simulate", str(file), "-p", f"l={value}", *form)
        assert (type(result.exception), result.exit_code) == (SystemExit, 1)
        assert f"{file}: parameters: parameter 'l' must be a JSON array" in result.stderr
        assert len(result.stderr) < 400


SPITEFUL = "\x1b]0;owned\x07\x1b[2J\u202e"
ESCAPED = r"\u001b]0;owned\u0007\u001b[2J\u202e"


@pytest.mark.parametrize("words", [["logs", "r", "a"], ["approve", "r", "a"], ["stop", "r"]])
def test_an_error_moves_no_terminal(api, call, words):
    """What it quotes is by whoever wrote a container's message, or a policy's."""
    api.add(workflow_run("r", nodes=[{"name": "a", "phase": "Pending", "message": SPITEFUL}]))
    api.fail(status(403, message=SPITEFUL), method="PATCH")
    result = call(*words)
    assert result.exit_code == 1
    assert ESCAPED in result.stderr
    assert not {"\x1b", "\x07", "\u202e"} & set(result.output)


def test_no_note_moves_a_terminal_either(api, call):
    api.add(workflow_run("r", nodes=[{"name": "a", "phase": "Running", "message": SPITEFUL}]))
    api.fail(status(403, message=SPITEFUL), method="GET", plural="workflows", times=9)
    assert f"Workflow w cannot be read: {ESCAPED};" in call("run", "w").stderr
    assert ESCAPED in call("status", "r", "-o", "json").stdout


def test_an_unknown_command_is_refused():
    result = run("valdate")
    assert result.exit_code == 2
    assert "No such command 'valdate'" in result.stderr


@pytest.mark.parametrize(
    "words",
    [["run"], ["run", "w", "-f", "f.yaml"], ["stop", "r", "--drain", "--cancel"], ["rerun", "r", "--from", "Nodes"]],
)
def test_a_wrong_command_line_is_told_before_a_cluster_is_looked_for(words, tmp_path):
    result = run(*words, "--kubeconfig", str(tmp_path / "none"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Usage: weft {words[0]} ")


@pytest.mark.parametrize("form", ["mermaid", "dot", "json"])
def test_graph_draws_in_every_format(form):
    result = run("graph", str(LISTING), "--format", form)
    assert result.exit_code == 0
    assert "scrape" in result.stdout


def test_graph_is_mermaid_unless_asked():
    assert run("graph", str(LISTING)).stdout.startswith("flowchart TD\n")


def test_graph_says_why_it_cannot_draw(tmp_path):
    file = tmp_path / "f.yaml"
    file.write_text("kind: ConfigMap\napiVersion: v1\n")
    result = run("graph", str(file))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "there is no Workflow in it" in result.stderr
    file.write_text("kind: Workflow\napiVersion: weft.dev/v1alpha1\nspec: {nodes: []}\n")
    result = run("graph", str(file))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"{file}: spec.nodes: must have at least 1 items, got 0\n"


def test_a_workflow_with_a_cycle_can_be_looked_at(tmp_path):
    file = tmp_path / "f.yaml"
    nodes = "[{name: a, dependsOn: [b], job: {}}, {name: b, dependsOn: [a], job: {}}]"
    file.write_text(f"kind: Workflow\napiVersion: weft.dev/v1alpha1\nspec: {{nodes: {nodes}}}\n")
    result = run("graph", str(file))
    assert result.exit_code == 0
    assert "n_b --> n_a" in result.stdout


def test_crds_prints_one_definition_per_kind():
    documents = list(yaml.safe_load_all(run("crds").stdout))
    assert {document["spec"]["names"]["kind"] for document in documents} == {
        "Workflow", "WorkflowRun", "Approval", "WorkflowQueue", "NodeType", "NotificationChannel"
    }  # fmt: skip
