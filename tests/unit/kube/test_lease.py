import random
from collections.abc import Mapping
from datetime import datetime

import orjson
import pytest
from support.clock import START, VirtualClock, settle
from support.transport import ok, status
from weft.kube.client import Client
from weft.kube.clock import spawn
from weft.kube.lease import Elector
from weft.kube.limiter import Limiter
from weft.kube.transport import NotSent, Response
from weft.metrics import Metrics


class LeaseServer:
    """An API server that holds one Lease; `down` cuts one client off, `hang` lets its requests never be answered."""

    def __init__(self):
        self.lease = None
        self.version = 0

    def answer(self, method: str, body: Mapping | None) -> Response:
        if method == "GET":
            return ok(self.lease) if self.lease else status(404, "NotFound")
        if method == "POST":
            if self.lease:
                return status(409, "AlreadyExists")
            self.lease = dict(body)
        elif not self.lease:
            return status(404, "NotFound")
        elif body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            return status(409, "Conflict")
        else:
            self.lease = self.lease | {"spec": self.lease["spec"] | body["spec"]}
        self.version += 1
        self.lease = self.lease | {"metadata": self.lease["metadata"] | {"resourceVersion": str(self.version)}}
        return ok(self.lease)


class Candidate:
    """One operator with a line to the server of its own."""

    def __init__(self, world, identity):
        self.world = world
        self.identity = identity
        self.down = self.hang = False
        self.told = []
        self.metrics = Metrics()
        self.elector = Elector(
            Client(
                self,
                clock=world.clock,
                rng=random.Random(1),
                metrics=self.metrics,
                limiter=Limiter(maximum=1, metrics=self.metrics),
            ),
            namespace="weft-system",
            name="weft-operator",
            identity=identity,
            on_waiting=lambda: None,
            on_started=lambda: self.tell("started"),
            on_lost=lambda: self.tell("lost"),
            clock=world.clock,
            rng=random.Random(identity),
            spawn=spawn,
            metrics=self.metrics,
        )
        self.task = spawn(self.elector.run(), name=identity)

    def tell(self, what):
        self.told.append((what, self.world.clock.monotonic()))

    async def request(self, method, path, *, params, headers, body, content_type, time_limit):
        await self.world.clock.sleep(0)
        if self.hang:
            await self.world.clock.sleep(3600)
        if self.down:
            raise NotSent("cut off")
        return self.world.server.answer(method, orjson.loads(body) if body else None)

    @property
    def leads(self):
        return self.elector.is_leader


class World:
    def __init__(self):
        self.clock = VirtualClock()
        self.server = LeaseServer()
        self.candidates = []

    def candidate(self, identity):
        self.candidates.append(Candidate(self, identity))
        return self.candidates[-1]

    async def pass_time(self, seconds):
        """Let time pass in small steps; at no moment may there be two leaders."""
        for _ in range(round(seconds / 0.25)):
            await self.clock.advance(0.25)
            assert sum(each.leads for each in self.candidates) <= 1


@pytest.fixture
async def world():
    made = World()
    yield made
    for each in made.candidates:
        each.task.cancel()
    await settle()


async def test_the_first_one_makes_the_lease_and_leads(world):
    one = world.candidate("one")
    await world.pass_time(1)
    assert one.leads
    assert one.told == [("started", 0)]
    assert one.metrics.registry.get_sample_value("weft_leader") == 1
    assert world.server.lease["spec"] == {
        "holderIdentity": "one",
        "leaseDurationSeconds": 13,
        "acquireTime": "2023-11-14T22:13:20.000000Z",
        "renewTime": "2023-11-14T22:13:20.000000Z",
        "leaseTransitions": 0,
    }


async def test_the_leader_renews_and_the_other_stands_by(world):
    one = world.candidate("one")
    await world.pass_time(1)
    two = world.candidate("two")
    await world.pass_time(120)
    assert one.leads
    assert not two.leads
    assert world.server.lease["spec"]["holderIdentity"] == "one"
    assert world.server.lease["spec"]["renewTime"] > "2023-11-14T22:15:00"
    assert world.server.lease["spec"]["acquireTime"] == "2023-11-14T22:13:20.000000Z"


async def test_a_dead_leaders_lease_is_taken_over_after_its_duration_by_our_own_clock(world):
    one = world.candidate("one")
    await world.pass_time(1)
    two = world.candidate("two")
    await world.pass_time(1)
    one.task.cancel()
    await world.pass_time(11)
    assert not two.leads
    await world.pass_time(8)
    assert two.leads
    assert world.server.lease["spec"]["leaseTransitions"] == 1


@pytest.mark.parametrize("alive", range(20, 50, 3))
async def test_the_standby_takes_over_the_moment_the_lease_runs_out(world, alive):
    one = world.candidate("one")
    await world.pass_time(1)
    two = world.candidate("two")
    await world.pass_time(alive)
    one.task.cancel()
    renewed = datetime.fromisoformat(world.server.lease["spec"]["renewTime"]).timestamp() - START
    await world.pass_time(40)
    ((_, at),) = two.told
    assert 13 <= at - renewed <= 14.5  # it sees a renewal within a good second, and is there when the time is over


async def test_a_lease_whose_times_are_from_another_clock_is_still_respected(world):
    world.server.lease = {
        "metadata": {"name": "weft-operator", "resourceVersion": "x"},
        "spec": {"holderIdentity": "old", "leaseDurationSeconds": 30, "renewTime": "1999-01-01T00:00:00.000000Z"},
    }
    one = world.candidate("one")
    await world.pass_time(29)
    assert not one.leads
    await world.pass_time(5)
    assert one.leads


async def test_of_two_that_start_together_one_leads(world):
    one, two = world.candidate("one"), world.candidate("two")
    await world.pass_time(30)
    assert one.leads != two.leads


@pytest.mark.parametrize("trouble", ["down", "hang"])
async def test_a_leader_that_cannot_renew_stops_at_the_deadline_before_anyone_can_take_over(world, trouble):
    one = world.candidate("one")
    await world.pass_time(1)
    two = world.candidate("two")
    await world.pass_time(20)
    last_renewal = 21
    setattr(one, trouble, True)
    await world.pass_time(30)
    (_, (lost, at)) = one.told
    assert lost == "lost"
    assert last_renewal - 2 + 10 <= at <= last_renewal + 10
    assert one.task.done()
    assert one.metrics.registry.get_sample_value("weft_leader") == 0
    assert two.leads
    assert two.told[0][1] > at


async def test_a_short_disturbance_costs_nothing(world):
    one = world.candidate("one")
    await world.pass_time(1)
    one.down = True
    await world.pass_time(6)
    one.down = False
    await world.pass_time(30)
    assert one.leads
    assert one.told == [("started", 0)]


async def test_a_leader_that_sees_another_in_the_lease_stops_at_once(world):
    one = world.candidate("one")
    await world.pass_time(1)
    world.server.version += 1
    world.server.lease["spec"]["holderIdentity"] = "usurper"
    world.server.lease["metadata"]["resourceVersion"] = "77"
    await world.pass_time(2)
    assert [what for what, _ in one.told] == ["started", "lost"]
    assert not one.leads


async def test_a_process_that_was_frozen_does_not_believe_that_it_leads(world):
    one = world.candidate("one")
    await world.pass_time(1)
    world.clock._elapsed += 16
    assert not one.leads


async def test_a_lease_given_back_is_taken_at_the_next_look(world):
    one = world.candidate("one")
    await world.pass_time(1)
    two = world.candidate("two")
    await world.pass_time(1)
    one.task.cancel()
    await world.clock.run(one.elector.release())
    assert not one.leads
    assert world.server.lease["spec"]["holderIdentity"] == ""
    await world.pass_time(3)
    assert two.leads


async def test_the_same_trouble_is_said_once(world, caplog):
    one = world.candidate("one")
    one.down = True
    await world.pass_time(60)
    assert caplog.text.count("cut off") == 1
    one.down = False
    await world.pass_time(20)
    assert one.leads
    one.down = True
    await world.pass_time(5)
    assert caplog.text.count("cut off") == 2


async def test_releasing_what_is_not_held_touches_nothing(world):
    one = world.candidate("one")
    await world.pass_time(1)
    two = world.candidate("two")
    await world.pass_time(1)
    two.task.cancel()
    await two.elector.release()
    assert world.server.lease["spec"]["holderIdentity"] == "one"
    assert one.leads


async def test_a_lease_that_cannot_be_given_back_runs_out_by_itself(world, caplog):
    one = world.candidate("one")
    await world.pass_time(1)
    one.task.cancel()
    one.hang = True
    await world.clock.run(one.elector.release())
    assert not one.leads
    assert "will run out by itself" in caplog.text


async def test_a_lease_that_somebody_deletes_does_not_make_two_leaders(world):
    one = world.candidate("one")
    await world.pass_time(1)
    two = world.candidate("two")
    await world.pass_time(5)
    world.server.lease = None
    await world.pass_time(30)
    assert one.leads
    one.task.cancel()
    world.server.lease = None
    await world.pass_time(20)
    assert two.leads
