"""What is ended is ended: nothing that it started runs on."""

import asyncio

from support.clock import settle
from weft.kube.clock import spawn
from weft.kube.tasks import Tasks


async def test_everything_that_runs_is_cancelled_also_what_it_starts_at_its_end() -> None:
    tasks, ends = Tasks(spawn), []

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
    tasks = Tasks(spawn)

    async def short() -> int:
        return 7

    assert await tasks(short(), name="short") == 7
    await settle()
    assert tasks._running == set()
    await tasks.end()
