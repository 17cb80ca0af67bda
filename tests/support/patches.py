"""The two patches that the API server in memory carries out itself: a merge, and a list of operations."""

from copy import deepcopy
from typing import Any

from weft.api.objects import Obj


class PatchDoesNotFit(Exception):
    """An operation whose place is not there, or whose test fails."""


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def json_patched(old: Obj, operations: list[Obj]) -> Obj:
    """RFC 6902: test, add, remove, replace."""
    new = deepcopy(old)
    for operation in operations:
        *path, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        try:
            place: Any = new
            for part in path:
                place = place[int(part)] if isinstance(place, list) else place[part]
            _operate(place, last, operation)
        except (KeyError, IndexError, ValueError) as error:
            raise PatchDoesNotFit(f"the patch does not fit: {operation}: {error!r}") from error
    return new


def _operate(place: Any, last: str, operation: Obj) -> None:
    kind, value = operation["op"], operation.get("value")
    is_list = isinstance(place, list)
    if kind == "add" and is_list:
        place.insert(len(place) if last == "-" else int(last), value)
        return
    at: Any = int(last) if is_list else last
    if kind == "add":
        place[at] = value
        return
    found = place[at]
    if kind == "test":
        if found != value:
            raise ValueError(f"found {found!r}")
    elif kind == "replace":
        place[at] = value
    elif kind == "remove":
        del place[at]
    else:
        raise AssertionError(f"this API server does not know the operation {kind}")
