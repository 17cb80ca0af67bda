"""Templates: which texts are templates, what they give, and where their errors are."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.expr.cel import ExpressionError
from weft.expr.template import Structure, Template, compile_template, to_text

NAMES = frozenset({"params", "nodes"})
VARIABLES: dict[str, Any] = {
    "params": {
        "n": 3,
        "f": 3.0,
        "s": "x y",
        "t": True,
        "z": None,
        "l": [1, "a"],
        "m": {"k": [1.5]},
        "b": "}}",
        "d": "$",
    },
    "nodes": {},
}


def render(text: str) -> Any:
    template = compile_template(text, NAMES)
    return template.render(VARIABLES) if isinstance(template, Template) else template


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("$ {{ }} }} $(X) $${ ${X}", "$ {{ }} }} $(X) $${ ${X}"),
        ("${{ params.n }}", 3),
        ("${{params.f}}", 3.0),
        ("${{ params.t }}", True),
        ("${{ params.z }}", None),
        ("${{ params.l }}", [1, "a"]),
        ("${{ params.m }}", {"k": [1.5]}),
        ("${{ params.s }}", "x y"),
        ("${{ params.n }} ", "3 "),
        ("n=${{ params.n }}", "n=3"),
        ("${{ params.n }}${{ params.s }}", "3x y"),
        ("<${{ params.t }}|${{ params.z }}|${{ params.f }}>", "<true|null|3.0>"),
        ("v: ${{ params.l }} ${{ params.m }}", 'v: [1,"a"] {"k":[1.5]}'),
        ("$${{ params.n }}", "${{ params.n }}"),
        ("a $${{ b }} ${{ params.n }}", "a ${{ b }} 3"),
        ("$$${{ x", "$${{ x"),
        ("${{ {'a': {'b': 1}} }}", {"a": {"b": 1}}),
        ("${{ {'a': {'b': params.n}}}}", {"a": {"b": 3}}),
        ("${{ '}}' + params.b + \"}}\" }}!", "}}}}}}!"),
        ("${{ 'it\\'s }}' }}", "it's }}"),
        ("${{ r'\\d' + '}}' }}", "\\d}}"),
        ("${{ '''a ' }} b''' }}", "a ' }} b"),
        ("${{\n  params.n\n}}", 3),
        ("${{ '${{' }}", "${{"),
    ],
)
def test_render(text: str, expected: Any) -> None:
    value = render(text)
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a ${{ params.n", "`${{` without its `}}` (a literal one is written `$${{`) at column 3 of `a ${{ params.n`"),
        ("${{ 'a }}", "syntax error"),
        ("${{ }}", "the expression is empty"),
        ("x ${{ parms.n }}", 'no name "parms" here; did you mean "params"? at column 1 of `parms.n`'),
        ("x ${{ params.q }}", "no such key: q at column 7 of `params.q`"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        render(text)
    assert message in str(caught.value)


def test_programs_are_listed_in_order() -> None:
    template = compile_template("${{ params.a }} and ${{ nodes.b.phase }}", NAMES)
    assert isinstance(template, Template)
    assert [program.text for program in template.programs] == ["params.a", "nodes.b.phase"]


@given(st.text(alphabet="${}ab ", max_size=30) | st.text(max_size=30))
def test_an_escaped_text_comes_back(text: str) -> None:
    escaped = text.replace("${{", "$${{")
    assert compile_template(escaped, NAMES) == text


@given(st.text(max_size=20), st.text(alphabet="$ab}", max_size=5))
def test_text_around_and_in_a_value_is_kept(value: str, around: str) -> None:
    before, after = around.rstrip("$"), around
    template = compile_template(f"{before}${{{{ params.s }}}}{after}", NAMES)
    assert isinstance(template, Template)
    assert template.render({"params": {"s": value}}) == before + value + after


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a b"),
        (True, "true"),
        (None, "null"),
        (12, "12"),
        (3.0, "3.0"),
        ([1, 2], "[1,2]"),
        ({"a": "é", "b": [None]}, '{"a":"é","b":[null]}'),
    ],
)
def test_to_text(value: Any, text: str) -> None:
    assert to_text(value) == text


def test_a_structure_s_render_error_has_its_path() -> None:
    structure = Structure({"a": [{"b": compile_template("${{ params.q }}", NAMES)}]}, ())
    with pytest.raises(ExpressionError) as caught:
        structure.render(VARIABLES)
    assert caught.value.path == ".a[0].b"
