import itertools
import json
from datetime import datetime
from typing import Any

import pytest
from weft.notify.events import Event, events_between

UID = "6b1f0c1e-0000-4000-8000-000000000001"
START, END = "2026-11-20T10:00:00Z", "2026-11-20T10:02:30Z"


def run(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "shop", "name": "listing-1", "uid": UID},
        "spec": {"workflowRef": {"name": "listing"}, "parameters": {"token": "s3cret"}, **spec},
    }


def status(phase: str = "Running", *nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    ended = phase in ("Succeeded", "Failed", "Cancelled")
    return {
        "phase": phase,
        "startTime": START,
        **({"completionTime": END} if ended else {}),
        "nodes": list(nodes),
        "conditions": [{"type": "Finished"}, {"type": "Succeeded", "reason": "NodeFailed", "message": "price failed"}],
        "outputs": {"listed": 7},
        **more,
    }


def node(name: str, phase: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "phase": phase, **more}


FAILED_NODE = node("price", "Failed", reason="Error", message="exit code 1", startTime=START, completionTime=END)
ASKING_NODE = node("review", "Waiting", reason="AwaitingApproval", message="Publish 12 items?", startTime=START)


def kinds(events: list[Event]) -> list[str]:
    return [event.kind.value for event in events]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {}, []),
        ({}, {"phase": "Queued"}, []),
        ({"phase": "Queued"}, status(), ["Started"]),
        (status(), status(), []),
        (status(), status("Suspended"), []),
        (status(), status("Succeeded"), ["Succeeded"]),
        (status(), status("Failed"), ["Failed"]),
        (status(), status("Cancelled"), ["Cancelled"]),
        ({"phase": "Queued"}, {"phase": "Cancelled", "completionTime": END}, ["Cancelled"]),
        ({}, status("Failed", FAILED_NODE), ["Started", "NodeFailed", "Failed"]),
        (status(), status("Running", FAILED_NODE), ["NodeFailed"]),
        (status("Running", FAILED_NODE), status("Failed", FAILED_NODE), ["Failed"]),
        (status("Failed", FAILED_NODE), status("Failed", node("price", "Failed", completionTime=END)), []),
        (status(), status("Running", node("a", "Skipped"), node("b", "Cancelled"), node("c", "Succeeded")), []),
        (status(), status("Running", ASKING_NODE), ["ApprovalRequested"]),
        (status("Running", ASKING_NODE), status("Running", node("review", "Succeeded")), []),
        (status(), status("Running", node("pause", "Waiting", reason="WaitingForTime")), []),
        (status("Failed"), status(rerunGeneration=1), ["Started"]),
        (status(rerunGeneration=1), status("Failed", FAILED_NODE, rerunGeneration=1), ["NodeFailed", "Failed"]),
        (status("Running", ASKING_NODE), status("Running", {**ASKING_NODE, "message": "1 of 2 approvals: ann"}), []),
        (status("Running", ASKING_NODE), status("Running", {**ASKING_NODE, "attempts": 2}), ["ApprovalRequested"]),
    ],
)
def test_an_update_tells_of_what_it_added(old: dict[str, Any], new: dict[str, Any], expected: list[str]) -> None:
    assert kinds(events_between(old, new, run())) == expected


def test_seen_step_by_step_or_all_at_once_the_events_have_the_same_ids_and_bodies() -> None:
    steps = [{}, status(), status("Running", FAILED_NODE), status("Failed", FAILED_NODE)]
    watched = [event for old, new in itertools.pairwise(steps) for event in events_between(old, new, run())]

    slept = events_between({}, steps[-1], run())

    assert [event.cloud_event() for event in slept] == [event.cloud_event() for event in watched]
    assert len({event.id for event in slept}) == 3


LATER = "2026-11-20T11:00:00.123Z"


@pytest.mark.parametrize("old", [{}, status("Failed", FAILED_NODE)], ids=["after a restart", "watched"])
@pytest.mark.parametrize(
    ("after", "again"),
    [
        (FAILED_NODE, False),
        ({**FAILED_NODE, "completionTime": LATER}, True),  # one that fails before its first attempt has no other mark
        ({**FAILED_NODE, "attempts": 3, "completionTime": LATER}, True),
    ],
    ids=["not touched", "failed again without an attempt", "failed again"],
)
def test_a_rerun_tells_anew_of_a_failure_only_when_it_touched_the_node(
    old: dict[str, Any], after: dict[str, Any], again: bool
) -> None:
    first = {event.id for event in events_between({}, status("Failed", FAILED_NODE), run())}

    found = events_between(old, status("Failed", after, rerunGeneration=1), run())

    assert kinds([event for event in found if event.id not in first and event.kind == "NodeFailed"]) == (
        ["NodeFailed"] if again else []
    )


def test_ids_differ_between_runs_nodes_and_reruns() -> None:
    other_run = {**run(), "metadata": {**run()["metadata"], "uid": "another"}}
    other_node = {**FAILED_NODE, "name": "load"}
    found = [
        *events_between({}, status("Failed", FAILED_NODE, other_node), run()),
        *events_between({}, status("Failed", {**FAILED_NODE, "completionTime": LATER}, rerunGeneration=2), run()),
        *events_between({}, status("Failed", FAILED_NODE), other_run),
    ]

    assert len({event.id for event in found}) == len(found) == 10


def test_a_failed_run_as_cloud_event() -> None:
    event = events_between(status("Running", FAILED_NODE), status("Failed", FAILED_NODE), run())[0].cloud_event()

    assert len(event.pop("id")) == 32
    assert event == {
        "specversion": "1.0",
        "source": "/apis/weft.dev/v1alpha1/namespaces/shop/workflowruns/listing-1",
        "type": "dev.weft.run.failed",
        "subject": "listing-1",
        "time": END,
        "datacontenttype": "application/json",
        "data": {
            "namespace": "shop",
            "run": "listing-1",
            "uid": UID,
            "workflow": "listing",
            "outcome": "Failed",
            "reason": "NodeFailed",
            "message": "price failed",
            "failures": [{"node": "price", "reason": "Error", "message": "exit code 1"}],
            "failureCount": 1,
            "startTime": START,
            "completionTime": END,
            "durationSeconds": 150.0,
        },
    }


@pytest.mark.parametrize(
    ("new", "event_type", "subject", "time"),
    [
        (status(), "dev.weft.run.started", "listing-1", START),
        (status("Succeeded"), "dev.weft.run.succeeded", "listing-1", END),
        (status("Cancelled"), "dev.weft.run.cancelled", "listing-1", END),
        (status("Running", FAILED_NODE), "dev.weft.node.failed", "listing-1/price", END),
        (status("Running", {**FAILED_NODE, "name": "a/b"}), "dev.weft.node.failed", "listing-1/a/b", END),
        (status("Running", ASKING_NODE), "dev.weft.approval.requested", "listing-1/review", START),
    ],
)
def test_type_subject_and_time(new: dict[str, Any], event_type: str, subject: str, time: str) -> None:
    event = events_between({}, new, run())[-1].cloud_event()

    assert (event["type"], event["subject"], event["time"]) == (event_type, subject, time)
    assert datetime.fromisoformat(event["time"]).tzinfo is not None


def test_a_node_event_names_the_node_and_why() -> None:
    data = events_between(status(), status("Running", ASKING_NODE), run())[0].data

    assert (data["node"], data["reason"], data["message"]) == ("review", "AwaitingApproval", "Publish 12 items?")


def test_an_inline_workflow_has_no_name_and_a_compact_node_no_time() -> None:
    event = events_between(status(), status("Running", node("price", "Failed")), run(workflowRef=None))[0].cloud_event()

    assert event["data"]["workflow"] is None
    assert "time" not in event


SECRET = "hunter2-SECRET"


def quoting(reason: str) -> dict[str, Any]:
    return node("price", "Failed", reason=reason, message=f"must match ^a$, got '{SECRET}'", completionTime=END)


def ended(reason: str, message: str, *nodes: dict[str, Any]) -> dict[str, Any]:
    return status("Failed", *nodes, conditions=[{"type": "Succeeded", "reason": reason, "message": message}])


QUOTING = ["InvalidParameters", "InvalidOutputs", "ExpressionError", "InvalidJob", "ResourceFailed", "ChildFailed"]


@pytest.mark.parametrize("reason", QUOTING)
def test_a_message_that_quotes_values_stays_in_the_status(reason: str) -> None:
    failed, whole = events_between(status(), ended(reason, f"got '{SECRET}'", quoting(reason)), run())

    told = {"node": "price", "reason": reason, "message": "see the run's status"}
    assert {name: failed.data[name] for name in told} == told
    assert (whole.data["reason"], whole.data["message"]) == (reason, "see the run's status")
    assert whole.data["failures"] == [told]
    assert SECRET not in json.dumps([failed.cloud_event(), whole.cloud_event()])


@pytest.mark.parametrize("reason", QUOTING)
@pytest.mark.parametrize(
    ("outer", "message", "told"),
    [
        ("NodeFailed", "a failed (Error: exit 1); b failed ({})", "a failed (Error: exit 1); b failed ("),
        ("FinallyFailed", "b failed ({}); and 2 more", "b failed ("),
        ("GraphFailed", "b failed (GraphFailed: c failed ({}))", "b failed (GraphFailed: c failed ("),
        ("TooManyFailedItems", "2 of 3 items failed; item 1: {}", "2 of 3 items failed; item 1: "),
    ],
)  # fmt: skip
def test_a_message_made_of_others_ends_where_it_would_quote_values(
    outer: str, message: str, told: str, reason: str
) -> None:
    text = message.format(f"{reason}: must match ^a$, got '{SECRET}'")
    failed = node("price", "Failed", reason=outer, message=text, completionTime=END)
    node_failed, whole = events_between(status(), ended(outer, text, failed), run())

    assert node_failed.data["message"] == whole.data["message"] == f"{told}{reason}…; see the run's status"


def test_neither_parameters_nor_outputs_are_told() -> None:
    told = json.dumps([event.cloud_event() for event in events_between({}, status("Failed", FAILED_NODE), run())])

    assert "s3cret" not in told
    assert "listed" not in told


def test_of_a_status_that_shows_only_some_nodes_the_number_of_failures_is_that_of_all() -> None:
    shown = [node(f"n{number}", "Failed") for number in range(300)]
    event = events_between(status(), status("Failed", *shown, counts={"failed": 5000}), run())[-1]

    assert event.data["failureCount"] == 5000


def test_nodes_of_subgraphs_count_as_failures_too() -> None:
    nodes = [node("publish", "Failed"), node("publish/upload", "Failed"), node("b", "Succeeded")]
    event = events_between(status(), status("Failed", *nodes, counts={"failed": 1, "succeeded": 1}), run())[-1]

    assert [failure["node"] for failure in event.data["failures"]] == ["publish", "publish/upload"]
    assert event.data["failureCount"] == 2


def test_however_much_failed_a_body_stays_small() -> None:
    nodes = [node(f"n{number}", "Failed", message="x" * 4000) for number in range(500)]
    event = events_between(status("Running", *nodes), status("Failed", *nodes), run())[0]

    assert len(event.data["failures"]) == 10
    assert event.data["failureCount"] == 500
    assert len(json.dumps(event.cloud_event())) < 16_384
