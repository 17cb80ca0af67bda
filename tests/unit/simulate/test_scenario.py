"""What may stand in a scenario, and what is said of what may not."""

from typing import Any

import pytest
from weft.simulate.scenario import Event, Events, parse_scenario

GOOD = [
    None,
    {},
    {"default": {"durationSeconds": 2.5}},
    {"events": [{"node": "publish/upload", "index": 0, "iteration": 1, "attempt": 2, "exitCode": 1}]},
    {"events": [{"node": "a", "outputs": {"n": [1, None]}}, {"node": "a", "outputs": "n=1"}]},
    {"actions": [{"at": 1, "rerun": "Failed"}, {"at": 2, "rerun": {"from": "Nodes", "nodes": ["a"]}}]},
    {"approvals": [{"node": "a", "at": 60, "by": "ann", "decision": "Reject"}, {"node": "b"}]},
]


@pytest.mark.parametrize("document", GOOD)
def test_good_scenarios(document: Any) -> None:
    scenario, problems = parse_scenario(document)
    assert problems == []
    assert scenario is not None


BAD = [
    ([], "must be an object"),
    ({"event": []}, "did you mean 'events'"),
    ({"events": [{"exitCode": 1}]}, "events[0].node"),
    ({"events": [{"node": "a", "durationSeconds": -1}]}, "events[0].durationSeconds: must be at least 0"),
    ({"events": [{"node": "a", "exitCode": "1"}]}, "write 1 without quotes"),
    ({"events": [{"node": "a", "reason": "OOMkilled"}]}, "did you mean OOMKilled"),
    ({"events": [{"node": "a", "attempt": 0}]}, "events[0].attempt: must be at least 1"),
    ({"approvals": [{"node": "a", "decision": "yes"}]}, "must be one of Approve, Reject"),
    ({"actions": [{"at": 1}]}, "exactly one of suspend, stop, rerun"),
    ({"actions": [{"at": 1, "suspend": True, "stop": "Cancel"}]}, "exactly one of suspend, stop, rerun"),
    ({"actions": [{"at": 1, "stop": "Now"}]}, "must be one of Drain, Cancel, Terminate"),
    ({"actions": [{"at": 1, "rerun": "Nodes"}]}, "names at least one node"),
    ({"actions": [{"at": 1, "rerun": {"from": "All", "nodes": ["a"]}}]}, "name none"),
    ({"actions": [{"rerun": "All"}]}, "actions[0].at"),
]


@pytest.mark.parametrize(("document", "words"), BAD)
def test_bad_scenarios_say_where_and_what(document: Any, words: str) -> None:
    scenario, problems = parse_scenario(document)
    assert scenario is None
    assert any(words in str(problem) for problem in problems), [str(problem) for problem in problems]


MATCHES = [
    # event, attempt of node a: (index, iteration, attempt) -> does it match
    ({}, (None, None, 1), True),
    ({}, (4, 2, 7), True),
    ({"attempt": 2}, (None, None, 2), True),
    ({"attempt": 2}, (None, None, 1), False),
    ({"index": 0}, (0, None, 1), True),
    ({"index": 0}, (None, None, 1), False),
    ({"iteration": 1, "attempt": 1}, (None, 1, 1), True),
    ({"iteration": 1, "attempt": 1}, (None, 0, 1), False),
]


@pytest.mark.parametrize(("event", "attempt", "expected"), MATCHES)
def test_an_event_matches_by_what_it_says(
    event: dict[str, int], attempt: tuple[int | None, int | None, int], expected: bool
) -> None:
    events = Events([Event.model_validate({"node": "a", **event})])
    index, iteration, number = attempt
    found = events.first(node="a", role="main", index=index, iteration=iteration, attempt=number)
    assert (found is not None) is expected
    assert events.first(node="b", role="main", index=index, iteration=iteration, attempt=number) is None


def test_the_first_match_wins() -> None:
    first, second = Event(node="a", attempt=1, exit_code=1), Event(node="a", exit_code=2)
    events = Events([first, second])
    assert events.first(node="a", role="main", index=None, iteration=None, attempt=1) is first
    assert events.first(node="a", role="main", index=None, iteration=None, attempt=2) is second
