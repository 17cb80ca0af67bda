"""What a scenario's events answer for http nodes: a whole number as status, and headers by name, as servers do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

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
        wrong = list(_wrong(event.outputs)) if isinstance(event.outputs, dict) else []
        if not wrong or all(body.kind != "http" for body in _bodies(event, program)):
            continue
        for name, value, told in wrong:
            shown = orjson.dumps(value).decode()
            shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
            yield Problem(f"events[{number}].outputs.{name}", f"{told}, got {shown}")


def _wrong(outputs: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """What of the outputs cannot be so: its name, the value, and how it must be."""
    if type(outputs.get("status", 200)) is not int:
        yield "status", outputs["status"], "must be a whole number"
    if not isinstance(outputs.get("headers", {}), dict):
        yield "headers", outputs["headers"], "must be names with their values"


def _bodies(event: Event, program: Program) -> Iterator[Body]:
    """The bodies that an event speaks of."""
    for node, role in resolved(event.node, program)[0]:
        if event.role == role:
            yield node.body
        if event.role == COMPENSATE and node.compensate is not None:
            yield node.compensate.body
