"""What keeps a Pod from starting where its own status is silent: its Events, read as one sentence. Pure.

A volume that cannot be attached or mounted, a network that cannot be set up: the kubelet tells them in Events alone.
"""

import re
from collections.abc import Iterable

from weft.api.objects import Obj
from weft.api.times import moment

_HINDERED = frozenset(
    {
        "FailedAttachVolume",
        "FailedMount",
        "FailedMapVolume",
        "FailedMountOnFilesystemMismatch",
        "FailedPrepareDynamicResources",
        "FailedCreatePodSandBox",
        "NetworkNotReady",
    }
)
_BEYOND = frozenset({"Pulling", "Pulled", "Created", "Started"})
"""What comes after volumes and network: whatever kept the Pod from them before has passed."""
_SUMMARY = "Unable to attach or mount volumes"
"""What the kubelet says now and then besides the cause: only which volumes are missing."""
_RANDOM_ID = re.compile(r'"?\b[0-9a-f]{32,}\b"?\s*')
"""Of a sandbox that is made anew at each try: it says nothing, and would be news each time."""


def hindrance(events: Iterable[Obj]) -> str:
    """Give what keeps a Pod from starting by the Events about it, in any order; empty where they tell of nothing."""
    told = list(events)
    begun = max((_last(event) for event in told if event.get("reason") in _BEYOND), default=float("-inf"))
    failures = [event for event in told if event.get("reason") in _HINDERED and _last(event) > begun]
    if not failures:
        return ""
    event = max(failures, key=lambda event: (not _words(event).startswith(_SUMMARY), _last(event)))
    return _words(event)


def _words(event: Obj) -> str:
    """The message on one line; the output of a mount command has several."""
    text = _RANDOM_ID.sub("", event.get("message") or "")
    return " ".join(text.split()) or str(event["reason"])


def _last(event: Obj) -> float:
    """When it was told last: kubelets count, others tell of a series."""
    series = event.get("series") or {}
    at = event.get("lastTimestamp") or series.get("lastObservedTime") or event.get("eventTime")
    return moment(at or event["metadata"].get("creationTimestamp")) or 0.0
