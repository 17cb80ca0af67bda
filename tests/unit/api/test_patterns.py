"""Users' regular expressions: RE2, so that no pattern can keep the operator busy."""

import pytest
from weft.api.patterns import InvalidPattern, matches


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [("^a+$", "aaa", True), ("^a+$", "ab", False), ("b", "abc", True), ("", "", True), (r"^\d{2}$", "07", True)],
)
def test_a_pattern_matches_somewhere(pattern: str, text: str, found: bool) -> None:
    assert matches(pattern, text) is found


def test_what_makes_other_engines_hang_is_answered_at_once() -> None:
    assert matches("(a+)+$", "a" * 5000 + "b") is False


@pytest.mark.parametrize("pattern", ["(a", "[", r"(?=x)", r"\1"])
def test_what_re2_does_not_know_is_said(pattern: str) -> None:
    with pytest.raises(InvalidPattern, match=r"\S"):
        matches(pattern, "x")
