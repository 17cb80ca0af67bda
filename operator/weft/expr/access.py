"""Reading a part of a value: `container[key]`, `container.field`, and the optional forms of both."""

from typing import Any

from weft.expr.error import Fault
from weft.expr.frame import Budget
from weft.expr.values import ABSENT, Optional, describe, is_number

NO_KEY = "no such key: "
"""How the error begins of a key that is not there."""
_LONGEST_KEY = 60


def find(container: dict[Any, Any], key: Any) -> Any:
    """The value under a key, or ABSENT; 1 and 1.0 are the same key, true and 1 are not."""
    if isinstance(key, bool):
        return ABSENT
    if not isinstance(key, str | int | float):
        raise Fault(f"{describe(key)} cannot be the key of a map")
    return container.get(key, ABSENT)


def index(budget: Budget, container: Any, key: Any) -> Any:
    """`container[key]`; raises Fault when there is no such key or index."""
    if isinstance(container, dict):
        value = find(container, key)
        if value is ABSENT:
            raise Fault(f"{NO_KEY}{_named(key)}")
        return value
    if isinstance(container, list) and not isinstance(key, str):
        if not is_number(key) or int(key) != key:
            raise Fault(f"a list is indexed by an int, not by {describe(key)}")
        if not 0 <= key < len(container):
            raise Fault(f"index {int(key)} is out of range: the list has {len(container)} elements")
        return container[int(key)]
    if isinstance(container, Optional):
        return optional_index(budget, container, key)
    raise Fault(f"{describe(container)} has no key {_named(key)}")


def _named(key: Any) -> str:
    """A key for an error message: a loop may make very many of these, so a long one is not copied."""
    if not isinstance(key, str):
        return describe(key)
    return key if len(key) <= _LONGEST_KEY else f"{key[:_LONGEST_KEY]}…"


def optional_index(budget: Budget, container: Any, key: Any) -> Optional:
    """`container[?key]` and `container.?key`: absent rather than an error."""
    if isinstance(container, Optional):
        return optional_index(budget, container.value, key) if container.present else ABSENT
    if isinstance(container, dict):
        value = find(container, key)
        return ABSENT if value is ABSENT else Optional(True, value)
    if isinstance(container, list) and type(key) is int and not 0 <= key < len(container):
        return ABSENT
    return Optional(True, index(budget, container, key))
