"""No rendered value can make the kubelet expand a `$(NAME)`, given its documented way of reading."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.expr.cel import ExpressionError
from weft.expr.template import Template, compile_template, escape_kubelet, kubelet_references

TEXTS = st.text(alphabet="$()aB", max_size=12)


def expanded(text: str) -> str:
    """What the kubelet makes of a text, in an environment in which every name has the value SECRET."""
    result, at = "", 0
    while at < len(text):
        if text.startswith("$$", at):
            result, at = result + "$", at + 2
        elif text.startswith("$(", at) and ")" in text[at:]:
            result, at = result + "SECRET", text.index(")", at) + 1
        else:
            result, at = result + text[at], at + 1
    return result


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain", "plain"),
        ("5 $ a", "5 $ a"),
        ("$HOME", "$HOME"),
        ("$(HOME)", "$$(HOME)"),
        ("a $(X) b $(Y)", "a $$(X) b $$(Y)"),
        ("$$(X)", "$$$$(X)"),
        ("$", "$$"),
    ],
)
def test_escape(text: str, escaped: str) -> None:
    assert escape_kubelet(text) == escaped


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("$(A)", ["A"]),
        ("$$(A)", []),
        ("$$$(A)", ["A"]),
        ("x$(A)-$(B)$(A)", ["A", "B", "A"]),
        ("$(A", []),
        ("$ (A) $A ${A}", []),
    ],
)
def test_references(text: str, names: list[str]) -> None:
    assert kubelet_references(text) == names


@given(TEXTS)
def test_an_escaped_text_survives_the_kubelet(text: str) -> None:
    assert expanded(escape_kubelet(text)) == text
    assert kubelet_references(escape_kubelet(text)) == []


@given(TEXTS, TEXTS, TEXTS)
def test_a_value_never_becomes_a_reference(value: str, before: str, after: str) -> None:
    template = compile_template(f"{before} ${{{{ params.s }}}}{after}", {"params"})
    assert isinstance(template, Template)
    written = kubelet_references(f"{before} ") + kubelet_references(after)
    try:
        rendered = template.render_kubelet({"params": {"s": value}})
    except ExpressionError as error:
        assert "$(NAME)" in str(error)  # noqa: PT017 (either outcome is fine, a reference is not)
    else:
        assert kubelet_references(rendered) == written


def test_the_authors_own_reference_still_works() -> None:
    template = compile_template("$(HOME)/${{ params.s }}", {"params"})
    assert isinstance(template, Template)
    assert template.render_kubelet({"params": {"s": "$(TOKEN)"}}) == "$(HOME)/$$(TOKEN)"


def test_a_value_cannot_choose_the_variable() -> None:
    template = compile_template("$(${{ params.s }})", {"params"})
    assert isinstance(template, Template)
    with pytest.raises(ExpressionError, match="cannot be part of"):
        template.render_kubelet({"params": {"s": "TOKEN"}})
