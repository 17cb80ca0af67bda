"""Several expressions of one place share a budget, and tell their meter what they have cost."""

from typing import Any

import pytest
from weft.expr.cel import STEPS, TOGETHER, ExpressionError, compile_expression
from weft.expr.frame import Meter, Variables

LOOP = "big.all(i, i >= 0)"
NAMES = frozenset({"big", "text"})
VALUES: dict[str, Any] = {"big": list(range(10_000)), "text": "x" * 100_000}


def given(left: int = TOGETHER) -> Variables:
    return Variables(VALUES, Meter(), left)


def test_every_evaluation_costs_a_step_at_least_and_a_loop_its_work() -> None:
    variables = given()
    compile_expression("1", NAMES).evaluate(variables)
    assert variables.meter.spent == 2  # the evaluation, and a small result
    assert variables.left == TOGETHER - 2
    compile_expression(LOOP, NAMES).evaluate(variables)
    assert 10_000 < variables.meter.spent < 100_000


def test_a_long_text_and_a_large_result_cost_their_size() -> None:
    variables = given()
    compile_expression("text", NAMES).evaluate(variables)
    assert variables.meter.spent == pytest.approx(25_000, rel=0.01)
    variables = given()
    compile_expression(f"'{'x' * 6400}' == ''", NAMES).evaluate(variables)
    assert variables.meter.spent == pytest.approx(100, rel=0.1)


def test_a_failed_evaluation_costs_what_it_has_done_and_no_more_than_it_may() -> None:
    for text in ("lists.range(1000000000)", "big.all(i, big.all(j, true))"):
        variables = given()
        with pytest.raises(ExpressionError, match="too much work"):
            compile_expression(text, NAMES).evaluate(variables)
        assert STEPS <= variables.meter.spent <= STEPS + 10
    variables = given()
    with pytest.raises(ExpressionError, match="larger than 1 MiB"):
        compile_expression("big.map(i, text)", NAMES).evaluate(variables)
    assert variables.meter.spent > 250_000


def test_all_that_is_evaluated_over_the_same_variables_has_a_budget_together() -> None:
    meter = Meter()
    variables = Variables(VALUES, meter, 100_000)
    program = compile_expression(LOOP, NAMES)
    assert [program.evaluate(variables) for _ in range(2)] == [True, True]
    with pytest.raises(ExpressionError, match="too much work"):
        program.evaluate(variables)
    with pytest.raises(ExpressionError, match="too much work"):
        compile_expression("1", NAMES).evaluate(Variables(VALUES, meter, -1))
    assert program.evaluate(Variables(VALUES, meter, 100_000)) is True  # another place has another


def test_plain_variables_have_the_budget_of_one_evaluation_each_time() -> None:
    program = compile_expression("big.map(i, [i, i, i]).size()", NAMES)
    assert [program.evaluate(VALUES) for _ in range(20)] == [10_000] * 20
