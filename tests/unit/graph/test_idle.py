"""Settings that do nothing: noted where they stand, and nothing is noted that does something."""

from typing import Any

import pytest
from support.specs import node
from weft.api.nodetype import NodeTypeSpec
from weft.graph.idle import SHOWN
from weft.graph.notes import notes_on

IMAGE = {"image": "busybox:1"}
ANA = {"from": {"users": ["ana"]}}
MORE = {"onOutOfMemory": {"factor": 2, "max": "1Gi"}}
MOUNT = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
NO_VOLUME = "container main mounts 'data', and no volume of the Pod is called so"
DATA = {"volumes": [{"name": "data", "emptyDir": {}}]}


def memory(**kinds: str) -> dict[str, Any]:
    return {"resources": {kind: {"memory": size} for kind, size in kinds.items()}}


def noted(
    *nodes: dict[str, Any], kind: str = "Workflow", types: dict[str, dict[str, Any]] | None = None, **spec: Any
) -> list[str]:
    """The notes on a workflow of these nodes, `path: message`."""
    workflow = {"nodes": list(nodes), **{key.rstrip("_"): value for key, value in spec.items()}}
    known = {name: NodeTypeSpec.model_validate(one, by_alias=True) for name, one in (types or {}).items()}
    manifest = {"apiVersion": "weft.dev/v1alpha1", "kind": kind, "metadata": {"name": "w"}}
    return [str(note) for note in notes_on({**manifest, "spec": workflow}, known)]


@pytest.mark.parametrize(
    ("one", "note"),
    [
        (
            node("a", approval={"onTimeout": "Approve"}),
            "approval.onTimeout: does nothing without timeoutSeconds beside it",
        ),
        (
            node("a", approval={"onTimeout": "Approve"}, timeoutSeconds=60),
            "approval.onTimeout: does nothing without timeoutSeconds beside it; the node's timeoutSeconds fails it",
        ),
        (
            node("a", approval={"timeoutSeconds": 1, "onTimeout": "Escalate", "escalation": [ANA, ANA, ANA]}),
            "approval.escalation[1]: is never asked, as escalation[0] has no timeoutSeconds",
        ),
        (
            node("a", wait={"seconds": 1}, pendingTimeoutSeconds=9),
            "pendingTimeoutSeconds: does nothing, as only a job has a Pod that may wait, and this is 'wait'",
        ),
        (
            node("a", job={**IMAGE, **memory(requests="2Gi", limits="1Gi")}),
            "job: main requests more memory than its limit; the API server refuses such a Pod",
        ),
        (node("a", approval={}, retry={}), "retry: does nothing, as the body 'approval' is never tried again"),
        (node("a", expr={"x": "1"}, retry={}), "retry: does nothing, as the body 'expr' is never tried again"),
        (
            node("a", retry=MORE, http={"url": "http://shop.test/"}),
            "retry.onOutOfMemory: does nothing, as only a job runs out of memory, and this is 'http'",
        ),
        (node("a", retry=MORE), "retry.onOutOfMemory: raises nothing, as the job declares no memory in resources"),
        (
            node("a", retry=MORE, job={**IMAGE, **memory(requests="1Gi", limits="2Gi")}),
            "retry.onOutOfMemory: raises nothing, as the job declares as much memory as max allows",
        ),
        (
            node("a", job={**IMAGE, **MOUNT}),
            f"job.volumeMounts[0].name: {NO_VOLUME} (it has none)",
        ),
        (
            node("a", job={**IMAGE, **MOUNT, "volumes": [{"name": "date", "emptyDir": {}}]}),
            f'job.volumeMounts[0].name: {NO_VOLUME}; did you mean "date"? (it has date)',
        ),
        (
            node("a", job={**IMAGE, "podTemplate": {"spec": {"initContainers": [{"name": "first", **MOUNT}]}}}),
            "job: container first mounts 'data', and no volume of the Pod is called so (it has none)",
        ),
        (
            node("a", compensate={"expr": {"x": "1"}, "retry": {}}),
            "compensate.retry: does nothing, as the body 'expr' is never tried again",
        ),
    ],
)
def test_what_does_nothing_is_noted(one: dict[str, Any], note: str) -> None:
    assert noted(one) == [f"spec.nodes[0].{note}"]


@pytest.mark.parametrize(
    "one",
    [
        node("a", approval={}),
        node("a", approval={"timeoutSeconds": 1, "onTimeout": "Approve"}),
        node("a", approval={"timeoutSeconds": 1, "onTimeout": "Escalate", "escalation": [ANA]}),
        node("a", retry={}, workflow={"name": "other"}),
        node("a", retry={}, use={"name": "unknown"}),
        node("a", retry=MORE, use={"name": "unknown"}),
        node("a", retry=MORE, job={**IMAGE, **memory(limits="512Mi")}),
        node("a", retry=MORE, job={**IMAGE, **memory(requests="512Mi", limits="1Gi")}),
        node("a", retry={"onOutOfMemory": {}}, job={**IMAGE, **memory(limits="512Mi")}),
        node("a", job={**IMAGE, **MOUNT, **DATA}),
        node("a", job={**IMAGE, **MOUNT, "podTemplate": {"spec": DATA}}),
        node("a", job={**IMAGE, **DATA, "podTemplate": {"spec": {"containers": [{"name": "log", **MOUNT}]}}}),
    ],
)
def test_what_does_something_is_not_noted(one: dict[str, Any]) -> None:
    assert noted(one) == []


def test_what_the_defaults_and_a_node_type_bring_counts() -> None:
    use = node("a", use={"name": "t"})
    assert noted(use, types={"t": {"job": MOUNT}}, defaults={**IMAGE, **DATA}) == []
    assert noted(use, types={"t": {"job": {**IMAGE, **MOUNT}}}) == [f"spec.nodes[0].use: {NO_VOLUME} (it has none)"]
    assert noted({**use, "retry": {}}, types={"t": {"expr": {"x": "1"}}}) == [
        "spec.nodes[0].retry: does nothing, as the body 'expr' is never tried again"
    ]
    assert noted({**use, "retry": MORE}, types={"t": {"job": IMAGE}}, defaults=memory(limits="512Mi")) == []


def test_a_default_is_noted_if_it_does_nothing_for_any_node() -> None:
    big = node("b", job={**IMAGE, **memory(limits="512Mi")})
    note = (
        "spec.defaults.retry.onOutOfMemory: raises nothing, as no job that inherits it declares memory in resources,"
        " and less than max"
    )
    assert noted(node("a"), node("c"), defaults={"retry": MORE}) == [note]
    assert noted(node("a"), {**big, "retry": {"limit": 1}}, defaults={"retry": MORE}) == [note]
    assert noted(node("a"), big, defaults={"retry": MORE}) == []
    assert noted(node("a", expr={"x": "1"}), defaults={"retry": {"limit": 1}}) == []


def test_all_graphs_that_are_run_are_looked_at() -> None:
    wait = node("w", wait={"seconds": 1}, retry={})
    graphs = [
        {"name": "unused", "nodes": [wait]},
        {"name": "g", "nodes": [node("x", compensate={"graph": {"name": "h"}})]},
    ]
    graphs.append({"name": "h", "nodes": [wait]})
    calls = [node("a", graph={"name": "g"}), node("b", graph={"name": "g"})]
    assert [note.split(": ")[0] for note in noted(*calls, graphs=graphs, finally_=[wait])] == [
        "spec.finally[0].retry",
        "spec.graphs[2].nodes[0].retry",
    ]


def test_an_inline_workflow_is_looked_at_and_of_very_many_the_first_are_told() -> None:
    nodes = [node(f"n{number}", approval={}, retry={}) for number in range(50)]
    manifest = {"apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun", "metadata": {"name": "r"}}
    notes = notes_on({**manifest, "spec": {"workflow": {"nodes": nodes}}}, {})
    assert [note.path for note in notes] == [f"spec.workflow.nodes[{number}].retry" for number in range(SHOWN)]


def test_what_is_wrong_otherwise_is_not_looked_at() -> None:
    assert noted(node("a", "nobody", approval={}, retry={})) == []
