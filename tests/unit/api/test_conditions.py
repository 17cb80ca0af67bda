"""Reasons have messages, and conditions keep the moment their status changed."""

from pathlib import Path

import pytest
from weft.api import conditions as module
from weft.api.conditions import (
    _MESSAGES,
    DISRUPTIONS,
    MAX_MESSAGE,
    Condition,
    ConditionType,
    NodePhase,
    Reason,
    RunPhase,
    find_condition,
    message_for,
    ready_condition,
    run_conditions,
)
from weft.api.times import moment

SOURCES = [path.read_text() for path in Path(module.__file__).parents[1].rglob("*.py") if path != Path(module.__file__)]
NOW = moment("2026-11-01T12:00:00Z") or 0.0


def conditions(phase: RunPhase, previous: list[Condition] | None = None, at: float = NOW) -> list[Condition]:
    return run_conditions(phase=phase, reason="R", message="m", previous=previous or [], now=at, generation=2)


@pytest.mark.parametrize(
    ("phase", "succeeded", "finished", "reconciling", "stalled"),
    [
        (RunPhase.Queued, "Unknown", "False", "True", "False"),
        (RunPhase.Running, "Unknown", "False", "True", "False"),
        (RunPhase.Suspended, "Unknown", "False", "True", "False"),
        (RunPhase.Succeeded, "True", "True", "False", "False"),
        (RunPhase.Failed, "False", "True", "False", "True"),
        (RunPhase.Cancelled, "False", "True", "False", "False"),
    ],
)
def test_the_conditions_of_every_phase(
    phase: RunPhase, succeeded: str, finished: str, reconciling: str, stalled: str
) -> None:
    statuses = {condition["type"]: condition["status"] for condition in conditions(phase)}
    assert statuses == {
        "Succeeded": succeeded,
        "Finished": finished,
        "Reconciling": reconciling,
        "Stalled": stalled,
    }


def test_a_condition_is_a_standard_one() -> None:
    assert conditions(RunPhase.Running)[0] == {
        "type": "Succeeded",
        "status": "Unknown",
        "reason": "R",
        "message": "m",
        "lastTransitionTime": "2026-11-01T12:00:00Z",
        "observedGeneration": 2,
    }


def test_the_transition_time_moves_with_the_status_only() -> None:
    later = NOW + 3_600
    ended = conditions(RunPhase.Succeeded, conditions(RunPhase.Running), later)
    times = {condition["type"]: condition["lastTransitionTime"] for condition in ended}
    assert times == {
        "Succeeded": "2026-11-01T13:00:00Z",
        "Finished": "2026-11-01T13:00:00Z",
        "Reconciling": "2026-11-01T13:00:00Z",
        "Stalled": "2026-11-01T12:00:00Z",
    }


def test_a_long_message_is_cut() -> None:
    (ready,) = ready_condition(ready=False, reason="Invalid", message="x" * 99_999, previous=[], now=NOW, generation=1)
    assert len(ready["message"]) == MAX_MESSAGE
    assert ready["message"].endswith("…")


def test_finding_a_condition() -> None:
    found = find_condition(conditions(RunPhase.Failed), ConditionType.Stalled)
    assert found is not None
    assert found["status"] == "True"
    assert find_condition([], ConditionType.Ready) is None


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_one_word_and_somebody_gives_it(reason: Reason) -> None:
    assert reason.value.isalpha()
    assert reason.value == reason.name
    assert any(f"Reason.{reason}" in text or f'"{reason}"' in text for text in SOURCES)


@pytest.mark.parametrize("reason", list(_MESSAGES))
def test_every_message_is_given_by_somebody_and_can_do_without_facts(reason: Reason) -> None:
    message = message_for(reason)
    assert message
    assert "{" not in message
    assert any("message_for(" in text and f"Reason.{reason}" in text for text in SOURCES)


def test_a_message_is_filled_with_facts_and_survives_their_absence() -> None:
    assert message_for(Reason.Error, exitCode=3) == "main exited with code 3"
    assert message_for(Reason.Error) == "main exited with code unknown"


def test_a_fact_is_never_taken_for_a_template() -> None:
    assert message_for(Reason.Refused, problem="{limit} {0} {").endswith(": {limit} {0} {")


@pytest.mark.parametrize(
    ("phase", "ended"),
    [
        (NodePhase.Pending, False),
        (NodePhase.Running, False),
        (NodePhase.Waiting, False),
        (NodePhase.Succeeded, True),
        (NodePhase.Failed, True),
        (NodePhase.Skipped, True),
        (NodePhase.Cancelled, True),
        (NodePhase.Compensated, True),
    ],
)
def test_which_node_phases_are_ends(phase: NodePhase, ended: bool) -> None:
    assert phase.ended is ended


def test_disruptions_are_not_failures_of_the_node() -> None:
    assert {"Evicted", "Preempted", "NodeLost", "PodDeleted", "JobDeleted"} == set(DISRUPTIONS)
