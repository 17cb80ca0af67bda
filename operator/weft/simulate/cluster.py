"""The cluster of a simulation: it starts attempts, ends them as the scenario says, and stops them when asked.

It takes no time itself: an attempt starts in the instant it is asked for, and a stopped one ends in that instant.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from weft.api.conditions import Reason
from weft.engine.actions import Start
from weft.engine.observation import AttemptEnded, AttemptPending, AttemptReady, Observation
from weft.engine.state import AttemptId
from weft.expr.template import to_text
from weft.render.names import RunRef, object_name
from weft.simulate.agenda import ENDS, NEWS, Agenda
from weft.simulate.history import START, Attempt, Run
from weft.simulate.outcome import Course, course_of
from weft.simulate.place import place_of
from weft.simulate.scenario import Events, Scenario

See = Callable[[Run, Observation], None]


class Cluster:
    """Attempts in flight and past; `see` is told what becomes of them."""

    def __init__(self, scenario: Scenario, agenda: Agenda, see: See) -> None:
        self._events = Events(scenario.events)
        self._default = scenario.default.duration_seconds
        self._agenda = agenda
        self._see = see
        self._flying: dict[tuple[int, AttemptId], Attempt] = {}
        self.attempts: list[Attempt] = []

    def start(self, run: Run, action: Start, *, generation: int) -> Attempt:
        """Start an attempt; unless it is a child run, which the caller carries out, it goes as the scenario says."""
        place = place_of(run.state.active[action.id], run.place)
        attempt = Attempt(run, action.id, place, action.kind, generation, self._agenda.now)
        self.attempts.append(attempt)
        self._flying[run.number, action.id] = attempt
        if action.kind != "workflow":
            event = self._events.first(
                node=place.node,
                role=place.role,
                index=place.index,
                iteration=place.iteration,
                attempt=action.id.attempt,
            )
            made = _made(run, action) if action.kind == "resource" else None
            url = to_text(action.payload["url"]) if action.kind == "http" else ""
            self._follow(attempt, course_of(action.kind, action.node, event, self._default, made=made, url=url))
        return attempt

    def _follow(self, attempt: Attempt, course: Course) -> None:
        put, run, id_ = self._agenda.put, attempt.run, attempt.id
        if course.pending is not None:
            pending = AttemptPending(id_, course.pending, course.message, START + attempt.start)
            put(attempt.start, NEWS, partial(self._see, run, pending))
            if course.runs_after is not None:
                at = attempt.start + course.runs_after
                put(at, NEWS, partial(self._see, run, AttemptPending(id_, None, "", START + at)))
        if course.ready_after is not None:
            at = attempt.start + course.ready_after
            put(at, NEWS, partial(self._see, run, AttemptReady(id_, START + at)))
        if course.ends_after is not None and course.ending is not None:
            ending, at = course.ending, attempt.start + course.ends_after
            seen = AttemptEnded(
                id_, START + at, ending.succeeded, ending.reason, ending.message, ending.exit_code, ending.text,
                ending.outputs, ending.disruption,
            )  # fmt: skip
            put(at, ENDS, partial(self.end, attempt, seen))

    def end(self, attempt: Attempt, seen: AttemptEnded) -> None:
        """Let an attempt end now, and be seen to; one that has ended before stays as it is."""
        if attempt.end is None:
            attempt.end = self._agenda.now
            attempt.result = "Succeeded" if seen.succeeded else seen.reason
            del self._flying[attempt.run.number, attempt.id]
            self._see(attempt.run, seen)

    def end_soon(self, attempt: Attempt, *, reason: str, message: str = "", fatal: bool = False) -> None:
        """Let an attempt fail in this instant, after the step that is being taken."""
        now = self._agenda.now
        seen = AttemptEnded(attempt.id, START + now, succeeded=False, reason=reason, message=message, fatal=fatal)
        self._agenda.put(now, ENDS, partial(self.end, attempt, seen))

    def stop(self, run: Run, id_: AttemptId) -> None:
        """Stop an attempt, if it is still in flight."""
        attempt = self._flying.get((run.number, id_))
        if attempt is not None:
            self.end_soon(attempt, reason=Reason.Stopped)


def _made(run: Run, action: Start) -> dict[str, Any]:
    """The outputs of a resource node whose object is what it was asked to be, and has no status yet."""
    context = run.context
    ref = RunRef(context.namespace, context.name, context.uid, run.state.workflow.name)
    return {"name": object_name(ref, action.id, action.payload), "kind": action.payload["kind"], "status": {}}
