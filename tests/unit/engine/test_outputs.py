"""What a container may write to $WEFT_OUTPUTS, and what other bodies may give."""

import math
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.engine import drive
from weft.engine.actions import Remember
from weft.engine.observation import CacheAnswer
from weft.engine.outputs import MAX_BYTES, MAX_VALUES, OutputsError, parse_outputs, plain

GOOD = [
    ("", None),
    ("  \n ", None),
    ('{"count": 3, "name": "x"}', {"count": 3, "name": "x"}),
    ('\n {"a": {"b": [1, null]}} \n', {"a": {"b": [1, None]}}),
    ("{}", {}),
    ("count=3", {"count": "3"}),
    ("a=1\n\nb = two words \r\nc=", {"a": "1", "b": "two words", "c": ""}),
    ("url=https://example.test/?a=b", {"url": "https://example.test/?a=b"}),
    ("a=1\na=2", {"a": "2"}),
    ("with-dash.and_dot=1", {"with-dash.and_dot": "1"}),
    ('{"big": 18446744073709551615}', {"big": 18446744073709551615}),
    ("k=é", {"k": "é"}),
    ("k=a\u2028b\x0cc\x85d\re\r\nl=1", {"k": "a\u2028b\x0cc\x85d\re", "l": "1"}),  # a line ends where \n is
    ("\ufeffk=1\n", {"k": "1"}),
    ('\ufeff{"k": 1}', {"k": 1}),
    ("\ufeff", None),
    ('\ufeff{"k": "' + "x" * (MAX_BYTES - 12) + '"}', {"k": "x" * (MAX_BYTES - 12)}),  # whole at the very limit
]


@pytest.mark.parametrize(("text", "outputs"), GOOD)
def test_good(text: str, outputs: dict[str, Any] | None) -> None:
    assert parse_outputs(text) == outputs


BAD = [
    ("a=\ud800", "InvalidOutputs", "not UTF-8"),
    ("[1, 2]", "InvalidOutputs", "write an object, or key=value lines"),
    ("{", "InvalidOutputs", "no valid JSON"),
    ('{"a": NaN}', "InvalidOutputs", "no valid JSON"),
    ('{"a": Infinity}', "InvalidOutputs", "no valid JSON"),
    ('{"a": 1} trailing', "InvalidOutputs", "no valid JSON"),
    ("hello", "InvalidOutputs", "line 1"),
    ("a=1\nhello world\n", "InvalidOutputs", "line 2"),
    ("1a=1", "InvalidOutputs", "line 1"),
    ("=x", "InvalidOutputs", "line 1"),
    ("a b=x", "InvalidOutputs", "line 1"),
    ("x" * 64 + "=1", "InvalidOutputs", "line 1"),
    ('{"a":' * 100 + "1" + "}" * 100, "InvalidOutputs", "deeper than 64 levels"),
    ('{"a":' + "[" * 2000 + "]" * 2000 + "}", "InvalidOutputs", ""),
    ('{"a": "' + "x" * MAX_BYTES + '"}', "OutputsTooLarge", "are 4096 bytes or more"),
    ("a=" + "x" * (MAX_BYTES - 2), "OutputsTooLarge", "are 4096 bytes or more"),
    ("a=" + "é" * (MAX_BYTES // 2), "OutputsTooLarge", "are 4096 bytes or more"),
]


@pytest.mark.parametrize(("text", "reason", "says"), BAD)
def test_bad(text: str, reason: str, says: str) -> None:
    with pytest.raises(OutputsError) as caught:
        parse_outputs(text)
    assert caught.value.reason == reason
    assert says in str(caught.value)


def test_a_text_just_below_the_cut_is_whole_and_json_that_just_fits_it_too() -> None:
    assert parse_outputs("a=" + "x" * (MAX_BYTES - 3)) == {"a": "x" * (MAX_BYTES - 3)}
    assert parse_outputs('{"a":"' + "x" * (MAX_BYTES - 8) + '"}') == {"a": "x" * (MAX_BYTES - 8)}
    with pytest.raises(OutputsError, match="are 4096 bytes or more"):
        parse_outputs('{"a":{"b":"' + "x" * (MAX_BYTES - 13) + '"}')  # cut within the outer object


@given(st.one_of(st.text(), st.text(alphabet='{}[]",:0123456789.eE+-truefalsn\\= \n')))
@example('{"a": 1e999}')
@example('{"a": ' + "9" * 1000 + "}")
@example('{"\\ud800": 1}')
@example("\ud800=1")
@example("\x00")
@example("{" * 3000)
def test_no_text_harms(text: str) -> None:
    found: Any = None
    with suppress(OutputsError):
        found = parse_outputs(text)
    assert found is None or isinstance(found, dict)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({"a": [1, 2.5, "x", None, True]}, {"a": [1, 2.5, "x", None, True]}),
        (None, None),
        ({"a": math.nan}, {"a": None}),  # JSON has no such number, and a restart must not change a value
        ({"a": math.inf}, {"a": None}),
        ({"a": "x" * (MAX_VALUES - 8)}, {"a": "x" * (MAX_VALUES - 8)}),
    ],
)
def test_values_given_directly_are_kept_as_json(value: Any, kept: Any) -> None:
    assert plain(value) == kept


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": "x" * MAX_VALUES}, "OutputsTooLarge"),
        ({"a": 2**64}, "InvalidOutputs"),
        ({1: "a"}, "InvalidOutputs"),
        ({"a": b"bytes"}, "InvalidOutputs"),
    ],
)
def test_values_that_cannot_be_kept_are_refused(value: Any, reason: str) -> None:
    with pytest.raises(OutputsError) as caught:
        plain(value)
    assert caught.value.reason == reason


DEEP: dict[str, Any] = {"a": orjson.loads("[" * 200 + "]" * 200)}


@pytest.mark.parametrize(
    "found",
    ["text", 5, [1], DEEP, {"x": "z" * 300_000}, {"n": 1 << 70}],
    ids=["text", "a number", "a list", "deep", "large", "a number too large"],
)
def test_what_a_cache_holds_and_no_body_could_have_given_is_no_answer(found: Any) -> None:
    run = drive({"nodes": [{"name": "a", "job": "J", "cache": {"key": "'k'"}}]})
    (gate,) = run.state.active
    run.see(CacheAnswer(gate, found))
    run.succeed("a", outputs={"n": 1})
    assert run.state.main.nodes[0].outputs == {"n": 1}
    assert [action.key for action in run.actions if isinstance(action, Remember)] == ["k"]


def test_what_a_cache_holds_of_a_body_is_taken() -> None:
    run = drive({"nodes": [{"name": "a", "job": "J", "cache": {"key": "'k'"}}]})
    (gate,) = run.state.active
    run.see(CacheAnswer(gate, {"n": [1, {"b": None}]}))
    node = run.state.main.nodes[0]
    assert (node.phase, node.reason, node.outputs) == ("Succeeded", "Cached", {"n": [1, {"b": None}]})
