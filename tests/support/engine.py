"""The engine driven by hand: a test says what is seen and when, and looks at the state.

run = drive({"nodes": [{"name": "a", "job": "J"}]})
run.succeed("a", at=3)
"""

from typing import Any

import orjson
from support.simulation import program
from weft.engine import advance, restore, status
from weft.engine.actions import Action
from weft.engine.observation import AttemptEnded, Observation
from weft.engine.state import AttemptId, RunContext, RunState

START = 1000.0


class Driven:
    """A run, the time it is, and every action asked for so far."""

    def __init__(self, state: RunState, actions: list[Action]) -> None:
        self.state = state
        self.now = START
        self.actions = actions

    def see(self, *seen: Observation, at: float | None = None) -> advance.Result:
        """Take a step and give what it asks for; `at`: seconds from the run's start (None: no time has passed)."""
        self.now = self.now if at is None else START + at
        result = advance.advance(self.state, seen, self.now)
        self.actions += result.actions
        return result

    def succeed(self, path: str, index: int | None = None, *, at: float | None = None, outputs: Any = None) -> None:
        """Let the attempt in flight of the node at that path succeed."""
        self.see(AttemptEnded(self.attempt(path, index), self.now, succeeded=True, outputs=outputs), at=at)

    def fail(
        self, path: str, index: int | None = None, *, at: float | None = None, reason: str = "Error", message: str = ""
    ) -> None:
        """Let it fail."""
        seen = AttemptEnded(self.attempt(path, index), self.now, succeeded=False, reason=reason, message=message)
        self.see(seen, at=at)

    def attempt(self, path: str, index: int | None = None) -> AttemptId:
        """The attempt in flight of the node at that path."""
        found = [id_ for id_ in self.state.active if id_.path == path and id_.index == index and id_.attempt]
        assert found, f"{path} is not in flight; in flight are {sorted(map(str, self.state.active))}"
        return found[0]


def restored(state: RunState, now: float) -> RunState:
    """The run as another process reads it from its status."""
    stored = orjson.loads(orjson.dumps(status.make(state, previous={}, generation=1, now=now).status))
    return restore.restore(state.workflow, state.context, stored, stored["nodes"], start=state.start)


def drive(spec: dict[str, Any], *, params: dict[str, Any] | None = None) -> Driven:
    """Begin a run of a spec (J is a job)."""
    context = RunContext(uid="uid", params=params or {})
    state, result = advance.begin(program(spec).main, context, START)
    return Driven(state, result.actions)
