"""What we believe the cluster holds of one resource: the newest version of each object that anybody told us about.

Three voices tell us: the watch, the list, and the answers to our own writes, and they come in any order. An answer may
outrun the watch (so an older event must not undo it) or lag behind it (so an object already seen deleted must not come
back); a list may be older than an answer (so absence from it proves nothing). The rules are here, free of I/O:
a resourceVersion decides who is newer, a UID who is who, and the UIDs of the dead are remembered for a while.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from weft.api.objects import Key, Obj, is_older, key_of, owner_of, uid_of, version_of

_REMEMBER_DEAD_SECONDS = 300.0
"""Longer than any answer to a write of ours can take."""


class Change(NamedTuple):
    """One piece of news: ADDED, MODIFIED or DELETED, the object, and what we held before (None for ADDED)."""

    type: str
    obj: Obj
    old: Obj | None


class _Death(NamedTuple):
    """The version by which an object was gone, and when we heard of it."""

    version: str
    at: float


class Cache:
    """Objects by namespace and name, never stepping back in time."""

    def __init__(self, *, monotonic: Callable[[], float]):
        self._monotonic = monotonic
        self._objects: dict[Key, Obj] = {}
        self._dead: dict[str, _Death] = {}

    def get(self, namespace: str, name: str) -> Obj | None:
        """Give the object, or None."""
        return self._objects.get(Key(namespace, name))

    def owner_of(self, obj: Obj, kind: str) -> Obj | None:
        """Give the object of the cache's kind that owns another one; None when it is gone, whoever has its name."""
        owner = owner_of(obj, kind)
        found = self.get(key_of(obj).namespace, owner["name"]) if owner is not None else None
        return found if found is not None and owner is not None and uid_of(found) == owner["uid"] else None

    def __iter__(self) -> Iterator[Obj]:
        return iter(self._objects.values())

    def __len__(self) -> int:
        return len(self._objects)

    def apply(self, event_type: str, obj: Obj) -> list[Change]:
        """Take one watch event in and give the news in it: nothing when it is stale or known, rarely two changes."""
        key = key_of(obj)
        held = self._objects.get(key)
        if event_type == "DELETED":
            return self._deleted(key, obj, held)
        if self._is_dead(obj):
            return []
        if held is None:
            self._objects[key] = obj
            return [Change("ADDED", obj, None)]
        if version_of(obj) == version_of(held) or is_older(version_of(obj), version_of(held)):
            return []
        self._objects[key] = obj
        if uid_of(obj) == uid_of(held):
            return [Change("MODIFIED", obj, held)]
        self._bury(uid_of(held), version_of(obj))
        return [Change("DELETED", held, held), Change("ADDED", obj, None)]

    def replace(self, objects: Iterable[Obj], *, version: str, namespace: str = "") -> list[Change]:
        """Take a whole list of that resourceVersion in and give the differences, vanished objects as DELETED first.

        `namespace` is the one that was listed; "" for all.
        """
        objects = list(objects)
        listed = {key_of(obj) for obj in objects}
        vanished = [
            key
            for key, held in self._objects.items()
            if key not in listed and namespace in ("", key.namespace) and not is_older(version, version_of(held))
        ]
        changes: list[Change] = []
        for key in vanished:
            held = self._objects.pop(key)
            self._bury(uid_of(held), version)
            changes.append(Change("DELETED", held, held))
        for obj in objects:
            changes += self.apply("MODIFIED", obj)
        return changes

    def remember(self, obj: Obj) -> list[Change]:
        """Take the answer to one of our own writes in, as if the watch had told it; give the news in it."""
        return self.apply("MODIFIED", obj)

    def _deleted(self, key: Key, obj: Obj, held: Obj | None) -> list[Change]:
        same = held is not None and uid_of(obj) == uid_of(held)
        stale = held is not None and is_older(version_of(obj), version_of(held))
        if not (same and stale):
            self._bury(uid_of(obj), version_of(obj))
        if held is None or stale:
            return []
        self._bury(uid_of(held), version_of(obj))
        del self._objects[key]
        return [Change("DELETED", obj if same else held, held)]

    def _is_dead(self, obj: Obj) -> bool:
        """Say whether news of the object is from before its death; a label taken off and put back is no death."""
        death = self._dead.get(uid_of(obj))
        return death is not None and not is_older(death.version, version_of(obj))

    def _bury(self, uid: str, version: str) -> None:
        now = self._monotonic()
        self._dead.pop(uid, None)
        self._dead[uid] = _Death(version, now)
        # Oldest first: a dict keeps the order of insertion.
        for oldest, death in list(islice(self._dead.items(), 2)):
            if now - death.at > _REMEMBER_DEAD_SECONDS:
                del self._dead[oldest]
