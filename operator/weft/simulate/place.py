"""Where an attempt stands, as a user names it: the node's path without loop positions, and the positions beside it."""

from __future__ import annotations

from dataclasses import dataclass

from weft.engine.state import COMPENSATE, MAIN, Frame, Unit


@dataclass(slots=True, frozen=True)
class Place:
    """A node's path (`publish/upload`), its role, and its positions in every loop, the outermost first."""

    node: str
    role: str = MAIN
    indices: tuple[int, ...] = ()
    iterations: tuple[int, ...] = ()

    @property
    def index(self) -> int | None:
        """The position in the innermost forEach."""
        return self.indices[-1] if self.indices else None

    @property
    def iteration(self) -> int | None:
        """The position in the innermost while."""
        return self.iterations[-1] if self.iterations else None


TOP = Place("")
"""Outside of everything: the run itself."""


def place_of(unit: Unit, within: Place = TOP) -> Place:
    """The place of a unit; `within` is where its run stands (for a child run: the node that started it)."""
    around = frame_place(unit.frame, within)
    return Place(
        node=join(around.node, unit.owner.node.name),
        role=COMPENSATE if unit.role == COMPENSATE else around.role,
        indices=around.indices if unit.index is None else (*around.indices, unit.index),
        iterations=around.iterations if unit.iteration is None else (*around.iterations, unit.iteration),
    )


def frame_place(frame: Frame, within: Place = TOP) -> Place:
    """The place of a graph: that of the node that runs it."""
    return within if frame.parent is None else place_of(frame.parent, within)


def join(path: str, name: str) -> str:
    """A node's path within a path."""
    return f"{path}/{name}" if path else name
