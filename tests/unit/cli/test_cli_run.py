import pytest
import yaml
from support.apiserver import workflow_run
from weft.api.parameters import Parameter
from weft.cli.run import Wish, declared, not_ready, run_of
from weft.kube.resources import WORKFLOW_RUNS

PARAMETERS = [
    {"name": "limit", "type": "integer", "default": 100, "minimum": 1},
    {"name": "mode", "default": "standard", "enum": ["standard", "urgent"]},
]
SPEC = {"parameters": PARAMETERS, "nodes": [{"name": "scrape", "job": {"image": "i"}}]}


def workflow(**fields):
    metadata = {"name": "listing", "namespace": "shop"}
    return {"apiVersion": "weft.dev/v1alpha1", "kind": "Workflow", "metadata": metadata, "spec": SPEC, **fields}


@pytest.fixture
def made(api):
    """The runs that were created."""
    return lambda: api.all(WORKFLOW_RUNS, "shop")


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
    manifest = {
        "apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun",
        "metadata": {"name": "nightly-7", "labels": {"team": "a"}},
        "spec": {"workflowRef": {"name": "listing"}, "parameters": {"limit": 5}, "queue": "night"},
    }  # fmt: skip
    result = call("run", "-f", "-", "-p", "mode=urgent", stdin=yaml.safe_dump(manifest))
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


@pytest.mark.parametrize(
    ("documents", "problem"),
    [
        ([], "must hold one Workflow or WorkflowRun, found 0"),
        ([workflow(), workflow()], "must hold one Workflow or WorkflowRun, found 2"),
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
    assert call("run", *words).exit_code == 2


def test_declarations_that_cannot_be_read_are_left_to_the_operator():
    assert declared({"parameters": [{"name": "a"}, {"type": "x"}]}) == [Parameter(name="a")]


def test_the_manifest_of_a_wish():
    assert run_of({"workflowRef": {"name": "w"}}, "w", {}, Wish(name="n")) == {
        "apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun", "metadata": {"name": "n"},
        "spec": {"workflowRef": {"name": "w"}},
    }  # fmt: skip
