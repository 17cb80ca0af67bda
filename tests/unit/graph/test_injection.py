import pytest
from support.specs import compiled, node, wrong

X = "${{ params.x }}"


def refused(**job):
    return wrong(node("n", job={"image": "i", **job}), parameters=[{"name": "x"}])


@pytest.mark.parametrize(
    ("job", "path"),
    [
        ({"script": f"echo {X}"}, "script"),
        ({"command": ["echo", X]}, "command[1]"),
        ({"command": [X]}, "command[0]"),
    ],
)
def test_code_cannot_be_templated(job, path):
    [problem] = refused(**job)
    assert problem.startswith(f"spec.nodes[0].job.{path}: cannot be templated")
    assert "env" in problem


@pytest.mark.parametrize(
    "command",
    [
        ["sh", "-c"],
        ["/bin/sh", "-c"],
        ["bash", "-ec"],
        ["bash", "-xc"],
        ["bash", "-e", "-c"],
        ["bash", "-euo", "pipefail", "-c"],
        ["bash", "-o", "pipefail", "-c"],
        ["bash", "--norc", "--rcfile", "x", "-c"],
        ["/usr/bin/env", "bash", "-c"],
        ["/usr/bin/env", "-S", "bash -c"],
        ["/usr/bin/env", "-Sbash -c"],
        ["env", "A=1", "dash", "-c"],
        ["busybox", "sh", "-c"],
        ["/bin/busybox", "ash", "-c"],
        ["zsh", "-c"],
        ["ksh", "-c"],
        ["timeout", "10", "sh", "-c"],
        ["ksh93", "-c"],
        ["/usr/local/bin/bash-5.2", "-ec"],
        ["bash-static", "-c"],
        ["yash", "--cmdline"],
        ["hush", "-c"],
        ["posh", "-c"],
        ["lksh", "-c"],
        ["oksh", "-c"],
        ["nu", "--commands"],
        ["nu", "-c"],
        ["elvish", "-c"],
        ["xonsh", "-c"],
        ["pwsh", "-c"],
        ["pwsh", "-i", "-c"],
        ["pwsh", "-NoProfile", "-Command"],
        ["pwsh-7.4", "-ExecutionPolicy", "Bypass", "-COM"],
        ["powershell.exe", "-EncodedCommand"],
        ["powershell", "-enc"],
        ["su", "-c"],
        ["su", "-", "app", "-c"],
        ["su", "-s", "/bin/sh", "app", "--command"],
        ["su", "app", "-lc"],
        ["su", "app", "--comm"],
        ["runuser", "-u", "app", "-c"],
        ["runuser", "app", "--session-command"],
        ["sg", "docker", "-c"],
        ["sg", "docker"],
        ["flock", "/lock", "-c"],
        ["/usr/bin/flock", "-x", "-w", "10", "/lock", "--command"],
        ["script", "-q", "-e", "-c"],
        ["script", "/dev/null", "-qc"],
        ["script", "log", "--command"],
        ["fish", "-C"],
        ["fish", "-N", "--init-command"],
        ["fish", "-d", "3", "-c"],
        ["fish", "--init-command=echo", "-C"],
        ["cmd", "/c"],
        ["cmd.exe", "/S", "/C"],
        ["C:\\Windows\\System32\\CMD.EXE", "/s/c"],
        ["cmd", "/V:ON", "/K"],
        ["powershell", "-NoProfile"],
        ["powershell.exe"],
        ["powershell", "Write-Host"],
        ["env", "-S", "bash -c"],
    ],
)
def test_a_shell_with_c_takes_no_template_however_it_is_called(command):
    for job in (
        {"command": command, "args": [f"echo {X}"]},
        {"command": command[:1], "args": [*command[1:], f"echo {X}"]},
        {"command": command, "args": ['echo "$1"', "_", X]},
        {"args": [*command, X]},
    ):
        [problem] = refused(**job)
        assert "args of a shell with -c cannot be templated" in problem


@pytest.mark.parametrize(
    "job",
    [
        {"command": ["python", "-c", "import sys"], "args": [X]},
        {"command": ["sh", "run.sh"], "args": ["-c", X]},
        {"command": ["bash", "--", "run.sh"], "args": [X]},
        {"command": ["bash", "-e", "run.sh"], "args": ["-c", X]},
        {"command": ["bash"], "args": [X]},
        {"command": ["sh", "-c"], "args": ["echo $A"], "env": [{"name": "A", "value": X}]},
        {"args": ["--flag", X]},
        {"command": ["tar", "-c"], "args": [X]},
        {
            "command": ["pwsh", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File", "run.ps1"],
            "args": ["-Count", X],
        },
        {"command": ["su", "-s", "/app/run", "app", "--"], "args": [X]},
        {"command": ["runuser", "-u", "app", "--", "python"], "args": [X]},
        {"command": ["su", "-s", "/app/run"], "args": ["app-${{ params.x }}"]},
        {"command": ["numfmt", "-c"], "args": [X]},
        {"command": ["bash-completion", "-c"], "args": [X]},
        {"command": ["flock", "-w", "9", "/lock", "tar", "-c"], "args": [X]},
        {"command": ["flock", "/lock", "app"], "args": [X]},
        {"command": ["script.py", "-c"], "args": [X]},
        {"command": ["fish", "-d", "3", "run.fish"], "args": ["-c", X]},
        {"command": ["/app/cmd", "--day"], "args": [X, X]},
        {"command": ["/app/cmd"], "args": ["/cache/${{ params.x }}"]},
        {"command": ["npm", "run", "script"], "args": [X]},
        {"command": ["app", "--region", "sg"], "args": [X]},
        {"command": ["script"], "args": ["--log-out=${{ params.x }}"]},
        {"command": ["powershell", "-NoProfile", "-File", "run.ps1"], "args": ["-Count", X]},
        {"command": ["pwsh", "run.ps1"], "args": ["-c", X]},
    ],
)
def test_what_no_shell_reads_as_code_is_taken(job):
    assert refused(**job) == []


@pytest.mark.parametrize(
    ("command", "args"),
    [
        (["bash"], [X, X]),
        (["pwsh"], [X]),
        (["pwsh", "-NoProfile"], [X, "x"]),
        (["su", "app"], [f"-cecho {X}"]),
        (["su", "app"], [f"--command=echo {X}"]),
        (["runuser", "app"], [f"--session-command={X}"]),
        (["fish"], [f"--init-command={X}"]),
        (["fish"], [f"-C{X}"]),
        (["cmd"], [f"/c{X}"]),
        (["env", "-S"], [f"bash -c {X}"]),
        (["env"], [f"-Sbash -c {X}"]),
    ],
)
def test_an_option_that_is_templated_could_be_c_or_bring_its_own_program(command, args):
    assert "args of a shell" in refused(command=command, args=args)[0]


def test_the_shell_may_come_from_the_overlay():
    overlay = {"spec": {"containers": [{"name": "main", "command": ["sh", "-c"]}]}}
    assert "args of a shell" in refused(podTemplate=overlay, args=[X])[0]


TEMPLATED = [{"name": "A", "value": X}]


@pytest.mark.parametrize("env", [TEMPLATED, [{"name": "A", "expr": "params.x"}]])
@pytest.mark.parametrize(
    ("job", "path"),
    [
        ({"command": ["echo", "$(A)"]}, "command[1]"),
        ({"args": ["x$(A)"]}, "args[0]"),
        ({"script": "echo $(A)"}, "script"),
        ({"podTemplate": {"spec": {"containers": [{"name": "main", "args": ["$(A)"]}]}}}, "podTemplate"),
    ],
)
def test_the_kubelet_does_not_put_a_templated_variable_into_a_command(env, job, path):
    [problem] = refused(env=env, **job)
    assert problem.startswith(f"spec.nodes[0].job.{path}: $(A) would put the templated variable A into a command")


@pytest.mark.parametrize("env", [TEMPLATED, [{"name": "A", "expr": "params.x"}]])
@pytest.mark.parametrize(
    "main",
    [
        *(
            {f"{name}Probe": {"exec": {"command": ["sh", "-c", "curl $(A)"]}}}
            for name in ("readiness", "liveness", "startup")
        ),
        *({"lifecycle": {name: {"exec": {"command": ["sh", "-c", "curl $(A)"]}}}} for name in ("postStart", "preStop")),
    ],
)
def test_nor_into_a_probe_or_a_hook(env, main):
    job = {"env": env, "podTemplate": {"spec": {"containers": [{"name": "main", **main}]}}}
    [problem] = refused(**job)
    told = "spec.nodes[0].job.podTemplate: $(A) would put the templated variable A into a command"
    assert problem.startswith(told)


def test_a_probe_may_name_a_variable_that_is_fixed():
    main = {
        "name": "main",
        "env": [{"name": "B", "value": "fixed"}],
        "readinessProbe": {"exec": {"command": ["curl", "$(B)", "$$(A)"]}},
        "livenessProbe": {"httpGet": {"path": "/$(A)", "port": 80}},
        "startupProbe": None,
        "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
    }
    assert refused(env=TEMPLATED, podTemplate={"spec": {"containers": [main]}}) == []


def test_nor_one_that_contains_it():
    env = [*TEMPLATED, {"name": "B", "value": "b $(A)"}, {"name": "C", "value": "$(B)"}]
    assert "the templated variable C" in refused(env=env, args=["$(C)"])[0]


def test_nor_one_of_the_defaults():
    problems = wrong(
        node("n", job={"image": "i", "args": ["$(A)"]}), parameters=[{"name": "x"}], defaults={"env": TEMPLATED}
    )
    assert "the templated variable A" in problems[0]


@pytest.mark.parametrize("text", ["$$(A)", "$(B)", "$(date)", "$A"])
def test_other_dollars_are_taken(text):
    assert refused(env=[*TEMPLATED, {"name": "B", "value": "fixed"}], args=[text]) == []
    assert refused(env=[*TEMPLATED, {"name": "B", "value": "fixed"}], script=f"echo {text}") == []


TEMPLATED_DEFAULTS = [
    {"name": "a", "default": "${{ run.name }}"},
    {"name": "b", "type": "object", "default": {"k": [1, "x ${{ params.a }}"]}},
    {"name": "c", "default": "$${{ run.name }}"},
]


def test_a_default_is_no_template():
    told = (
        "is taken as it is written, not as a template; put the expression where the parameter is used,"
        " or write $${{ for a literal ${{"
    )
    graph = {"name": "g", "parameters": TEMPLATED_DEFAULTS, "nodes": [node("m")]}
    spec = {"parameters": TEMPLATED_DEFAULTS, "graphs": [graph]}
    kind = {"t": {"parameters": TEMPLATED_DEFAULTS, "job": {"image": "i"}}}
    assert set(wrong(node("n", graph={"name": "g"}), node("u", use={"name": "t"}), types=kind, **spec)) == {
        f"{at}{place}: {told}"
        for at in (
            "spec.parameters", "spec.graphs[0].parameters", "spec.nodes[1].use.name: in NodeType 't': spec.parameters"
        )
        for place in ("[0].default", "[1].default.k[1]")
    }  # fmt: skip


def test_a_default_may_hold_the_literal_and_means_it():
    declared = [
        {"name": "a", "type": "object", "default": {"k": ["$${{ x }}"]}},
        {"name": "b", "maxLength": 3, "default": "$${{"},
    ]
    graph = {"name": "g", "parameters": declared, "nodes": [node("m")]}
    kind = {"t": {"parameters": declared, "job": {"image": "i"}}}
    found = compiled(
        node("n", graph={"name": "g"}), node("u", use={"name": "t"}), parameters=declared, graphs=[graph], types=kind
    )
    calls, uses = found.main.nodes
    for parameters in (found.main.parameters, calls.body.graph.parameters, uses.body.declared):
        assert [parameter.default for parameter in parameters] == [{"k": ["${{ x }}"]}, "${{"]


def test_a_node_type_is_held_to_the_same():
    bad = {"parameters": [{"name": "x"}], "job": {"image": "i", "script": X}}
    [problem] = wrong(node("n", use={"name": "t", "with": {"x": "1"}}), types={"t": bad})
    assert "in NodeType 't': spec.job.script: cannot be templated" in problem
