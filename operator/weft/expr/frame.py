"""What one evaluation carries along: its variables and its budget; what several of them share; and the shape of what
runs on it.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from weft.expr.error import BudgetExceeded


class Budget:
    """The work one evaluation may still do; the unit is about the evaluation of one small sub-expression."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def charge(self, units: int) -> None:
        """Takes `units` off; raises BudgetExceeded when nothing is left."""
        self.left -= units
        if self.left < 0:
            raise BudgetExceeded


class Meter:
    """What evaluations have cost so far, in steps: whoever has others waiting can tell when to let them have a turn."""

    __slots__ = ("spent",)

    def __init__(self) -> None:
        self.spent = 0


class Variables(dict[str, Any]):
    """The variables of one place. All expressions evaluated over them have `left` steps together, and run up the meter.

    So a body of a hundred expressions, each of which does all that one may, does not take a hundred times as long.
    """

    __slots__ = ("left", "meter")

    def __init__(self, values: Mapping[str, Any], meter: Meter, left: int) -> None:
        super().__init__(values)
        self.meter = meter
        self.left = left

    def charge(self, units: int) -> None:
        """Takes `units` off what is left, which may come to less than nothing: then no more can be evaluated."""
        self.left -= units
        self.meter.spent += units


class Frame:
    """One evaluation: the variables (loop variables come and go among them) and the budget."""

    __slots__ = ("budget", "values")

    def __init__(self, values: dict[str, Any], budget: Budget) -> None:
        self.values = values
        self.budget = budget


Plan: TypeAlias = Callable[[Frame], Any]
"""A compiled expression: gives its value, or raises Fault."""

Function: TypeAlias = Callable[..., Any]
"""A function of the language: takes the budget and the arguments, raises Fault; NotImplemented asks the library
instead.
"""
