from pathlib import Path

import pytest
import yaml
from support.apiserver import workflow_run
from support.transport import status
from weft.api.parameters import Parameter
from weft.cli.run import Wish, declared, not_ready, run_of
from weft.kube.resources import WORKFLOW_RUNS

PARAMETERS = [
    {"name": "limit", "type": "integer", "default": 100, "minimum": 1},
    {"name": "mode", "default": "standard", "enum": ["standard", "urgent"]},
]
HOLD = "must hold one Workflow or one WorkflowRun, or one of each, the run naming the Workflow; found"
APART = (
    "documents[0].spec.workflowRef.name: must be that of the Workflow beside it, 'listing', or the run be in a file"
    " of its own"
)
SPEC = {"parameters": PARAMETERS, "nodes": [{"name": "scrape", "job": {"image": "i"}}]}


def workflow(**fields):
    metadata = {"name": "listing", "namespace": "shop"}
    return {"apiVersion": "weft.dev/v1alpha1", "kind": "Workflow", "metadata": metadata, "spec": SPEC, **fields}


@pytest.fixture
def made(api):
    """The runs that were created."""
    return lambda: api.all(WORKFLOW_RUNS, "shop")


def the_run(ref="listing", **parameters):
    metadata = {"name": "nightly-7", "labels": {"team": "a"}}
    spec = {"workflowRef": {"name": ref}, "parameters": parameters, "queue": "night"}
    return {"apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun", "metadata": metadata, "spec": spec}


def write(tmp_path, *documents):
    file = tmp_path / "f.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    return str(file)


def test_a_run_is_created_with_typed_parameters_and_its_name_printed(api, call, made):
    api.add(workflow())
    result = call("run", "listing", "-p", "limit=5", "-p", "mode=urgent", "--queue", "night", "--priority", "high")
    [run] = made()
    assert (result.exit_code, result.stdout) == (0, f"{run['metadata']['name']}\n")
    assert run["metadata"]["generateName"] == "listing-"
    assert run["spec"] == {
        "workflowRef": {"name": "listing"}, "parameters": {"limit": 5, "mode": "urgent"}, "queue": "night",
        "priority": "High",
    }  # fmt: skip


def test_defaults_are_left_to_the_workflow(api, call, made):
    api.add(workflow())
    assert call("run", "listing", "--name", "mine").stdout == "mine\n"
    assert made()[0]["spec"] == {"workflowRef": {"name": "listing"}}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (["limit=x"], "parameter 'limit' must be a whole number, got 'x'"),
        (["limit=0"], "parameter 'limit' must be at least 1, got 0"),
        (["limt=5"], "parameter 'limt' is not declared; did you mean 'limit'?"),
        (["mode=slow"], "parameter 'mode' must be one of standard, urgent, got 'slow'"),
        (["limit"], "'limit' is no parameter; write name=value"),
        (["limit=5", "mode=urgent", "limit=6"], "parameter 'limit' is given twice"),
    ],
)
def test_parameters_are_checked_before_anything_is_created(api, call, made, params, message):
    api.add(workflow())
    result = call("run", "listing", *(word for param in params for word in ("-p", param)))
    assert (result.exit_code, result.stderr) == (1, f"Error: {message}\n")
    assert made() == []


def test_a_workflow_that_is_not_there_is_searched_for(api, call):
    api.add(workflow())
    result = call("run", "listng")
    assert (result.exit_code, result.stderr) == (
        1, "Error: no Workflow 'listng' in namespace shop; did you mean listing?\n"
    )  # fmt: skip


READY = {"type": "Ready", "status": "False", "message": "spec.nodes: a -> b -> a", "observedGeneration": 1}


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        (READY, "spec.nodes: a -> b -> a"),
        ({**READY, "observedGeneration": 0}, ""),
        ({**READY, "status": "True"}, ""),
    ],
)
def test_only_what_is_known_of_the_present_spec_counts(condition, problem):
    assert not_ready({"metadata": {"generation": 1}, "status": {"conditions": [condition]}}) == problem
    assert not_ready({"metadata": {"generation": 1}}) == ""


def test_an_invalid_workflow_is_not_started(api, call, made):
    api.add(workflow(status={"conditions": [READY]}))
    assert call("run", "listing").stderr == "Error: Workflow listing is invalid: spec.nodes: a -> b -> a\n"
    assert made() == []


def test_a_name_that_is_taken(api, call):
    api.add(workflow())
    call("run", "listing", "--name", "mine")
    assert call("run", "listing", "--name", "mine").stderr == (
        "Error: there is a run 'mine' already; give another --name\n"
    )


def test_a_workflow_of_a_file_runs_inline(call, made, tmp_path):
    result = call("run", "-f", write(tmp_path, workflow(), {"apiVersion": "v1", "kind": "ConfigMap"}), "-p", "limit=5")
    assert result.exit_code == 0
    [run] = made()
    assert run["metadata"]["name"].startswith("listing-")
    assert run["spec"] == {"workflow": SPEC, "parameters": {"limit": 5}}


def test_a_run_of_stdin_keeps_its_metadata_and_takes_more_parameters(api, call, made):
    api.add(workflow())
    result = call("run", "-f", "-", "-p", "mode=urgent", stdin=yaml.safe_dump(the_run(limit=5)))
    assert (result.stdout, result.stderr) == ("nightly-7\n", "")
    [run] = made()
    assert run["metadata"]["labels"] == {"team": "a"}
    assert run["spec"]["parameters"] == {"limit": 5, "mode": "urgent"}
    assert run["spec"]["queue"] == "night"


def test_a_run_of_a_file_without_a_name_gets_one(api, call, made, tmp_path):
    api.add(workflow())
    manifest = workflow_run("x")
    del manifest["metadata"], manifest["status"]
    assert call("run", "-f", write(tmp_path, manifest)).stdout.startswith("listing-")
    assert call("run", "-f", write(tmp_path, manifest), "--name", "mine").stdout == "mine\n"


@pytest.mark.parametrize("turned", [False, True])
def test_a_run_takes_the_workflow_that_stands_beside_it(call, made, tmp_path, turned):
    documents = [workflow(), the_run(limit=5)]
    file = write(tmp_path, *(reversed(documents) if turned else documents))
    result = call("run", "-f", file, "-p", "mode=urgent")
    assert (result.stdout, result.stderr) == ("nightly-7\n", "")
    [run] = made()
    assert run["metadata"]["labels"] == {"team": "a"}
    assert run["spec"] == {"workflow": SPEC, "parameters": {"limit": 5, "mode": "urgent"}, "queue": "night"}


def test_parameters_of_a_run_are_held_to_the_workflow_beside_it(call, made, tmp_path):
    result = call("run", "-f", write(tmp_path, workflow(), the_run(limit=5)), "-p", "limit=0")
    assert result.stderr == "Error: parameter 'limit' must be at least 1, got 0\n"
    assert made() == []


def test_a_run_without_a_name_is_called_as_the_workflow_beside_it(call, tmp_path):
    nameless = {**the_run(), "metadata": {}}
    assert call("run", "-f", write(tmp_path, workflow(), nameless)).stdout.startswith("listing-")


def test_what_else_of_ours_a_file_holds_is_not_applied(call, made, tmp_path):
    type_ = {"apiVersion": "weft.dev/v1alpha1", "kind": "NodeType", "metadata": {"name": "slack"}, "spec": {"job": {}}}
    file = write(tmp_path, type_, workflow(), the_run())
    result = call("run", "-f", file)
    assert (result.exit_code, len(made())) == (0, 1)
    assert result.stderr == (
        f"{file}: documents[0]: passed over: NodeType slack; the run finds it only where it has been applied\n"
    )


def test_an_example_runs_as_it_stands(call, made):
    file = Path(__file__).parents[3] / "examples" / "hello.yaml"
    result = call("run", "-f", str(file), "-p", "name=you")
    assert (result.stdout, result.stderr) == ("hello-1\n", "")
    assert made()[0]["spec"]["parameters"] == {"name": "you"}


UNREAD = (
    "Workflow listing cannot be read: eve may not get workflows in namespace shop; a Role must allow it: {apiGroups:"
    ' ["weft.dev"], resources: ["workflows"], verbs: ["get"]}; the operator checks the run\n'
    "values of -p are JSON where they can be, else strings; a string that looks like JSON: -p 'name=\"7\"'\n"
)


@pytest.mark.parametrize("of_file", [False, True])
def test_whoever_may_only_create_runs_creates_them_unchecked(api, call, made, tmp_path, of_file):
    words = 'workflows.weft.dev "listing" is forbidden: User "eve" cannot get resource "workflows" in API group'
    refusal = status(403, "Forbidden", f'{words} "weft.dev" in the namespace "shop"')
    api.fail(refusal, method="GET", plural="workflows")
    given = "limit=5", "mode=urgent", "day=007", 'id="7"', "on=true", "none=null", "list=[1]", "far=1e999", "open=[1"
    what = ["-f", write(tmp_path, the_run(limit=4))] if of_file else ["listing"]
    result = call("run", *what, *(word for param in given for word in ("-p", param)))
    assert (result.exit_code, result.stderr) == (0, UNREAD)
    [run] = made()
    assert run["spec"]["workflowRef"] == {"name": "listing"}
    assert run["spec"]["parameters"] == {
        "limit": 5, "mode": "urgent", "day": "007", "id": "7", "on": True, "none": "null", "list": [1], "far": "1e999",
        "open": "[1",
    }  # fmt: skip


def test_without_parameters_nothing_is_said_of_how_they_are_read(api, call):
    api.fail(403, method="GET", plural="workflows")
    said = call("run", "listing").stderr
    assert said.startswith("Workflow listing cannot be read: ")
    assert said.endswith("; the operator checks the run\n")


def test_a_parameter_given_twice_is_refused_unchecked_too(api, call, made):
    api.fail(403, method="GET", plural="workflows")
    assert "Error: parameter 'a' is given twice\n" in call("run", "listing", "-p", "a=1", "-p", "a=2").stderr
    assert made() == []


@pytest.mark.parametrize(
    ("documents", "problem"),
    [
        ([], f"{HOLD} 0 and 0; kubectl apply -f takes whatever it holds"),
        ([workflow(), workflow()], f"{HOLD} 2 and 0; kubectl apply -f takes whatever it holds"),
        ([workflow(), the_run(), the_run()], f"{HOLD} 1 and 2; kubectl apply -f takes whatever it holds"),
        ([the_run(ref="other"), workflow()], APART),
        ([{**the_run(), "spec": {"workflow": SPEC}}, workflow()], APART),
        ([the_run(limt=5), workflow(spec={"nodes": []})], "documents[1].spec.nodes: must have at least 1 items, got 0"),
        (
            [the_run(), workflow(metadata={"name": "listing", "namespace": "other"})],
            "documents[1].metadata.namespace: is 'other', but the run would go to 'shop'; give -n other",
        ),
        ([workflow(spec={"nodes": []})], "spec.nodes: must have at least 1 items, got 0"),
        (
            [workflow(metadata={"name": "listing", "namespace": "other"})],
            "metadata.namespace: is 'other', but the run would go to 'shop'; give -n other",
        ),
    ],
)
def test_a_file_that_cannot_be_run(call, made, tmp_path, documents, problem):
    file = write(tmp_path, *documents)
    result = call("run", "-f", file)
    assert (result.exit_code, result.stderr) == (1, f"Error: {file}: {problem}\n")
    assert made() == []


def test_a_file_that_is_not_there(call):
    assert "none.yaml: cannot be read" in call("run", "-f", "none.yaml").stderr


@pytest.mark.parametrize("words", [[], ["listing", "-f", "f.yaml"]])
def test_one_source_is_needed(call, words):
    result = call("run", *words)
    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.parametrize("command", ["run", "rerun"])
def test_help_says_what_else_the_status_of_a_cancelled_run_may_mean(call, command):
    told = " ".join(call(command, "--help").stdout.split())
    assert "2 Cancelled (or, with nothing on stdout, a wrong command line)" in told


def test_declarations_that_cannot_be_read_are_left_to_the_operator():
    assert declared({"parameters": [{"name": "a"}, {"type": "x"}]}) == [Parameter(name="a")]


def test_the_manifest_of_a_wish():
    assert run_of({"workflowRef": {"name": "w"}}, "w", {}, Wish(name="n")) == {
        "apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun", "metadata": {"name": "n"},
        "spec": {"workflowRef": {"name": "w"}},
    }  # fmt: skip
