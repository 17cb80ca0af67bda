"""What the engine can ask for. The shell carries actions out; each may be carried out twice safely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from weft.engine.state import AttemptId
from weft.graph.compiled import Node


@dataclass(slots=True, frozen=True)
class Start:
    """Start an attempt. `kind` is job, http, resource or workflow.

    `payload` is the rendered body: for a job {"image", "args", "env"} as far as the body has them;
    for http {"url", "method", "headers", "body"}; for a resource the manifest; for a workflow
    {"name", "parameters"}. `memory` overrides the memory that was declared, in bytes: {"requests", "limits"}.
    `after` names the attempt of the same unit whose Pod must be gone or terminal first.
    """

    id: AttemptId
    kind: str
    node: Node
    payload: Any
    memory: dict[str, int] | None = None
    after: AttemptId | None = None


@dataclass(slots=True, frozen=True)
class Stop:
    """Stop an attempt that is in flight; its end is still awaited."""

    id: AttemptId
    kind: str
    reason: str


@dataclass(slots=True, frozen=True)
class AskApproval:
    """An approval is waiting for decisions (sent again when it escalates to another group)."""

    id: AttemptId


@dataclass(slots=True, frozen=True)
class Acquire:
    """Ask for a concurrency key; answered by LockAnswer."""

    id: AttemptId
    key: str
    limit: int
    policy: str


@dataclass(slots=True, frozen=True)
class Release:
    """Give a concurrency key back (or stop waiting for it)."""

    id: AttemptId
    key: str


@dataclass(slots=True, frozen=True)
class LookUp:
    """Ask the cache for an earlier success; answered by CacheAnswer."""

    id: AttemptId
    key: str
    max_age: float | None


@dataclass(slots=True, frozen=True)
class Remember:
    """Put a success into the cache."""

    id: AttemptId
    key: str
    outputs: Any


@dataclass(slots=True, frozen=True)
class Note:
    """Something worth an event in `kubectl describe`. type is Normal or Warning."""

    type: str
    reason: str
    message: str


Action = Start | Stop | AskApproval | Acquire | Release | LookUp | Remember | Note
