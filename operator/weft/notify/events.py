"""What happened to a run, as CloudEvents: derived from its status alone, so a restart derives the same events again.

`events_between` reads two statuses of a WorkflowRun and gives the events that the newer one tells of and the older one
did not; from an empty one it gives all. Nothing needs to have been watched: an operator that slept through a run finds
the same events, and each has the same id: a hash of the run's UID, the kind, the node's path and a mark (see `_Fact`),
which is another one for what happens once more. The data tells only what was settled when it happened.

It carries no parameters and no outputs: they may hold secrets, and who is allowed to can read the run. Nor does it
carry the messages that quote them. Only the question of an approval is told as its author wrote it, values and all.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import quote

from weft.api.conditions import ConditionType, NodePhase, Reason, find_condition, shortened

Json = Mapping[str, Any]

CONTENT_TYPE = "application/cloudevents+json"
MAX_FAILURES = 10
MAX_MESSAGE = 1024
IN_STATUS = "see the run's status"

_QUOTING = (
    *(Reason.InvalidParameters, Reason.InvalidOutputs, Reason.ExpressionError),
    # What the API server says of an object into which values were rendered.
    *(Reason.InvalidJob, Reason.ResourceFailed),
    # What another run says, without its reason.
    Reason.ChildFailed,
)
"""Reasons whose message quotes values."""
_QUOTED = re.compile("|".join(_QUOTING))
"""A message that is made of others' (of a graph's failed nodes) names the reason before what it quotes."""


class EventKind(StrEnum):
    """The events that a Workflow can subscribe a channel to, as written in `notifications[].events`."""

    Started = "Started"
    Succeeded = "Succeeded"
    Failed = "Failed"
    Cancelled = "Cancelled"
    NodeFailed = "NodeFailed"
    ApprovalRequested = "ApprovalRequested"


TYPES: Mapping[EventKind, str] = {
    EventKind.Started: "dev.weft.run.started",
    EventKind.Succeeded: "dev.weft.run.succeeded",
    EventKind.Failed: "dev.weft.run.failed",
    EventKind.Cancelled: "dev.weft.run.cancelled",
    EventKind.NodeFailed: "dev.weft.node.failed",
    EventKind.ApprovalRequested: "dev.weft.approval.requested",
}
_ENDINGS = {kind.value: kind for kind in (EventKind.Succeeded, EventKind.Failed, EventKind.Cancelled)}
_BEGINNINGS = (EventKind.Started, EventKind.ApprovalRequested)
NODE_KINDS = (EventKind.NodeFailed, EventKind.ApprovalRequested)
"""Of a node; the others are of the run itself."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened: `cloud_event` is its CloudEvents 1.0 form in structured JSON.

    `former_id` is what older versions called it, whose ledgers are met after an upgrade: they marked all by the rerun.
    """

    kind: EventKind
    id: str
    former_id: str
    source: str
    subject: str
    time: str | None
    data: Json

    def cloud_event(self) -> dict[str, Any]:
        """Give the CloudEvents object; `time` is left out where the status does not tell it."""
        time = {"time": self.time} if self.time else {}
        return {**_frame(self.kind, self.id, self.source), "subject": self.subject, **time, "data": dict(self.data)}


def events_between(old_status: Json, new_status: Json, run: Json) -> list[Event]:
    """Give the events of `run` that `new_status` tells of and `old_status` did not; the old one may be empty."""
    known = {fact for fact, _ in _facts(old_status)}
    generation = _generation(new_status)
    return [_event(fact, teller, run, generation) for fact, teller in _facts(new_status) if fact not in known]


def is_event_of(event: Any, kind: EventKind, event_id: str, *, namespace: str, name: str, uid: str) -> bool:
    """Say whether what somebody kept is an event of that kind and id, and of that run, as far as it can be seen."""
    frame = _frame(kind, event_id, _source(namespace, name))
    run = {"namespace": namespace, "run": name, "uid": uid}
    if not (isinstance(event, dict) and isinstance(event.get("data"), dict) and isinstance(event.get("subject"), str)):
        return False
    of_node = event["subject"].startswith(f"{name}/")
    if of_node != (kind in NODE_KINDS) or not (of_node or event["subject"] == name):
        return False
    return frame.items() <= event.items() and run.items() <= event["data"].items()


def _frame(kind: EventKind, event_id: str, source: str) -> dict[str, str]:
    """Give what every CloudEvent of ours has in one form."""
    content = "application/json"
    return {"specversion": "1.0", "id": event_id, "source": source, "type": TYPES[kind], "datacontenttype": content}


def _source(namespace: str, name: str) -> str:
    return f"/apis/weft.dev/v1alpha1/namespaces/{quote(namespace)}/workflowruns/{quote(name)}"


class _Fact(NamedTuple):
    """What makes an event itself and no other; cheap, for it is read from every node of every update.

    The mark tells it from the same thing happening once more. Of the run's own events it is the rerun generation. That
    says nothing of a node, which a rerun may leave as it is: a failure is marked by when it was (attempt numbers would
    not do: who fails before its first attempt has none, and the sum over a loop's rounds may come to the same again),
    a question by the attempt that asks it, which no rerun uses twice.
    """

    kind: EventKind
    mark: str
    node: str


def _facts(status: Json) -> Iterator[tuple[_Fact, Json]]:
    """Yield what a status tells of, each fact with what tells more about it: the node's entry, or the whole status."""
    generation = _generation(status)
    if status.get("startTime"):
        yield _Fact(EventKind.Started, generation, ""), status
    for node in status.get("nodes") or ():
        if node.get("phase") == NodePhase.Failed:
            yield _Fact(EventKind.NodeFailed, node.get("completionTime") or "", node["name"]), node
        elif node.get("phase") == NodePhase.Waiting and node.get("reason") == Reason.AwaitingApproval:
            yield _Fact(EventKind.ApprovalRequested, str(node.get("attempts") or 0), node["name"]), node
    if ending := _ENDINGS.get(status.get("phase", "")):
        yield _Fact(ending, generation, ""), status


def _generation(status: Json) -> str:
    return str(status.get("rerunGeneration") or 0)


def _event(fact: _Fact, teller: Json, run: Json, generation: str) -> Event:
    metadata = run["metadata"]
    data = {
        "namespace": metadata["namespace"],
        "run": metadata["name"],
        "uid": metadata["uid"],
        "workflow": (run.get("spec", {}).get("workflowRef") or {}).get("name"),
    }
    return Event(
        kind=fact.kind,
        id=_id(metadata["uid"], fact),
        former_id=_id(metadata["uid"], fact._replace(mark=generation)),
        source=_source(metadata["namespace"], metadata["name"]),
        subject=f"{metadata['name']}/{fact.node}" if fact.node else metadata["name"],
        time=teller.get("startTime" if fact.kind in _BEGINNINGS else "completionTime"),
        data=data | _particulars(fact, teller),
    )


def _id(uid: str, fact: _Fact) -> str:
    return hashlib.sha256("\0".join([uid, fact.kind, fact.mark, fact.node]).encode()).hexdigest()[:32]


def _particulars(fact: _Fact, teller: Json) -> dict[str, Any]:
    """Give what the data says beyond naming the run: only what was settled when it happened."""
    if fact.node:
        return _told(teller) | _times(teller)
    if fact.kind is EventKind.Started:
        return {"startTime": teller["startTime"]}
    condition = find_condition(teller.get("conditions") or (), ConditionType.Succeeded) or {}
    data = {"outcome": fact.kind.value, **_why(condition)}
    if fact.kind is not EventKind.Succeeded:
        failed = [node for node in teller.get("nodes") or () if node.get("phase") == NodePhase.Failed]
        # A large run's status shows only some of its nodes; its counts are of all, but not of those of subgraphs.
        count = max(len(failed), (teller.get("counts") or {}).get("failed") or 0)
        data |= {"failures": [_told(node) for node in failed[:MAX_FAILURES]], "failureCount": count}
    return data | _times(teller)


def _told(node: Json) -> dict[str, Any]:
    return {"node": node["name"], **_why(node)}


def _why(told: Json) -> dict[str, Any]:
    """Give the reason of a node or a condition, and of its message what quotes no values."""
    reason, message = told.get("reason"), told.get("message")
    if message and reason in _QUOTING:
        message = IN_STATUS
    elif message and (quoted := _QUOTED.search(message)):
        message = f"{message[: quoted.end()]}…; {IN_STATUS}"
    return {"reason": reason, "message": None if message is None else shortened(message, MAX_MESSAGE)}


def _times(timed: Json) -> dict[str, Any]:
    """Give when a run or a node started and ended, and how long that was, as far as it is known."""
    started, completed = timed.get("startTime"), timed.get("completionTime")
    seconds = None
    if started and completed:
        seconds = (datetime.fromisoformat(completed) - datetime.fromisoformat(started)).total_seconds()
    return {"startTime": started, "completionTime": completed, "durationSeconds": seconds}
