"""Which runs may be active: the order and the limits of WorkflowQueues.

A run asks before it starts and is told to start or why it waits; whose turn it has become is woken and asks again. A
place is reserved from the moment it is given, so two askers never get the same one. Runs go by priority, then age, then
name. The queue `default` needs no WorkflowQueue and has no limit then; a run that names another queue waits until that
exists. A child run never waits: its parent holds a place already, and waiting for each other they would stand still.
That it says it is one is not enough: the parent it names must be known and active, else it stands in line like any
other, and is looked at again when the parent turns out to be active.
Everything here is in memory and is taken from the runs' statuses when the operator starts; each step costs O(log n).
"""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from weft.api.conditions import Reason, message_for
from weft.api.objects import Key, Obj, key_of, uid_of
from weft.controllers.run_facts import deleted, identity, is_active, is_over, parent_of, queue_of
from weft.kube.store import RunKey

DEFAULT_QUEUE = "default"
SPARE_ENTRIES = 64
"""How many overtaken entries (beyond half of all) the heap of a queue may hold before it is swept."""
_RANKS = {"High": 0, "Normal": 1, "Low": 2}


class Verdict(NamedTuple):
    """Whether a run may start; if not, why it waits."""

    admitted: bool
    message: str = ""


class Count(NamedTuple):
    """How many runs of a queue are active, and how many wait."""

    active: int
    queued: int


class _Turn(NamedTuple):
    """A place in the line: compared as it stands."""

    rank: int
    created: str
    name: str
    uid: str


@dataclass(slots=True)
class _Queue:
    spec: Obj | None = None  # of its WorkflowQueue; None: there is none
    active: dict[str, bool] = field(default_factory=dict)  # runs that have a place; True: they have started
    turns: dict[str, _Turn] = field(default_factory=dict)  # of those who wait
    line: list[_Turn] = field(default_factory=list)  # a heap; only turns that stand in `turns` count

    def open(self, *, is_default: bool) -> bool:
        """Whether one more run may be active."""
        if self.spec is None:
            return is_default
        limit = self.spec.get("maxActiveRuns")
        return not self.spec.get("paused") and (limit is None or len(self.active) < limit)


class Queues:
    """The queues of all namespaces. Synchronous; the callbacks must only take a note and return."""

    def __init__(
        self,
        *,
        wake: Callable[[Key], None],
        counted: Callable[[Key], None],
        find_run: Callable[[RunKey], Obj | None],
        child_runs: Callable[[RunKey], Iterable[Obj]],
    ):
        """Take whom to tell that it is a run's turn (its key), and that a queue's count has changed (the queue's).

        And how to find a run, and those that name it as their parent; both know of a change before `on_run` does.
        """
        self._wake = wake
        self._counted = counted
        self._find_run = find_run
        self._child_runs = child_runs
        self._queues: dict[Key, _Queue] = {}
        self._queue_of_run: dict[str, Key] = {}
        self._children: set[str] = set()  # child runs that have started: on no place of their own

    def ask(self, run: Obj) -> Verdict:
        """Say whether the run may start. One that may not stands in line, by its priority as it is now.

        A run that is suspended or stopped before it began gives up its place and its turn.
        """
        uid, key = uid_of(run), _queue_key(run)
        if self._has_started(uid):
            return Verdict(True)
        if self._is_child(run):
            self.ended(uid)  # it may have stood in line as long as its parent was not known
            return Verdict(True)
        if held_back := _held_back(run):
            self.ended(uid)
            return Verdict(False, held_back)
        queue = self._join(run)
        self._serve(key, queue, asker=uid)
        return Verdict(True) if uid in queue.active else Verdict(False, _why(key, queue))

    def begins(self, run: Obj) -> bool:
        """Keep the place for good that the run was given: its start is about to be written. False: it has lost it.

        Between the verdict and the start lie requests, and meanwhile somebody may have suspended or stopped the run, or
        deleted it: then nobody would tell of its end once more.
        """
        uid = uid_of(run)
        starts_as_child = self._find_run(identity(run)) is not None and self._is_child(run)
        if not (self._has_place(uid) or uid in self._children or starts_as_child):
            return False
        self.started(run)
        return True

    def started(self, run: Obj) -> None:
        """Take in that the run is active: from now on it keeps its place until `ended`, whatever the limits say."""
        key, uid = _queue_key(run), uid_of(run)
        if uid in self._children or (not self._has_place(uid) and self._is_child(run)):
            self._children.add(uid)  # and remains one when its parent ends before it
            return
        queue = self._queues.setdefault(key, _Queue())
        queue.turns.pop(uid, None)
        news = not queue.active.get(uid)
        queue.active[uid] = True
        self._queue_of_run[uid] = key
        self._counted(key)
        if news:
            self._wake_children(run)

    def ended(self, uid: str) -> None:
        """Give back the run's place or its turn: it has ended, was deleted, or does not want it any more."""
        self._children.discard(uid)
        key = self._queue_of_run.pop(uid, None)
        if key is None:
            return
        queue = self._queues[key]
        queue.active.pop(uid, None)
        queue.turns.pop(uid, None)
        self._counted(key)
        self._serve(key, queue)
        self._drop_if_empty(key, queue)

    def configure(self, key: Key, spec: Obj | None) -> None:
        """Take in a WorkflowQueue's spec, new or changed; None: it was deleted."""
        queue = self._queues.setdefault(key, _Queue())
        queue.spec = spec
        self._counted(key)
        self._serve(key, queue)
        # Those who wait are told the new reason.
        for turn in queue.turns.values():
            self._wake(Key(key.namespace, turn.name))
        self._drop_if_empty(key, queue)

    def restore(self, runs: Iterable[Obj]) -> None:
        """Take in all runs at the start: who is active, and who waits (else the first to ask would be served first).

        Call it after `configure` for every queue, and before any run is worked on.
        """
        waiting = []
        for run in runs:
            if deleted(run):
                continue
            if is_active(run):
                self.started(run)
            elif not is_over(run) and not _held_back(run) and not self._is_child(run):
                waiting.append(run)
        for run in waiting:
            self._join(run)
        for key, queue in list(self._queues.items()):
            self._serve(key, queue)

    def on_run(self, event_type: str, run: Obj, old: Obj | None) -> None:
        """Take in a change of a run: the catalog's subscriber. One that is over or gone gives its place back.

        So does one that is suspended or stopped before it started. Of one that is active now, those may be child runs
        that could not be taken for such before.
        """
        uid = uid_of(run)
        if event_type == "DELETED" or deleted(run) or is_over(run) or (_held_back(run) and not self._has_started(uid)):
            self.ended(uid)
        elif is_active(run) and (old is None or not is_active(old)):
            self._wake_children(run)

    def on_queue(self, event_type: str, queue: Obj, old: Obj | None) -> None:
        """Take in a change of a WorkflowQueue: the catalog's subscriber."""
        spec = None if event_type == "DELETED" else queue["spec"]
        if old is None or spec is None or spec != old["spec"]:
            self.configure(key_of(queue), spec)

    def count(self, key: Key) -> Count:
        """Give the numbers of a queue."""
        queue = self._queues.get(key) or _Queue()
        return Count(len(queue.active), len(queue.turns))

    def _has_started(self, uid: str) -> bool:
        key = self._queue_of_run.get(uid)
        return uid in self._children or (key is not None and self._queues[key].active.get(uid, False))

    def _has_place(self, uid: str) -> bool:
        key = self._queue_of_run.get(uid)
        return key is not None and uid in self._queues[key].active

    def _is_child(self, run: Obj) -> bool:
        """Whether its parent is active, and that one's, and so on up to a run that has a place of its own."""
        above = {identity(run)}
        while (parent := parent_of(run)) is not None:
            found = self._find_run(parent)
            if found is None or parent in above or deleted(found):
                return False
            if not (is_active(found) or self._has_started(parent.uid)):  # its status tells a while later
                return False
            if self._has_place(parent.uid):
                return True
            above.add(parent)
            run = found
        return len(above) > 1

    def _wake_children(self, run: Obj) -> None:
        """Have those below the run ask again that have not started."""
        below, met = [run], set[str]()
        while below:
            for child in self._child_runs(identity(below.pop())):
                uid = uid_of(child)
                if uid in met or is_over(child):
                    continue
                met.add(uid)
                below.append(child)
                if not self._has_started(uid) and not is_active(child):
                    self._wake(key_of(child))

    def _drop_if_empty(self, key: Key, queue: _Queue) -> None:
        if not queue.active and not queue.turns and queue.spec is None:
            self._queues.pop(key, None)

    def _join(self, run: Obj) -> _Queue:
        """Put the run in line, or where its priority puts it now."""
        key, uid = _queue_key(run), uid_of(run)
        queue = self._queues.setdefault(key, _Queue())
        metadata = run["metadata"]
        rank = _RANKS[run["spec"].get("priority") or "Normal"]
        turn = _Turn(rank, metadata.get("creationTimestamp", ""), metadata["name"], uid)
        if uid not in queue.active and queue.turns.get(uid) != turn:
            self._queue_of_run[uid] = key
            queue.turns[uid] = turn
            heapq.heappush(queue.line, turn)
            if len(queue.line) > 2 * len(queue.turns) + SPARE_ENTRIES:
                queue.line = list(queue.turns.values())
                heapq.heapify(queue.line)
            self._counted(key)
        return queue

    def _serve(self, key: Key, queue: _Queue, *, asker: str = "") -> None:
        """Give places to those whose turn it is, and wake them (not the asker, who is told by the verdict)."""
        while queue.turns and queue.open(is_default=key.name == DEFAULT_QUEUE):
            turn = heapq.heappop(queue.line)
            if queue.turns.get(turn.uid) != turn:
                continue
            del queue.turns[turn.uid]
            queue.active[turn.uid] = False
            self._counted(key)
            if turn.uid != asker:
                self._wake(Key(key.namespace, turn.name))


def _held_back(run: Obj) -> str:
    """Say why the run does not want to start; "" when it does."""
    if run["spec"].get("stop"):
        return "stopped before it started"
    return message_for(Reason.Suspended) if run["spec"].get("suspend") else ""


def _queue_key(run: Obj) -> Key:
    return Key(key_of(run).namespace, queue_of(run))


def _why(key: Key, queue: _Queue) -> str:
    if queue.spec is None:
        return f"there is no WorkflowQueue {key.name} in namespace {key.namespace}; create it"
    if queue.spec.get("paused"):
        return f"queue {key.name} is paused; set spec.paused of the WorkflowQueue to false to go on"
    limit = queue.spec["maxActiveRuns"]
    return message_for(Reason.Queued, queue=key.name, active=len(queue.active), limit=limit)
