"""The judge: reads the server's full history, knows only the invariants of design section 6, and has never heard of the
operator's memory. Each violation begins with the number of its invariant."""

from collections.abc import Callable

from support.checker.attempts import check_attempts
from support.checker.joins import check_joins
from support.checker.limits import check_limits
from support.checker.manners import check_leftovers, check_specs, check_witness
from support.checker.reading import Specs
from support.checker.retention import check_retention
from support.checker.statuses import check_statuses
from support.storage import Event
from weft.api.objects import Obj
from weft.kube.resources import Resource


def judge(history: list[Event], find: Callable[[Resource], list[Obj]]) -> list[str]:
    """What is wrong with a history; `find` gives what is there at its end."""
    specs = Specs(history)
    return [
        *check_attempts(history, specs),
        *check_statuses(history),
        *check_joins(history, specs),
        *check_limits(history, specs),
        *check_specs(history),
        *check_retention(history, specs),
        *check_leftovers(find),
        *check_witness(find),
    ]
