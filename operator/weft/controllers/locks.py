"""Concurrency keys, shared by the nodes of all runs in a namespace: who holds one, and who is next.

A node that names a key waits here until it holds it. Waiters are served strictly in turn, even where they ask with
different limits, so none is passed over. With policy CancelRunning a waiter makes the oldest holder stop, but gets the
key only when it was given back: two of them never run at once. Keys are not stored anywhere: whoever holds one says so
in its run's status, and `restore` takes that in before any run is worked on.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any, NamedTuple, Self

from weft.engine.budget import read_nodes
from weft.engine.snapshot import Entry
from weft.engine.state import GATED, MAIN, AttemptId
from weft.kube.store import RunKey


class Holder(NamedTuple):
    """Who holds or awaits a key: a unit of a run, known by its gate (its identity, whichever attempt)."""

    run: RunKey
    gate: AttemptId

    @property
    def unit(self) -> Self:
        """The holder as the table knows it: a loop that has gone round since it took the key is still the same."""
        return self._replace(gate=self.gate._replace(iteration=None))


class Answer(StrEnum):
    """What became of asking for a key."""

    Granted = "Granted"
    Queued = "Queued"
    """`granted` is called when it is the asker's turn."""
    Refused = "Refused"
    """For good (policy Skip)."""


class _Place(NamedTuple):
    namespace: str
    key: str


class _Waiter(NamedTuple):
    holder: Holder
    limit: int
    cancels: bool


@dataclass(slots=True)
class _Key:
    """Everybody by `Holder.unit`; what is told to others is the holder as it asked."""

    holders: OrderedDict[Holder, Holder] = field(default_factory=OrderedDict)  # the oldest first
    told: set[Holder] = field(default_factory=set)  # holders that were asked to stop
    waiters: OrderedDict[Holder, _Waiter] = field(default_factory=OrderedDict)
    cancelling: int = 0  # waiters that each want one holder to stop


class Locks:
    """The keys of all namespaces. Synchronous; the callbacks must only take a note and return."""

    def __init__(self, *, granted: Callable[[Holder], None], lost: Callable[[Holder], None]):
        """Take whom to tell that a queued holder has its key now, and that a holder must stop and give it back."""
        self._granted = granted
        self._lost = lost
        self._keys: dict[_Place, _Key] = {}
        self._of_run: dict[str, dict[tuple[_Place, Holder], None]] = {}

    def acquire(self, namespace: str, key: str, *, limit: int, policy: str, holder: Holder) -> Answer:
        """Ask for the key; asking again changes nothing and gives the same answer."""
        place, who = _Place(namespace, key), holder.unit
        state = self._keys.get(place) or _Key()
        if who in state.holders:
            return Answer.Granted
        if who in state.waiters:
            return Answer.Queued
        free = len(state.holders) < limit and not state.waiters
        if not free and policy == "Skip":
            return Answer.Refused
        self._keys[place] = state
        self._of_run.setdefault(holder.run.uid, {})[place, who] = None
        if free:
            state.holders[who] = holder
            return Answer.Granted
        cancels = policy == "CancelRunning"
        state.waiters[who] = _Waiter(holder, limit, cancels)
        state.cancelling += cancels
        self._press(state)
        return Answer.Queued

    def release(self, holder: Holder, namespace: str, key: str) -> None:
        """Give the key back, or stop waiting for it; does nothing when the holder has neither."""
        place = _Place(namespace, key)
        self._remove(place, holder.unit)
        self._serve(place)

    def forget(self, uid: str) -> None:
        """Give back everything that the run holds or awaits: it has ended or was deleted."""
        mine = list(self._of_run.get(uid, ()))
        # All at once: nothing of the run may be granted what it gives back itself.
        for place, who in mine:
            self._remove(place, who)
        for place in dict.fromkeys(place for place, _ in mine):
            self._serve(place)

    def restore(self, namespace: str, key: str, holder: Holder) -> None:
        """Take in that the holder has the key, as its run's status says, whatever the limit may be."""
        place = _Place(namespace, key)
        self._keys.setdefault(place, _Key()).holders[holder.unit] = holder
        self._of_run.setdefault(holder.run.uid, {})[place, holder.unit] = None

    def holders(self, namespace: str, key: str) -> tuple[Holder, ...]:
        """Give who has the key now, the oldest first."""
        state = self._keys.get(_Place(namespace, key))
        return tuple(state.holders.values()) if state else ()

    def _remove(self, place: _Place, who: Holder) -> None:
        state = self._keys.get(place) or _Key()
        state.holders.pop(who, None)
        state.told.discard(who)
        waiter = state.waiters.pop(who, None)
        state.cancelling -= waiter is not None and waiter.cancels
        mine = self._of_run.get(who.run.uid, {})
        mine.pop((place, who), None)
        if not mine:
            self._of_run.pop(who.run.uid, None)

    def _serve(self, place: _Place) -> None:
        """Give the key to those whose turn it is."""
        state = self._keys.get(place) or _Key()
        while state.waiters:
            who, waiter = next(iter(state.waiters.items()))
            if len(state.holders) >= waiter.limit:
                break
            del state.waiters[who]
            state.cancelling -= waiter.cancels
            state.holders[who] = waiter.holder
            self._granted(waiter.holder)
        self._press(state)
        if not state.holders:
            self._keys.pop(place, None)

    def _press(self, state: _Key) -> None:
        """Ask as many holders to stop, the oldest first, as there are waiters that want one to."""
        missing = min(state.cancelling, len(state.holders)) - len(state.told)
        if missing > 0:
            for who in list(islice((each for each in state.holders if each not in state.told), missing)):
                state.told.add(who)
                self._lost(state.holders[who])


def held_keys(status: Mapping[str, Any]) -> Iterator[tuple[str, AttemptId]]:
    """Give the keys that a run holds according to its status, each with the gate of the unit that holds it."""
    for entry in read_nodes(status, {}):
        for unit in (entry, *entry.get("items", ())):
            if _holds(unit):
                yield unit["lock"], AttemptId(entry["name"], unit.get("index"), unit.get("iteration"), MAIN, 0)


def _holds(unit: Entry) -> bool:
    return bool(unit.get("lock")) and unit.get("stage", GATED) != GATED
