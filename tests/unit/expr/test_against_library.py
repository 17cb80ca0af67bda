"""Our evaluation agrees with the library's own, on generated expressions: same value, or both an error."""

import json
from typing import Any

from cel_expr_python import cel
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.expr.cel import ExpressionError, compile_expression

VARIABLES: dict[str, Any] = {
    "i": 7,
    "f": 2.5,
    "s": "hello",
    "t": True,
    "z": None,
    "l": [3, 1, 2, "x", None],
    "n": [4, -2, 9],
    "m": {"a": {"a": [1, 2]}},  # one key: the library iterates in no particular order
}
ENV = cel.NewEnv(
    config=cel.NewEnvConfigFromYaml("extensions: [{name: optional}, {name: strings}, {name: lists}, {name: math}]"),
    variables=dict.fromkeys(VARIABLES, cel.Type.DYN),
)
LEAVES = st.sampled_from(
    [
        "i",
        "f",
        "s",
        "t",
        "z",
        "l",
        "n",
        "m",
        "m.a",
        "m.a.a",
        "m.a.q",
        "m.q",
        "l[1]",
        "l[9]",
        "dyn(0)",
        "dyn(-3)",
        "dyn('x')",
        "v",
    ]
)
FORMS = [
    "({a} + {b})", "({a} - {b})", "({a} * {b})", "({a} / {b})", "({a} % {b})", "({a} == {b})", "({a} != {b})",
    "({a} < {b})", "({a} >= {b})", "({a} && {b})", "({a} || {b})", "({a} in {b})", "({a} ? {b} : {a})", "dyn(!{a})",
    "dyn(-{a})", "dyn([{a}, {b}])", "dyn({{'a': {a}}})", "{a}[{b}]", "{a}.a", "has({a}.a)",
    "{a}.?a.orValue({b})", "dyn({a}.map(v, {b}))", "dyn({a}.filter(v, {b}))", "{a}.all(v, {b})",
    "{a}.exists(v, {b})", "{a}.exists_one(v, {b})", "dyn(size({a}))", "string({a})", "dyn({a}.contains({b}))",
    "dyn({a}.startsWith({b}))", "dyn(double({a}))", "dyn(int({a}))", "(type({a}) == type({b}))", "dyn({a}.sort())",
    "dyn({a}.distinct())", "math.greatest({a}, {b})", "{a}.upperAscii()", "{a}.split({b})",
]  # fmt: skip
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.builds(lambda form, a, b: form.format(a=a, b=b), st.sampled_from(FORMS), inner, inner),
    max_leaves=6,
)
ERROR = "an error"


def ours(text: str) -> str:
    try:
        return json.dumps(compile_expression(text, VARIABLES.keys()).evaluate(VARIABLES), sort_keys=True)
    except ExpressionError:
        return ERROR


def theirs(text: str) -> str:
    try:
        value = ENV.compile(text).eval(data=VARIABLES)
        if value.type() == cel.Type.ERROR:
            return ERROR
        return json.dumps(value.plain_value(), sort_keys=True, allow_nan=False)
    except (RuntimeError, ValueError):  # ValueError: not a number, which we refuse as a result
        return ERROR


def mixes_numbers(text: str) -> bool:
    """Where we differ on purpose: int and double may be mixed in arithmetic."""
    return any(operator in text for operator in (" + ", " - ", " * ", " / ")) and ("f" in text or "double" in text)


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS)
def test_same_value_or_both_fail(inner: str) -> None:
    text = f"dyn([1]).map(v, {inner})"
    expected = theirs(text)
    if expected is not ERROR or not mixes_numbers(text):
        assert ours(text) == expected
