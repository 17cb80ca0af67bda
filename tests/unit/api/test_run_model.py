"""A WorkflowRun: one workflow, a sensible rerun, and a status that is read whoever wrote it."""

from typing import Any

import pytest
from weft.api.conditions import NodePhase, RunPhase
from weft.api.problems import parse
from weft.api.workflowrun import RunStatus, WorkflowRun

REF = {"workflowRef": {"name": "listing"}}
INLINE = {"workflow": {"nodes": [{"name": "a", "job": {"image": "i"}}]}}


def complaints(spec: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in parse(WorkflowRun, {"metadata": {"name": "r"}, "spec": spec})[1]]


@pytest.mark.parametrize("spec", [REF, INLINE, {**REF, "workflow": None}])
def test_a_run_names_or_holds_one_workflow(spec: dict[str, Any]) -> None:
    assert complaints(spec) == []


def test_neither_or_both_are_refused() -> None:
    assert complaints({}) == ["spec: a run has exactly one of workflowRef, workflow; none was given"]
    assert complaints({**REF, **INLINE})[0].endswith("found 2: workflowRef and workflow")


def test_the_inline_workflow_is_checked_in_its_place() -> None:
    assert complaints({"workflow": {"nodes": [{"name": "A", "job": {}}]}})[0].startswith(
        "spec.workflow.nodes[0].name: "
    )


def test_the_designs_run_is_understood() -> None:
    spec = {
        **REF,
        "parameters": {"limit": 500, "mode": "urgent"},
        "queue": "default",
        "priority": "Normal",
        "suspend": False,
        "stop": None,
        "rerun": {"generation": 1, "from": "Failed"},
    }
    run, problems = parse(WorkflowRun, {"metadata": {"name": "r"}, "spec": spec})
    assert problems == []
    assert run is not None
    assert run.spec.parameters == {"limit": 500, "mode": "urgent"}
    assert run.spec.stop is None


@pytest.mark.parametrize(
    ("rerun", "fits"),
    [
        ({"generation": 1}, True),
        ({"generation": 1, "from": "All"}, True),
        ({"generation": 1, "from": "Nodes", "nodes": ["publish/upload"]}, True),
        ({"generation": 1, "from": "Nodes"}, False),
        ({"generation": 1, "from": "Failed", "nodes": ["a"]}, False),
        ({"generation": 0}, False),
        ({"from": "Failed"}, False),
    ],
)
def test_a_rerun_names_nodes_exactly_when_it_asks_for_them(rerun: dict[str, Any], fits: bool) -> None:
    assert (complaints({**REF, "rerun": rerun}) == []) is fits


def test_a_status_is_read_leniently() -> None:
    status = RunStatus.model_validate(
        {
            "phase": "Running",
            "unknownToUs": 1,
            "nodes": [{"name": "a", "phase": "Succeeded", "c": [1, 2]}, {"name": "b"}],
            "state": {"anything": [1]},
        }
    )
    assert status.phase is RunPhase.Running
    assert status.nodes[0].phase is NodePhase.Succeeded
    assert status.nodes[0].to_wire()["c"] == [1, 2]
