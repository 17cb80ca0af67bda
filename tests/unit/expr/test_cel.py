"""What an expression gives, what it refers to, and how its errors read."""

import enum
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.expr import cel
from weft.expr.cel import ExpressionError, compile_expression, suggestion

NAMES = frozenset({"params", "nodes", "run", "item", "index"})
VARIABLES: dict[str, Any] = {
    "params": {"limit": 3, "ratio": 1.5, "whole": 3.0, "mode": "urgent", "on": True, "list": [1, 2, 3], "none": None},
    "nodes": {
        "scrape": {
            "phase": "Succeeded",
            "reason": None,
            "exitCode": 0,
            "outputs": {"count": 12, "batches": [[1], [2, 3]]},
        },
        "a-b": {"phase": "Failed", "outputs": {}},
    },
    "run": {"outcome": "Failed"},
    "item": {"id": 7},
    "index": 0,
}


def evaluate(text: str, variables: dict[str, Any] = VARIABLES) -> Any:
    return compile_expression(text, NAMES).evaluate(variables)


def error_of(text: str, variables: dict[str, Any] = VARIABLES) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, variables)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("params.limit", 3),
        ("${{ params.limit }}", 3),
        ("  ${{params.limit}}\n", 3),
        ('nodes["a-b"].phase', "Failed"),
        ("nodes.`a-b`.phase", "Failed"),
        ("nodes.scrape.outputs.count > 10 && params.mode == 'urgent'", True),
        ("nodes.scrape.reason == null", True),
        ("params.none", None),
        ("[params.limit, 'a', null, true, 1.5, [1], {'k': 2}]", [3, "a", None, True, 1.5, [1], {"k": 2}]),
        ("{'a': 1, 2: 'b'}", {"a": 1, "2": "b"}),
        ("has(nodes.scrape.outputs.count)", True),
        ("has(nodes.scrape.outputs.total)", False),
        ("nodes.scrape.outputs.?total.orValue(0)", 0),
        ("nodes.scrape.?missing.deeper.orValue('x')", "x"),
        ("nodes.scrape.outputs.?count", 12),
        ("nodes.scrape.outputs.?total", None),
        ("optional.of(2).optMap(v, v + 1).value()", 3),
        ("[1, ?params.?limit, ?params.?absent]", [1, 3]),
        ("{?'a': params.?limit, ?'b': params.?absent}", {"a": 3}),
        ("params.list[1]", 2),
        ("params.list[1.0]", 2),
        ("params.list.map(x, x * 2)", [2, 4, 6]),
        ("params.list.filter(x, x > 1)", [2, 3]),
        ("params.list.map(x, x > 1, string(x))", ["2", "3"]),
        ("params.list.all(x, x > 0)", True),
        ("params.list.all(x, x > 1)", False),
        ("params.list.exists(x, x == 3)", True),
        ("params.list.exists(x, x == 4)", False),
        ("params.list.exists_one(x, x > 2)", True),
        ("params.list.exists_one(x, x > 1)", False),
        ("nodes.exists(name, nodes[name].phase == 'Failed')", True),
        ("nodes.scrape.outputs.batches.map(b, b.size())", [1, 2]),
        ("params.list.map(x, params.list.map(x, x + 1)[0] + x)", [3, 4, 5]),
        ("params.list.sortBy(x, -x)", [3, 2, 1]),
        ("[1, 2].first().value() + [1, 2].last().value()", 3),
        ("params.list.exists(x, x / 0 == 1 || x == 3)", True),
        ("params.absent || true", True),
        ("false && params.absent", False),
        ("params.absent && false", False),
        ("params.on ? 'yes' : params.absent", "yes"),
        ("params.on in {1: 'x'}", False),
        ("optional.of(params)[?'limit'].orValue(0)", 3),
        ("params.list[?1].orValue(0) + params.list[?9].orValue(10)", 12),
        ("params.?limit.or(params.?absent).value()", 3),
        ("params.?absent.or(params.?limit).value()", 3),
        ("params.?limit.orValue(params.absent)", 3),
        ("optional.ofNonZeroValue('').hasValue()", False),
        ("nodes.scrape.?outputs.count.hasValue()", True),
        ("has(nodes.scrape.?outputs.count)", True),
        ("params.?limit == optional.of(3)", True),
        ("2 in params.list", True),
        ("2.0 in params.list", True),
        ("'limit' in params", True),
        ("lists.range(3)", [0, 1, 2]),
        ("[3, 1, 2].sort()", [1, 2, 3]),
        ("[[1], [2]].flatten()", [1, 2]),
        ("sets.contains([1, 2], [2])", True),
        ("math.greatest(params.limit, 7.5)", 7.5),
        ("math.least([3, 1])", 1),
        ("'a,b'.split(',').join('-')", "a-b"),
        ("params.mode.upperAscii().replace('U', 'V')", "VRGENT"),
        ("'%s: %d'.format([params.mode, params.limit])", "urgent: 3"),
        ("params.mode.matches('^urg')", True),
        ("params.mode.startsWith('ur') && params.mode.endsWith('nt') && params.mode.contains('ge')", True),
        ("'n: ' + string(params.limit) + string(params.on) + string(params.ratio)", "n: 3true1.5"),
        ("int('12') + int(2.9)", 14),
        ("type(params.limit) == int", True),
        ("type(params.mode)", "string"),
        ("size('é😀')", 2),
        ("timestamp('2026-01-02T03:04:05Z')", "2026-01-02T03:04:05Z"),
        ("timestamp('2026-01-02T03:04:05Z') + duration('1h')", "2026-01-02T04:04:05Z"),
        ("timestamp('2026-07-02T03:04:05Z').getHours('Europe/Berlin')", 5),
        ("timestamp('2026-01-02T00:00:10Z') - timestamp('2026-01-02T00:00:00Z')", 10),
        ("timestamp('2026-01-02T00:00:00Z') < timestamp('2026-01-03T00:00:00Z')", True),
        ("duration('1500ms')", 1.5),
        ("string(duration('90s'))", "90s"),
        ("b'abc'", "YWJj"),
        ("base64.encode(b'abc')", "YWJj"),
        ("1u + 2u", 3),
    ],
)
def test_value(text: str, expected: Any) -> None:
    value = evaluate(text)
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("params.ratio * 2", 3.0),
        ("params.ratio + params.limit", 4.5),
        ("params.limit - 0.5", 2.5),
        ("1 / 2.0", 0.5),
        ("params.ratio > 1", True),
        ("params.limit == 3.0", True),
        ("params.whole == params.limit", True),
        ("1 < 1.5", True),
        ("1 == 1.0", True),
        ("1.5 != 1", True),
        ("size('abc') == 3.0", True),
        ("params.whole * 2", 6.0),
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("-7 % 3", -1),
        ("7 % -3", 1),
        ("-params.limit", -3),
        ("1.0 / 0.0 > 5.0", True),
        ("true == dyn(1)", False),
        ("params.list == [1.0, 2.0, 3.0]", True),
        ("dyn({'a': [1]}) == {'a': [1.0]}", True),
    ],
)
def test_int_and_double_mix(text: str, expected: Any) -> None:
    value = evaluate(text)
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nodes.scrape.outputs.total + 1", "no such key: total at column 21 of `nodes.scrape.outputs.total + 1`"),
        ("1 + nodes.x.phase", "no such key: x at column 10 of `1 + nodes.x.phase`"),
        ("params.none.x", "null has no key x at column 12 of `params.none.x`"),
        ("params.mode.x", '"urgent" (string) has no key x at column 12 of `params.mode.x`'),
        ("params.list[3]", "index 3 is out of range: the list has 3 elements at column 12 of `params.list[3]`"),
        ("params.list[-1]", "index -1 is out of range: the list has 3 elements at column 12 of `params.list[-1]`"),
        ("params.limit / 0", "division by zero at column 14 of `params.limit / 0`"),
        ("params.limit % 0", "modulus by zero at column 14 of `params.limit % 0`"),
        ("9223372036854775807 + params.limit", "integer overflow at column 21 of `9223372036854775807 + params.limit`"),
        ("params.limit < params.mode", '`<` cannot compare 3 (int) with "urgent" (string) at column 14 of'),
        ("params.limit + params.mode", "string(...) makes text of a number"),
        ("params.limit && true", "`&&` cannot take 3 (int), a true or false was expected at column 7 of"),
        ("params.limit ? 1 : 2", "`?` cannot take 3 (int), a true or false was expected"),
        ("!params.limit", "`!` cannot take 3 (int)"),
        ("params.list.filter(x, x)", "the condition of a loop gave 1 (int), a true or false was expected at column 23"),
        ("params.limit.map(x, x)", "a list or a map is needed to loop over, got 3 (int)"),
        ("has(params.mode.x)", 'has() needs a map, got "urgent" (string)'),
        ("params.limit.orValue(1)", "an optional was expected, got 3 (int); write `.?field` for one"),
        ("params.?absent.value()", "value() of an optional that is absent"),
        ("int('x')", "int(): cannot convert string to int at column 4 of `int('x')`"),
        ("params.mode.matches('(')", "matches(): invalid regular expression"),
        ("params.list.join(',')", "join() cannot take (list, string)"),
        ("{'a': 1, params.absent: 2}", "no such key: absent"),
        ("{params.mode: 1, 'urgent': 2}", 'the key "urgent" (string) stands twice'),
        ("{params.ratio: 1}", "a map's key is a string or an int, not 1.5 (double)"),
        ("params.list['x']", "a list has no key x at column 12"),
        ("params.list[1.5]", "a list is indexed by an int, not by 1.5 (double) at column 12"),
        ("params.none in params", "null cannot be the key of a map"),
        ("params.none in params.mode", '`in` needs a list or a map on its right, got "urgent" (string)'),
        ("[].first().value()", "value() of an optional that is absent"),
        ("params.limit.first()", "first() and last() need a list"),
        ("size(params.limit)", "size() cannot take 3 (int)"),
        ("params.mode * 2", '`*` cannot take "urgent" (string) and 2 (int)'),
        ("params.mode / 2", '`/` cannot take "urgent" (string) and 2 (int)'),
        ("params.ratio % 2", "`%` cannot take 1.5 (double) and 2 (int)"),
        ("params.list.sortBy(x, x > 1 ? 'a' : dyn(1))", "sortBy() needs keys of one comparable type"),
        ("math.greatest(params.mode, 1)", "math.greatest() and math.least() take numbers"),
        ("0.0 / 0.0", "the result is nan, which JSON cannot carry"),
        ("timestamp('9999-12-31T23:59:59Z') + duration('10s')", "the time is out of range at column 35"),
    ],
)
def test_failed_evaluation_says_what_and_where(text: str, message: str) -> None:
    assert message in str(error_of(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dyn([1, 'a']).sort()", "sort(): list elements must have the same type at "),
        ("[1].flatten(-1)", "flatten(): level must be non-negative at "),
    ],
)
def test_a_complaint_names_its_function_once(text: str, message: str) -> None:
    assert str(error_of(text)).startswith(message)


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("", "the expression is empty", 0),
        ("   ", "the expression is empty", 0),
        ("1 +", "the expression ends too early at column 4 of `1 +`", 3),
        ("1 + )", "unexpected `)` at column 5 of `1 + )`", 4),
        ("nodes..a", "syntax error", 6),
        ("'abc", "syntax error", 0),
        ("parms.limit", 'there is no name "parms" here; did you mean "params"? at column 1 of `parms.limit`', 0),
        ("'é😀' + zebra", 'there is no name "zebra" here (there are index, item, nodes, params, run)', 7),
        (
            "1 +\n  zebra",
            'there is no name "zebra" here (there are index, item, nodes, params, run) at line 2, column 3 of',
            6,
        ),
        ("params.x + twice(1)", "there is no function twice()", 16),
        ("params.twice(1)", "there is no function twice()", 12),
        ("math.twice(1)", "there is no such function in math", 0),
        ("1 + 'a'", "`+` cannot take (int, string)", 2),
        ("nodes.a-b.phase", 'write nodes["a-b"]: a dash in a name reads as a subtraction at column 7 of', 6),
        ("1 > 0 && nodes.a-b-c.outputs.x == 1", 'write nodes["a-b-c"]: a dash in a name reads as a subtraction', 15),
        ("nodes.scrape.outputs.a-in.x", 'write nodes.scrape.outputs["a-in"]', 21),
        ("nodes['scrape'].outputs.a-in.x", 'write outputs["a-in"]: a dash', 24),
        ("size(nodes).x.a-in", 'write x["a-in"]: a dash', 14),
        ("nodes.scrape.outputs.?a-in.x", 'write nodes.scrape.outputs[?"a-in"]: a dash', 22),
        ("nodes.scrape.in.x", 'write scrape["in"]: `in` is a word', 13),
        ("nodes.scrape . ? in", 'write scrape[?"in"]: `in` is a word', 17),
        ("google.protobuf.Int32Value{value: 1}", "message literals are not supported", 0),
        ("${{ 1 }} + ${{ 2 }}", "one expression was expected", 0),
    ],
)
def test_compile_errors_have_a_position(text: str, message: str, position: int) -> None:
    error = error_of(text)
    assert message in str(error)
    assert error.position == position


@pytest.mark.parametrize(
    ("pattern", "text", "places"),
    [
        (cel._DASHED, "a.a.a.a.b-c", [0]),
        (cel._DASHED, "f(a.a.a).b.b.b-c", [9]),
        (cel._WORD, "a.a.a.in", [4]),
    ],
)
def test_a_name_that_must_be_in_brackets_is_looked_for_from_one_place_of_its_path(
    pattern: re.Pattern[str], text: str, places: list[int]
) -> None:
    """From each of four thousand, a path of eight thousand characters would take seconds."""
    assert [at for at in range(len(text)) if pattern.match(text, at)] == places


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (") " + "a." * 4000 + "a", "unexpected `)` at column 1 of"),
        ("? " + "a." * 4000 + "b-c", "unexpected `?` at column 1 of"),
        ("a." + " " * 8000 + "+", "syntax error: no viable alternative"),
    ],
)
def test_a_long_text_is_explained_in_few_words(text: str, message: str) -> None:
    told = str(error_of(text))
    assert message in told
    assert len(told) < 500


def test_the_dash_in_a_string_is_no_name() -> None:
    assert 'no name "zebra"' in str(error_of("'nodes.a-b' + zebra"))


def test_a_long_text_is_shortened_around_the_position() -> None:
    message = str(error_of("'" + "x" * 300 + "' + zebra + '" + "y" * 300 + "'"))
    assert f"at column 306 of `…{'x' * 36}' + zebra + '{'y' * 31}…`" in message


def test_an_absent_variable_is_named() -> None:
    assert str(error_of("item.id", {})) == "item has no value here at column 1 of `item.id`"


def test_a_number_too_large_for_a_double_is_an_error() -> None:
    assert "the number is out of range" in str(error_of("item * 1.5", {"item": 10**400}))


def test_a_value_that_is_no_json_is_an_error() -> None:
    assert "JSON cannot carry" in str(error_of("item", {"item": object()}))


def test_a_condition_must_be_a_bool() -> None:
    program = compile_expression("params.limit", NAMES)
    with pytest.raises(ExpressionError, match=r"gave 3 \(int\), a true or false was expected at column 1"):
        program.evaluate_bool(VARIABLES)
    assert compile_expression("params.on", NAMES).evaluate_bool(VARIABLES) is True


def test_only_the_needed_variables_are_read() -> None:
    class OnlyParams(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            assert key == "params"
            return {"limit": 3}

    assert compile_expression("params.limit", NAMES).evaluate(OnlyParams(params=0, nodes=0)) == 3


def test_the_result_shares_nothing_with_the_variables() -> None:
    evaluate("params.list").append(4)
    assert VARIABLES["params"]["list"] == [1, 2, 3]


def test_enum_members_are_their_text() -> None:
    class Phase(enum.StrEnum):
        FAILED = "Failed"

    variables = {"run": {"outcome": Phase.FAILED}}
    assert evaluate("run.outcome == 'Failed' && run.outcome in ['Failed']", variables) is True
    assert type(evaluate("run.outcome", variables)) is str


def test_compiling_again_gives_the_same_program() -> None:
    assert compile_expression("params.limit", NAMES) is compile_expression("${{ params.limit }}", set(NAMES))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def shape(value: Any) -> Any:
    """The value with its types, since 1 == 1.0 == True."""
    if isinstance(value, list):
        return [shape(item) for item in value]
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return type(value), value


@given(JSON)
def test_json_goes_through_unchanged(value: Any) -> None:
    assert shape(evaluate("[item, {'k': item}][1].k", {"item": value})) == shape(value)
    assert evaluate("item == params", {"item": value, "params": value}) is True


@given(st.text(max_size=60))
def test_any_text_gives_a_program_or_an_expression_error(text: str) -> None:
    try:
        compile_expression(text, NAMES).evaluate(VARIABLES)
    except ExpressionError as error:
        assert str(error)  # noqa: PT017 (a value is as good)


@pytest.mark.parametrize(
    ("name", "among", "hint"),
    [
        ("prise", 3, '; did you mean "price"?'),
        ("zebra", 3, ""),
        ("prise", 10_000, '; did you mean "price"?'),
        ("zebra", 10_000, ""),
    ],
)
def test_a_close_name_is_suggested_however_many_there_are(name: str, among: int, hint: str) -> None:
    assert suggestion(name, {"price", *(f"n{number}" for number in range(among))}) == hint
