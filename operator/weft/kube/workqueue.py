"""Who is looked at next: a queue of keys in which each key stands once and is worked on by one worker at a time.

Events say only that something about a key has changed; what changed is read from the cache when its turn comes, so a
hundred events for one key before its turn cost one pass. A key added while it is being worked on gets another turn
afterwards. Keys take turns in the order in which they were added, so a busy run does not hold up a quiet one; but those
with news that somebody waits for (a Pod has ended: the next node is ready) overtake the others, a thousand runs that
have just come among them. Of four turns one goes to the others nevertheless. Wake-ups (a timeout, a back-off, a
coalesced status write) share one heap and one timer, and a key that fails comes back with a growing, jittered pause.
"""

import asyncio
import heapq
import logging
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from weft.kube.clock import Clock, Spawn
from weft.kube.retry import jittered_backoff
from weft.metrics import Metrics

_log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

FIRST_BACKOFF = 0.1
LONGEST_BACKOFF = 60.0
SHORTEST_SLEEP = 0.001
"""Epoch seconds are only exact to a fraction of a microsecond: a shorter sleep might not move the clock at all."""
LONGEST_SLEEP = 30.0
"""The wall clock may be set; looking again this often keeps a wake-up from being late by more."""
TURNS_IN_A_ROUND = 4
"""One of them is not for those who overtake."""
SPARE_ENTRIES = 64
"""How many overtaken or forgotten wake-ups (beyond half of all) the heap may hold before it is swept."""


class WorkQueue(Generic[K]):
    """Calls `handle(key)` for every key added, until it is shut down. What the handler raises is logged and retried."""

    def __init__(
        self,
        name: str,
        handle: Callable[[K], Awaitable[None]],
        *,
        workers: int,
        clock: Clock,
        rng: random.Random,
        spawn: Spawn,
        metrics: Metrics,
    ):
        """Take the queue's name (a metric label), the handler, and the number of keys worked on at once."""
        self._name = name
        self._handle = handle
        self._workers = workers
        self._clock = clock
        self._rng = rng
        self._spawn = spawn
        self._depth = metrics.queue_depth.labels(name)
        self._latency = metrics.queue_latency.labels(name)
        self._duration = metrics.reconcile_duration.labels(name)
        self._succeeded = metrics.reconciles.labels(name, "success")
        self._failed = metrics.reconciles.labels(name, "error")
        self._tasks: list[asyncio.Task[None]] = []
        self._open = False
        self._ready: OrderedDict[K, None] = OrderedDict()
        self._overtaking: OrderedDict[K, None] = OrderedDict()
        self._hurried: set[K] = set()
        self._turn = 0
        self._idle: deque[asyncio.Future[None]] = deque()
        self._added_at: dict[K, float] = {}
        self._working: set[K] = set()
        self._failures: dict[K, int] = {}
        self._wakes: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._sequence = 0
        self._timer: asyncio.Task[None] | None = None
        self._timer_at = 0.0

    def __len__(self) -> int:
        return len(self._ready) + len(self._overtaking)

    def start(self) -> None:
        """Start the workers, and add what there is to do now: keys added before are not kept.

        A replica that stands by for weeks hears of everything that the leader does, and would remember all of it.
        """
        self._open = True
        self._tasks = [self._spawn(self._work(), name=f"{self._name}.{n}") for n in range(self._workers)]

    def add(self, key: K, *, first: bool = False) -> None:
        """Ask for a pass over the key, soon: nothing when one is due already, before the start or after the end.

        `first`: before those that were not added so; one that waits among them is brought forward.
        """
        if not self._open:
            return
        if first:
            self._hurried.add(key)
            if key in self._ready:
                del self._ready[key]
                self._overtaking[key] = None
        if key not in self._added_at:
            self._added_at[key] = self._clock.monotonic()
            if key not in self._working:
                self._put(key)

    def add_after(self, key: K, at: float) -> None:
        """Ask for a pass over the key at that time (the clock's `now()`); of several wake-ups the earliest counts."""
        if not self._open:
            return
        if at <= self._clock.now():
            self.add(key)
        elif at < self._wakes.get(key, float("inf")):
            self._wakes[key] = at
            self._sequence += 1
            heapq.heappush(self._heap, (at, self._sequence, key))
            self._sweep()
            self._set_timer()

    def forget(self, key: K) -> None:
        """Take the key's wake-up back: what it stands for is gone, and its time may be weeks away."""
        self._failures.pop(key, None)
        if self._wakes.pop(key, None) is not None:
            self._sweep()

    async def shutdown(self) -> None:
        """Take no more keys, finish those that are due or in hand, forget the wake-ups, and return when all is done."""
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
        while self._idle:
            _wake(self._idle.popleft())
        await asyncio.gather(*self._tasks, return_exceptions=True)  # one that has failed was told of by who spawned it

    def _sweep(self) -> None:
        """Take out of the heap what was overtaken or forgotten, once it is most of it."""
        if len(self._heap) > 2 * len(self._wakes) + SPARE_ENTRIES:
            self._heap = [entry for entry in self._heap if self._wakes.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)

    def _put(self, key: K) -> None:
        (self._overtaking if key in self._hurried else self._ready)[key] = None
        self._depth.inc()  # queues of the same name, one for each shard, are one line in the metrics
        if self._idle:
            _wake(self._idle.popleft())

    async def _work(self) -> None:
        try:
            await self._take_turns()
        except asyncio.CancelledError:  # whoever ends us drops what still waits
            self._open = False
            self._depth.dec(len(self))
            self._ready.clear()
            self._overtaking.clear()
            raise

    async def _take_turns(self) -> None:
        while True:
            while not (self._ready or self._overtaking):
                if not self._open:
                    return
                turn = asyncio.get_running_loop().create_future()
                self._idle.append(turn)
                await turn
            await self._pass(self._take())

    def _take(self) -> K:
        self._turn = (self._turn + 1) % TURNS_IN_A_ROUND
        turn_of_the_others = self._turn == 0 and self._ready
        queue = self._overtaking if self._overtaking and not turn_of_the_others else self._ready
        key, _ = queue.popitem(last=False)
        self._hurried.discard(key)
        self._depth.dec()
        return key

    async def _pass(self, key: K) -> None:
        started = self._clock.monotonic()
        self._latency.observe(started - self._added_at.pop(key))
        self._working.add(key)
        try:
            await self._handle(key)
        except (Exception, asyncio.CancelledError) as error:
            # A handler may fail by a task of its own that was cancelled; only our own cancellation ends the worker.
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            delay = jittered_backoff(failures, first=FIRST_BACKOFF, longest=LONGEST_BACKOFF, rng=self._rng)
            _log.exception("%s: %s failed (%d in a row), again in %.1f s", self._name, key, failures, delay)
            self._failed.inc()
            self.add_after(key, self._clock.now() + delay)
        else:
            self._failures.pop(key, None)
            self._succeeded.inc()
        finally:
            self._working.discard(key)
            self._duration.observe(self._clock.monotonic() - started)
            if key in self._added_at:
                self._put(key)

    def _set_timer(self) -> None:
        at = self._heap[0][0]
        if self._timer is not None and not self._timer.done():
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._spawn(self._fire(), name=f"{self._name}.timer")

    async def _fire(self) -> None:
        while self._heap:
            at, _, key = self._heap[0]
            self._timer_at = at
            wait = at - self._clock.now()
            # An entry that an earlier wake-up has overtaken, or that is forgotten, is dead: only `_wakes` counts.
            lives = self._wakes.get(key) == at
            if lives and wait > 0:
                await self._clock.sleep(min(max(wait, SHORTEST_SLEEP), LONGEST_SLEEP))
                continue
            heapq.heappop(self._heap)
            if lives:
                del self._wakes[key]
                self.add(key)


def _wake(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
