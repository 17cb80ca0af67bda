"""The macros that loop: all, exists, exists_one, map, filter, and the bindings that the optional ones and sortBy are
made of.

The library expands each to a fold; its shape tells which it was, and we run that one natively. Every step charges the
budget for the size of its body, which is what bounds an evaluation: without a loop, an expression costs no more than
its length.
"""

from collections.abc import Callable
from typing import Any

from weft.expr.error import Fault
from weft.expr.frame import Frame, Plan
from weft.expr.syntax import Call, Comprehension, Const, ListLiteral, Node, count
from weft.expr.values import describe

Planner = Callable[[Node], Plan]

_MISSING = object()


def plan_macro(node: Comprehension, plan: Planner) -> Plan:
    """The closure that runs a macro, its parts planned by `plan`; raises Fault for a macro that is not supported."""
    match node:
        case Comprehension(range=ListLiteral(elements=())):
            return _bind(plan, node)
        case Comprehension(start=Const(value=bool() as start), step=Call(args=(_, predicate))):
            return _quantifier(plan, node, predicate, decisive=not start)
        case Comprehension(start=Const(), step=Call(args=(predicate, _, _))):
            return _exists_one(plan, node, predicate)
        case Comprehension(start=ListLiteral(), step=Call(function="_+_", args=(_, ListLiteral(elements=(element,))))):
            return _collect(plan, node, None, element)
        case Comprehension(step=Call(args=(predicate, Call(args=(_, ListLiteral(elements=(element,)))), _))):
            return _collect(plan, node, predicate, element)
    raise Fault("this macro is not supported", node.at)


def _bind(plan: Planner, node: Comprehension) -> Plan:
    name, start, result = node.accumulator, plan(node.start), plan(node.result)

    def run(frame: Frame) -> Any:
        outer, value = frame.values.get(name, _MISSING), start(frame)
        frame.values[name] = value
        try:
            return result(frame)
        finally:
            _restore(frame, name, outer)

    return run


def _loop(plan: Planner, node: Comprehension, body: Node) -> Callable[[Frame, Callable[[], Any]], None]:
    """The loop all macros share: sets the variable to each element (or key), charges the body's size, and visits until
    told to stop.
    """
    name, elements_of, cost, at = node.variable, plan(node.range), 1 + count(body), node.at

    def run(frame: Frame, visit: Callable[[], Any]) -> None:
        elements, budget, values = elements_of(frame), frame.budget, frame.values
        if not isinstance(elements, list | dict):
            raise Fault(f"a list or a map is needed to loop over, got {describe(elements)}", at)
        outer = values.get(name, _MISSING)
        try:
            for element in elements:
                budget.charge(cost)
                values[name] = element
                if visit():
                    return
        except Fault as fault:
            raise fault.located(at) from None
        finally:
            _restore(frame, name, outer)

    return run


def _restore(frame: Frame, name: str, outer: Any) -> None:
    if outer is _MISSING:
        frame.values.pop(name, None)
    else:
        frame.values[name] = outer


def _asked(predicate: Plan, at: int) -> Plan:
    def run(frame: Frame) -> bool:
        value = predicate(frame)
        if not isinstance(value, bool):
            raise Fault(f"the condition of a loop gave {describe(value)}, a true or false was expected", at)
        return value

    return run


def _quantifier(plan: Planner, node: Comprehension, predicate: Node, *, decisive: bool) -> Plan:
    loop, holds = _loop(plan, node, predicate), _asked(plan(predicate), predicate.at)

    def run(frame: Frame) -> bool:
        first: Fault | None = None  # of very many: each would hold the frames it has passed
        decided = False

        def visit() -> bool:
            nonlocal decided, first
            try:
                decided = holds(frame) is decisive
            except Fault as fault:
                if fault.final:
                    raise
                first = first or fault
            return decided

        loop(frame, visit)
        if first is not None and not decided:
            raise first
        return decided is decisive

    return run


def _exists_one(plan: Planner, node: Comprehension, predicate: Node) -> Plan:
    matching = _collect(plan, node, predicate, Const(node.at, None))
    return lambda frame: len(matching(frame)) == 1


def _collect(plan: Planner, node: Comprehension, predicate: Node | None, element: Node) -> Plan:
    value = plan(element)
    if predicate is None:
        every = _loop(plan, node, element)

        def run(frame: Frame) -> list[Any]:
            result: list[Any] = []
            every(frame, lambda: result.append(value(frame)))
            return result

        return run
    loop, holds = (
        _loop(plan, node, Call(node.at, "", None, (predicate, element))),
        _asked(plan(predicate), predicate.at),
    )

    def run_filtered(frame: Frame) -> list[Any]:
        result: list[Any] = []
        loop(frame, lambda: result.append(value(frame)) if holds(frame) else None)
        return result

    return run_filtered
