"""Which finished runs and which of their Jobs go."""

from typing import Any

import pytest
from support.manifests import run
from weft.api.objects import Obj
from weft.api.times import moment
from weft.controllers.retention import expires_at, jobs_to_delete, runs_to_delete
from weft.kube.store import JobFamily


def job(name: str, condition: str = "", *pods: str, deleted: bool = False) -> JobFamily:
    metadata = {"name": name} | ({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {})
    conditions = [{"type": condition, "status": "True"}] if condition else []
    return JobFamily(
        {"metadata": metadata, "spec": {}, "status": {"conditions": conditions}},
        tuple({"metadata": {}, "spec": {}, "status": {"phase": phase}} for phase in pods),
    )


FAMILIES = [
    job("complete", "Complete"),
    job("failed", "Failed", "Failed"),
    job("announced", "", "Succeeded"),
    job("unknown"),
    job("going", "Complete", deleted=True),
]


@pytest.mark.parametrize(
    ("keep", "gone"),
    [
        ("All", []),
        ("Failed", ["complete", "announced"]),
        ("None", ["complete", "failed", "announced", "unknown"]),
    ],
)
def test_jobs(keep: str, gone: list[str]) -> None:
    assert [each["metadata"]["name"] for each in jobs_to_delete(keep, FAMILIES)] == gone


def ended(name: str, phase: str, day: int, **fields: Any) -> Obj:
    return run(name, phase=phase, completionTime=f"2026-01-{day:02}T00:00:00Z", **fields)


RUNS = [
    ended("s3", "Succeeded", 3),
    ended("s1", "Succeeded", 1),
    ended("s2", "Succeeded", 2),
    ended("f1", "Failed", 1),
    ended("c2", "Cancelled", 2),
    ended("f3", "Failed", 3),
    ended("child", "Failed", 1, owner="uid-s1"),
    ended("again", "Failed", 1, rerun={"generation": 1}),
    run("active", phase="Running", startTime="2026-01-01T00:00:00Z"),
]


@pytest.mark.parametrize(
    ("limits", "gone"),
    [
        ({}, []),
        ({"succeeded": 3, "failed": 3}, []),
        ({"succeeded": 2}, ["s1"]),
        ({"failed": 1}, ["f1", "c2"]),
        ({"succeeded": 0, "failed": 2}, ["s1", "s2", "s3", "f1"]),
    ],
)
def test_history(limits: dict[str, int], gone: list[str]) -> None:
    assert [each["metadata"]["name"] for each in runs_to_delete(RUNS, limits)] == gone


def test_runs_that_go_already_are_counted_but_not_deleted_again() -> None:
    going = ended("s0", "Succeeded", 1)
    going["metadata"]["deletionTimestamp"] = "2026-01-09T00:00:00Z"
    assert runs_to_delete([going, ended("s9", "Succeeded", 9)], {"succeeded": 1}) == []


NOON = "2026-01-01T12:00:00Z"


@pytest.mark.parametrize(
    ("status", "ttl", "at"),
    [
        ({"completionTime": NOON}, 60, "2026-01-01T12:01:00Z"),
        ({"completionTime": NOON}, 0, NOON),
        ({"completionTime": NOON}, None, None),
        ({}, 60, None),
    ],
)
def test_time_to_live(status: dict[str, Any], ttl: int | None, at: str | None) -> None:
    assert expires_at(status, ttl) == moment(at)
