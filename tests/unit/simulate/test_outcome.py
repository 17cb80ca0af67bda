"""The course of an attempt by its event: a truth table."""

from typing import Any

import pytest
from weft.graph.compiled import Body, Node
from weft.simulate.outcome import course_of
from weft.simulate.scenario import Event

JOB, SERVICE = Node(0, "a", Body("job")), Node(0, "a", Body("job"), service=True)
HTTP, RESOURCE = Node(0, "a", Body("http", timeout=30)), Node(0, "a", Body("resource"))

TABLE = [
    # node, event -> ends after, succeeded, reason, exit code
    (JOB, {}, 1.0, True, None, 0),
    (JOB, {"durationSeconds": 5}, 5.0, True, None, 0),
    (JOB, {"exitCode": 0}, 1.0, True, None, 0),
    (JOB, {"exitCode": 3}, 1.0, False, "Error", 3),
    (JOB, {"reason": "Error"}, 1.0, False, "Error", 1),
    (JOB, {"reason": "OOMKilled"}, 1.0, False, "OOMKilled", 137),
    (JOB, {"reason": "Evicted"}, 1.0, False, "Evicted", None),
    (HTTP, {}, 1.0, True, None, None),
    (HTTP, {"exitCode": 1}, 1.0, False, "RequestFailed", None),
    (HTTP, {"durationSeconds": 31}, 30.0, False, "RequestFailed", None),
    (RESOURCE, {"exitCode": 1}, 1.0, False, "ResourceFailed", None),
    (SERVICE, {"durationSeconds": 4}, 4.0, True, None, 0),
    (SERVICE, {"exitCode": 2}, 1.0, False, "Error", 2),
]


@pytest.mark.parametrize(("node", "event", "after", "succeeded", "reason", "code"), TABLE)
def test_how_an_attempt_ends(
    node: Node, event: dict[str, Any], after: float, succeeded: bool, reason: str | None, code: int | None
) -> None:
    course = course_of(node.body.kind, node, Event.model_validate({"node": "a", **event}), 1.0)
    assert course.ending is not None
    assert (course.ends_after, course.ending.succeeded, course.ending.reason, course.ending.exit_code) == (
        after, succeeded, reason, code,
    )  # fmt: skip
    assert course.ending.disruption is (reason == "Evicted")
    assert succeeded or course.ending.message


def test_a_service_is_ready_and_runs_until_it_is_stopped() -> None:
    course = course_of("job", SERVICE, Event(node="a", ready_seconds=3), 1.0)
    assert (course.ready_after, course.ends_after) == (3.0, None)


@pytest.mark.parametrize("reason", ["ImagePullFailed", "Unschedulable", "QuotaExceeded"])
def test_a_pending_reason_holds_the_pod(reason: str) -> None:
    held = course_of("job", JOB, Event.model_validate({"node": "a", "reason": reason}), 1.0)
    assert (held.pending, held.runs_after, held.ends_after) == (reason, None, None)
    runs = course_of("job", JOB, Event.model_validate({"node": "a", "reason": reason, "durationSeconds": 20}), 3.0)
    assert (runs.pending, runs.runs_after, runs.ends_after) == (reason, 20.0, 23.0)


OUTPUTS = [
    ("job", {"n": 1}, '{"n":1}', None),
    ("job", "n=1", "n=1", None),
    ("job", None, None, None),
    ("http", {"status": 201}, None, {"status": 201, "body": ""}),
    ("http", None, None, {"status": 200, "body": ""}),
    ("resource", None, None, {}),
    ("resource", {"a": 1}, None, {"a": 1}),
]


@pytest.mark.parametrize(("kind", "outputs", "text", "values"), OUTPUTS)
def test_what_an_attempt_gives(kind: str, outputs: Any, text: str | None, values: Any) -> None:
    course = course_of(kind, Node(0, "a", Body(kind)), Event(node="a", outputs=outputs), 1.0)
    assert course.ending is not None
    assert (course.ending.text, course.ending.outputs) == (text, values)
