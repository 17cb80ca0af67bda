"""Files that mean harm: refused or escaped, in bounded time and memory; nothing of them reaches the terminal raw."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from weft.cli.main import weft
from weft.cli.visible import visible

HEAD = "apiVersion: weft.dev/v1alpha1\nkind: Workflow\nmetadata: {name: w}\nspec:\n"
NODE = HEAD + "  nodes: [{name: a, job: {image: i}}]\n"
MEGABYTE = "x" * 1_000_000


def bomb() -> str:
    """Ten levels of ten aliases each: ten thousand million values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)]
    return "\n".join(lines)


def nodes_of(count: int) -> str:
    nodes = ", ".join(f"{{name: n{index}, expr: {{x: '1'}}}}" for index in range(count))
    return f"{HEAD}  nodes: [{nodes}]\n"


HOSTILE: dict[str, Callable[[], str]] = {
    "deep flow": lambda: "[" * 200_000,
    "deep blocks": lambda: "".join(f"{' ' * depth}a:\n" for depth in range(2_000)),
    "deep json": lambda: '{"a":' * 100_000,
    "deep parameters": lambda: f"{NODE}  parameters: [{{name: p, type: array, default: {'[' * 5000}{']' * 5000}}}]",
    "alias bomb": bomb,
    "alias of itself": lambda: "a: &a [*a]",
    "merge bomb": lambda: "\n".join(
        ["a0: &a0 {k: v}", *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 20)}]}}" for n in range(1, 12))]
    ),
    "megabyte name": lambda: NODE.replace("name: a", f"name: {MEGABYTE}"),
    "megabyte key": lambda: NODE + f"  {MEGABYTE}: 1\n",
    "megabyte expression": lambda: NODE.replace("name: a", f"name: a, when: '{MEGABYTE}'"),
    "megabyte of brackets": lambda: NODE.replace("image: i", f"image: '{'${{ ' * 200_000}'"),
    "megabyte number": lambda: NODE + f"  timeoutSeconds: {'9' * 1_000_000}\n",
    "many nodes": lambda: nodes_of(10_001),
    "many problems": lambda: HEAD + "  nodes: [" + ", ".join("{bad: 1}" for _ in range(10_000)) + "]\n",
    "nul": lambda: NODE + "\0",
    "not utf-8": lambda: NODE + "\udcff",
    "a python object": lambda: "!!python/object/apply:os.system [touch hacked]",
}


@pytest.mark.no_cover  # thousands of nodes: watching each line would double its time
@pytest.mark.parametrize("command", [["validate"], ["graph"], ["simulate"], ["simulate", "--json"]], ids=" ".join)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_soon_and_briefly(name: str, command: list[str]) -> None:
    text = HOSTILE[name]().encode(errors="surrogateescape")
    before = time.process_time()
    result = CliRunner().invoke(weft, [*command, "-"], input=text)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1
    assert time.process_time() - before < 30
    assert len(result.output) < 400_000
    assert result.output.replace("\n", "").isprintable()


def test_a_hostile_file_takes_no_more_than_a_gigabyte(tmp_path: Path) -> None:
    """One process for all of them, which the kernel ends when it takes more memory, or more than two minutes."""
    files = []
    for name, text in HOSTILE.items():
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_bytes(text().encode(errors="surrogateescape"))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
        resource.setrlimit(resource.RLIMIT_CPU, (120, 120))

    command = [sys.executable, "-m", "weft.cli.main", "validate", *map(str, files)]
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert not (tmp_path / "hacked").exists()
    assert all(str(file) in done.stdout for file in files)


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    for command in ("validate", "graph", "simulate"):
        result = CliRunner().invoke(weft, [command, "/dev/zero"])
        assert result.exit_code == 1
        assert "at most 16777216" in result.output


BIDI = "\u202egnp.exe\u2066\u200b"
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b5m\x7f"


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., Result]:
    """What a command says of a workflow whose texts are hostile."""
    text = ESCAPES + BIDI
    nodes = [
        {"name": "a", "job": {"image": f"i{text}"}},
        {"name": "b", "dependsOn": ["a"], "expr": {"x": f"{json.dumps(text)} + 'y'"}},
        {"name": "c", "dependsOn": ["b"], "approval": {"message": text}},
    ]
    outputs = [{"name": "x", "value": "nodes.b.outputs.x"}]
    manifest = {
        "apiVersion": "weft.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": f"w{text}"},
        "spec": {"description": text, "nodes": nodes, "outputs": outputs},
    }
    scenario = {"events": [{"node": "a", "message": text, "exitCode": 1}]}
    (tmp_path / "scenario.yaml").write_text(json.dumps(scenario))

    def say(*words: str, **changes: object) -> Result:
        changed = manifest | {"spec": {**manifest["spec"], **changes}}  # type: ignore[dict-item]
        return CliRunner().invoke(weft, [*words, "-"], input=json.dumps(changed))

    return say


@pytest.mark.parametrize(
    "words", [["validate"], ["graph"], ["graph", "--format", "dot"], ["graph", "--format", "json"], ["simulate"],
              ["simulate", "--json"]], ids=" ".join,
)  # fmt: skip
def test_no_character_of_a_file_commands_the_terminal(words: list[str], told: Callable[..., Result]) -> None:
    for changes in ({}, {f"field{ESCAPES}{BIDI}": 1}, {"failurePolicy": BIDI}):
        result = told(*words, **changes)
        assert isinstance(result.exception, SystemExit | None)
        assert result.output.replace("\n", "").isprintable(), ascii(result.output)


def test_what_is_escaped_in_json_is_the_same_json(told: Callable[..., Result]) -> None:
    result = told("simulate", "--json", nodes=[{"name": "b", "expr": {"x": f"{json.dumps(ESCAPES + BIDI)} + 'y'"}}])
    assert json.loads(result.output)["outputs"] == {"x": f"{ESCAPES}{BIDI}y"}
    assert "\\u202e" in result.output


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\nlines", "plain\nlines"),
        ("größe → 5 µs", "größe → 5 µs"),
        ("a\tb\rc\x1b[2J", "a\\tb\\rc\\u001b[2J"),
        ("\u202e\u2066\u200b\ufeff", "\\u202e\\u2066\\u200b\\ufeff"),
        ("\U000e0041", "\\udb40\\udc41"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown
