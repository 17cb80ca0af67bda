"""The work that Argo is given is the work that Weft is given, and its end is read from what its watch tells."""

import pytest

from bench.harness.argo import ArgoLoad, argo_chain
from bench.harness.slownodes import place
from bench.harness.workflows import chain, job


def test_the_same_container_runs_in_the_same_place():
    ours = chain(3, job(place(0)))["nodes"][0]["job"]
    (node,) = [each for each in argo_chain(3, place(0))["templates"] if each["name"] == "node"]
    container = {key: ours[key] for key in ("image", "command", "imagePullPolicy")}
    assert node == {
        "name": "node",
        "container": container,
        "nodeSelector": ours["nodeSelector"],
        "tolerations": ours["tolerations"],
        "metadata": {"annotations": ours["annotations"]},
    }


def test_the_nodes_follow_one_another():
    spec = argo_chain(3, None)
    (graph,) = [each["dag"] for each in spec["templates"] if each["name"] == spec["entrypoint"]]
    assert [(task["name"], task.get("dependencies")) for task in graph["tasks"]] == [
        ("n0", None), ("n1", ["n0"]), ("n2", ["n1"]),
    ]  # fmt: skip


def test_one_node_is_a_workflow_of_its_template_alone():
    assert argo_chain(1, None)["entrypoint"] == "node"


@pytest.mark.parametrize(
    ("line", "ended"),
    [
        (b'{"labels":{"workflows.argoproj.io/phase":"Succeeded"}}', b"Succeeded"),
        (b'{"labels":{"workflows.argoproj.io/phase":"Error"}}', b"Error"),
        (b'{"labels":{"workflows.argoproj.io/phase":"Running"},"status":{"nodes":{"n0":{"phase":"Succeeded"}}}}', None),
    ],
)
def test_an_end_is_told_from_a_nodes_end(line: bytes, ended: bytes | None):
    found = ArgoLoad.ended_as.search(line)
    assert (found[1] if found else None) == ended
