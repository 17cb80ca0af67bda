"""Expressions written to hang, crash or fill the operator: each ends soon, as an error or a harmless value."""

from typing import Any

import pytest
from weft.api.base import MAX_EXPRESSION
from weft.expr.cel import ExpressionError, compile_expression

NAMES = frozenset({"big", "text"})
VARIABLES: dict[str, Any] = {"big": list(range(9000)), "text": "a" * 500_000}
TENFOLD = ".map(a, [a,a,a,a,a,a,a,a,a,a])"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("big.all(i, big.all(j, big.all(k, true)))", id="10^12 iterations"),
        pytest.param("big.exists(i, big.map(j, big.map(k, 1)) == [] || false)", id="absorbed in a loop"),
        pytest.param("big.all(i, big.all(j, true)) || true", id="not absorbed by ||"),
        pytest.param("lists.range(1000000000).size()", id="a huge range"),
        pytest.param("[text]" + ".map(a, a + a)" * 28 + ".size()", id="text doubled 28 times"),
        pytest.param("[[1]]" + ".map(a, a + a)" * 28 + ".size()", id="a list doubled 28 times"),
        pytest.param("big.map(i, text + text).size()", id="large text in a loop"),
        pytest.param("big.map(i, text.upperAscii()).size()", id="a large library result in a loop"),
        pytest.param("text.replace('a', text)", id="text squared"),
        pytest.param("big.map(i, 'a').join(text)", id="a huge separator"),
        pytest.param(f"dyn([1]{TENFOLD * 9}) == dyn([1]{TENFOLD * 9})", id="10^9 comparisons of shared lists"),
        pytest.param(f"[1]{TENFOLD * 9}.flatten(20)", id="10^9 elements to flatten"),
        pytest.param(f"'%s'.format([[1]{TENFOLD * 9}])", id="10^9 elements to print"),
        pytest.param("text.matches('((a{1000})|b{1000}|(c{100}d{100})*)*x')", id="a large automaton"),
        pytest.param("text.matches('(a|aa|aaa){500}x')", id="an ambiguous automaton"),
        pytest.param("sets.contains(big, big)", id="quadratic set"),
        pytest.param("big.distinct()", id="quadratic distinct"),
        pytest.param("text.lastIndexOf(text)", id="quadratic search"),
        pytest.param("'%.100000000f'.format([1.5])", id="a hundred million digits"),
        pytest.param("big.map(i, big)", id="a large result of shared parts"),
        pytest.param(f"[1]{TENFOLD * 9}", id="10^9 elements as the result"),
        pytest.param("text + text + text", id="a result over 1 MiB"),
        pytest.param("(" * 3000 + "1" + ")" * 3000, id="3000 parentheses"),
        pytest.param("(" * 2000 + "1" + ")" * 2000, id="2000 parentheses"),
        pytest.param("[" * 2000 + "]" * 2000, id="2000 brackets"),
        pytest.param("(" * 4000, id="4000 open parentheses"),
        pytest.param("1" + "+1" * 2000, id="a long chain"),
        pytest.param("big" + "[0]" * 1000, id="a long path"),
        pytest.param("true" + "?true:true" * 400, id="nested conditionals"),
        pytest.param("\\" * 8000, id="8000 lexical errors"),
        pytest.param("1 == 1 && " * 1000 + "true", id="over the length limit"),
        pytest.param("'" + "a" * 9000 + "'", id="a long literal"),
        pytest.param("'\ud800'", id="half a surrogate pair"),
    ],
)
def test_ends_as_an_error(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, NAMES).evaluate(VARIABLES)
    assert caught.value.detail
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("text.matches('(a+)+$')", True),
        ("text.matches('(a|a)*b')", False),
        ("-" * 4000 + "1", 1),
        ("!" * 4000 + "true", True),
        ("big.filter(i, i != null && i > 8998).map(i, i + 1)", [9000]),
        ("big.map(i, {'id': i}).filter(o, o.id >= 8998).size()", 2),
        ("big.sort()[0] + big.sortBy(i, -i)[0]", 8999),
    ],
)
def test_large_but_honest_work_is_done(text: str, expected: Any) -> None:
    assert compile_expression(text, NAMES).evaluate(VARIABLES) == expected


def test_deeply_nested_values_are_an_error() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    for text in ("big", "big == text", "[big].flatten(5)", "string(big)"):
        with pytest.raises(ExpressionError):
            compile_expression(text, NAMES).evaluate({"big": deep, "text": deep})


def test_text_with_a_nul_is_kept_or_refused_but_never_cut() -> None:
    variables = {"text": "a\0b", "big": []}
    assert compile_expression("[text, text + 'c', string(size(text))]", NAMES).evaluate(variables) == [
        "a\0b",
        "a\0bc",
        "3",
    ]
    with pytest.raises(ExpressionError, match="NUL"):
        compile_expression("text.upperAscii()", NAMES).evaluate(variables)


def test_an_expression_that_the_crd_takes_is_no_longer_than_the_compiler_does() -> None:
    text = "1 == 1 && " * 818
    text += "true".rjust(MAX_EXPRESSION - len(text))
    assert compile_expression(text, frozenset()).evaluate({}) is True
