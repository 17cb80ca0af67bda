"""Outputs are kept exactly where the API server would change them, and only there."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.engine.exact import exact_text, outputs_of_run

CHANGED: list[Any] = [
    None, 5.0, -5.0, -0.0, 0.0, 1e15, 1e16, 1.5e16, 123456789012345680.0, 1e300, {"a": [1, {"b": [None]}]}, [[2.0]],
    float("inf"),
]  # fmt: skip
UNCHANGED: list[Any] = [
    {}, 1, 2.5, 1e-7, 1.5e-9, 0.05, 10.01, True, "", "null", "5.0", "v1.0", "1e16", "3e4f", {"null": 1, "5.0": "x"},
    [[], {}, [{"a": 0.5}]], 2**63 - 1,
]  # fmt: skip


def kept(value: Any) -> str | None:
    return exact_text(value, orjson.dumps(value))


@pytest.mark.parametrize("value", CHANGED, ids=repr)
def test_what_would_come_back_as_something_else_is_kept(value: Any) -> None:
    assert kept({"x": value}) == orjson.dumps({"x": value}).decode()


@pytest.mark.parametrize("value", UNCHANGED, ids=repr)
def test_what_comes_back_as_it_is_is_not_kept_twice(value: Any) -> None:
    assert kept({"x": value}) is None


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1).map(float)
VALUES = st.recursive(
    NUMBERS | st.integers(0, 9) | st.text() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def changes(value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return any(map(changes, value))
    return value is None or (isinstance(value, float) and value == int(value))


@given(VALUES)
def test_nothing_that_would_change_is_missed(value: Any) -> None:
    assert (kept(value) is not None) == changes(value)


@pytest.mark.parametrize(
    ("status", "outputs"),
    [
        ({}, {}),
        ({"outputs": {"a": 1}}, {"a": 1}),
        ({"outputs": {"a": 5}, "state": {"outputsText": '{"a":5.0,"b":null}'}}, {"a": 5.0, "b": None}),
        ({"state": {"outputsText": '{"b":null}'}}, {"b": None}),
        ({"outputs": {"a": 1}, "state": {"stage": "Finished"}}, {"a": 1}),
    ],
)
def test_a_runs_outputs_by_its_status(status: dict[str, Any], outputs: dict[str, Any]) -> None:
    assert repr(outputs_of_run(status)) == repr(outputs)
