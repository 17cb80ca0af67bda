"""What a simulation remembers: the run and its child runs, and every attempt that left the engine."""

from __future__ import annotations

from dataclasses import dataclass, field

from weft.engine.observation import Observation
from weft.engine.state import AttemptId, RunContext, RunState
from weft.simulate.place import Place

START = 1767225600.0
"""The epoch second at which every simulated run starts: 2026-01-01T00:00:00Z."""


@dataclass(slots=True, eq=False)
class Attempt:
    """One attempt in a body outside the engine: where, when, and how it ended (None: it has not)."""

    run: Run
    id: AttemptId
    place: Place
    kind: str
    generation: int  # of the rerun that started it
    start: float
    end: float | None = None
    result: str | None = None  # Succeeded, Stopped, or the reason it failed


@dataclass(slots=True, eq=False)
class Run:
    """One run in the world: the engine's state of it, and what the world owes it."""

    number: int
    context: RunContext
    place: Place  # of the node that started it; TOP for the run itself
    parent: Attempt | None
    depth: int
    suspend: bool = False
    stop: str | None = None
    inbox: list[Observation] = field(default_factory=list)
    alarm: float | None = None  # the earliest one on the agenda
    children: dict[AttemptId, Run] = field(default_factory=dict)  # by the attempt that started each
    state: RunState = field(init=False)


@dataclass(slots=True, eq=False)
class History:
    """What came of it. `stuck` says why nothing more can happen; None when the run has ended."""

    run: Run
    attempts: list[Attempt]
    elapsed: float
    stuck: str | None
