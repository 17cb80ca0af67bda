"""What a Pod's Events say of why it does not start, as a truth table."""

from typing import Any

import pytest
from weft.render.hindrance import hindrance

SECRET = 'MountVolume.SetUp failed for volume "s" : secret "x" not found'
SUMMARY = "Unable to attach or mount volumes: unmounted volumes=[s]: timed out waiting for the condition"


def event(reason: str, minute: int, message: str = "", **rest: Any) -> dict[str, Any]:
    at = {"lastTimestamp": f"2026-11-01T12:{minute:02}:00Z"}
    return {"metadata": {"name": "e"}, "reason": reason, "message": message, **at, **rest}


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([], ""),
        ([event("Scheduled", 1, "assigned n/p to k"), event("FailedScheduling", 0, "0/1 nodes fit")], ""),
        ([event("FailedMount", 1, SECRET)], SECRET),
        *(
            ([event(reason, 1, "no")], "no")
            for reason in ("FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox")
        ),
        ([event("FailedMount", 2, "newer"), event("FailedMount", 1, "older")], "newer"),
        ([event("FailedMount", 1, SECRET), event("FailedMount", 2, SUMMARY)], SECRET),
        ([event("FailedMount", 2, SUMMARY)], SUMMARY),
        # It has passed: the image is being pulled since.
        ([event("FailedMount", 1, SECRET), event("Pulling", 2)], ""),
        ([event("FailedMount", 1, SECRET), event("Pulling", 1)], ""),
        # It came back: the sandbox has died.
        ([event("Started", 1), event("FailedCreatePodSandBox", 2, "no")], "no"),
        # The kubelet says so at each try.
        ([event("FailedCreatePodSandBox", 1, "no"), event("SandboxChanged", 2, "it will be re-created")], "no"),
        (
            [event("FailedMount", 1, "mount failed: exit status 32\nOutput:\n  no route\n")],
            "mount failed: exit status 32 Output: no route",
        ),
        (
            [event("FailedCreatePodSandBox", 1, f'network for sandbox "{"0a1b" * 16}": plugin type="c" failed')],
            'network for sandbox : plugin type="c" failed',
        ),
        ([event("FailedMount", 1)], "FailedMount"),
        ([{"metadata": {"name": "e"}, "reason": "FailedMount", "message": None}], "FailedMount"),
    ],
)
def test_what_keeps_a_pod_from_starting(events: list[dict[str, Any]], told: str) -> None:
    assert hindrance(events) == told


@pytest.mark.parametrize(
    "times",
    [
        {"eventTime": "2026-11-01T12:01:30.000001Z"},
        {"series": {"count": 2, "lastObservedTime": "2026-11-01T12:01:30.000001Z"}, "eventTime": None},
        {"metadata": {"name": "e", "creationTimestamp": "2026-11-01T12:01:30Z"}},
    ],
)
def test_when_it_was_told_stands_in_one_of_several_places(times: dict[str, Any]) -> None:
    this = event("FailedMount", 0, "this", lastTimestamp=None, **times)
    assert hindrance([this, event("FailedMount", 1, "that")]) == "this"
    assert hindrance([this, event("FailedMount", 2, "that")]) == "that"
