"""Values against declarations: nothing is converted, every problem names the parameter and the mend."""

from typing import Any

import pytest
from weft.api import parameters
from weft.api.parameters import Parameter, check_declarations, check_parameters
from weft.api.problems import parse


def declare(**fields: Any) -> Parameter:
    parameter, problems = parse(Parameter, {"name": "p", **fields})
    assert parameter is not None, problems
    return parameter


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", "x"),
        ("string", ""),
        ("integer", 3),
        ("integer", -3),
        ("number", 3),
        ("number", 3.5),
        ("boolean", True),
        ("boolean", False),
        ("array", []),
        ("array", [1, "x"]),
        ("object", {}),
        ("object", {"a": [1]}),
    ],
)
def test_a_value_of_the_type_is_taken_as_it_is(kind: str, value: object) -> None:
    assert check_parameters([declare(type=kind)], {"p": value}) == ({"p": value}, [])


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("string", 3, "parameter 'p' must be of type string, got the integer 3; write it in quotes: \"3\""),
        ("string", None, "parameter 'p' must be of type string, got the null None"),
        ("string", ["x"], "parameter 'p' must be of type string, got the array ['x']"),
        ("integer", "3", "parameter 'p' must be of type integer, got the string '3'; write it without quotes"),
        ("integer", True, "parameter 'p' must be of type integer, got the boolean True"),
        ("integer", 3.0, "parameter 'p' must be of type integer, got the number 3.0"),
        ("number", False, "parameter 'p' must be of type number, got the boolean False"),
        ("boolean", 1, "parameter 'p' must be of type boolean, got the integer 1"),
        ("boolean", "true", "parameter 'p' must be of type boolean, got the string 'true'; write it without quotes"),
        ("array", {}, "parameter 'p' must be of type array, got the object {}"),
        ("object", [], "parameter 'p' must be of type object, got the array []"),
    ],
)
def test_a_value_of_another_type_is_refused(kind: str, value: object, said: str) -> None:
    assert check_parameters([declare(type=kind)], {"p": value})[1] == [said]


@pytest.mark.parametrize(
    ("declared", "good", "bad", "said"),
    [
        ({"type": "integer", "minimum": 1}, 1, 0, "must be at least 1, got 0"),
        ({"type": "integer", "maximum": 9}, 9, 10, "must be at most 9, got 10"),
        ({"type": "number", "minimum": 0.5}, 0.5, 0.4, "must be at least 0.5, got 0.4"),
        ({"minLength": 2}, "ab", "a", "must be at least 2 characters, got 1"),
        ({"maxLength": 2}, "ab", "abc", "must be at most 2 characters, got 3"),
        ({"pattern": "^v[0-9]+$"}, "v1", "1", "must match ^v[0-9]+$, got '1'"),
        ({"enum": ["a", "b"]}, "a", "c", "must be one of a, b, got 'c'"),
        ({"type": "integer", "enum": [1, 2]}, 2, 3, "must be one of 1, 2, got 3"),
        ({"type": "array", "minItems": 1}, [0], [], "must be at least 1 items, got 0"),
        ({"type": "array", "maxItems": 1}, [0], [0, 0], "must be at most 1 items, got 2"),
    ],
)
def test_bounds(declared: dict[str, Any], good: object, bad: object, said: str) -> None:
    parameter = declare(**declared)
    assert check_parameters([parameter], {"p": good})[1] == []
    assert check_parameters([parameter], {"p": bad})[1] == [f"parameter 'p' {said}"]


@pytest.mark.parametrize(
    ("choice", "same", "other"),
    [
        ([1, 0], [1.0, 0], [True, 0]),
        ({"a": [True]}, {"a": [True]}, {"a": [1]}),
        ({"a": {"b": 0}}, {"a": {"b": 0}}, {"a": {"b": False}}),
        ([[1], [2]], [[1], [2]], [[1]]),
        ({"a": 1}, {"a": 1}, {"b": 1}),
    ],
)
def test_true_is_not_one_however_deep_in_what_an_enum_allows(choice: Any, same: Any, other: Any) -> None:
    parameter = declare(type="array" if isinstance(choice, list) else "object", enum=[choice])
    assert check_parameters([parameter], {"p": same})[1] == []
    (problem,) = check_parameters([parameter], {"p": other})[1]
    assert "must be one of" in problem


def test_large_bounds_are_spelled_in_full() -> None:
    (problem,) = check_parameters([declare(type="integer", maximum=12_345_678)], {"p": 123_456_789})[1]
    assert problem == "parameter 'p' must be at most 12345678, got 123456789"


def test_defaults_fill_in_and_given_values_win() -> None:
    declared = [declare(name="a", default="x"), declare(name="b", type="integer", default=0)]
    assert check_parameters(declared, {"b": 7}) == ({"a": "x", "b": 7}, [])


def test_a_parameter_without_default_is_required() -> None:
    assert check_parameters([declare(type="integer")], {})[1] == [
        "parameter 'p' is required: give it a value of type integer, or declare a default"
    ]


def test_an_unknown_parameter_is_told_its_likeness() -> None:
    declared = [declare(name="limit", default="x")]
    assert check_parameters(declared, {"limt": 1})[1] == ["parameter 'limt' is not declared; did you mean 'limit'?"]
    assert check_parameters(declared, {"zzz": 1})[1] == ["parameter 'zzz' is not declared; declared: limit"]
    assert check_parameters([], {"zzz": 1})[1] == ["parameter 'zzz' is not declared; declared: none"]


def test_of_very_many_unknown_parameters_ten_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def seen(name: str, known: Any, n: int) -> list[str]:
        compared.append(name)
        return []

    monkeypatch.setattr(parameters, "get_close_matches", seen)
    declared = [declare(name="a", default="x")]
    eleven = {f"b{number}": 1 for number in range(11)}
    problems = check_parameters(declared, eleven)[1]
    assert problems[:10] == [f"parameter 'b{number}' is not declared; declared: a" for number in range(10)]
    assert problems[10:] == ["and 1 more that are not declared"]
    assert check_parameters(declared, dict.fromkeys(f"b{number}" for number in range(1024)))[1][-1] == (
        "and 1014 more that are not declared"
    )
    assert len(compared) == 20


def test_a_very_long_name_of_an_unknown_parameter_is_cut() -> None:
    (problem,) = check_parameters([declare(name="limit", default="x")], {"b" * 100_000: 1})[1]
    assert problem == f"parameter '{'b' * 100}…' is not declared; declared: limit"


def test_every_problem_is_reported_at_once() -> None:
    declared = [declare(name="a", type="integer"), declare(name="b"), declare(name="c", type="boolean")]
    assert len(check_parameters(declared, {"a": "x", "c": 1, "d": 2})[1]) == 4


INF, NAN = float("inf"), float("nan")
LARGE = (
    "parameter 'p' must hold integers of 64 bits alone, from -9223372036854775808 to 9223372036854775807;"
    " give a larger one as a string"
)


@pytest.mark.parametrize(
    ("declared", "problems"),
    [
        ({"type": "integer", "default": 5, "maximum": 9}, []),
        ({"type": "integer"}, []),
        ({"type": "number", "minimum": 1, "maximum": 1, "enum": [1]}, []),
        (
            {"type": "integer", "default": 10, "maximum": 9},
            ["[0].default: parameter 'p' must be at most 9, got 10"],
        ),
        (
            {"type": "integer", "enum": [1, "a"]},
            ["[0].enum[1]: parameter 'p' must be of type integer, got the string 'a'; write it without quotes"],
        ),
        ({"default": "c", "enum": ["a", "b"]}, ["[0].default: parameter 'p' must be one of a, b, got 'c'"]),
        (
            {"type": "integer", "enum": [1, 10], "maximum": 9},
            ["[0].enum[1]: parameter 'p' must be at most 9, got 10"],
        ),
        (
            {"type": "number", "minimum": 2, "maximum": 1.5},
            ["[0].minimum: 2 is more than maximum, 1.5: no value can fit"],
        ),
        ({"minLength": 2, "maxLength": 1}, ["[0].minLength: 2 is more than maxLength, 1: no value can fit"]),
        (
            {"type": "array", "minItems": 2, "maxItems": 1},
            ["[0].minItems: 2 is more than maxItems, 1: no value can fit"],
        ),
        (
            {"type": "integer", "pattern": "^a"},
            ["[0].pattern: is a rule for a parameter of type string; 'p' is of type integer"],
        ),
        (
            {"type": "string", "maximum": 3},
            ["[0].maximum: is a rule for a parameter of type integer or number; 'p' is of type string"],
        ),
        ({"type": "number", "default": NAN}, ["[0].default: parameter 'p' must be a finite number, got nan"]),
        ({"type": "number", "enum": [1, -INF]}, ["[0].enum[1]: parameter 'p' must be a finite number, got -inf"]),
        ({"type": "array", "default": [[INF]]}, ["[0].default: parameter 'p' must hold finite numbers alone, got inf"]),
        (
            {"type": "object", "default": {"a": NAN}},
            ["[0].default: parameter 'p' must hold finite numbers alone, got nan"],
        ),
        ({"type": "number", "default": 2**63}, [f"[0].default: {LARGE}"]),
        ({"type": "array", "enum": [[1], [-(2**63) - 1]]}, [f"[0].enum[1]: {LARGE}"]),
        ({"type": "object", "default": {"a": [{"b": 2**64}]}}, [f"[0].default: {LARGE}"]),
        ({"type": "object", "default": {"a": [2**63 - 1, -(2**63)]}}, []),
        (
            {"default": False},
            [
                "[0].default: parameter 'p' must be of type string, got the boolean False;"
                " YAML reads on, off, yes, no, y and n as booleans; put it in quotes"
            ],
        ),
    ],
)
def test_declarations_keep_their_own_rules(declared: dict[str, Any], problems: list[str]) -> None:
    assert [str(problem) for problem in check_declarations([declare(**declared)], "")] == problems


def test_each_declaration_is_told_where_it_stands() -> None:
    problems = check_declarations([declare(), declare(type="integer", default="x")], "spec.parameters")
    assert [problem.path for problem in problems] == ["spec.parameters[1].default"]


def test_an_enum_without_values_allows_none() -> None:
    parameter, problems = parse(Parameter, {"name": "p", "enum": []})
    assert parameter is None
    assert [str(problem) for problem in problems] == ["enum: must have at least 1 items, got 0"]


@pytest.mark.parametrize("value", [INF, NAN])
def test_a_number_is_finite(value: float) -> None:
    assert check_parameters([declare(type="number")], {"p": value})[1] == [
        f"parameter 'p' must be a finite number, got {value}"
    ]


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**400, 16**5000], ids=int.bit_length)
def test_an_integer_has_64_bits_however_deep_it_stands(value: int) -> None:
    given = {"integer": value, "number": value, "string": value, "array": [{"a": value}], "object": {"a": [value]}}
    for kind, one in given.items():
        assert check_parameters([declare(type=kind)], {"p": one})[1] == [LARGE]
    for limit in (2**63 - 1, -(2**63)):
        assert check_parameters([declare(type="integer")], {"p": limit})[1] == []
        assert check_parameters([declare(type="array")], {"p": [[limit]]})[1] == []


def test_a_bad_default_is_found_when_it_is_used() -> None:
    assert check_parameters([declare(type="integer", default="x")], {})[1][0].endswith("(its default)")


def test_a_pattern_must_be_a_regular_expression() -> None:
    parameter, problems = parse(Parameter, {"name": "p", "pattern": "("})
    assert parameter is None
    assert "pattern: is not a regular expression" in str(problems[0])
