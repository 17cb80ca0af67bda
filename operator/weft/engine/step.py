"""One step in progress: the state, the time, and the work that policies leave for each other.

Policies never call each other across ideas; they leave work in a queue here and `cascade` hands it
on. So the modules of the engine form no circle, and a cascade of ten thousand nodes is a loop, not
a recursion.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator

from weft.engine.actions import Action, Note
from weft.engine.deadlines import due
from weft.engine.state import ACTIVE, ENDED, STOPPING, TERMINAL, Frame, NodeState, RunState, Unit
from weft.expr.cel import STEPS

SPENT = STEPS // 2
"""Steps of expressions after which a step takes up nothing new: with what it has in hand, a second or two at most."""


class Step:
    """The context of one `advance`. It begins with what the step before has left.

    `limited`: it may leave to the next what there is no time for. So others have a turn, whatever the expressions ask
    for.
    """

    __slots__ = (
        "actions", "again", "begun", "closes", "ended", "entered", "finished", "joins", "later", "limited", "now",
        "over", "quiet", "ready", "stale", "state", "units",
    )  # fmt: skip

    def __init__(self, state: RunState, now: float, *, limited: bool = False) -> None:
        self.state = state
        self.now = now
        self.limited = limited
        state.meter.spent = 0
        self.stale = False  # the status does not show all that it might, and nobody waits for that
        self.again = False  # what is asked for had been asked for before the operator died
        self.actions: list[Action] = []
        self.finished: list[NodeState] = []  # ended in this step, for the metrics
        self.units: deque[Unit] = deque()  # have ended; their node is to be told
        self.ended: deque[tuple[Frame, NodeState]] = deque()  # have ended; their dependents are to be told
        self.joins = deque((frame, node.node.index) for node, frame in state.later.items())  # an edge has changed
        self.ready: dict[int, list[tuple[Frame, int]]] = {}  # their joins let them run, by depth; see `cascade`
        self.later: dict[NodeState, Frame] = {}  # are left to the next step
        self.closes: list[tuple[int, int, Frame, str, str]] = []  # are to be closed; see `close`
        self.entered: dict[NodeState, Frame] = {}  # were let run in this step; see `failure.hold_back`
        self.begun: deque[Frame] = deque()  # have been entered; their first nodes are to be started
        self.over: dict[int, list[Frame]] = {}  # subgraphs whose nodes have all ended, by depth; they are quiet, too
        self.quiet = state.unsettled  # may have nothing left to run (by id: frames have no order)

    def act(self, action: Action) -> None:
        """Ask the shell for something."""
        self.actions.append(action)

    def note(self, type_: str, reason: str, message: str) -> None:
        """Say something worth a Kubernetes event."""
        self.actions.append(Note(type_, reason, message))

    def settle(self, frame: Frame) -> None:
        """Have the frame looked at once everything else has calmed down."""
        self.quiet[id(frame)] = frame

    def close(self, frame: Frame, why: str, how: str) -> None:
        """Have the graph closed, after those within it: what they have come to in this instant comes first."""
        self.state.sequence += 1
        heapq.heappush(self.closes, (-frame.depth, self.state.sequence, frame, why, how))

    def arm(self, kind: str, unit: Unit | None = None) -> None:
        """Start a timer. What it is due at is computed again when it rings."""
        when = due(self.state, kind, unit)
        if when is not None:
            push_timer(self.state, when, kind, unit)

    def enqueue(self, unit: Unit, *, pod: bool) -> None:
        """Have the unit started when a Pod's place is free (or at once, for other bodies)."""
        state = self.state
        state.sequence += 1
        entry = (unit.position, state.sequence, unit)
        heapq.heappush(state.queue if pod else state.waiting, entry)

    @property
    def full(self) -> bool:
        """True once the step has taken long: whatever else there is to do is left to the next."""
        return self.limited and self.state.meter.spent >= SPENT

    @property
    def held(self) -> bool:
        """True while nothing new may start because the run is suspended (a stop beats that)."""
        return self.state.suspended and self.state.stop is None


RINGS = {
    kind: number
    for number, kind in enumerate(
        ("wait", "deadline", "attempt", "pending", "approval", "final", "run", "backoff", "slow")
    )
}
"""Every kind of timer. Those of one instant ring in this order: a wait is done before it is late, and nothing is tried
again that is out of time."""


def push_timer(state: RunState, when: float, kind: str, unit: Unit | None) -> None:
    """Have the timer ring at `when`; the order of one instant does not depend on which was armed first."""
    state.sequence += 1
    position = () if unit is None else unit.position
    heapq.heappush(state.timers, (when, RINGS[kind], position, state.sequence, kind, unit))


def unfinished_units(state: RunState) -> Iterator[Unit]:
    """Every unit that is being worked on, whatever it waits for."""
    for frame in unfinished_frames(state):
        for node in frame.nodes:
            if node.begun and node.phase not in TERMINAL:
                yield from (unit for unit in node.units.values() if unit.stage != ENDED)
    if state.compensating is not None:
        yield state.compensating


def unfinished_frames(state: RunState) -> Iterator[Frame]:
    """Every frame that is being worked on: of the main graph, then of a compensation, then of finally."""
    undo = state.compensating
    if state.stage == "Main":
        stack = [state.main]
    elif state.stage == "Finally" and state.final is not None:
        stack = [state.final]
    else:
        stack = [undo.child] if undo is not None and undo.child is not None and undo.stage in AT_WORK else []
    while stack:
        frame = stack.pop()
        if frame.end is None:
            yield frame
            busy = [node for node in frame.nodes if node.begun and node.phase not in TERMINAL]
            children = [u.child for node in busy for u in node.units.values() if u.stage in AT_WORK]
            stack.extend(child for child in reversed(children) if child is not None)


AT_WORK = frozenset({ACTIVE, STOPPING})
"""Stages of a unit whose subgraph is being worked on; one that is left from an earlier attempt is not."""


def frames(frame: Frame) -> Iterator[Frame]:
    """The frame and every frame below it that is still known: in hand, or of a round that may have to be undone."""
    stack = [frame]
    while stack:
        current = stack.pop()
        yield current
        for node in current.nodes:
            if node.node.body.graph is not None:
                stack.extend(child for unit in node.units.values() for child in unit.children)
