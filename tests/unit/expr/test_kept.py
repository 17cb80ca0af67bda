"""Compiled expressions are kept up to a length in all, not up to a number."""

import pytest
from weft.expr import cel
from weft.expr.cel import ExpressionError, compile_expression
from weft.expr.kept import ENTRY, Kept

NAMES = frozenset({"params"})


class Made:
    """Makes values, and remembers of which texts."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, text: str, names: frozenset[str]) -> str:
        self.texts.append(text)
        return text.upper()


def test_what_was_used_last_is_kept_up_to_a_length_in_all() -> None:
    kept, made = Kept[str](3 * (10 + ENTRY)), Made()
    a, b, c, d = ("a" * 10, NAMES), ("b" * 10, NAMES), ("c" * 10, NAMES), ("d" * 10, NAMES)
    for key in (a, b, c, a, d, a, b):
        assert kept.get(key, made) == key[0].upper()
    assert "".join(text[0] for text in made.texts) == "abcdb"
    assert len(kept) == 3


def test_a_long_text_takes_the_place_of_many_short_ones() -> None:
    kept, made = Kept[str](10 * (10 + ENTRY)), Made()
    for number in range(10):
        kept.get((f"{number:010}", NAMES), made)
    assert len(kept) == 10
    kept.get(("x" * (5 * (10 + ENTRY)), NAMES), made)
    assert len(kept) == 5


def test_what_is_longer_than_all_that_is_kept_is_given_and_not_kept() -> None:
    kept, made = Kept[str](100), Made()
    assert kept.get(("x" * 101, NAMES), made) == "X" * 101
    assert len(kept) == 0
    kept.get(("a", NAMES), made)
    assert len(kept) == 1


def test_the_same_text_with_other_names_is_another() -> None:
    kept, made = Kept[str](1000), Made()
    kept.get(("a", NAMES), made)
    kept.get(("a", frozenset()), made)
    assert made.texts == ["a", "a"]


def test_an_expression_is_compiled_once_and_a_wrong_one_is_wrong_again() -> None:
    assert compile_expression("params.once", NAMES) is compile_expression(" ${{ params.once }} ", {"params"})
    for _ in range(2):
        with pytest.raises(ExpressionError):
            compile_expression("params.", NAMES)


def test_long_expressions_are_kept_in_small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = Kept[cel.Program](cel.KEPT)
    monkeypatch.setattr(cel, "_PROGRAMS", programs)
    for number in range(100):
        compile_expression(f"'{number:06}{'x' * 8000}'", NAMES)
    assert 0 < len(programs) <= cel.KEPT // 8000
