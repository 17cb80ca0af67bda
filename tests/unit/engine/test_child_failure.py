"""What the end of a child run means for the attempt that started it."""

from typing import Any

import pytest
from weft.engine.child_failure import child_failure

INVALID = {"name": "a", "phase": "Failed", "reason": "InvalidWorkflow"}
OTHER = {"name": "b", "phase": "Failed", "reason": "Error"}
ITEM = {"index": 1, "phase": "Failed", "reason": "InvalidWorkflow"}
LOOP = {
    "name": "l",
    "phase": "Failed",
    "reason": "TooManyFailedItems",
    "items": [{"index": 0, "phase": "Pending"}, ITEM],
}
ORDINARY = ("ChildFailed", False)
CASES: list[tuple[str | None, bool, list[dict[str, Any]], tuple[str, bool]]] = [
    ("WorkflowNotFound", False, [], ("WorkflowNotFound", True)),
    ("InvalidWorkflow", False, [], ("InvalidWorkflow", True)),
    ("InvalidParameters", False, [], ("InvalidParameters", True)),
    ("Stopped", False, [], ORDINARY),
    ("Error", False, [], ORDINARY),
    (None, False, [], ORDINARY),
    # One that had started has done something, and may have come further than that once.
    ("InvalidWorkflow", True, [], ORDINARY),
    ("InvalidParameters", True, [], ORDINARY),
    ("NodeFailed", True, [OTHER], ORDINARY),
    ("NodeFailed", True, [OTHER, INVALID], ("InvalidWorkflow", True)),
    ("NodeFailed", True, [LOOP], ("InvalidWorkflow", True)),
    ("NodeFailed", True, [LOOP | {"phase": "Succeeded"}, OTHER], ORDINARY),
    ("NodeFailed", True, [{"name": "a", "phase": "Skipped", "reason": "InvalidWorkflow"}], ORDINARY),
    ("FinallyFailed", True, [INVALID], ("InvalidWorkflow", True)),
    # That is not why it failed, and its message quotes what a notification may not carry.
    ("ExpressionError", True, [INVALID], ORDINARY),
    ("DeadlineExceeded", True, [INVALID], ORDINARY),
    ("Stopped", True, [INVALID], ORDINARY),
]


@pytest.mark.parametrize(("reason", "started", "nodes", "expected"), CASES)
def test_the_failure_of_the_attempt(
    reason: str | None, started: bool, nodes: list[dict[str, Any]], expected: tuple[str, bool]
) -> None:
    assert child_failure(reason, nodes, started=started) == expected
