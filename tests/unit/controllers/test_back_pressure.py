"""An API server that is overloaded or slow: the operator asks less, loses nothing, does not spin, and recovers."""

from collections import Counter

import pytest
from support.asked import Asked
from support.rig import Rig
from support.transport import over_quota, status
from weft.kube.resources import JOBS, PODS
from weft.kube.transport import NotSent, Response, Stalled
from weft.render.names import NODE_LABEL

RUNS, WIDTH = 8, 10
WIDE = f"""
nodes:
- {{name: m, forEach: {{range: {WIDTH}}}, job: {{image: i}}}}
- {{name: z, dependsOn: [m], job: {{image: i}}}}
"""


class Overloaded:
    """Takes so many writes at once, each for `seconds`, and refuses the others, until it is `well`."""

    def __init__(self, rig: Rig, *, capacity: int, seconds: float) -> None:
        self.rig, self.capacity, self.seconds = rig, capacity, seconds
        self.busy = 0
        self.well = False
        self.asked: Counter[int] = Counter()
        self.refused = 0
        self.lowest = 10**9
        rig.api.before.append(self.take)

    async def take(self, asked: Asked) -> Response | None:
        if asked.method in ("GET", "WATCH"):
            return None
        self.asked[int(self.rig.clock.monotonic())] += 1
        self.lowest = min(self.lowest, limit_of(self.rig))
        if self.well:
            return None
        if self.busy >= self.capacity:
            self.refused += 1
            return Response(429, status(429).body, {"retry-after": "1"})
        self.busy += 1
        await self.rig.clock.sleep(self.seconds)
        self.busy -= 1
        return None


def limit_of(rig: Rig) -> int:
    """How many writes the operator allows itself at once."""
    (family,) = rig.metrics.api_write_limit.collect()
    return int(family.samples[0].value)


async def start_all(rig: Rig) -> None:
    rig.workflow("w", WIDE)
    await rig.up()
    for number in range(RUNS):
        rig.start("w", f"r{number}")


def all_ended(rig: Rig) -> bool:
    return all(rig.ended(f"r{number}") for number in range(RUNS))


def assert_nothing_lost_or_twice(rig: Rig) -> None:
    assert {rig.phase(f"r{number}") for number in range(RUNS)} == {"Succeeded"}
    made = rig.jobs_made()
    assert len(made) == RUNS * (WIDTH + 1)
    assert set(made.values()) == {1}
    assert all("finalizers" not in pod["metadata"] for pod in rig.api.all(PODS))


async def test_refusals_slow_the_operator_down_and_lose_nothing(rig: Rig) -> None:
    server = Overloaded(rig, capacity=4, seconds=0.2)
    await start_all(rig)
    await rig.wait(lambda: all_ended(rig), seconds=1200)
    await rig.clock.advance(60)
    assert_nothing_lost_or_twice(rig)
    assert server.refused > 0
    assert server.lowest <= 2 * server.capacity
    # It takes 20 writes in a second; an operator that span would ask thousands of times.
    assert max(server.asked.values()) <= 3 * 64
    assert server.refused < sum(server.asked.values()) / 2


async def test_the_operator_is_as_fast_as_before_once_the_server_is_well(rig: Rig) -> None:
    server = Overloaded(rig, capacity=2, seconds=0.2)
    await start_all(rig)
    await rig.clock.advance(10)
    assert limit_of(rig) <= 4
    server.well = True
    await rig.wait(lambda: all_ended(rig), seconds=120)
    for number in range(RUNS, 4 * RUNS):
        rig.start("w", f"r{number}")
    await rig.wait(lambda: all(rig.ended(f"r{number}") for number in range(4 * RUNS)), seconds=60)
    assert limit_of(rig) >= 32


async def test_a_server_that_does_not_answer_in_time_changes_timing_only(rig: Rig) -> None:
    stalled = 0

    async def stall(asked: Asked) -> None:
        nonlocal stalled
        if asked.method not in ("GET", "WATCH") and rig.clock.monotonic() < slow_until:
            stalled += 1
            await rig.clock.sleep(15.0)
            raise Stalled("no answer")

    slow_until = 90.0
    rig.api.before.append(lambda asked: stall(asked) if len(rig.api.requests) % 2 else None)
    rig.api.after.append(lambda asked: None if len(rig.api.requests) % 2 else stall(asked))  # done, but not answered
    await start_all(rig)
    await rig.wait(lambda: all_ended(rig), seconds=1200)
    await rig.clock.advance(60)
    assert_nothing_lost_or_twice(rig)
    assert 0 < stalled < 64 * 90 / 15 + 64


async def test_a_node_that_is_ready_does_not_wait_for_a_crowd_that_comes() -> None:
    """Whoever begins has to wait when the server is slow, not those who are under way."""
    rig = Rig(workers=1)
    rig.workflow("chain", "nodes: [{name: a, job: {image: i}}, {name: b, dependsOn: [a], job: {image: i}}]")
    await rig.up()
    rig.start("chain", "first")
    await rig.clock.advance(0.5)
    Overloaded(rig, capacity=100, seconds=0.2)
    for number in range(40):
        rig.start("chain", f"later{number}")
    await rig.wait(lambda: all(rig.ended(name) for name in ("first", *(f"later{n}" for n in range(40)))))
    made = [event.obj["metadata"] for event in rig.api.history if event.resource is JOBS and event.type == "ADDED"]
    await rig.close()
    before = [job["labels"][NODE_LABEL] for job in made].index("b")
    assert before < 5, f"{before} Jobs were made before the one whose Pod's end was known"


@pytest.mark.parametrize(
    ("method", "plural", "outcome"),
    [("GET", "jobs", NotSent("down")), ("GET", "jobs", 503), ("POST", "pods", 429)],
    ids=["unreachable", "503", "429"],
)
async def test_a_pod_that_waits_for_a_quota_is_made_after_an_outage(
    rig: Rig, method: str, plural: str, outcome: int | Exception
) -> None:
    rig.workflow("w", "nodes: [{name: a, job: {image: i}}]")
    rig.api.fail(over_quota(), method="POST", plural="pods", times=3)
    await rig.up()
    rig.start("w")
    await rig.wait(lambda: rig.first_node().get("reason") == "QuotaExceeded")
    rig.api.fail(outcome, method=method, plural=plural, times=5)
    await rig.wait(rig.ended, seconds=120)
    assert (rig.phase(), rig.first_node().get("attempts", 1)) == ("Succeeded", 1)


async def test_pods_that_an_outage_has_kept_from_being_made_are_made_after_it(rig: Rig) -> None:
    began: list[float] = []

    def down(asked: Asked) -> Response | None:
        if not began and (asked.method, asked.resource) == ("POST", PODS):
            began.append(rig.clock.monotonic())
        during = bool(began) and rig.clock.monotonic() < began[0] + 20.0 and asked.method != "WATCH"
        return status(503, "ServiceUnavailable", "etcdserver: leader changed") if during else None

    rig.workflow("w", WIDE)
    rig.api.before.append(down)
    await rig.up()
    rig.start("w", "r0")
    await rig.wait(lambda: rig.ended("r0"), seconds=300)
    assert rig.phase("r0") == "Succeeded"
    assert set(rig.jobs_made().values()) == {1}
