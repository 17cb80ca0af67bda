"""The final status of a Job that Weft controls: one merge patch of /status, in the one form the API server accepts.

It holds a managed Job's status to the transitions of its own controller: a condition announces the end and another
states it, startTime is required, completionTime belongs to Complete Jobs alone and is not before startTime.
"""

from typing import Any

from weft.api.times import timestamp

_MAX_MESSAGE = 1024


def succeeded_status(start: float, end: float) -> dict[str, Any]:
    """Give the patch for a Job whose Pod succeeded. Times are epoch seconds."""
    end = max(start, end)
    message = "the container main succeeded"
    status = _finished(start, end, ("SuccessCriteriaMet", "Complete"), "CompletionsReached", message)
    return {"status": {**status, "completionTime": timestamp(end), "succeeded": 1}}


def failed_status(start: float, end: float, reason: str, message: str) -> dict[str, Any]:
    """Give the patch for a Job whose Pod failed, or that never got one. Times are epoch seconds."""
    status = _finished(start, max(start, end), ("FailureTarget", "Failed"), reason, message[:_MAX_MESSAGE])
    return {"status": {**status, "failed": 1}}


def _finished(start: float, end: float, types: tuple[str, str], reason: str, message: str) -> dict[str, Any]:
    at = timestamp(end)
    shared = {"status": "True", "reason": reason, "message": message, "lastProbeTime": at, "lastTransitionTime": at}
    return {
        "startTime": timestamp(start),
        "uncountedTerminatedPods": {},
        "conditions": [{"type": kind, **shared} for kind in types],
    }
