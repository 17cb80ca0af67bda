"""What the engine can be told. Each word is a fact seen in the world, with the time it was seen.

The shell makes them from Jobs, Pods and the run's spec; the simulator from its scenario. An
observation about an attempt that is not in flight is ignored, so they may come twice or late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from weft.engine.state import AttemptId


@dataclass(slots=True, frozen=True)
class Controls:
    """What the user wants of the run, from its spec: the whole wish, each time it is read."""

    suspend: bool = False
    stop: str | None = None


@dataclass(slots=True, frozen=True)
class AttemptPending:
    """The attempt cannot run yet (Unschedulable, ImagePullFailed, QuotaExceeded...), or not end yet (MainEnded).

    reason None: it runs now.
    `podless`: its Job was made and only the Pod is refused, so that nobody may make the Job again.
    """

    id: AttemptId
    reason: str | None
    message: str
    at: float
    podless: bool = False


@dataclass(slots=True, frozen=True)
class AttemptReady:
    """The Pod of a service is ready."""

    id: AttemptId
    at: float


@dataclass(slots=True, frozen=True)
class AttemptEnded:
    """The attempt is over: its Pod, request, object or child run has ended.

    `succeeded` is the body's own verdict. `text` is a container's termination message, parsed
    into outputs here; bodies that give values directly set `outputs`. `disruption`: the platform
    ended it, not the work. `fatal`: no retry can help. `stopped`: the reason for which Weft itself stopped it, as it
    was written down where the attempt ran.
    """

    id: AttemptId
    at: float
    succeeded: bool
    reason: str | None = None
    message: str = ""
    exit_code: int | None = None
    text: str | None = None
    outputs: Any = None
    disruption: bool = False
    fatal: bool = False
    stopped: str | None = None


@dataclass(slots=True, frozen=True)
class Decision:
    """Somebody entitled to it approved or rejected; `id` is the approval's attempt."""

    id: AttemptId
    by: str
    decision: str
    at: float


@dataclass(slots=True, frozen=True)
class CacheAnswer:
    """The cache was asked for this unit; `outputs` is None for a miss."""

    id: AttemptId
    outputs: Any


@dataclass(slots=True, frozen=True)
class LockAnswer:
    """The concurrency key was granted, or refused for good (policy Skip)."""

    id: AttemptId
    granted: bool


@dataclass(slots=True, frozen=True)
class LockLost:
    """Another run takes the concurrency key over (policy CancelRunning): the holder is cancelled."""

    id: AttemptId


Observation = Controls | AttemptPending | AttemptReady | AttemptEnded | Decision | CacheAnswer | LockAnswer | LockLost
