"""Why an attempt has failed whose child run has, and whether another one could do better.

What is wrong with the Workflow or with its parameters stays wrong. And a Workflow that starts itself has to come to its
end: every level of it that tried again would try all those below it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from weft.api.conditions import Reason
from weft.engine.state import FAILED

_NEVER_STARTS = (Reason.WorkflowNotFound, Reason.InvalidWorkflow, Reason.InvalidParameters)
_BY_ITS_NODES = (Reason.NodeFailed, Reason.FinallyFailed)
"""Any other end has a cause of its own. Its words may quote values; as ChildFailed's, no notification carries them."""


def child_failure(reason: str | None, nodes: Iterable[Mapping[str, Any]], *, started: bool) -> tuple[Reason, bool]:
    """Give the reason of the attempt's failure, and whether it is fatal.

    Takes the reason of the child run's end (which has not succeeded), the entries of its `status.nodes`, and whether it
    has ever started.
    """
    if not started and reason in _NEVER_STARTS:
        return Reason(reason), True
    if reason in _BY_ITS_NODES and any(map(_is_invalid, nodes)):
        return Reason.InvalidWorkflow, True
    return Reason.ChildFailed, False


def _is_invalid(entry: Mapping[str, Any]) -> bool:
    """Whether the node failed for its Workflow's sake; of a forEach, its items tell."""
    if entry.get("phase") != FAILED:
        return False
    return entry.get("reason") == Reason.InvalidWorkflow or any(map(_is_invalid, entry.get("items") or ()))
