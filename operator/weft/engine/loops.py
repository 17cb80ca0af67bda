"""A node and its units: one for a plain node, one per item for forEach, one going round for `while`.

`begin` is called when the join lets a node run, `unit_ended` when a unit has ended. Between them
they decide when a node is over and what its outputs are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from weft.api.conditions import Reason, message_for
from weft.api.node import MAX_ITEMS
from weft.engine import size
from weft.engine.outputs import size_of
from weft.engine.scope import unfinished, variables
from weft.engine.state import (
    CANCELLED,
    COMPENSATED,
    ENDED,
    FAILED,
    MAX_MESSAGE,
    NEW,
    RUNNING,
    SKIPPED,
    SUCCEEDED,
    TERMINAL,
    Frame,
    NodeState,
    RunState,
    Unit,
)  # fmt: skip
from weft.engine.step import Step, frames
from weft.engine.units import prepare, stop_attempt
from weft.expr.cel import ExpressionError, Program
from weft.graph.compiled import Body, ForEach
from weft.graph.outputs import GIVEN

AHEAD = 1000
"""Units that one step creates of one forEach, at most, when it is not to take long; it starts fewer."""


def begin(step: Step, frame: Frame, node: NodeState) -> None:
    """The join lets the node run: ask `when`, then create its units."""
    compiled = node.node
    try:
        if compiled.when is not None:
            found = variables(step.state, frame, (compiled.when,), index=compiled.index)
            if not compiled.when.evaluate_bool(found):
                message = message_for(Reason.ConditionFalse, when=compiled.when.text)
                end_node(step, frame, node, SKIPPED, Reason.ConditionFalse, message)
                return
        if compiled.for_each is not None:
            node.then = _unfinished(step.state, frame, compiled.index, compiled.for_each)
            _take_items(step.state, frame, node)
    except ExpressionError as error:
        node.start = step.now
        end_node(step, frame, node, FAILED, Reason.ExpressionError, str(error))
        return
    except TooManyItems as error:
        node.start = step.now
        end_node(step, frame, node, FAILED, Reason.TooManyItems, str(error))
        return
    except size.RunTooLarge as error:
        node.start = step.now
        end_node(step, frame, node, FAILED, Reason.RunTooLarge, str(error))
        return
    node.begun = True
    step.entered[node] = frame
    if not compiled.service:
        frame.active += 1
    if node.items is None:
        unit = node.units.get(0)
        if unit is None:
            unit = node.units[0] = Unit(frame, compiled, node)
        prepare(step, unit)
    else:
        node.next_item = node.running_items = node.failed_items = 0
        node.given = sum(size_of(unit.outputs) for unit in node.units.values() if unit.phase == SUCCEEDED)
        if len(node.items) == 0:
            node.start = step.now
        go_on(step, frame, node)


def _take_items(state: RunState, frame: Frame, node: NodeState) -> None:
    """Find the items of a forEach and make room for them. Raises ExpressionError, TooManyItems, RunTooLarge."""
    before = size.of_items(node)  # of items that a rerun has kept
    node.items = items_of(state, frame, node)
    try:
        size.claim(state, frame.prefix + node.node.name, size.of_items(node) - before)
    except size.RunTooLarge:
        node.items = None
        raise


class TooManyItems(ValueError):
    """A forEach over more than MAX_ITEMS items."""


def items_of(state: RunState, frame: Frame, node: NodeState) -> Any:
    """The list a forEach goes over: values, or batches of them. Raises ExpressionError, TooManyItems."""
    loop = node.node.for_each
    assert loop is not None
    if loop.range is not None:
        count = _evaluate(state, frame, node, loop.range)
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise ExpressionError(f"gave {_shown(count)}; a whole number from 0 was expected", text=_text(loop.range))
        items: Any = range(count)
    else:
        items = _evaluate(state, frame, node, loop.items)
        if not isinstance(items, list):
            raise ExpressionError(f"gave {_shown(items)}; a list was expected", text=_text(loop.items))
    if len(items) > MAX_ITEMS:
        raise TooManyItems(message_for(Reason.TooManyItems, count=len(items), limit=MAX_ITEMS))
    if loop.batch_size is None:
        return items
    size = loop.batch_size
    return [list(items[at : at + size]) for at in range(0, len(items), size)]


def _evaluate(state: RunState, frame: Frame, node: NodeState, source: Program | Any) -> Any:
    if isinstance(source, Program):
        return source.evaluate(variables(state, frame, (source,), index=node.node.index, then=node.then))
    return source


def _unfinished(state: RunState, frame: Frame, index: int, loop: ForEach) -> dict[str, list[Any]]:
    source = loop.items if loop.range is None else loop.range
    return unfinished(state, frame, index, (source,)) if isinstance(source, Program) else {}


def _text(source: Program | Any) -> str:
    return source.text if isinstance(source, Program) else _shown(source)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def go_on(step: Step, frame: Frame, node: NodeState) -> None:
    """Start further items, or end the node when there are none and none runs."""
    if node in step.later:
        return
    if _fill(step, frame, node):
        _end_items(step, frame, node)
    else:
        step.later[node] = frame


def _fill(step: Step, frame: Frame, node: NodeState) -> bool:
    """Create the units of as many further items as may run at once; False when the rest is left to the next step."""
    loop = node.node.for_each
    assert loop is not None
    most, made = loop.max_parallel, 0
    while node.next_item < len(node.items) and node.blocked is None and (most is None or node.running_items < most):
        if step.limited and (made == AHEAD or step.full):
            return False
        index = node.next_item
        node.next_item += 1
        unit = node.units.get(index)
        if unit is None:
            unit = node.units[index] = Unit(frame, node.node, node, index)
        elif unit.stage != NEW:
            continue  # kept by a rerun, or already in hand
        unit.value = node.items[index]
        node.running_items += 1
        prepare(step, unit)
        made += 1
    return True


def unit_ended(step: Step, unit: Unit) -> None:
    """A main unit has ended: go round again, go on with the next items, or end the node."""
    frame, node = unit.frame, unit.owner
    if node.node.for_each is not None:
        _item_ended(step, frame, node, unit)
        return
    if unit.phase == SUCCEEDED and node.node.loop is not None and _goes_round(step, node, unit):
        return
    node.outputs, node.exit_code = unit.outputs, unit.exit_code
    end_node(step, frame, node, unit.phase, unit.reason, unit.message)


def _goes_round(step: Step, node: NodeState, unit: Unit) -> bool:
    loop = node.node.loop
    assert loop is not None
    assert unit.iteration is not None
    if node.node.compensate is not None:
        unit.done[unit.iteration] = step.now, unit.outputs
    outputs = {} if unit.outputs is None else unit.outputs
    unit.previous = outputs
    try:
        found = variables(step.state, unit.frame, (loop.condition,), index=node.node.index, unit=unit)
        again = loop.condition.evaluate_bool(found)
    except ExpressionError as error:
        unit.phase, unit.reason, unit.message = FAILED, Reason.ExpressionError, f"while.condition: {error}"
        return False
    if not again:
        return False
    if unit.iteration + 1 >= loop.max_iterations:
        unit.phase, unit.reason = FAILED, Reason.MaxIterationsExceeded
        unit.message = message_for(
            Reason.MaxIterationsExceeded, limit=loop.max_iterations, condition=loop.condition.text
        )
        return False
    if unit.stop_reason is not None:  # this round was done before its stop came
        unit.phase, unit.reason, unit.message = CANCELLED, unit.stop_reason, ""
        return False
    if unit.frame.closing and step.state.stop is not None and unit.frame.stage == "Main":
        unit.phase, unit.reason, unit.message = CANCELLED, unit.frame.closing, "the run is stopped"
        return False
    _next_iteration(step.state, unit)
    prepare(step, unit)
    return True


def _next_iteration(state: RunState, unit: Unit) -> None:
    """Make the unit ready for its next round: new attempts, a new child, its own retry budget.

    Of the old child its attempt numbers are remembered, and all of it where something may have to be undone.
    """
    child, unit.child = unit.child, None
    if child is not None:
        unit.high = _highest_within(child, unit.high)
        if child.graph.undoable and unit.frame.stage == "Main":
            child.parent = past_round(unit, unit.iteration or 0)
            child.parent.child = child
        else:
            state.size -= size.of_frame(child)
    unit.iteration = (unit.iteration or 0) + 1
    unit.spent += unit.attempt - unit.base
    unit.attempt = unit.base
    unit.failures = unit.disruptions = 0
    unit.end = unit.cache_key = None
    unit.stage, unit.phase, unit.outputs = NEW, RUNNING, None


def past_round(unit: Unit, iteration: int) -> Unit:
    """Give a `while` unit an earlier round: a unit that has succeeded, and to which the round's frame belongs."""
    past = unit.rounds[iteration] = Unit(unit.frame, unit.node, unit.owner)
    past.iteration, past.base = iteration, unit.base
    past.stage, past.phase = ENDED, SUCCEEDED
    return past


def highest_attempt(unit: Unit) -> int:
    """The highest attempt number used by the unit, in any iteration, and by all that its subgraph did and undid."""
    highest = unit.high
    for child in unit.children:
        highest = _highest_within(child, highest)
    return highest


def _highest_within(top: Frame, highest: int) -> int:
    for frame in frames(top):
        for node in frame.nodes:
            for unit in node.units.values():
                highest = max(highest, unit.high, unit.undone, unit.undoing)
    return highest


def _item_ended(step: Step, frame: Frame, node: NodeState, unit: Unit) -> None:
    loop = node.node.for_each
    assert loop is not None
    node.running_items -= 1
    if unit.phase == FAILED:
        node.failed_items += 1
        node.exit_code = unit.exit_code
        if node.failed_items > loop.max_failed and node.blocked is None:
            block(step, node, Reason.TooManyFailedItems)
    go_on(step, frame, node)


def block(step: Step, node: NodeState, why: str) -> None:
    """Start no further item and stop those that run."""
    node.blocked = why
    for other in taken_up(node):
        stop_attempt(step, other, why)


def taken_up(node: NodeState) -> list[Unit]:
    """The units that were begun: after a rerun there are some of items that have not come to their turn yet."""
    return [unit for unit in node.units.values() if unit.stage != NEW or unit.start is not None or unit.parked]


def _end_items(step: Step, frame: Frame, node: NodeState) -> None:
    if node.running_items or node.phase in TERMINAL:
        return
    loop = node.node.for_each
    assert loop is not None
    node.outputs = item_outputs(node)
    if node.failed_items > loop.max_failed:
        first = min((unit for unit in node.units.values() if unit.phase == FAILED), key=lambda unit: unit.index or 0)
        allowed = f" (maxFailed {loop.max_failed})" if loop.max_failed else ""
        message = f"{_count(node)}{allowed}; item {first.index}: {first.reason}: {first.message}"
        end_node(step, frame, node, FAILED, Reason.TooManyFailedItems, message)
    elif any(unit.reason == Reason.ConcurrencyCancelled for unit in node.units.values()):
        end_node(step, frame, node, CANCELLED, Reason.ConcurrencyCancelled, "")
    elif node.blocked is not None and not _all_ended(node):
        end_node(step, frame, node, CANCELLED, node.blocked, "")
    else:
        end_node(step, frame, node, SUCCEEDED, None, _count(node) if node.failed_items else "")


def _all_ended(node: NodeState) -> bool:
    """Whether every item has come to an end of its own: a drain that found nothing left to start took nothing away."""
    units = (node.units.get(index) for index in range(len(node.items)))
    return all(unit is not None and unit.phase in (SUCCEEDED, FAILED, SKIPPED) for unit in units)


def _count(node: NodeState) -> str:
    return f"{node.failed_items} of {len(node.items)} items failed"


def item_outputs(node: NodeState) -> dict[str, list[Any]]:
    """Each output as a list in item order; null for an item that failed or does not have it.

    What the body is known to have is there even if no item succeeded: what reads it must not depend on the number of
    items. After a rerun the list may be shorter than it was: what was done for items that it had is no part of it.
    """
    nothing: list[Any] = [None] * len(node.items)
    lists = dict.fromkeys(_declared_outputs(node.node.body), nothing)
    for index, unit in node.units.items():
        if unit.phase not in (SUCCEEDED, COMPENSATED) or not isinstance(unit.outputs, dict):
            continue
        if index >= len(node.items):
            continue
        for key, value in unit.outputs.items():
            if lists.get(key, nothing) is nothing:
                lists[key] = nothing.copy()
            lists[key][index] = value
    return lists


def _declared_outputs(body: Body) -> Iterable[str]:
    """The outputs that a body is known to have before it runs; what a job or a child run gives, nobody knows."""
    named = body.results or body.values or (() if body.graph is None else body.graph.outputs)
    return [name for name, _ in named] or GIVEN.get(body.kind, ())


def end_node(step: Step, frame: Frame, node: NodeState, phase: str, reason: str | None, message: str) -> None:
    """End the node and have its dependents told."""
    if node.phase in TERMINAL:
        return
    if node.begun and not node.node.service:
        frame.active -= 1
    node.phase, node.reason, node.message = phase, reason, message[:MAX_MESSAGE]
    node.end = step.now
    if phase != SKIPPED and node.start is None:
        node.start = step.now
    frame.ended += 1
    step.ended.append((frame, node))
