"""A world whose engine leaves to the next step whatever it may: after every expression, every item.

Nothing that anybody sees may tell such a world from any other, as long as what is left follows in the same instant:
whether the operator lives or dies in between.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

from support.dying import DyingWorld, WatchedWorld
from weft.engine import advance, loops, step
from weft.engine.advance import Result
from weft.engine.state import RunState

Watch = Callable[[RunState], None]

UNITS = 10_000
"""A budget of units that limits nothing, but lets a step end early."""


@contextmanager
def short_steps(*, spent: int, ahead: int) -> Iterator[None]:
    """Let every step end after so many steps of expressions, and so many items of a forEach."""
    with ExitStack() as stack:
        for name in ("begin", "restart", "advance"):
            stack.enter_context(patch.object(advance, name, partial(getattr(advance, name), budget=UNITS)))
        stack.enter_context(patch.object(loops, "AHEAD", ahead))
        stack.enter_context(patch.object(step, "SPENT", spent))
        yield


class ShortWorld(WatchedWorld):
    """A world in which a step is followed at once by those that take up what it has left."""

    def __init__(self, *args: Any, watch: Watch, **options: Any) -> None:
        super().__init__(*args, **options)
        self._watch = watch
        self.followed = 0

    def _carry_out(self, run: Any, result: Result) -> None:
        state = run.state
        super()._carry_out(run, result)
        self._watch(run.state)
        again = () if run.state is state else state.unseen  # what is there to be seen the next operator sees, too
        if result.more:
            self.followed += 1
            self._carry_out(run, advance.advance(run.state, again, self._epoch))


class ShortDyingWorld(ShortWorld, DyingWorld):
    """The same, and the operator may die after every one of them."""
