"""Concurrency keys, shared by the nodes of all runs in a namespace: who is told what when one changes hands.

The table itself is `engine/keys`. Keys are not stored anywhere: whoever holds one says so in its run's status, and
`restore` takes that in before any run is worked on.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple, Self

from weft.engine.budget import read_nodes
from weft.engine.keys import Answer as Answer
from weft.engine.keys import Change, Keys
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
        return self._replace(gate=self.gate.unit)


class _Place(NamedTuple):
    namespace: str
    key: str


class Locks:
    """The keys of all namespaces. Synchronous; the callbacks must only take a note and return."""

    def __init__(self, *, granted: Callable[[Holder], None], lost: Callable[[Holder], None]):
        """Take whom to tell that a queued holder has its key now, and that a holder must stop and give it back."""
        self._granted = granted
        self._lost = lost
        self._keys: Keys[_Place, Holder] = Keys()
        self._of_run: dict[RunKey, dict[tuple[_Place, Holder], Holder]] = {}  # everybody, as it asked

    def acquire(self, namespace: str, key: str, *, limit: int, policy: str, holder: Holder) -> Answer:
        """Ask for the key; asking again changes nothing and gives the same answer."""
        place = _Place(namespace, key)
        answer, change = self._keys.acquire(place, holder.unit, limit=limit, policy=policy)
        if answer is not Answer.Refused:
            self._of_run.setdefault(holder.run, {}).setdefault((place, holder.unit), holder)
        self._tell(change)
        return answer

    def release(self, holder: Holder, namespace: str, key: str) -> None:
        """Give the key back, or stop waiting for it; does nothing when the holder has neither."""
        self._release(holder.run, [(_Place(namespace, key), holder.unit)])

    def give_back(self, holder: Holder) -> None:
        """Give back, or stop waiting for, whatever key it is that the holder has."""
        mine = self._of_run.get(holder.run, ())
        self._release(holder.run, [(place, who) for place, who in mine if who == holder.unit])

    def has(self, holder: Holder, namespace: str, key: str) -> bool:
        """Say whether the holder has the key."""
        return holder.unit in self._keys.holders(_Place(namespace, key))

    def knows(self, run: RunKey) -> bool:
        """Say whether the run holds or awaits any key."""
        return run in self._of_run

    def forget(self, run: RunKey, *, used: Collection[Holder]) -> None:
        """Give back what the run holds or awaits: it has ended or was deleted. Not the keys of the units in `used`."""
        self._release(run, [each for each in self._of_run.get(run, ()) if each[1] not in used])

    def restore(self, namespace: str, key: str, holder: Holder) -> None:
        """Take in that the holder has the key, as its run's status says, whatever the limit may be."""
        place = _Place(namespace, key)
        self._keys.restore(place, holder.unit)
        self._of_run.setdefault(holder.run, {})[place, holder.unit] = holder

    def learn(self, namespace: str, key: str, holder: Holder, limit: int) -> None:
        """Take in with what limit the holder has asked for the key that was restored, if it has it."""
        self._keys.learn(_Place(namespace, key), holder.unit, limit)

    def holders(self, namespace: str, key: str) -> tuple[Holder, ...]:
        """Give who has the key now, the oldest first."""
        place = _Place(namespace, key)
        return tuple(self._asked(place, who) for who in self._keys.holders(place))

    def _release(self, run: RunKey, held: list[tuple[_Place, Holder]]) -> None:
        mine = self._of_run.get(run, {})
        for each in held:
            mine.pop(each, None)
        if not mine:
            self._of_run.pop(run, None)
        self._tell(self._keys.release(held))

    def _tell(self, change: Change[_Place, Holder]) -> None:
        for each in change.granted:
            self._granted(self._asked(*each))
        for each in change.lost:
            self._lost(self._asked(*each))

    def _asked(self, place: _Place, who: Holder) -> Holder:
        return self._of_run[who.run][place, who]


def held_keys(status: Mapping[str, Any]) -> Iterator[tuple[str, AttemptId]]:
    """Give the keys that a run holds according to its status, each with the gate of the unit that holds it."""
    for entry in read_nodes(status, {}):
        for unit in (entry, *entry.get("items", ())):
            if _holds(unit):
                yield unit["lock"], AttemptId(entry["name"], unit.get("index"), unit.get("iteration"), MAIN, 0)


def _holds(unit: Entry) -> bool:
    return bool(unit.get("lock")) and unit.get("stage", GATED) != GATED
