"""What a body is given: its inputs, its variables, and the request it makes of the world outside.

All of it can be computed again after a restart, so nothing of it is stored but how nodes looked that had not ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weft.api.parameters import check_parameters
from weft.engine.scope import unfinished, variables
from weft.engine.state import RunState, Unit
from weft.expr.cel import Program
from weft.expr.frame import Variables
from weft.expr.template import Structure


def restore_inputs(state: RunState, unit: Unit) -> list[str]:
    """Compute the inputs of a NodeType (`unit.params`); gives what is wrong with them."""
    body = unit.node.body
    if body.inputs is None:
        return []
    given = body.inputs.render(body_scope(state, unit, body.inputs.programs, outer=True, then=unit.then))
    unit.params, problems = check_parameters(body.declared, given)
    return problems


def remember_unfinished(state: RunState, unit: Unit) -> None:
    """Keep how the nodes look that have not ended and that the unit's inputs and parameters are made from."""
    body = unit.node.body
    made_from = (body.inputs, body.parameters if body.graph is not None else None)
    programs = [program for part in made_from if part is not None for program in part.programs]
    unit.then = unfinished(state, unit.frame, unit.owner.node.index, programs) if programs else {}


def body_scope(
    state: RunState,
    unit: Unit,
    programs: tuple[Program, ...],
    *,
    outer: bool = False,
    then: Mapping[str, list[Any]] | None = None,
    **extra: Any,
) -> Variables:
    """The variables that a body's own expressions see; `outer`: those around a NodeType, `then`: see `variables`."""
    if unit.params is not None and not outer:  # inside a NodeType only its own inputs exist
        extra["params"] = unit.params
    return variables(state, unit.frame, programs, index=unit.owner.node.index, unit=unit, extra=extra, then=then)


def render(
    state: RunState, unit: Unit, structure: Structure | None, *, then: Mapping[str, list[Any]] | None = None
) -> Any:
    """A part of the body with its templates filled in; {} where it has none. Raises ExpressionError."""
    return {} if structure is None else structure.render(body_scope(state, unit, structure.programs, then=then))


def payload(state: RunState, unit: Unit) -> Any:
    """The rendered body of an attempt that runs outside; see `actions.Start`. Raises ExpressionError."""
    body = unit.node.body
    if body.kind == "job":
        return render(state, unit, body.job.values if body.job else None)
    if body.kind == "workflow":
        return {"name": body.name, "parameters": render(state, unit, body.parameters)}
    return render(state, unit, body.request)
