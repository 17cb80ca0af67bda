"""How much is in every container of an object and of what it holds, to see which of them grows.

    before = contents(operator)
    ...
    contents(operator) - before         # Counter({"Queues._queue_of_run": 12})

A place is named by the class and the attribute that hold it, `[]` for each container in a container; all objects of a
class are counted together (of a work queue, those of its name).
"""

from collections import Counter, deque
from collections.abc import Iterator
from functools import partial
from types import FunctionType, MethodType
from typing import Any
from weakref import WeakSet, WeakValueDictionary

from weft.kube.workqueue import WorkQueue

VALUES = ("weft.api", "weft.graph", "weft.metrics", "weft.settings")
"""Modules whose objects are not looked into: they hold what was written, or what is counted elsewhere."""


def contents(*roots: Any) -> Counter[str]:
    """Count what is in each container that can be reached from these."""
    found: Counter[str] = Counter()
    met: dict[int, Any] = {}  # by id; held, for the id of what is gone may be another's
    left: deque[tuple[str, Any]] = deque(("", root) for root in roots)
    while left:
        place, thing = left.popleft()
        if id(thing) in met:
            continue
        met[id(thing)] = thing
        match thing:
            case dict():
                found[place] += len(thing)
                left.extend((f"{place}[]", part) for part in (*thing.keys(), *thing.values()))
            case list() | set() | deque():
                found[place] += len(thing)
                left.extend((f"{place}[]", part) for part in thing)
            case WeakSet() | WeakValueDictionary():
                found[place] += len(thing)
            case tuple():
                left.extend((place, part) for part in thing)
            case partial():
                left.extend((place, part) for part in (thing.func, thing.args, thing.keywords))
            case MethodType():
                left.append((place, thing.__self__))
            case FunctionType():
                left.extend((place, cell.cell_contents) for cell in thing.__closure__ or ())
            case _ if type(thing).__module__.startswith("weft.") and not type(thing).__module__.startswith(VALUES):
                left.extend((f"{_name(thing)}.{name}", part) for name, part in _attributes(thing))
    return found


def _name(thing: Any) -> str:
    return f"{thing._name}: WorkQueue" if isinstance(thing, WorkQueue) else type(thing).__name__


def _attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(thing, "__dict__", {}).items()
    for kind in type(thing).__mro__:
        for slot in kind.__dict__.get("__slots__", ()):
            if hasattr(thing, slot):
                yield slot, getattr(thing, slot)
