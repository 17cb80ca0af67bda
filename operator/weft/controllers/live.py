"""One active run in memory: its state, what is still to be done for it, and what was last written.

All of it can be dropped at any moment and rebuilt from the cluster; `RunController` does so after a
restart, and whenever somebody else has written the run's status.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from weft.api.objects import Key, Obj
from weft.engine.actions import Action, Start
from weft.engine.observation import Observation
from weft.engine.state import AttemptId, RunState
from weft.kube.store import RunKey
from weft.render.job import JobTemplate
from weft.render.names import RunRef


@dataclass(slots=True)
class Release:
    """An attempt whose result has been seen: once the status is written, its Pod and Job are let go."""

    job: Obj | None
    pod: Obj | None
    succeeded: bool
    reason: str
    message: str


class Unkept(NamedTuple):
    """A result that could not be kept: how often it was tried, and when it is due again (epoch seconds)."""

    tries: int
    at: float


class Held(NamedTuple):
    """An attempt that cannot be created before `at` (epoch seconds), and why (a `Reason`)."""

    action: Start
    at: float
    reason: str


@dataclass(slots=True)
class LiveRun:
    """What the run loop keeps of one active run."""

    key: Key
    ref: RunRef
    state: RunState
    revision: str
    frozen: dict[str, Any]  # the Workflow's spec that the run was started with
    status: dict[str, Any]
    version: str
    generation: int
    queued_time: str
    templates: dict[tuple[int, bool], JobTemplate]  # by id(node), and whether its Pods have to be restricted
    controlled: int = -1  # the generation whose controls the engine has been told
    scanned: bool = False  # all children have been looked at once
    announced: bool = False  # the record is this process's own
    pending: deque[Action] = field(default_factory=deque)  # asked for by the engine, not carried out yet
    inbox: list[Observation] = field(default_factory=list)  # seen by tasks and API answers
    touched: dict[tuple[str, str], Obj | None] = field(default_factory=dict)  # ("Pod" | "Job", name): gone object
    ahead: dict[AttemptId, set[tuple[str, str]]] = field(
        default_factory=dict
    )  # still to start: children, as in touched
    strays: dict[AttemptId, bool] = field(default_factory=dict)  # run, and nobody wants them; True: told to stop
    held: dict[AttemptId, Held] = field(default_factory=dict)  # to be created later
    podless: dict[AttemptId, float] = field(default_factory=dict)  # the Job stands, its Pod is refused until then
    unheard: dict[AttemptId, float] = field(default_factory=dict)  # since then: of their Jobs or Pods nothing was told
    starting: dict[AttemptId, float] = field(default_factory=dict)  # their Pods take long from then on, have a node
    causes: dict[AttemptId, str] = field(default_factory=dict)  # why those do not start, by their Events; "": unknown
    looked_into: float = float("-inf")  # monotonic: when any of them was last asked about
    unanswered: dict[AttemptId, None] = field(default_factory=dict)  # their Pods may have been made: no answer came
    doubted: set[AttemptId] = field(default_factory=set)  # held back, and their Jobs may have been made: 5xx
    refusals: dict[AttemptId, int] = field(default_factory=dict)  # how often in a row
    missing: dict[AttemptId, int] = field(default_factory=dict)  # how often in a row for something that may be late
    unkept: dict[AttemptId, Unkept] = field(default_factory=dict)  # still in `pending`, by their gates
    releases: list[Release] = field(default_factory=list)
    chunks: dict[str, dict[str, Any]] = field(default_factory=dict)  # outputs to be stored before the next status
    unstored: int = 0  # how often in a row one of them could not be
    store_again_at: float = float("-inf")  # monotonic: until then statuses do without them
    refusal: str = ""  # why: the API server's words
    unanswered_status: dict[str, Any] | None = None  # was written, and no answer came
    tasks: dict[AttemptId, asyncio.Task[None]] = field(default_factory=dict)  # http requests, watched resources
    objects: dict[AttemptId, Obj | None] = field(default_factory=dict)  # latest sight of watched resources
    manifests: dict[AttemptId, Obj] = field(default_factory=dict)  # what they were asked to be
    ended_jobs: int = 0  # that stood when the oldest were last looked for, and stayed
    surplus: frozenset[str] = frozenset()  # UIDs of those that did not: nobody wonders where they are
    written_at: float = float("-inf")  # monotonic
    written_bytes: int = 0
    refresh_at: float = float("inf")  # epoch seconds: when the duration shown is too old
    urgent: bool = False  # something that no child object remembers has been seen
    ended_at: float | None = None  # monotonic: when the first Pod's end of this pass was seen

    @property
    def run_key(self) -> RunKey:
        """The run as its children and its concurrency keys know it."""
        return RunKey(self.key.namespace, self.ref.uid)

    def refused(self, id_: AttemptId) -> float:
        """Seconds to wait before the API server is asked once more: 1, 2, 4 ... 30."""
        count = self.refusals[id_] = self.refusals.get(id_, 0) + 1
        return float(min(30.0, 2.0 ** (count - 1)))

    def look_at(self, kind: str, name: str, gone: Obj | None = None) -> None:
        """Have a child looked at in the next pass. What is known to have gone stays so, whatever else is read of it."""
        if gone is not None or (kind, name) not in self.touched:
            self.touched[kind, name] = gone

    def accepted(self, id_: AttemptId) -> None:
        """Begin to count anew: the API server has taken what it was asked for."""
        self.refusals.pop(id_, None)
        self.missing.pop(id_, None)
        self.doubted.discard(id_)

    def forget(self, id_: AttemptId) -> None:
        """Drop what is kept of an attempt that is over."""
        for kept in (
            self.held, self.podless, self.unheard, self.starting, self.causes, self.refusals, self.missing,
            self.objects, self.manifests,
        ):  # fmt: skip
            kept.pop(id_, None)
        self.doubted.discard(id_)
        task = self.tasks.pop(id_, None)
        if task is not None:
            task.cancel()
