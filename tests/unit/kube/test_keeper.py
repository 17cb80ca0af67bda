"""Replicas share the shards: evenly, with one holder each at any moment, whatever becomes of a replica."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.clock import VirtualClock
from support.fakeapi import FakeApi
from support.replica import Ice, ProcessClock, Threshold, Wire
from weft.api.objects import annotation
from weft.kube.client import Client
from weft.kube.clock import spawn
from weft.kube.errors import Forbidden
from weft.kube.keeper import Keeper, Term
from weft.kube.limiter import Limiter
from weft.kube.resources import LEASES
from weft.kube.transport import NotSent, Response
from weft.metrics import Metrics

NAMESPACE = "weft-system"
STEP = 0.25
LIFE = 20.0
"""What the issue allows for a lost replica's shards to move."""


class Line:
    """A replica's line to the API server: `down` refuses, `hang` never answers, else each answer takes `seconds`."""

    def __init__(self, wire: Wire, clock: VirtualClock) -> None:
        self._wire = wire
        self._clock = clock
        self.down = self.hang = False
        self.seconds = 0.01

    async def request(self, method: str, path: str, **rest: Any) -> Response:
        if self.hang:
            await self._clock.sleep(100)
        if self.down:
            raise NotSent("cut off")
        await self._clock.sleep(self.seconds)
        return await self._wire.request(method, path, **rest)

    def stream(self, path: str, **rest: Any) -> Any:
        raise AssertionError("nobody watches here")


class Worker:
    """A crew that only notes what is asked of it."""

    def __init__(self, member: "Member", shard: int, term: Term) -> None:
        self.member = member
        self.term = term
        self.shard = shard
        self.told: list[str] = []

    async def lead(self) -> None:
        self.told.append("lead")
        if self.member.cannot_lead is not None:
            raise self.member.cannot_lead

    async def stop(self) -> None:
        self.told.append("stop")
        await self.member.clock.sleep(self.member.stop_seconds)
        assert self.term.holds(), "what is in hand could not be written any more"

    async def drop(self) -> None:
        self.told.append("drop")


class Member:
    """One replica."""

    def __init__(self, world: "World", name: str, shards: int) -> None:
        self.name = name
        self.ice = Ice()
        self.clock = ProcessClock(world.clock, self.ice)
        self.line = Line(Wire(world.api, world.clock, name, self.ice, None), world.clock)
        self.metrics = Metrics()
        self.workers: list[Worker] = []
        self.cannot_lead: Exception | None = None
        self.stop_seconds = 0.1
        client = Client(
            Threshold(self.ice, self.line), clock=self.clock, rng=random.Random(name), metrics=self.metrics,
            limiter=Limiter(maximum=1), attempts=1,
        )  # fmt: skip
        self.keeper = Keeper(
            client, namespace=NAMESPACE, name="weft", identity=name, shards=shards, begin=self.begin,
            on_gone=lambda: None, clock=self.clock, rng=random.Random(name), spawn=spawn, metrics=self.metrics,
        )  # fmt: skip
        self.task = spawn(self.keeper.run(), name=name)

    def begin(self, shard: int, term: Term) -> Worker:
        assert not any(worker.shard == shard and worker.told[-1:] != ["drop"] for worker in self.workers)
        self.workers.append(Worker(self, shard, term))
        return self.workers[-1]

    @property
    def writes(self) -> list[int]:
        """The shards for which this process could write now, if it ran."""
        return sorted(worker.shard for worker in self.workers if worker.term.holds())

    def kill(self) -> None:
        self.ice.dead = True
        self.ice.freeze()


class World:
    def __init__(self, shards: int = 8) -> None:
        self.clock = VirtualClock()
        self.api = FakeApi(clock=self.clock)
        self.shards = shards
        self.members: list[Member] = []

    def member(self, name: str, *, shards: int | None = None) -> Member:
        self.members.append(Member(self, name, shards or self.shards))
        return self.members[-1]

    async def pass_time(self, seconds: float) -> None:
        """Let time pass in small steps; at no moment may two write for a shard, frozen or not."""
        for _ in range(round(seconds / STEP)):
            await self.clock.advance(STEP)
            self.check()

    def check(self) -> None:
        layouts = {len(member.keeper._claims) for member in self.members if member.writes}
        assert len(layouts) <= 1, f"two layouts work at once: {layouts}"
        writers = Counter(shard for member in self.members if not member.ice.dead for shard in member.writes)
        assert not [shard for shard, count in writers.items() if count > 1], writers

    async def until_all_are_held(self, *members: Member) -> float:
        """Wait until these members work on all shards; gives the seconds it took."""
        waited = 0.0
        while sorted(shard for member in members for shard in member.writes) != list(range(self.shards)):
            assert waited < 60, {member.name: member.writes for member in members}
            await self.pass_time(STEP)
            waited += STEP
        return waited

    def holders(self) -> list[str]:
        leases = [self.api.read(LEASES, NAMESPACE, f"weft-shard-{shard}") for shard in range(self.shards)]
        return [lease["spec"]["holderIdentity"] if lease else "" for lease in leases]

    def board(self) -> Any:
        return self.api.read(LEASES, NAMESPACE, "weft")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    for each in made.members:
        each.kill()
        each.ice.buried = True
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_first_one_takes_all_shards(world: World) -> None:
    one = world.member("one")
    assert await world.until_all_are_held(one) <= 5
    assert world.holders() == ["one"] * 8
    assert one.metrics.registry.get_sample_value("weft_shards") == 8
    assert one.metrics.registry.get_sample_value("weft_leader") == 1


async def test_two_that_start_together_share(world: World) -> None:
    one, two = world.member("one"), world.member("two")
    await world.pass_time(20)
    assert (len(one.writes), len(two.writes)) == (4, 4)


async def test_a_new_one_gets_its_share_handed_over_in_order_and_nothing_else_moves(world: World) -> None:
    one = world.member("one")
    await world.until_all_are_held(one)
    two = world.member("two")
    await world.pass_time(10)
    assert one.writes == [0, 1, 2, 3]
    assert two.writes == [4, 5, 6, 7]
    three = world.member("three")
    await world.pass_time(10)
    assert sorted(len(each.writes) for each in (one, two, three)) == [2, 3, 3]
    assert set(one.writes) < {0, 1, 2, 3}
    assert set(two.writes) < {4, 5, 6, 7}
    moved = [worker for each in (one, two) for worker in each.workers if not worker.term.holds()]
    assert len(moved) == 6  # four to the second, two to the third
    assert all(worker.told == ["lead", "stop", "drop"] for worker in moved)
    await world.pass_time(120)
    assert sum(len(each.workers) for each in world.members) == 8 + 6  # and it stays so


async def test_one_that_leaves_hands_everything_over(world: World) -> None:
    one, two = world.member("one"), world.member("two")
    await world.pass_time(15)
    leaving = spawn(one.keeper.stop(), name="stop")
    await world.pass_time(1)
    assert leaving.done()
    assert one.writes == []
    assert "one" not in (annotation(world.board(), "weft.dev/members") or "")
    assert await world.until_all_are_held(two) <= 3
    assert all(worker.told == ["lead", "stop", "drop"] for worker in one.workers)


async def test_the_last_to_leave_gives_the_layout_back(world: World) -> None:
    one = world.member("one")
    await world.until_all_are_held(one)
    assert world.board()["spec"]["holderIdentity"] == "8 shards"
    leaving = spawn(one.keeper.stop(), name="stop")
    await world.pass_time(1)
    assert leaving.done()
    assert world.board()["spec"]["holderIdentity"] == ""
    assert world.holders() == [""] * 8


async def test_a_crew_that_does_not_come_to_an_end_is_dropped_in_time(world: World) -> None:
    one = world.member("one")
    await world.until_all_are_held(one)
    one.stop_seconds = 1000
    two = world.member("two")
    assert await world.until_all_are_held(one, two) < 15
    await world.pass_time(15)
    assert len(two.writes) == 4


@pytest.mark.parametrize("seconds_before", [15.0, 15.7, 16.3, 17.1, 18.9])
async def test_a_dead_ones_shards_move_within_twenty_seconds(world: World, seconds_before: float) -> None:
    one, two, three = (world.member(name) for name in ("one", "two", "three"))
    await world.pass_time(20)
    await world.clock.advance(seconds_before)
    one.kill()
    assert await world.until_all_are_held(two, three) < 15.5, "a claim's life, the longest between two looks, and a bit"
    assert sorted((len(two.writes), len(three.writes))) == [4, 4]


@pytest.mark.parametrize("frozen", [3.0, 12.0, 16.0, 40.0])
async def test_a_frozen_one_wakes_up_and_writes_nothing_that_is_not_its_own(world: World, frozen: float) -> None:
    one, two = world.member("one"), world.member("two")
    await world.pass_time(20)
    before = set(one.writes)
    one.ice.freeze()
    await world.pass_time(frozen)
    if frozen > LIFE:
        assert len(two.writes) == 8
        assert one.writes == []  # by its own clock, before anything of it runs
    one.ice.thaw()
    world.check()
    await world.pass_time(30)
    assert (len(one.writes), len(two.writes)) == (4, 4)
    if frozen < 10:
        assert set(one.writes) == before


@pytest.mark.parametrize("trouble", ["down", "hang"])
async def test_one_that_is_cut_off_drops_its_shards_before_anyone_takes_them_and_comes_back(
    world: World, trouble: str
) -> None:
    one, two = world.member("one"), world.member("two")
    await world.pass_time(20)
    setattr(one.line, trouble, True)
    await world.pass_time(12.5)
    assert one.keeper.held == []
    assert all(worker.told[-1] == "drop" for worker in one.workers)
    assert await world.until_all_are_held(two) < LIFE
    setattr(one.line, trouble, False)
    await world.pass_time(130 if trouble == "hang" else 30)
    assert (len(one.writes), len(two.writes)) == (4, 4)
    assert not one.task.done()


async def test_a_shard_that_is_lost_takes_no_other_with_it(world: World) -> None:
    one = world.member("one")
    await world.until_all_are_held(one)
    (third,) = (worker for worker in one.workers if worker.shard == 3)
    world.api.edit(LEASES, NAMESPACE, "weft-shard-3", lambda lease: lease["spec"].update(holderIdentity="usurper"))
    await world.pass_time(3)
    assert third.told == ["lead", "drop"]
    assert not third.term.holds()
    assert one.writes == [0, 1, 2, 4, 5, 6, 7]
    await world.pass_time(20)  # the usurper does not renew
    assert one.writes == list(range(8))
    assert not third.term.holds()  # a term that is over never begins again
    assert [len([w for w in one.workers if w.shard == shard]) for shard in range(8)] == [1, 1, 1, 2, 1, 1, 1, 1]


async def test_a_lease_that_somebody_deletes_is_made_anew(world: World) -> None:
    one, two = world.member("one"), world.member("two")
    await world.pass_time(20)
    for name in ("weft", "weft-shard-0"):
        world.api.remove(LEASES, NAMESPACE, name)
    await world.pass_time(30)
    assert (len(one.writes), len(two.writes)) == (4, 4)


async def test_a_short_disturbance_costs_nothing(world: World) -> None:
    one, two = world.member("one"), world.member("two")
    await world.pass_time(20)
    began = len(one.workers) + len(two.workers)
    one.line.down = two.line.down = True
    await world.pass_time(6)
    one.line.down = two.line.down = False
    await world.pass_time(60)
    assert len(one.workers) + len(two.workers) == began


@pytest.mark.parametrize("seconds", [1.5, 3.0])
async def test_a_slow_server_costs_no_shard(world: World, seconds: float) -> None:
    one, two = world.member("one"), world.member("two")
    await world.pass_time(20)
    began = len(one.workers) + len(two.workers)
    one.line.seconds = two.line.seconds = seconds
    await world.pass_time(90)
    assert len(one.workers) + len(two.workers) == began
    assert (len(one.writes), len(two.writes)) == (4, 4)


async def test_after_a_long_outage_of_the_server_all_is_shared_again(world: World) -> None:
    one, two = world.member("one"), world.member("two")
    await world.pass_time(20)
    one.line.down = two.line.down = True
    await world.pass_time(60)
    assert one.keeper.held == two.keeper.held == []
    one.line.down = two.line.down = False
    await world.pass_time(40)
    assert (len(one.writes), len(two.writes)) == (4, 4)


@pytest.mark.parametrize(
    ("error", "traced"), [(Forbidden("weft cannot list runs"), False), (RuntimeError("a bug"), True)]
)
async def test_a_shard_that_cannot_be_led_is_given_back_and_tried_again(
    error: Exception, traced: bool, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    one = world.member("one")
    one.cannot_lead = error
    await world.pass_time(12)
    told = [record for record in caplog.records if "cannot be led" in record.getMessage()]
    assert {record.exc_info is not None for record in told} == {traced}
    assert traced or "given back: weft cannot list runs" in caplog.text
    one.cannot_lead = None
    await world.until_all_are_held(one)
    await world.pass_time(5)
    assert all(worker.told == ["lead"] for worker in one.workers if worker.term.holds())


async def test_more_replicas_than_shards_stand_by(world: World) -> None:
    world.shards = 2
    members = [world.member(name) for name in ("one", "two", "three")]
    await world.pass_time(20)
    assert sorted(len(each.writes) for each in members) == [0, 1, 1]
    (idle,) = (each for each in members if not each.writes)
    working = [each for each in members if each is not idle]
    working[0].kill()
    assert await world.until_all_are_held(idle, working[1]) < LIFE


async def test_another_number_of_shards_waits_until_the_old_one_is_gone(world: World) -> None:
    """A change of the setting, Pod by Pod: were both to work at once, a namespace would have two holders."""
    old = [world.member("old-1"), world.member("old-2")]
    await world.pass_time(20)
    new = [world.member("new-1", shards=3), world.member("new-2", shards=3)]
    await world.pass_time(40)
    assert [each.writes for each in new] == [[], []]
    for each in old:
        spawn(each.keeper.stop(), name="stop")
        await world.pass_time(5)
    await world.pass_time(20)
    assert sorted(shard for each in new for shard in each.writes) == [0, 1, 2]


async def test_a_layout_that_died_is_followed_by_another(world: World) -> None:
    old = world.member("old")
    await world.pass_time(20)
    new = world.member("new", shards=3)
    old.kill()
    await world.pass_time(40)
    assert new.writes == [0, 1, 2]
