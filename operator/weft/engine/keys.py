"""The table of concurrency keys: who holds one, and who is next. The operator's and the simulator's.

Of all who have a key at once, the one who asked with the smallest limit counts: nobody's limit is ever exceeded by
another's. Waiters are served strictly in turn, even where they ask with different limits, so none is passed over. With
policy CancelRunning a waiter makes the oldest holder stop, but gets the key only when it was given back: two of them
never run at once. The table tells what follows from each step and does nothing else; keys and holders are whatever
hashable the caller gives.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from math import inf
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Holder = TypeVar("Holder", bound=Hashable)


class Answer(StrEnum):
    """What became of asking for a key."""

    Granted = "Granted"
    Queued = "Queued"
    """A release will grant it when it is the asker's turn."""
    Refused = "Refused"
    """For good (policy Skip)."""


@dataclass(slots=True)
class Change(Generic[Key, Holder]):
    """What follows from a step: who has a key now because of it, and who has to stop and give one back."""

    granted: list[tuple[Key, Holder]] = field(default_factory=list)
    lost: list[tuple[Key, Holder]] = field(default_factory=list)


@dataclass(slots=True)
class _State(Generic[Holder]):
    holders: OrderedDict[Holder, float] = field(default_factory=OrderedDict)  # the oldest first; each with its limit
    told: set[Holder] = field(default_factory=set)  # holders that have to stop
    waiters: OrderedDict[Holder, tuple[int, bool]] = field(default_factory=OrderedDict)  # limit; wants one to stop
    cancelling: int = 0  # waiters that each want one holder to stop

    def has_room(self, limit: int) -> bool:
        return len(self.holders) < min(limit, *self.holders.values(), inf)


class Keys(Generic[Key, Holder]):
    """All keys, each with its holders and waiters."""

    def __init__(self) -> None:
        self._states: dict[Key, _State[Holder]] = {}

    def acquire(self, key: Key, holder: Holder, *, limit: int, policy: str) -> tuple[Answer, Change[Key, Holder]]:
        """Ask for a key; asking again changes nothing and gives the same answer."""
        state, change = self._states.get(key) or _State[Holder](), Change[Key, Holder]()
        if holder in state.holders:
            return Answer.Granted, change
        if holder in state.waiters:
            return Answer.Queued, change
        free = state.has_room(limit) and not state.waiters
        if not free and policy == "Skip":
            return Answer.Refused, change
        self._states[key] = state
        if free:
            state.holders[holder] = limit
            return Answer.Granted, change
        cancels = policy == "CancelRunning"
        state.waiters[holder] = (limit, cancels)
        state.cancelling += cancels
        self._press(key, state, change)
        return Answer.Queued, change

    def release(self, held: Iterable[tuple[Key, Holder]]) -> Change[Key, Holder]:
        """Give keys back, or stop waiting for them, all at once: nobody is granted what is given back here, too."""
        change: Change[Key, Holder] = Change()
        keys = dict.fromkeys(key for key, holder in held if self._remove(key, holder))
        for key in keys:
            self._serve(key, change)
        return change

    def restore(self, key: Key, holder: Holder) -> None:
        """Take in that the holder has the key, whatever the limit may be; `learn` tells it."""
        self._states.setdefault(key, _State()).holders.setdefault(holder, inf)

    def learn(self, key: Key, holder: Holder, limit: int) -> None:
        """Take in with what limit the holder has asked for the key, if it has it."""
        state = self._states.get(key)
        if state is not None and holder in state.holders:
            state.holders[holder] = limit

    def holders(self, key: Key) -> tuple[Holder, ...]:
        """Give who has the key now, the oldest first."""
        state = self._states.get(key)
        return tuple(state.holders) if state else ()

    def _remove(self, key: Key, holder: Holder) -> bool:
        state = self._states.get(key)
        if state is None:
            return False
        state.holders.pop(holder, None)
        state.told.discard(holder)
        _, cancels = state.waiters.pop(holder, (0, False))
        state.cancelling -= cancels
        return True

    def _serve(self, key: Key, change: Change[Key, Holder]) -> None:
        """Give the key to those whose turn it is."""
        state = self._states[key]
        while state.waiters:
            holder, (limit, cancels) = next(iter(state.waiters.items()))
            if not state.has_room(limit):
                break
            del state.waiters[holder]
            state.cancelling -= cancels
            state.holders[holder] = limit
            change.granted.append((key, holder))
        self._press(key, state, change)
        if not state.holders:
            del self._states[key]

    def _press(self, key: Key, state: _State[Holder], change: Change[Key, Holder]) -> None:
        """Have as many holders stop, the oldest first, as there are waiters that want one to."""
        missing = min(state.cancelling, len(state.holders)) - len(state.told)
        if missing > 0:
            for holder in list(islice((each for each in state.holders if each not in state.told), missing)):
                state.told.add(holder)
                change.lost.append((key, holder))
