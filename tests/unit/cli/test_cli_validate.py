from pathlib import Path

import pytest
from click.testing import CliRunner
from weft.cli.main import weft

LISTING = Path(__file__).parents[2] / "data" / "listing.yaml"
HEAD = "apiVersion: weft.dev/v1alpha1\nkind: {}\nmetadata: {{name: {}}}\n"
GOOD = HEAD.format("Workflow", "good") + "spec: {nodes: [{name: a, job: {image: i}}]}\n"
BAD = HEAD.format("Workflow", "bad") + "spec: {nodes: [{name: a, dependsOn: [b], job: {image: i}}]}\n"
PROBLEM = "spec.nodes[0].dependsOn[0]: there is no node named 'b' here"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments, stdin=None, **files):
        for name, text in files.items():
            Path(f"{name}.yaml").write_text(text)
        names = arguments or tuple(f"{name}.yaml" for name in files)
        return CliRunner().invoke(weft, ["validate", *names], input=stdin)

    return invoke


def test_the_designs_own_example_is_right(run):
    result = run(str(LISTING))
    assert (result.exit_code, result.stdout) == (0, f"{LISTING}: ok (1 document)\n")


def test_a_problem_is_a_line_on_stdout_and_exit_1(run):
    result = run(bad=BAD)
    assert (result.exit_code, result.stdout) == (1, f"bad.yaml: {PROBLEM}\n")


def test_of_several_documents_the_problem_says_which(run):
    result = run(mixed=f"{GOOD}---\n{BAD}")
    assert (result.exit_code, result.stdout) == (1, f"mixed.yaml: documents[1].{PROBLEM}\n")


def test_each_file_has_its_own_answer_and_one_bad_one_is_enough(run):
    result = run(bad=BAD, good=GOOD)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [f"bad.yaml: {PROBLEM}", "good.yaml: ok (1 document)"]


def test_kinds_of_others_are_passed_over_with_a_note(run):
    result = run(mixed=f"apiVersion: v1\nkind: ConfigMap\n---\n{GOOD}")
    assert (result.exit_code, result.stdout) == (0, "mixed.yaml: ok (1 document)\n")
    assert result.stderr == "mixed.yaml: documents[0]: passed over: not a kind of Weft's (v1, ConfigMap)\n"


def test_a_text_that_is_no_object_is_not_passed_over(run):
    result = run(text="just words")
    assert (result.exit_code, result.stdout) == (
        1,
        "text.yaml: must be an object with apiVersion, kind, metadata and spec\n",
    )


def test_stdin(run):
    result = run("-", stdin=BAD)
    assert (result.exit_code, result.stdout) == (1, f"-: {PROBLEM}\n")


def test_a_file_that_cannot_be_read_does_not_hide_the_others(run):
    result = run("nowhere.yaml", "bad.yaml", bad=BAD)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "nowhere.yaml: cannot be read: No such file or directory",
        f"bad.yaml: {PROBLEM}",
    ]


def test_broken_yaml_names_its_line(run):
    result = run(broken="a: 1\na: 2\n")
    assert (result.exit_code, result.stdout) == (
        1,
        "broken.yaml: line 2: the key 'a' stands twice in one object (first on line 1)\n",
    )


USES = HEAD.format("Workflow", "w") + "spec: {nodes: [{name: a, use: {name: slack, with: {to: x}}}]}\n"
TYPE = HEAD.format("NodeType", "slack") + "spec: {parameters: [{name: to}], job: {image: i}}\n"
OTHER_TYPE = HEAD.format("NodeType", "mail") + "spec: {job: {image: i}}\n"


def test_a_node_type_may_be_in_another_file_or_in_the_cluster(run):
    assert run(w=USES, t=TYPE).exit_code == 0
    assert run(w=USES).exit_code == 0


def test_where_there_are_node_types_use_is_held_to_them(run):
    result = run(w=USES, t=OTHER_TYPE)
    assert result.exit_code == 1
    assert "w.yaml: spec.nodes[0].use.name: there is no NodeType named 'slack'" in result.stdout


def test_types_that_no_file_holds_are_taken_on_trust_with_a_note(run):
    mail = USES.replace("slack", "mail").replace("name: w}", "name: v}")
    result = run(both=f"{USES}---\n{mail}---\n{USES}", good=GOOD)
    assert (result.exit_code, result.stderr) == (0, "both.yaml: taken on trust, no file holds NodeTypes: mail, slack\n")
    assert run(w=USES, t=TYPE).stderr == ""


def in_namespace(content, namespace):
    return content.replace("name: ", f"namespace: {namespace}, name: ", 1)


def test_node_types_are_those_of_the_same_namespace(run):
    mine, theirs = in_namespace(USES, "shop"), in_namespace(TYPE, "other")
    assert run(w=mine, t=in_namespace(TYPE, "shop")).exit_code == 0
    trusted = run(w=mine, t=theirs)
    assert (trusted.exit_code, trusted.stderr) == (0, "w.yaml: taken on trust, no file holds NodeTypes: slack\n")
    held = run(w=mine, t=theirs, u=in_namespace(OTHER_TYPE, "shop"))
    assert held.exit_code == 1
    assert "w.yaml: spec.nodes[0].use.name: there is no NodeType named 'slack'" in held.stdout
    both = run(w=f"{mine}---\n{in_namespace(USES, 'far')}", t=in_namespace(TYPE, "shop"))
    assert (both.exit_code, both.stderr) == (0, "w.yaml: taken on trust, no file holds NodeTypes: slack\n")


def test_of_a_node_type_each_namespace_has_its_own(run):
    """One of the two types takes a text, the other a number."""
    numbers = TYPE.replace("{name: to}", "{name: to, type: integer}")
    types = f"{in_namespace(TYPE, 'shop')}---\n{in_namespace(numbers, 'other')}"
    result = run(a=in_namespace(USES, "shop"), b=in_namespace(USES, "other"), types=types)
    assert result.stdout.splitlines() == [
        "a.yaml: ok (1 document)",
        "b.yaml: spec.nodes[0].use.with: parameter 'to' must be of type integer, got the string 'x'; write it without"
        " quotes",
        "types.yaml: ok (2 documents)",
    ]


TAKES_COUNT = GOOD.replace("good", "w").replace("spec: {", "spec: {parameters: [{name: count, type: integer}], ")
RUNS = HEAD.format("WorkflowRun", "r") + "spec: {workflowRef: {name: w}, parameters: GIVEN}\n"
CALLS = HEAD.format("Workflow", "p") + "spec: {nodes: [{name: a, workflow: {name: w, parameters: GIVEN}}]}\n"
REQUIRED = "parameter 'count' is required: give it a value of type integer, or declare a default"


@pytest.mark.parametrize(("content", "path"), [(RUNS, "spec.parameters"), (CALLS, "spec.nodes[0].workflow.parameters")])
@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ("{count: 3}", None),
        ("{}", REQUIRED),
        ('{count: "3"}', "parameter 'count' must be of type integer, got the string '3'; write it without quotes"),
        ("{count: 3, mode: 1}", "parameter 'mode' is not declared; declared: count"),
    ],
)
def test_runs_and_calls_are_held_to_a_workflow_of_any_file(run, content, path, parameters, told):
    result = run(w=TAKES_COUNT, x=content.replace("GIVEN", parameters))
    lines = ["w.yaml: ok (1 document)", f"x.yaml: {path}: {told}" if told else "x.yaml: ok (1 document)"]
    assert (result.exit_code, result.stdout.splitlines()) == (1 if told else 0, lines)
    both = run(both=f"{content.replace('GIVEN', parameters)}---\n{TAKES_COUNT}")
    assert both.stdout == (f"both.yaml: documents[0].{path}: {told}\n" if told else "both.yaml: ok (2 documents)\n")


def test_what_a_template_will_give_a_call_is_known_later(run):
    assert run(w=TAKES_COUNT, p=CALLS.replace("GIVEN", '{count: "${{ run.name }}"}')).exit_code == 0
    result = run(w=TAKES_COUNT, p=CALLS.replace("GIVEN", '{mode: "${{ run.name }}"}'))
    assert result.stdout.splitlines()[1:] == [
        "p.yaml: spec.nodes[0].workflow.parameters: parameter 'mode' is not declared; declared: count",
        f"p.yaml: spec.nodes[0].workflow.parameters: {REQUIRED}",
    ]


@pytest.mark.parametrize(
    "workflows",
    [
        GOOD,
        TAKES_COUNT.replace("name: w", "name: w, namespace: elsewhere"),
        f"{TAKES_COUNT}---\n{TAKES_COUNT}",  # of two, nobody can say which is meant
    ],
)
def test_a_workflow_that_is_not_known_is_taken_on_trust(run, workflows):
    for content in (RUNS, CALLS):
        assert run(w=workflows, x=content.replace("GIVEN", "{}")).exit_code == 0


def test_a_workflow_that_is_wrong_says_so_itself(run):
    result = run(w=TAKES_COUNT.replace("type: integer", "type: int"), r=RUNS.replace("GIVEN", "{}"))
    assert [line.partition(": ")[0] for line in result.stdout.splitlines()] == ["w.yaml", "r.yaml"]
    assert "r.yaml: ok" in result.stdout


@pytest.mark.parametrize("metadata", ["[]", "{name: [w], namespace: {}}", "{name: 3}"])
def test_a_workflow_without_a_name_is_nobodys(run, metadata):
    result = run(w=TAKES_COUNT.replace("{name: w}", metadata), r=RUNS.replace("GIVEN", "{}"))
    assert "r.yaml: ok (1 document)" in result.stdout


def test_one_letter_is_the_boolean_that_kubectl_sends(run):
    result = run(w=TAKES_COUNT.replace("name: count", "name: n"))
    told = "must be a string, got the boolean false; YAML reads on, off, yes, no, y and n as booleans; put it in quotes"
    assert (result.exit_code, result.stdout) == (1, f"w.yaml: spec.parameters[0].name: {told}\n")


def test_a_large_number_may_be_written_as_helm_prints_it(run):
    spec = "spec: {timeoutSeconds: 2.592e+06, nodes: [{name: a, wait: {seconds: 600.0}}]}\n"
    assert run(w=HEAD.format("Workflow", "w") + spec).stdout == "w.yaml: ok (1 document)\n"


def test_a_boolean_for_a_key_says_to_use_quotes(run):
    result = run(bad=HEAD.format("Workflow", "w") + "spec:\n  on: x\n  nodes: [{name: a, job: {image: i}}]\n")
    assert result.exit_code == 1
    assert "in quotes" in result.stdout


NAMELESS = "apiVersion: weft.dev/v1alpha1\nkind: Workflow\n{}spec: {{nodes: [{{name: a, job: {{image: i}}}}]}}\n"
SUBDOMAIN = "metadata.name: must be lower-case letters, digits, '-' and '.', each part beginning and ending with"


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ("", "metadata.name: is required (or generateName)"),
        ("metadata: {}\n", "metadata.name: is required (or generateName)"),
        ("metadata: {name: null, labels: {a: b}}\n", "metadata.name: is required (or generateName)"),
        ("metadata: {name: ''}\n", "metadata.name: is required (or generateName)"),
        ("metadata: {name: Bad_Name}\n", SUBDOMAIN),
        ("metadata: {name: a..b}\n", SUBDOMAIN),
        ("metadata: {name: a-.b}\n", SUBDOMAIN),
        ('metadata: {name: "a\\n"}\n', SUBDOMAIN),
        (f"metadata: {{name: {'x' * 300}}}\n", "metadata.name: must have at most 253 characters, got 300"),
        ("metadata: {generateName: Bad_}\n", "metadata.generateName: must be"),
        ("metadata: {name: 5}\n", "metadata.name: must be a string"),
    ],
)
def test_a_name_is_what_the_api_server_takes(run, metadata, said):
    result = run(w=NAMELESS.format(metadata))
    assert result.exit_code == 1
    (told,) = result.stdout.splitlines()
    assert told.startswith(f"w.yaml: {said}")


@pytest.mark.parametrize("metadata", ["{name: a.b-c.0}", "{generateName: nightly-}", "{name: 0a}"])
def test_a_name_that_the_api_server_takes_is_taken(run, metadata):
    assert run(w=NAMELESS.format(f"metadata: {metadata}\n")).stdout == "w.yaml: ok (1 document)\n"


def test_only_validate_asks_for_a_name(run, tmp_path):
    (tmp_path / "w.yaml").write_text(NAMELESS.format("metadata: {name: Bad_Name}\n"))
    for command in ("simulate", "graph"):
        assert CliRunner().invoke(weft, [command, "w.yaml"]).exit_code == 0


def test_a_megabyte_in_the_wrong_place_does_not_fill_the_terminal(run):
    result = run(
        bad=HEAD.format("Workflow", "w") + f"spec: {{nodes: [{{name: {'x' * 1_000_000}, job: {{image: i}}}}]}}\n"
    )
    assert result.exit_code == 1
    assert len(result.stdout) < 10_000


BARE = HEAD.format("Workflow", "bare") + "spec: {DEFAULTSnodes: [{name: a, job: {}}]}\n"
NO_IMAGE = "no Pod starts without; give it one, or all nodes one in spec.defaults.image"


def test_a_job_without_an_image_is_noted_and_is_no_error(run):
    result = run(bare=BARE.replace("DEFAULTS", ""))
    assert (result.exit_code, result.stdout) == (0, "bare.yaml: ok (1 document)\n")
    assert result.stderr == f"bare.yaml: spec.nodes[0].job: node a has no image, and {NO_IMAGE}\n"


@pytest.mark.parametrize(
    "defaults",
    [
        "image: i",
        "podTemplate: {spec: {containers: [{name: main, image: i}]}}",
    ],
)
def test_an_image_may_come_from_the_defaults(run, defaults):
    assert run(bare=BARE.replace("DEFAULTS", f"defaults: {{{defaults}}}, ")).stderr == ""


@pytest.mark.parametrize(
    ("job", "image"),
    [
        ("{image: i}", True),
        ("{podTemplate: {spec: {containers: [{name: main, image: i}]}}}", True),
        ("{podTemplate: {spec: {containers: [{name: side, image: i}]}}}", False),
        ("{podTemplate: null}", False),
    ],
)
def test_a_node_type_may_bring_the_image(run, job, image):
    noted = run(w=USES, t=TYPE.replace("{image: i}", job)).stderr
    assert noted == ("" if image else f"w.yaml: spec.nodes[0].use: node a has no image, and {NO_IMAGE}\n")


def test_a_node_type_inherits_no_image_that_is_templated(run):
    defaults = 'spec: {parameters: [{name: tag}], defaults: {image: "i:${{ params.tag }}"}, '
    noted = run(w=USES.replace("spec: {", defaults), t=TYPE.replace("{image: i}", "{}")).stderr
    assert "w.yaml: spec.nodes[0].use: node a has no image" in noted


def test_compensations_subgraphs_and_runs_have_images_too(run):
    graph = "{nodes: [{name: a, job: {image: i}, compensate: {job: {}}}], graphs: [{name: g, nodes: [NODE]}]}"
    content = HEAD.format("WorkflowRun", "r") + f"spec: {{workflow: {graph}}}\n"
    result = run(r=content.replace("NODE", "{name: b, job: {}}"))
    where = ["spec.workflow.nodes[0].compensate.job: node a", "spec.workflow.graphs[0].nodes[0].job: node b"]
    assert [line.partition(" has no")[0] for line in result.stderr.splitlines()] == [f"r.yaml: {one}" for one in where]


def test_a_field_that_pods_do_not_have_is_noted_and_is_no_error(run):
    job = "{image: i, podTemplate: {spec: {containers: [{name: main, readinesProbe: {}}]}}}"
    for file in ({"w": GOOD.replace("{image: i}", job)}, {"t": TYPE.replace("{image: i}", job)}):
        result = run(**file)
        assert (result.exit_code, result.stdout) == (0, f"{next(iter(file))}.yaml: ok (1 document)\n")
        assert "job.podTemplate.spec.containers[0].readinesProbe: Pods have no such field" in result.stderr
        assert result.stderr.endswith('; did you mean "readinessProbe"?\n')


def test_of_very_many_jobs_without_an_image_some_are_noted(run):
    nodes = ", ".join(f"{{name: a{i}, job: {{}}}}" for i in range(500))
    noted = run(w=HEAD.format("Workflow", "w") + f"spec: {{nodes: [{nodes}]}}\n").stderr.splitlines()
    assert len(noted) == 6
    assert noted[-1] == "w.yaml: and 495 nodes more have no image"


def test_what_is_wrong_comes_before_an_image(run):
    assert run(bad=BAD.replace("{image: i}", "{}")).stderr == ""


def test_what_does_nothing_is_noted_and_is_no_error(run):
    nodes = "{name: a, approval: {onTimeout: Approve}}, {name: b, retry: {}, use: {name: t}}"
    workflow = HEAD.format("Workflow", "w") + f"spec: {{nodes: [{nodes}]}}\n"
    result = run(w=workflow, t=HEAD.format("NodeType", "t") + "spec: {expr: {x: '1'}}\n")
    assert (result.exit_code, result.stdout) == (0, "w.yaml: ok (1 document)\nt.yaml: ok (1 document)\n")
    assert result.stderr.splitlines() == [
        "w.yaml: spec.nodes[0].approval.onTimeout: does nothing without timeoutSeconds beside it",
        "w.yaml: spec.nodes[1].retry: does nothing, as the body 'expr' is never tried again",
    ]
