import asyncio

import pytest
from support.clock import settle
from weft.kube.limiter import Limiter, Priority
from weft.metrics import Metrics


def limiter(maximum):
    return Limiter(maximum=maximum, metrics=Metrics())


async def queue_up(limits, *priorities):
    """Let one task for each priority wait its turn; give the list of those that have got one, in order."""
    served = []

    async def wait(name, priority):
        await limits.acquire(priority)
        served.append(name)

    tasks = []
    for number, priority in enumerate(priorities):
        tasks.append(asyncio.ensure_future(wait(f"{priority.name.lower()}{number}", priority)))
        await settle()
    return served, tasks


async def test_no_more_than_the_limit_are_in_flight():
    limits = limiter(2)
    served, _ = await queue_up(limits, Priority.START, Priority.START, Priority.START)
    assert served == ["start0", "start1"]
    limits.release(0, overloaded=False)
    await settle()
    assert served == ["start0", "start1", "start2"]


async def test_finishing_goes_before_starting():
    limits = limiter(1)
    ticket = await limits.acquire(Priority.START)
    served, _ = await queue_up(limits, Priority.START, Priority.FINISH)
    limits.release(ticket, overloaded=False)
    await settle()
    limits.release(ticket, overloaded=False)
    await settle()
    assert served == ["finish1", "start0"]


async def test_starting_is_never_starved():
    limits = limiter(1)
    ticket = await limits.acquire(Priority.START)
    served, _ = await queue_up(limits, Priority.START, *[Priority.FINISH] * 20)
    for _ in range(10):
        limits.release(ticket, overloaded=False)
        await settle()
    assert "start0" in served


async def test_overload_halves_the_limit_once_for_all_that_were_under_way():
    limits = limiter(64)
    tickets = [await limits.acquire(Priority.START) for _ in range(64)]
    for ticket in tickets:
        limits.release(ticket, overloaded=True)
    assert limits.limit == 32


async def test_a_new_request_that_is_refused_again_halves_again_but_never_below_one():
    limits = limiter(4)
    for expected in (2, 1, 1, 1):
        limits.release(await limits.acquire(Priority.START), overloaded=True)
        assert limits.limit == expected


async def test_the_limit_is_won_back_by_one_for_a_round_of_successes():
    limits = limiter(8)
    limits.release(await limits.acquire(Priority.START), overloaded=True)
    assert limits.limit == 4
    for _ in range(5):
        limits.release(await limits.acquire(Priority.START), overloaded=False)
    assert limits.limit == 5
    for _ in range(100):
        limits.release(await limits.acquire(Priority.START), overloaded=False)
    assert limits.limit == 8


async def test_who_gives_up_waiting_loses_no_slot():
    metrics = Metrics()
    limits = Limiter(maximum=1, metrics=metrics)
    ticket = await limits.acquire(Priority.START)
    served, (first, _second) = await queue_up(limits, Priority.START, Priority.START)
    first.cancel()
    await settle()
    limits.release(ticket, overloaded=False)
    await settle()
    assert served == ["start1"]
    assert metrics.registry.get_sample_value("weft_api_writes_in_flight") == 1


async def test_who_is_cancelled_in_the_instant_of_its_turn_passes_the_slot_on():
    limits = limiter(1)
    ticket = await limits.acquire(Priority.START)
    served, (first, _second) = await queue_up(limits, Priority.START, Priority.START)
    limits.release(ticket, overloaded=False)
    first.cancel()
    await settle()
    assert served == ["start1"]


async def test_metrics_show_the_limit_and_the_writes_in_flight():
    metrics = Metrics()
    limits = Limiter(maximum=8, metrics=metrics)
    await limits.acquire(Priority.FINISH)
    text = metrics.exposition().decode()
    assert "weft_api_write_limit 8.0" in text
    assert "weft_api_writes_in_flight 1.0" in text


@pytest.fixture(autouse=True)
async def _no_task_left_behind():
    yield
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
