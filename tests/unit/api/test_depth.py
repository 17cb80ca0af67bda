"""How deep a value may be nested, and what is said of a deeper one, wherever it stands."""

from typing import Any

import pytest
from weft.api.depth import DEEPEST, TOO_DEEP, is_too_deep
from weft.api.parameters import Parameter, check_parameters, check_value
from weft.api.problems import Problem, parse
from weft.api.workflow import WorkflowSpec


def nested(levels: int, *, by: str = "list") -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value, 2] if by == "list" else {"a": value, "b": 2}
    return value


@pytest.mark.parametrize("by", ["list", "object"])
def test_a_hundred_levels_are_taken_and_no_more(by: str) -> None:
    for levels in (0, 1, DEEPEST - 1, DEEPEST):
        assert not is_too_deep(nested(levels, by=by))
    for levels in (DEEPEST + 1, 300, 9_000):
        assert is_too_deep(nested(levels, by=by))


def test_what_is_empty_counts_as_a_level_too() -> None:
    value: Any = []
    for _ in range(DEEPEST - 1):
        value = [{}, value]
    assert not is_too_deep(value)
    assert is_too_deep([value])


def test_many_values_beside_each_other_are_not_deep() -> None:
    assert not is_too_deep([{"a": [1]}] * 10_000)


def test_a_parameters_value_that_is_too_deep_is_told_with_its_name() -> None:
    parameter = Parameter(name="tree", type="array")
    told = f"parameter 'tree' {TOO_DEEP}"
    assert check_value(parameter, nested(9_000)) == [told]
    assert check_parameters([parameter], {"tree": nested(300)})[1] == [told]
    assert check_value(parameter, nested(DEEPEST)) == []


def test_so_is_a_spec() -> None:
    spec = {"nodes": [{"name": "n", "job": {"image": "i", "podTemplate": nested(9_000, by="object")}}]}
    assert parse(WorkflowSpec, spec, at="spec") == (None, [Problem("spec", TOO_DEEP)])
