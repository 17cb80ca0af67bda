"""Some seeds have a plot.

Chance alone finds most of what can go wrong, but not what needs three rare things in a row. Each plot here is a
coincidence that has once found a bug, or could have: it makes the coincidence likely and leaves the rest to the dice.
"""

from support.chaos.dice import Dice
from support.chaos.plots.deaths import (
    BesideItsSuccessor,
    GoneWhileItIsRead,
    NeededAgain,
    StandsWithoutItsJob,
    StoppedWithItsKey,
    UndoneUnseen,
)
from support.chaos.plots.last_words import EndedByAWrongClock, MadeWhenItWasOver, ToldByTheDead
from support.chaos.plots.network import OldNews, RefusedAtTheStart, RunThoughItHasEnded
from support.chaos.plots.people import AskedForTwice, ExpiredWhenAskedAgain, HeldBackAtTheStart, NoUseAskingAgain
from support.chaos.plots.plot import Plot

PLOTS: tuple[type[Plot], ...] = (
    *(HeldBackAtTheStart, AskedForTwice) * 2, NoUseAskingAgain, ExpiredWhenAskedAgain,
    RefusedAtTheStart, RunThoughItHasEnded, OldNews,
    *(StandsWithoutItsJob,) * 2, BesideItsSuccessor, NeededAgain, UndoneUnseen, StoppedWithItsKey, GoneWhileItIsRead,
    ToldByTheDead, EndedByAWrongClock, MadeWhenItWasOver,
)  # fmt: skip
"""As often as it takes for each to come to its point."""
PLOTTED = 0.5
"""Of so many seeds there is one."""


def plot_of(dice: Dice) -> type[Plot] | None:
    """Choose a plot, or none."""
    return dice.pick(PLOTS) if dice.chance(PLOTTED) else None
