"""What is ended is ended: nothing that it started runs on. What fails is told of."""

import asyncio

import pytest
from support.clock import settle
from weft.kube.clock import spawn
from weft.kube.tasks import Tasks


def fail() -> None:
    raise AssertionError("nothing has failed")


async def test_everything_that_runs_is_cancelled_also_what_it_starts_at_its_end() -> None:
    tasks, ends = Tasks(spawn, on_broken=fail), []

    async def forever(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ends.append(name)

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            tasks(forever("heir"), name="heir")
            await asyncio.sleep(0)
            raise

    for work in (forever("one"), forever("two"), stubborn()):
        tasks(work, name="work")
    await settle()
    before = asyncio.all_tasks()
    await tasks.end()
    assert sorted(ends) in (["one", "two"], ["heir", "one", "two"])  # an heir may never have begun
    assert asyncio.all_tasks() <= before
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_what_is_over_is_forgotten() -> None:
    tasks = Tasks(spawn, on_broken=fail)

    async def short() -> int:
        return 7

    assert await tasks(short(), name="short") == 7
    await settle()
    assert tasks._running == set()
    await tasks.end()


async def test_one_that_fails_is_told_of_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    tasks = Tasks(spawn, on_broken=lambda: told.append("broken"))

    async def buggy() -> None:
        raise RuntimeError("a bug")

    tasks(asyncio.Event().wait(), name="sound")
    tasks(buggy(), name="events")
    await settle()
    assert told == ["broken"]
    assert "events has failed" in caplog.text
    assert "RuntimeError: a bug" in caplog.text
    await tasks.end()
    assert told == ["broken"]
