"""One seed decides everything; each part of the world throws its own dice, so that calming one part moves no other."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """A source of chance; `of` gives an independent one by name."""

    def __init__(self, seed: int | str) -> None:
        self._seed = seed
        self._rng = random.Random(f"weft {seed}")

    def of(self, *name: object) -> "Dice":
        return Dice(f"{self._seed}/{'/'.join(map(str, name))}")

    def chance(self, probability: float) -> bool:
        return probability > 0 and self._rng.random() < probability

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self._rng.random()

    def below(self, count: int) -> int:
        return self._rng.randrange(count)

    def pick(self, options: Sequence[T]) -> T:
        return options[self._rng.randrange(len(options))]

    def weighted(self, options: Sequence[tuple[T, float]]) -> T:
        return self._rng.choices([option for option, _ in options], [weight for _, weight in options])[0]
