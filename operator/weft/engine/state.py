"""The state of a run: what the engine knows, in three words.

A `Frame` is one execution of a graph: the main graph, the finally graph, or the body of a graph
node (one frame per item and iteration). A `NodeState` is one node in one frame. A `Unit` is one
execution of a node's body: a plain node has one, a forEach one per item, a `while` one that goes
round. Attempts belong to units; the compensation of a unit is a unit of its own.

The state is owned by one caller and changed in place by `advance`, so that a step costs what
changed and not what there is. All of it can be rebuilt from the run's status (see `status`).
Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from weft.api.paths import place_of
from weft.expr.frame import Meter
from weft.graph.compiled import CompiledWorkflow, Graph, Node

PENDING, RUNNING, WAITING = "Pending", "Running", "Waiting"
SUCCEEDED, FAILED, SKIPPED = "Succeeded", "Failed", "Skipped"
CANCELLED, COMPENSATED = "Cancelled", "Compensated"
TERMINAL = frozenset({SUCCEEDED, FAILED, SKIPPED, CANCELLED, COMPENSATED})

# Stages of a unit: finer than phases, never shown.
NEW, GATED, QUEUED, ACTIVE, BACKOFF, STOPPING, ENDED = (
    "New", "Gated", "Queued", "Active", "Backoff", "Stopping", "Ended",
)  # fmt: skip

MAIN, COMPENSATE = "main", "compensate"

MAX_MESSAGE = 1024
"""Characters of a node's message: cut where it is set, so that a restart does not change it."""


class AttemptId(NamedTuple):
    """The identity of one attempt; with the run's UID it names the Job.

    `path` is the node's path with the loop positions of enclosing graphs: `price[3]/step`.
    """

    path: str
    index: int | None  # type: ignore[assignment]  # the field is the design's word; tuple.index is not used
    iteration: int | None
    role: str
    attempt: int

    @property
    def gate(self) -> AttemptId:
        """The gate of its unit (see `Unit.gate`)."""
        return self._replace(attempt=0)

    @property
    def unit(self) -> AttemptId:
        """Whose attempt it is, whichever attempt and round: that is who holds a concurrency key."""
        return self._replace(attempt=0, iteration=None)


class Unit:
    """One execution of a node's body. `node` may be the compensation of the frame's node."""

    __slots__ = (
        "attempt", "attempt_start", "base", "cache_key", "child", "chunk", "decisions", "disruptions", "done", "due",
        "end", "entry", "exit_code", "failures", "frame", "high", "index", "iteration", "level", "level_start", "lock",
        "lost", "message", "node", "outputs", "owner", "params", "parked", "payload", "pending", "pending_since",
        "pending_text", "phase", "previous", "raises", "reason", "role", "rounds", "seconds", "spent", "stage", "start",
        "stop_reason", "then", "undoing", "undone", "unmade", "value", "weight",
    )  # fmt: skip

    def __init__(self, frame: Frame, node: Node, owner: NodeState, index: int | None = None, role: str = MAIN) -> None:
        self.frame = frame
        self.node = node
        self.owner = owner
        self.index = index
        self.iteration: int | None = 0 if node.loop else None
        self.role = role
        self.stage = NEW
        self.phase = PENDING
        self.reason: str | None = None
        self.message = ""
        self.base = frame.base  # attempts are numbered from here, so that a rerun never uses a number twice
        self.attempt = self.base  # number of the latest attempt
        self.high = self.base  # the highest number used in any iteration or in the child frames
        self.spent = 0  # with `attempt`, all that were made: those of earlier iterations, less numbers a rerun left out
        self.failures = 0  # retries used up
        self.disruptions = 0
        self.start: float | None = None  # of the first attempt
        self.attempt_start: float | None = None
        self.end: float | None = None
        self.due: float | None = None  # end of the back-off, or of a wait until a time
        self.seconds: float | None = None  # length of a wait
        self.pending: str | None = None  # why the Pod does not run yet
        self.pending_since: float | None = None
        self.pending_text = ""  # that in words, as far as it is too little to be shown
        self.unmade = False  # on record already, and about to be made
        self.stop_reason: str | None = None  # why a stopping attempt is stopped
        self.exit_code: int | None = None
        self.outputs: Any = None
        self.value: Any = None  # the item of a forEach
        self.previous: Any = None  # outputs of the iteration before
        self.params: dict[str, Any] | None = None  # inputs of a NodeType
        self.then: dict[str, list[Any]] = {}  # how nodes looked that its inputs were made from and that had not ended
        self.payload: Any = None  # the rendered body of the attempt in hand
        self.child: Frame | None = None
        self.raises = 0  # how often OOM kills have raised its memory
        self.level = 0  # which group of approvers is asked
        self.level_start: float | None = None
        self.decisions: list[tuple[str, str, float]] = []  # (by, decision, at)
        self.lock: str | None = None  # concurrency key held or awaited
        self.cache_key: str | None = None
        self.parked = False  # came to its gates while the run was suspended
        self.chunk: str | None = None  # where its outputs are stored, outside the status
        self.weight = 0  # bytes of the outputs in its entry
        self.entry: Any = None  # how it stands in the status, kept once it has ended
        self.lost: list[int] = []  # iterations whose compensation failed in this run or rerun; 0 of what has none
        self.undone = 0  # the highest attempt number used to compensate it, before the latest rerun
        self.undoing = 0  # and since then: iterations are numbered side by side
        self.done: dict[int, tuple[float, Any]] = {}  # succeeded iterations, for compensation: when, with what outputs
        self.rounds: dict[int, Unit] = {}  # earlier iterations whose subgraph has something to undo; see `loops`

    @property
    def children(self) -> Iterator[Frame]:
        """The frames of its subgraph: of the earlier rounds that are kept, then of the one in hand."""
        for unit in (*self.rounds.values(), self):
            if unit.child is not None:
                yield unit.child

    @property
    def path(self) -> str:
        """The node's path, with the positions of enclosing loops: `price[3]/step`."""
        return self.frame.prefix + self.node.name

    @property
    def place(self) -> str:
        """The path with this unit's own position in its loop: `price[3]`."""
        return place_of(self.path, self.index, self.iteration)

    @property
    def position(self) -> tuple[int, ...]:
        """Where it stands in the graphs: ready units start, and timers of one instant ring, in this order."""
        return (*self.frame.order, self.owner.node.rank, -1 if self.index is None else self.index)

    @property
    def attempts(self) -> int:
        """Attempts made so far, over all iterations."""
        return self.spent + self.attempt

    @property
    def untouched(self) -> bool:
        """Nothing has ever been done for it: it is as if it had not come to its turn."""
        never = self.base == self.undone == self.attempt == 0
        return never and self.start is None and self.phase not in TERMINAL and not self.parked and not self.has_key

    @property
    def has_key(self) -> bool:
        """It has the concurrency key that it asked for."""
        return self.lock is not None and self.stage != GATED

    @property
    def gate(self) -> AttemptId:
        """The identity of the unit itself, whichever attempt: it asks for keys and for the cache."""
        return AttemptId(self.path, self.index, self.iteration, self.role, 0)

    @property
    def id(self) -> AttemptId:
        """The identity of the latest attempt."""
        return AttemptId(self.path, self.index, self.iteration, self.role, self.attempt)


class NodeState:
    """One node in one frame: its phase, its edge counters, and its units."""

    __slots__ = (
        "begun", "blocked", "broken", "chosen", "chunk", "end", "entry", "exempt", "exit_code",
        "failed_items", "given", "handlers", "held", "items", "message", "met", "needed", "next_item", "node", "open",
        "outputs", "phase", "ready", "reason", "running_items", "start", "then", "units", "verdict", "weight",
    )  # fmt: skip

    def __init__(self, node: Node) -> None:
        self.node = node
        self.reset()

    def reset(self) -> None:
        """Forget everything but the node itself."""
        self.phase = PENDING
        self.reason: str | None = None
        self.message = ""
        self.start: float | None = None
        self.end: float | None = None
        self.outputs: Any = None
        self.exit_code: int | None = None
        self.open = len(self.node.incoming)
        self.met = 0
        self.broken = 0
        self.chosen: str | None = None  # the switch case
        self.begun = False  # its join and `when` let it run
        self.ready = False  # a service's Pod has been ready
        self.exempt = False  # asked for a failure: never held back
        self.needed = False  # a service that something exempt waits for
        self.held = False  # could run, but its graph is failing or stopped
        self.verdict: str | None = None  # of a failure: Open | Caught | Uncaught
        self.handlers = 0  # nodes with a :Failed edge from here that have not ended
        self.items: Any = None  # the list that forEach goes over
        self.then: dict[str, list[Any]] = {}  # how nodes looked that it was made from and that had not ended
        self.next_item = 0
        self.running_items = 0
        self.failed_items = 0
        self.given = 0  # bytes of the outputs of all items
        self.blocked: str | None = None  # why the node's end is already decided: cancels the rest
        self.units: dict[int, Unit] = {}
        self.chunk: str | None = None  # where its outputs are stored, outside the status
        self.weight = 0  # bytes of the outputs in its entry
        self.entry: Any = None  # how it stands in the status, kept once it has ended

    @property
    def attempts(self) -> int:
        """Attempts made so far, over all items and iterations."""
        return sum(unit.attempts for unit in self.units.values())


class Frame:
    """One execution of a graph. `prefix` ends in a slash, or is empty for the outermost."""

    __slots__ = (
        "active", "base", "closing", "end", "ended", "failing", "failures", "graph", "how", "nodes", "order", "params",
        "parent", "prefix", "stage",
    )  # fmt: skip

    def __init__(
        self,
        graph: Graph,
        params: dict[str, Any],
        *,
        parent: Unit | None,
        prefix: str,
        order: tuple[int, ...],
        stage: str,
        base: int = 0,
    ) -> None:
        self.graph = graph
        self.params = params
        self.parent = parent
        self.prefix = prefix
        self.order = order  # where this frame stands in the outer graphs: ready nodes start in this order
        self.stage = stage  # Main | Finally
        self.base = base
        self.nodes = [NodeState(node) for node in graph.nodes]
        self.ended = 0
        self.active = 0  # begun and not ended, services left out
        self.failing = False  # an uncaught failure
        self.closing: str | None = None  # why nothing new starts: RunFailed | Stopped | DeadlineExceeded...
        self.how = ""  # Hold | Cancel | Quiet | End; see `failure`
        self.failures: list[int] = []  # positions of the nodes whose failure is uncaught
        self.end: float | None = None
        for edge in (edge for node in graph.nodes for edge in node.incoming):
            if edge.outcome == FAILED:
                self.nodes[edge.source].handlers += 1

    @property
    def depth(self) -> int:
        """How far in it is: more than any graph around it."""
        return len(self.order)


@dataclass(slots=True)
class RunContext:
    """What does not change while a run is active: who it is and what it was given.

    `entropy` seeds the jitter of back-offs (None: no jitter), so that a restart finds the same
    delays without having stored them.
    """

    name: str = "run"
    namespace: str = "default"
    uid: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    entropy: str | None = None


class RunState:
    """The whole run. `stage` is Main, Compensating, Finally or Finished."""

    __slots__ = (
        "active", "chunks", "clock_start", "compensating", "compensations", "context", "dirty", "ended_at", "failures",
        "final", "final_start", "generation", "later", "locks", "main", "message", "meter", "outcome", "outputs",
        "parked", "pods", "queue", "reason", "restarts", "sequence", "size", "stage", "start", "stop", "suspensions",
        "timed_out", "timers", "unseen", "unsettled", "waiting", "workflow",
    )  # fmt: skip

    def __init__(self, workflow: CompiledWorkflow, context: RunContext, *, start: float) -> None:
        self.workflow = workflow
        self.context = context
        self.start = start
        self.clock_start = start  # of the run's own timeout; a rerun starts it anew
        self.timed_out = False
        self.stage = "Main"
        self.stop: str | None = None  # Drain | Cancel | Terminate
        self.suspensions: list[tuple[float, float | None]] = []
        self.generation = 0  # of rerun
        self.main = Frame(workflow.main, context.params, parent=None, prefix="", order=(), stage="Main")
        self.final: Frame | None = None
        self.final_start: float | None = None  # when compensation and finally began
        self.compensations: list[Unit] = []  # what is left to undo, next one last
        self.compensating: Unit | None = None
        self.failures: list[dict[str, Any]] = []  # what `run.failures` shows
        self.outcome: str | None = None  # Succeeded | Failed | Cancelled, known after the graph
        self.reason: str | None = None
        self.message = ""
        self.outputs: dict[str, Any] = {}
        self.ended_at: float | None = None
        self.active: dict[AttemptId, Unit] = {}  # attempts in flight, approvals and gates that wait for an answer
        self.locks: dict[AttemptId, Unit] = {}  # holders of concurrency keys, by their gate
        self.parked: list[Unit] = []  # came to their gates while the run was suspended, as far as they still say so
        self.pods = 0  # Pods that count towards parallelism
        self.queue: list[Any] = []  # heap of units ready to start a Pod
        self.waiting: list[Any] = []  # heap of units ready to start anything else
        self.timers: list[Any] = []  # heap of timers; see `step.arm`
        self.sequence = 0
        self.size = len(workflow.main.nodes)  # nodes and items that there are; see `size`
        self.restarts = 0  # how often it was restored: a process's first record differs from what is there already
        self.chunks = 0  # made so far: names of the next ones
        self.dirty = True  # changed since the status was last made
        self.meter = Meter()  # of what the expressions of the step have cost
        # What a step left to the next, for it had taken long already. All of it can be found again: see `resume`.
        self.unseen: list[Any] = []  # observations
        self.later: dict[NodeState, Frame] = {}  # nodes to begin, or whose items to go on with
        self.unsettled: dict[int, Frame] = {}  # graphs to be looked at, by id

    @property
    def finished(self) -> bool:
        """True once the run has its terminal condition."""
        return self.stage == "Finished"

    @property
    def suspended(self) -> bool:
        """True while `spec.suspend` holds."""
        return bool(self.suspensions) and self.suspensions[-1][1] is None
