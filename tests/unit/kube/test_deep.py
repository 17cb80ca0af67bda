"""JSON that is nested without end: read, and cut where it is too deep."""

import json
from typing import Any

import orjson
import pytest
from weft.api.depth import is_too_deep
from weft.kube.deep import KEPT_LEVELS, MARK, parsed, readable

WORDS: str = orjson.loads(MARK)


def lists(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def objects(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


def levels_of(value: Any) -> int:
    count = 0
    while isinstance(value, dict | list) and value:
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
        count += 1
    return count


@pytest.mark.parametrize("nested", [lists, objects])
@pytest.mark.parametrize("levels", [1_023, 1_024, 9_000, 10_000])
def test_what_is_too_deep_is_cut_and_all_beside_it_stays(nested: Any, levels: int) -> None:
    text = b'{"before":{"b":[1,"x"]},"deep":' + nested(levels) + b',"after":[{"c":null},' + nested(levels) + b"]}"
    values = [json.loads(readable(text))]
    if levels > 1_023:
        values.append(parsed(text))
    for value in values:
        assert value["before"] == {"b": [1, "x"]}
        assert value["after"][0] == {"c": None}
        assert levels_of(value["deep"]) == KEPT_LEVELS - 1
        assert levels_of(value["after"][1]) == KEPT_LEVELS - 2
        assert WORDS in str(value)
        orjson.dumps(value)
        assert is_too_deep(value["deep"])


@pytest.mark.parametrize("nested", [lists, objects])
def test_any_parser_can_read_what_is_readable_and_nothing_is_changed_without_need(nested: Any) -> None:
    for levels in (1, *range(198, 204), 500, *range(940, 1_040, 5), *range(1_020, 1_028)):
        text = nested(levels)
        assert (readable(text) is text) == (levels <= KEPT_LEVELS)
        json.loads(readable(text))
        parsed(text)


def test_only_brackets_outside_of_strings_count() -> None:
    told = ['["{', 'a"b[[[', "\\", '\\"[', "]]}}", "ü[", ""]
    text = orjson.dumps({"many": [{"told": told}] * 300, "key[{": 1})
    assert parsed(text) == json.loads(text)
    assert readable(text) is text
    both = b'{"t":' + orjson.dumps(told) + b',"deep":' + lists(5_000) + b',"u":' + orjson.dumps(told) + b"}"
    assert parsed(both)["t"] == parsed(both)["u"] == json.loads(readable(both))["u"] == told


@pytest.mark.parametrize("text", [b"", b"<html>", b'{"a":', b'{"a":[' * 90, lists(190)[:-1]])
def test_half_an_answer_is_still_none(text: bytes) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        parsed(text)
    with pytest.raises(json.JSONDecodeError):
        json.loads(readable(text))


def test_half_an_answer_takes_no_longer_than_a_whole_one() -> None:
    for text in (
        b'["' + b'\\"[' * 300_000,
        b'{"a":' * 300_000,
        b"[" + b'"' * 300_001,
        b"[" * 300_000 + b"\\" * 300_000,
    ):
        with pytest.raises(orjson.JSONDecodeError):
            parsed(text)
