"""How an attempt goes, by its event: one pure function from (kind of body, event) to a course of events.

job       runs for durationSeconds, then ends by exitCode (0: Succeeded) or reason. A reason that keeps a Pod from
          running (ImagePullFailed, Unschedulable, QuotaExceeded) holds it pending until the engine stops it; with
          durationSeconds, for that long, and then it runs for the default duration.
service   is ready after readySeconds and runs until it is stopped, unless the event says how or when it ends.
http      answers {status: 200, body: ""}, an empty answer, overlaid by outputs as the operator reads them: a body that
          is a text is parsed if it is JSON, names of headers are in lower case. exitCode or reason: no answer came. A
          request that takes longer than http.timeoutSeconds fails then, an answer larger than http.maxResponseBytes
          fails as well.
resource  gives the name and the kind that the object was made with and an empty status, overlaid by outputs; exitCode
          or reason: it failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from yarl import URL

from weft.api.conditions import DISRUPTIONS, Reason
from weft.engine.http_answers import too_large
from weft.graph.compiled import Node
from weft.simulate.received import received
from weft.simulate.scenario import Event

PENDING_REASONS = frozenset({Reason.ImagePullFailed, Reason.Unschedulable, Reason.QuotaExceeded})

_WORDS = {
    Reason.OOMKilled: "main ran out of memory",
    Reason.Evicted: "the Pod was evicted",
    Reason.Preempted: "the Pod was preempted by one of higher priority",
    Reason.NodeLost: "the cluster node was lost",
    Reason.PodDeleted: "the Pod was deleted by somebody",
    Reason.JobDeleted: "the Job was deleted by somebody",
    Reason.ImagePullFailed: "the image cannot be pulled",
    Reason.Unschedulable: "no cluster node can run the Pod",
    Reason.QuotaExceeded: "the namespace's quota refuses the Pod",
}


@dataclass(slots=True, frozen=True)
class Ending:
    """How an attempt ends by itself: the fields of the engine's `AttemptEnded`."""

    succeeded: bool
    reason: str | None = None
    message: str = ""
    exit_code: int | None = None
    text: str | None = None
    outputs: Any = None
    disruption: bool = False


@dataclass(slots=True, frozen=True)
class Course:
    """Seconds after the start at which an attempt runs, is ready and ends; None: never by itself."""

    pending: str | None = None  # why it does not run at first
    message: str = ""
    runs_after: float | None = 0.0
    ready_after: float | None = None
    ends_after: float | None = None
    ending: Ending | None = None


def course_of(
    kind: str,
    node: Node,
    event: Event | None,
    default_seconds: float,
    *,
    made: Mapping[str, Any] | None = None,
    url: str = "",
) -> Course:
    """Say how an attempt of this node goes, given its event (None: none speaks of it).

    `made` are the outputs of a resource node about whose object the event says nothing; `url` is where an http node
    asks.
    """
    event = event or Event(node=node.name)
    if kind == "job" and event.reason in PENDING_REASONS:
        return _pending(node, event, default_seconds)
    if kind == "job" and node.service:
        return _service(event, default_seconds)
    seconds = default_seconds if event.duration_seconds is None else event.duration_seconds
    limit = node.body.timeout if kind == "http" else None
    if limit is not None and seconds > limit:
        late = Ending(succeeded=False, reason=Reason.RequestFailed, message=f"no answer within {limit:g} s")
        return Course(ends_after=limit, ending=late)
    ending = _ending(kind, event, made)
    return Course(ends_after=seconds, ending=_received(node, ending, url) if kind == "http" else ending)


def _pending(node: Node, event: Event, default_seconds: float) -> Course:
    reason, seconds = event.reason, event.duration_seconds
    assert reason is not None
    message = event.message or _WORDS[Reason(reason)]
    if seconds is None:
        return Course(pending=reason, message=message, runs_after=None)
    runs = event.model_copy(update={"reason": None, "duration_seconds": None})
    then = course_of("job", node, runs, default_seconds)
    return Course(
        pending=reason, message=message, runs_after=seconds, ending=then.ending,
        ready_after=None if then.ready_after is None else seconds + then.ready_after,
        ends_after=None if then.ends_after is None else seconds + then.ends_after,
    )  # fmt: skip


def _service(event: Event, default_seconds: float) -> Course:
    ends = (event.duration_seconds, event.exit_code, event.reason) != (None, None, None)
    if not ends:
        return Course(ready_after=event.ready_seconds)
    seconds = default_seconds if event.duration_seconds is None else event.duration_seconds
    ready = event.ready_seconds if event.ready_seconds < seconds else None
    return Course(ready_after=ready, ends_after=seconds, ending=_ending("job", event))


def _ending(kind: str, event: Event, made: Mapping[str, Any] | None = None) -> Ending:
    failed = event.reason is not None or bool(event.exit_code)
    if kind == "job":
        text = _text(event.outputs)
        if not failed:
            return Ending(succeeded=True, exit_code=0, text=text)
        reason = event.reason or Reason.Error
        disruption = reason in DISRUPTIONS
        code = event.exit_code if event.exit_code or disruption else 137 if reason == Reason.OOMKilled else 1
        message = event.message or _WORDS.get(Reason(reason)) or f"exit code {code}"
        return Ending(succeeded=False, reason=reason, message=message, exit_code=code, text=text, disruption=disruption)
    if failed:
        words = f"exit code {event.exit_code}" if event.reason is None else event.reason
        why = Reason.RequestFailed if kind == "http" else Reason.ResourceFailed
        return Ending(succeeded=False, reason=why, message=event.message or words)
    usual = {"status": 200, "body": ""} if kind == "http" else dict(made or {})
    return Ending(succeeded=True, outputs=usual | event.outputs if isinstance(event.outputs, dict) else usual)


def _received(node: Node, ending: Ending, url: str) -> Ending:
    """How an http attempt that was answered ends once the operator has read the answer."""
    if not ending.succeeded:
        return ending
    most = node.body.max_bytes
    outputs = received(ending.outputs, most)
    if outputs is not None:
        return replace(ending, outputs=outputs)
    return Ending(succeeded=False, reason=Reason.ResponseTooLarge, message=too_large(_place(url), most))


def _place(url: str) -> str:
    """Give what of an address may be told: the path and the query of many are secrets."""
    try:
        return str(URL(url).origin())
    except ValueError:
        return "the address"


def _text(outputs: Any) -> str | None:
    """Spell outputs as a container would write them; a string is what it wrote."""
    if outputs is None or isinstance(outputs, str):
        return outputs
    return orjson.dumps(outputs).decode()
