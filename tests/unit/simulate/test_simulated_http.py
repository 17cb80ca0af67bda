"""An http answer, as a scenario tells it and as the operator would read it."""

from typing import Any

import pytest
from support.simulation import simulate

HTTP = [
    ("{url: 'http://x/'}", "{node: a}", "Succeeded 0-1", {"status": 200, "body": ""}),
    ("{url: 'http://x/'}", "{node: a, outputs: {status: 503, body: no}}", "Failed(RequestFailed) 0-1", None),
    ("{url: 'http://x/', successWhen: 'status == 503'}", "{node: a, outputs: {status: 503}}", "Succeeded 0-1", None),
    ("{url: 'http://x/'}", "{node: a, exitCode: 1}", "Failed(RequestFailed) 0-1", None),
    ("{url: 'http://x/', timeoutSeconds: 3}", "{node: a, durationSeconds: 9}", "Failed(RequestFailed) 0-3", None),
]


@pytest.mark.parametrize(("body", "event", "expected", "outputs"), HTTP)
def test_http_is_judged_by_its_answer(body: str, event: str, expected: str, outputs: object) -> None:
    ran = simulate(f"nodes: [{{name: a, http: {body}}}]", f"events: [{event}]")
    assert ran.nodes["a"] == expected
    assert ran.jobs == []
    if outputs is not None:
        assert ran.outputs("a") == outputs


ASK = "nodes: [{name: a, http: {url: 'https://X.example:443/path?q=1', maxResponseBytes: 10}}]"
BODIES = [
    # as the event tells it, and as an operator would have read it
    ("", ""),
    ("plain text", "plain text"),
    ("{not json", "{not json"),
    ('{"n": [1]}', {"n": [1]}),
    ("5", 5),
    ("null", None),
    ('"quoted"', "quoted"),
    (None, None),
    ({"n": [1]}, {"n": [1]}),
    (["5"], ["5"]),
]


@pytest.mark.parametrize(("told", "read"), BODIES)
def test_an_answers_text_that_is_json_is_parsed_as_the_operator_parses_it(told: Any, read: Any) -> None:
    ran = simulate(ASK, {"events": [{"node": "a", "outputs": {"body": told}}]})
    assert ran.outputs("a") == {"status": 200, "body": read}


LARGE = [
    # JSON is counted without spaces, text as UTF-8
    ("0123456789", True),
    ("01234567890", False),
    ("\u00fc" * 5, True),
    ("\u00fc" * 6, False),
    ({"n": "1234"}, False),
    ({"n": "12"}, True),
]


@pytest.mark.parametrize(("body", "fits"), LARGE)
def test_an_answer_that_is_larger_than_it_may_be_is_none(body: Any, fits: bool) -> None:
    ran = simulate(ASK, {"events": [{"node": "a", "outputs": {"status": 503, "body": body}}]})
    if fits:
        assert ran.nodes["a"] == "Failed(RequestFailed) 0-1"
    else:
        assert ran.nodes["a"] == "Failed(ResponseTooLarge) 0-1"
        assert ran.message().endswith("https://x.example: the answer is larger than 10 bytes)")


HEADERS = [
    ({"Retry-After": "5"}, "headers['retry-after'] == '5'"),
    ({"X-Count": 5, "X-On": True}, "headers['x-count'] == '5' && headers['x-on'] == 'true'"),
    ({"X-A": "1", "x-a": "2"}, "headers == {'x-a': '1, 2'}"),
]


@pytest.mark.parametrize(("headers", "seen"), HEADERS)
def test_headers_are_seen_as_the_operator_gives_them(headers: dict[str, Any], seen: str) -> None:
    ran = simulate(
        {"nodes": [{"name": "a", "http": {"url": "http://x/", "successWhen": seen}}]},
        {"events": [{"node": "a", "outputs": {"headers": headers}}]},
    )
    assert ran.nodes["a"] == "Succeeded 0-1"


def test_the_headers_of_an_answer_are_judged_and_not_kept() -> None:
    ran = simulate(
        "nodes: [{name: h, http: {url: 'http://x', successWhen: \"headers['x-state'] == 'done'\"}}]",
        "events: [{node: h, outputs: {status: 500, body: {n: 1}, headers: {x-state: done, set-cookie: secret}}}]",
    )
    assert ran.nodes["h"] == "Succeeded 0-1"
    assert ran.outputs("h") == {"status": 500, "body": {"n": 1}}
