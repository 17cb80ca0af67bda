"""Numbers as the API server gives them back."""

from typing import Any

import pytest
from weft.api.numbers import as_stored


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (5.0, 5),
        (2.5, 2.5),
        (1e16, 10**16),
        (1e20, 1e20),
        (-0.0, 0),
        (float("inf"), float("inf")),
        (True, True),
        ("5.0", "5.0"),
        ({"a": [1.0, {"b": 2.0}], "c": None}, {"a": [1, {"b": 2}], "c": None}),
    ],
)
def test_a_double_that_is_whole_is_an_integer(value: Any, stored: Any) -> None:
    assert repr(as_stored(value)) == repr(stored)


def test_what_is_given_stays_as_it_is() -> None:
    value = {"a": [1.0]}
    assert repr((as_stored(value), value)) == "({'a': [1]}, {'a': [1.0]})"
