"""A script and the command beside it: one that would look for a file of that name is refused, with the mend."""

from typing import Any

import pytest
from support.specs import node, wrong


def refused(**job: Any) -> list[str]:
    problems: list[str] = wrong(node("n", job={"image": "i", "script": "print(1)", **job}))
    return problems


@pytest.mark.parametrize(
    ("command", "mend"),
    [
        ("python", "python, -c"),
        ("python3.13", "python3.13, -c"),
        ("/usr/local/bin/python3 -u", "/usr/local/bin/python3, -u, -c"),
        ("python3 -X utf8", "python3, -X, utf8, -c"),
        ("python -", "python, -c"),
        ("/usr/bin/env python3", "/usr/bin/env, python3, -c"),
        ("sh", "sh, -c"),
        ("bash -e", "bash, -e, -c"),
        ("bash -euo pipefail", "bash, -euo, pipefail, -c"),
        ("ash", "ash, -c"),
        ("busybox sh", "busybox, sh, -c"),
        ("node", "node, -e"),
        ("perl -w", "perl, -w, -e"),
        ("ruby", "ruby, -e"),
    ],
)
def test_an_interpreter_alone_would_look_for_a_file(command: str, mend: str) -> None:
    words = command.split()
    told = f"command [{', '.join(words)}] would take the script for the name of a file; write [{mend}]"
    assert refused(command=words) == [f"spec.nodes[0].job.command: {told}"]


@pytest.mark.parametrize(
    "command",
    [
        [], ["python3", "-c"], ["python3", "-uc"], ["python", "-m", "notebook"], ["python", "run.py"], ["sh", "-c"],
        ["bash", "-ec"], ["bash", "-euo", "pipefail", "-c"], ["bash", "-o", "pipefail", "-ec"], ["bash", "run.sh"],
        ["/usr/bin/env", "bash", "-c"], ["busybox", "sh", "-c"], ["node", "-e"], ["node", "--eval"], ["node", "-p"],
        ["perl", "-e"], ["perl", "-wne"], ["ruby", "-e"], ["psql", "-c"], ["psql"], ["env"],
    ],
)  # fmt: skip
def test_who_takes_code_or_something_else_of_the_kind_is_taken(command: list[str]) -> None:
    assert refused(command=command) == []


def test_args_cannot_stand_beside_a_script() -> None:
    told = "cannot stand beside script, which takes their place; pass values to it through env"
    assert refused(args=["x"]) == [f"spec.nodes[0].job.args: {told}"]


def test_a_command_that_the_overlay_replaces_is_not_asked() -> None:
    overlay = {"spec": {"containers": [{"name": "main", "command": ["run"]}]}}
    assert refused(command=["python"], podTemplate=overlay) == []
