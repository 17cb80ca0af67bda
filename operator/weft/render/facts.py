"""The words for what a Pod tells: one fact in the terms of an attempt, and the readings of JSON it is made of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from weft.api.conditions import DISRUPTIONS, Reason, message_for
from weft.api.objects import Obj
from weft.api.times import moment


class PodState(StrEnum):
    """Where a Pod stands, seen from its attempt."""

    Pending = "Pending"
    Running = "Running"
    Ready = "Ready"
    MainEnded = "MainEnded"
    Succeeded = "Succeeded"
    Failed = "Failed"
    Gone = "Gone"


@dataclass(slots=True, frozen=True)
class PodFact:
    """One Pod's story so far. `text` is main's termination message as it is."""

    state: PodState
    reason: Reason | None = None
    message: str = ""
    exit_code: int | None = None
    text: str | None = None

    @property
    def ended(self) -> bool:
        """Whether none of its processes can run any more."""
        return self.state in _ENDED

    @property
    def disruption(self) -> bool:
        """Whether the platform ended it, and not the work."""
        return self.reason in DISRUPTIONS


_ENDED = frozenset({PodState.Succeeded, PodState.Failed, PodState.Gone})

POD_GONE = PodFact(PodState.Gone, Reason.PodDeleted, message_for(Reason.PodDeleted))
"""The fact about a Pod that was there, is gone, and left no result."""


def container_state(status: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Give the state of a container, {running: ...} or the like; empty while there is none."""
    for container in status.get("containerStatuses") or ():
        if container["name"] == name:
            return container.get("state") or {}
    return {}


def condition(status: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Give the Pod's condition of a type, or an empty one."""
    return next((one for one in status.get("conditions") or () if one.get("type") == kind), {})


def has_sandbox(status: Mapping[str, Any]) -> bool | None:
    """Say whether a Pod has its volumes and its network, so that a container may have begun; None: nobody has said."""
    return {"True": True, "False": False}.get(condition(status, "PodReadyToStartContainers").get("status", ""))


def ending(state: PodState, main: Mapping[str, Any], reason: Reason | None = None, message: str = "") -> PodFact:
    """Make the fact of a Pod that has ended, with what its container main (`container_state`) left behind."""
    last = main.get("terminated") or {}
    text = None if never_ran(last) else last.get("message")
    return PodFact(state, reason, message, exit_code=last.get("exitCode"), text=text)


def in_time(pod: Obj, terminated: Mapping[str, Any]) -> bool | None:
    """Say whether a container ended before its Pod's own deadline could end it; None: nobody knows.

    The API's times are whole seconds, and the kubelet never acts before the deadline: an end in its second is its own.
    """
    limit = pod["spec"].get("activeDeadlineSeconds")
    start, finished = moment(pod["status"].get("startTime")), moment(terminated.get("finishedAt"))
    if limit is None or start is None or finished is None:
        return None
    return finished < start + float(limit)


def never_ran(terminated: Mapping[str, Any]) -> bool:
    """Say whether a container ended without its process having begun: its message is the runtime's, its start 1970."""
    return terminated.get("reason") in ("StartError", "ContainerCannotRun")


_CUT_SHORT = re.compile(
    r"(: |^)(context canceled|context deadline exceeded|ttrpc: closed|transport is closing)(: \w+)?$"
)
"""How containerd's message ends when whoever asked for the container, or its shim, went away in the middle (measured
by killing the kubelet while 50 Pods started); a command that cannot be run reads otherwise."""


def start_cut_short(terminated: Mapping[str, Any]) -> bool:
    """Say whether a container did not begin because the node's kubelet or runtime died on the way: nothing has run."""
    return never_ran(terminated) and bool(_CUT_SHORT.search((terminated.get("message") or "").strip()))
