"""What a scenario's events answer for http nodes: a status is a whole number, as every server gives one."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from weft.api.problems import Problem
from weft.engine.state import COMPENSATE
from weft.graph.compiled import Body
from weft.simulate.program import Program
from weft.simulate.scenario import Event, Scenario
from weft.simulate.unmatched import resolved


def no_answers(scenario: Scenario, program: Program) -> Iterator[Problem]:
    """Give the events whose outputs no server could have given."""
    for number, event in enumerate(scenario.events):
        if not isinstance(event.outputs, dict) or type(event.outputs.get("status", 200)) is int:
            continue
        if any(body.kind == "http" for body in _bodies(event, program)):
            shown = orjson.dumps(event.outputs["status"]).decode()
            shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
            yield Problem(f"events[{number}].outputs.status", f"must be a whole number, got {shown}")


def _bodies(event: Event, program: Program) -> Iterator[Body]:
    """The bodies that an event speaks of."""
    for node, role in resolved(event.node, program)[0]:
        if event.role == role:
            yield node.body
        if event.role == COMPENSATE and node.compensate is not None:
            yield node.compensate.body
