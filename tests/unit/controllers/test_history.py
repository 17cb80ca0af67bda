"""What is kept in memory of runs that are over."""

import copy
import tracemalloc
from typing import Any

import orjson
import pytest
from support.clock import VirtualClock
from support.manifests import run
from weft.api.base import API_VERSION
from weft.api.objects import Obj
from weft.controllers.catalog import Catalog
from weft.controllers.history import remembered
from weft.controllers.run_facts import finished
from weft.engine.budget import read_nodes
from weft.kube.packed import Packed
from weft.kube.resources import WORKFLOW_RUNS

NODES = [
    {"name": f"n{number}", "phase": "Succeeded", "attempts": 1, "job": f"r-n{number}-tq2xs5o5f7", "exitCode": 0,
     "startTime": f"2026-11-27T14:13:{number:02}.468Z", "completionTime": f"2026-11-27T14:14:{number:02}.001Z"}
    for number in range(40)
]  # fmt: skip
ENDED: dict[str, Any] = {
    "phase": "Succeeded", "conditions": [{"type": "Finished", "status": "True"}], "nodes": NODES, "outputs": {"a": 1},
    "state": {"stage": "Finished"}, "workflowRevision": "w-1", "counts": {"failed": 0}, "rerunGeneration": 1,
}  # fmt: skip


def over(**spec: Any) -> Obj:
    made = run(**spec)
    made["status"] = copy.deepcopy(ENDED)
    return made


@pytest.fixture
def catalog() -> Catalog:
    return Catalog(monotonic=VirtualClock().monotonic)


def test_of_a_run_that_is_over_all_is_known_that_somebody_asks_for() -> None:
    whole = over(parameters={"limit": 1}, queue="gpu")
    kept = remembered(whole)
    assert kept["spec"] == {"workflowRef": {"name": "w"}, "queue": "gpu"}
    assert finished(kept)
    assert list(kept["status"].pop("nodes")) == NODES
    assert kept["status"] == {key: value for key, value in ENDED.items() if key not in ("nodes", "state")}
    assert whole == over(parameters={"limit": 1}, queue="gpu")  # whoever has it goes on having all of it


@pytest.mark.parametrize("is_child", [True, False])
def test_of_a_child_run_its_parent_reads_the_exact_outputs(is_child: bool) -> None:
    whole = over()
    whole["status"]["state"]["outputsText"] = '{"a":null}'
    if is_child:
        whole["metadata"]["ownerReferences"] = [
            {"apiVersion": API_VERSION, "kind": "WorkflowRun", "name": "p", "uid": "u", "controller": True}
        ]
    assert remembered(whole)["status"].get("state") == ({"outputsText": '{"a":null}'} if is_child else None)


def test_of_an_inline_workflow_is_kept_what_is_asked_after_the_end() -> None:
    asked = {"notifications": [{"channel": "c", "events": ["Failed"]}], "ttlSecondsAfterFinished": 60, "jobs": {}}
    kept = remembered(over(workflow={"nodes": [{"name": "a"}], "description": "long"} | asked))
    assert kept["spec"]["workflow"] == asked


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"phase": "Running", "nodes": NODES},
        {"phase": "Succeeded", "nodes": NODES},  # its conditions do not say so (yet)
        ENDED | {"rerunGeneration": 0},  # a rerun is asked for
    ],
    ids=["new", "running", "half told", "rerun"],
)
def test_a_run_that_may_go_on_is_kept_whole(status: dict[str, Any]) -> None:
    whole = run(parameters={"limit": 1}, rerun={"generation": 1})
    whole["status"] = status
    assert remembered(whole) is whole


def test_packed_nodes_read_as_the_list_they_are_made_from() -> None:
    packed = Packed(NODES)
    assert (len(packed), packed[3], packed[-2:], bool(Packed([]))) == (40, NODES[3], NODES[-2:], False)
    assert read_nodes({"nodes": packed}, {}) == NODES


def test_whoever_changes_what_is_read_changes_nothing_that_is_kept() -> None:
    packed = Packed(NODES)
    packed[0]["phase"] = "Failed"
    assert packed[0]["phase"] == "Succeeded"


def test_outputs_that_are_stored_elsewhere_are_put_back_into_packed_nodes() -> None:
    packed = Packed([{"name": "a", "phase": "Succeeded", "outputsIn": "c"}])
    assert read_nodes({"nodes": packed}, {"c": {"a": {"x": 1}}})[0]["outputs"] == {"x": 1}


def test_the_catalog_keeps_runs_that_are_over_in_a_fraction_of_the_memory(catalog: Catalog) -> None:
    def memory(name: str, status: dict[str, Any]) -> int:
        text = orjson.dumps(run(name=name) | {"status": status})
        tracemalloc.start()
        try:
            catalog.apply(WORKFLOW_RUNS, None, orjson.loads(text))
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    memory("first", ENDED)  # what is imported and cached by then
    assert memory("over", ENDED) < memory("running", ENDED | {"phase": "Running", "conditions": []}) / 4


def test_neither_kubectls_copy_of_an_object_nor_its_field_owners_are_kept(catalog: Catalog) -> None:
    annotated = run("a")
    last = "kubectl.kubernetes.io/last-applied-configuration"
    annotated["metadata"] |= {"managedFields": ["much"], "annotations": {last: "{}", "team": "a"}}
    catalog.apply(WORKFLOW_RUNS, None, annotated)
    found = catalog.runs.get("ns", "a")
    assert found is not None
    assert "managedFields" not in found["metadata"]
    assert found["metadata"]["annotations"] == {"team": "a"}
