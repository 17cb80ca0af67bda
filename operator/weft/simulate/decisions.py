"""Approvals that are asked for, the decisions of a scenario, and how they meet.

A decision counts for every item it speaks of, once its time has come and the approval is asked. As on a cluster, where
an Approval names the run by its UID, the iteration and the rerun generation, one without `iteration` counts in one
round of one run only: the one it met first. So the child run of a next attempt asks anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from weft.engine.state import AttemptId
from weft.simulate.history import Run
from weft.simulate.place import Place
from weft.simulate.scenario import Decision

Round = tuple[int, int, tuple[int, ...]]
"""A rerun generation, the number of a run, and the positions in every `while` around."""


@dataclass(slots=True)
class _Made:
    decision: Decision
    generation: int  # of the rerun it was made in
    bound: dict[tuple[int, ...], Round] = field(default_factory=dict)  # by items

    def counts_for(self, run: Run, place: Place, generation: int) -> bool:
        decision = self.decision
        speaks_of_it = (
            self.generation == generation
            and decision.index in (None, place.index)
            and decision.iteration in (None, place.iteration)
        )
        now = (generation, run.number, place.iterations)
        return speaks_of_it and self.bound.setdefault(place.indices, now) == now


@dataclass(slots=True)
class _Asked:
    run: Run
    id: AttemptId
    place: Place

    @property
    def open(self) -> bool:
        return self.id in self.run.state.active


class Approvals:
    """What is asked and what was decided so far, by the approval's path."""

    def __init__(self) -> None:
        self._asked: dict[str, list[_Asked]] = {}
        self._made: dict[str, list[_Made]] = {}

    def ask(self, run: Run, id_: AttemptId, place: Place, *, generation: int) -> Iterator[Decision]:
        """Take note that an approval is asked for; gives the earlier decisions that count for it."""
        asked = [other for other in self._asked.get(place.node, ()) if other.open]
        if any(other.run is run and other.id == id_ for other in asked):
            return  # it has gone on to other people; what was decided counts already
        self._asked[place.node] = [*asked, _Asked(run, id_, place)]
        for made in self._made.get(place.node, ()):
            if made.counts_for(run, place, generation):
                yield made.decision

    def decide(self, decision: Decision, *, generation: int) -> Iterator[tuple[Run, AttemptId]]:
        """Take a decision up; gives the open approvals that it counts for."""
        made = _Made(decision, generation)
        self._made.setdefault(decision.node, []).append(made)
        for asked in self._asked.get(decision.node, ()):
            if asked.open and made.counts_for(asked.run, asked.place, generation):
                yield asked.run, asked.id
