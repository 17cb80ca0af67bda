"""What one evaluation carries along: its variables and its budget; and the shape of what runs on it."""

from collections.abc import Callable
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
