"""What interpreters read as a program from their command line, and what is data to them."""

import pytest
from support.specs import node, wrong

X = "${{ params.x }}"
CODE = f"print('{X}')"


def refused(**job):
    return wrong(node("n", job={"image": "i", **job}), parameters=[{"name": "x"}])


@pytest.mark.parametrize(
    "command",
    [
        ["python", "-c"],
        ["python3", "-c"],
        ["python3.13", "-c"],
        ["/usr/local/bin/python3.13", "-Ic"],
        ["python", "-u", "-X", "dev", "-W", "error", "-c"],
        ["pypy3", "-c"],
        ["uv", "run", "python", "-c"],
        ["env", "A=1", "timeout", "9", "python", "-c"],
        ["env", "-S", "python -c"],
        ["node", "-e"],
        ["nodejs", "--eval"],
        ["node", "-r", "dotenv", "--input-type=module", "-pe"],
        ["node", "--print"],
        ["bun", "-e"],
        ["bun", "--eval"],
        ["deno", "eval"],
        ["deno", "eval", "--ext", "ts", "-q"],
        ["perl", "-e"],
        ["perl", "-MJSON", "-lane"],
        ["perl", "-w", "-E"],
        ["perl", "-e", "print 1;", "-e"],
        ["ruby", "-e"],
        ["ruby", "-rjson", "-ne"],
        ["ruby", "-r", "json", "-e"],
        ["php", "-r"],
        ["php", "-d", "memory_limit=1G", "--run"],
        ["php", "-B"],
    ],
)
def test_a_program_takes_no_template_and_what_follows_it_does(command):
    for job in (
        {"command": command, "args": [CODE, X]},
        {"command": command[:1], "args": [*command[1:], CODE, X]},
        {"args": [*command, X, X]},
    ):
        [problem] = refused(**job)
        place = len(job["args"]) - 2
        assert problem.startswith(f"spec.nodes[0].job.args[{place}]: ")
        assert "the program of an interpreter cannot be templated" in problem
    assert refused(command=command, args=["1", X, "-c", X]) == []


@pytest.mark.parametrize(
    ("command", "word"),
    [
        (["python"], f"-c{X}"),
        (["python"], f"-Ic{X}"),
        (["node"], f"--eval={X}"),
        (["perl"], f"-e{X}"),
        (["perl"], f"-M{X}"),
        (["ruby"], f"-ne{X}"),
        (["php"], f"-r{X}"),
        (["php"], f"--run={X}"),
        (["env"], f"-Spython -c {X}"),
    ],
)
def test_a_program_in_the_word_of_its_option_is_one_too(command, word):
    [problem] = refused(command=command, args=[word, X])
    assert problem.startswith("spec.nodes[0].job.args[0]: ")


@pytest.mark.parametrize(
    "job",
    [
        {"command": ["python", "-c", "import sys"], "args": [X, "-c", X]},
        {"command": ["python", "-m", "app"], "args": ["-c", X]},
        {"command": ["python", "run.py"], "args": ["-c", X]},
        {"command": ["python", "-u", "run.py"], "args": ["-c", X]},
        {"command": ["python", "-"], "args": ["-c", X]},
        {"command": ["python", "-X", X.replace("$", "$$")], "args": ["run.py", X]},
        {"command": ["python"], "args": ["run.py", f"-c{X}"]},
        {"command": ["node", "app.js"], "args": ["-e", X]},
        {"command": ["node", "--enable-source-maps", "app.js"], "args": [f"--env={X}"]},
        {"command": ["node", f"--env-file={X.replace('$', '$$')}"], "args": ["app.js", X]},
        {"command": ["bun", "run", "app.ts"], "args": ["-e", X]},
        {"command": ["deno", "run", "app.ts"], "args": ["eval", X]},
        {"command": ["perl", "run.pl"], "args": ["-e", X]},
        {"command": ["perl", "--", "run.pl"], "args": ["-e", X]},
        {"command": ["ruby", "run.rb"], "args": ["-e", X]},
        {"command": ["php", "artisan"], "args": ["-r", X]},
        {"command": ["php", "-f", "run.php"], "args": [X]},
        {"command": ["app", "--lang", "python"], "args": [X]},
        {"command": ["pythonic", "-c"], "args": [X]},
        {"command": ["grep", "-e"], "args": [X]},
    ],
)
def test_what_no_interpreter_reads_as_a_program_is_taken(job):
    assert refused(**job) == []
