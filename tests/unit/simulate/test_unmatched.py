"""An entry of a scenario that can never match is told, with what was probably meant."""

from typing import Any

import pytest
from support.simulation import program
from weft.simulate.scenario import parse_scenario
from weft.simulate.unmatched import MAX_TOLD, unmatched

WORKFLOW = """
    nodes:
    - {name: price, job: J, compensate: {graph: {name: undo}}}
    - {name: review, dependsOn: [price], approval: {}}
    - {name: publish, forEach: {range: 2}, graph: {name: steps}}
    - {name: again, workflow: {name: test}}
    finally: [{name: tidy, job: J}]
    graphs:
    - {name: steps, nodes: [{name: upload, job: J}, {name: sign, approval: {}}]}
    - {name: undo, nodes: [{name: unprice, job: J}]}
    """


def told(**scenario: Any) -> list[str]:
    read, problems = parse_scenario(scenario)
    assert read is not None, problems
    return [str(problem) for problem in unmatched(read, program(WORKFLOW))]


@pytest.mark.parametrize(
    "event",
    [
        {"node": "price"},
        {"node": "price", "role": "compensate"},
        {"node": "price/unprice", "role": "compensate"},
        {"node": "publish/upload"},
        {"node": "again/again/publish/upload"},
        {"node": "again/price", "role": "compensate"},
        {"node": "again/tidy"},
        {"node": "tidy"},
    ],
)
def test_what_can_match_is_not_told(event: dict[str, Any]) -> None:
    assert told(events=[event]) == []


def test_decisions_are_for_approvals() -> None:
    assert told(approvals=[{"node": "review"}, {"node": "publish/sign"}, {"node": "again/review"}]) == []
    assert told(approvals=[{"node": "price"}]) == ["approvals[0].node: never matches: 'price' is no approval (job)"]
    assert told(approvals=[{"node": "zz"}]) == [
        "approvals[0].node: never matches: there is no node named 'zz'; there are: price, review, publish, again, tidy"
    ]


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ({"node": "prise"}, "there is no node named 'prise'; did you mean \"price\"?"),
        ({"node": "publish[0]"}, "there is no node named 'publish[0]'; did you mean \"publish\"?"),
        ({"node": "publish/uplod"}, "there is no node named 'uplod' in 'publish'; did you mean \"upload\"?"),
        ({"node": "price/a/b"}, "there is no node named 'a' in 'price'; there are: unprice"),
        ({"node": "tidy/x"}, "there is no node named 'x' in 'tidy', and it has none inside"),
        ({"node": "review", "role": "compensate"}, "'review' has no compensation"),
        ({"node": "price/unprice"}, "'price/unprice' is part of a compensation; add role: compensate"),
    ],
)
def test_what_cannot_match_names_what_was_meant(event: dict[str, Any], why: str) -> None:
    assert told(events=[{"node": "price"}, event]) == [f"events[1].node: never matches: {why}"]


def test_of_very_many_the_first_are_told() -> None:
    found = told(events=[{"node": "x"}] * 100)
    assert len(found) == MAX_TOLD + 1
    assert found[-1] == "and there are more entries that never match"


def test_a_path_that_goes_round_for_ever_costs_what_it_is_long() -> None:
    assert told(events=[{"node": "again/" * 150 + "tidy"}]) == []
