"""Two replicas that both work, each on its share of the namespaces, and one of them is killed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from e2e.harness.operator import PODS, Operator, Reaper
from e2e.harness.place import Cluster, Place, Run, no_attempt_twice
from e2e.harness.stage import node, spec
from weft.kube.shards import shard_of

SHARDS = 8
MOVED_SECONDS = 20.0
CHAIN = spec(
    [node("n0", "sleep 2"), *(node(f"n{number}", "sleep 2", after=[f"n{number - 1}"]) for number in range(1, 8))],
    jobs={"keep": "All"},
)
SHORT = spec([node("only")])


@pytest.fixture
def sharded(operator: Operator) -> Iterator[Operator]:
    """Two replicas that have shared eight shards evenly."""
    operator.install(replicas=2, sharding={"shards": SHARDS})
    operator.wait_for(lambda: _counts(operator) == [4, 4], "the shards are not shared evenly")
    yield operator
    operator.install()


def test_both_work_and_what_one_leaves_the_other_takes_over(
    sharded: Operator,
    cluster: Cluster,
    make_place: Callable[[str], Place],
    record_property: Callable[[str, object], None],
) -> None:
    Reaper(cluster).ensure()
    share = sharded.shards()
    places: dict[str, list[Place]] = {pod: [] for pod in share}
    while min(map(len, places.values())) < 2:
        made = make_place("shard")
        places[_worker(share, made)].append(made)
    _finish([place.start("short", SHORT) for those in places.values() for place in those])
    wanted = {pod: len(those) for pod, those in places.items()}
    sharded.wait_for(
        lambda: {pod: _runs_ended(cluster, pod) for pod in wanted} == wanted, "not each has ended its own runs"
    )

    runs = [place.start("chain", CHAIN) for those in places.values() for place in those]
    for run in runs:
        run.until(lambda run: run.node("n1").get("job"), "its second node does not start")
    victim = next(iter(share))
    lost = {shard: sharded.lease(f"-shard-{shard}")["holderIdentity"] for shard in share[victim]}
    at = time.time()  # before, so that the promise is not made easier by the time that killing takes
    sharded.kill(victim)
    sharded.wait_for(lambda: _held(sharded, without=victim) == list(range(SHARDS)), "not all shards have moved")
    now = {shard: sharded.lease(f"-shard-{shard}") for shard in lost}
    assert not [shard for shard, lease in now.items() if lease["holderIdentity"] == lost[shard]]
    moved = max(datetime.fromisoformat(lease["acquireTime"]).timestamp() for lease in now.values()) - at
    record_property("measured", {"sharding": "a replica of two is killed", "moved_seconds": round(moved, 1)})
    assert moved < MOVED_SECONDS
    _finish(runs)
    for run in runs:
        assert len(run.jobs()) == len(run.pods()) == 8
        no_attempt_twice(run)


def test_a_new_replica_gets_its_share_while_runs_go_on(sharded: Operator, make_place: Callable[[str], Place]) -> None:
    runs = [make_place("shard").start("chain", CHAIN) for _ in range(4)]
    for run in runs:
        run.running_pod("n0")
    sharded.install(replicas=3, sharding={"shards": SHARDS})
    sharded.wait_for(lambda: _counts(sharded) == [2, 3, 3], "the third has got no share")
    _finish(runs)
    for run in runs:
        assert len(run.jobs()) == 8
        no_attempt_twice(run)


def _counts(operator: Operator) -> list[int]:
    """How many shards each Pod works on."""
    return sorted(map(len, operator.shards().values()))


def _worker(share: dict[str, list[int]], place: Place) -> str:
    """The Pod that works on a namespace."""
    shard = shard_of(place.name, SHARDS)
    return next(pod for pod, shards in share.items() if shard in shards)


def _finish(runs: list[Run]) -> None:
    for run in runs:
        run.finish()


def _runs_ended(cluster: Cluster, pod: str) -> int:
    """How many runs a Pod has brought to their end, by its own count."""
    text = cluster.api.text(f"{PODS}/{pod}:8080/proxy/metrics")
    return round(sum(map(float, re.findall(r"^weft_runs_total\{.*\} (\S+)$", text, re.MULTILINE))))


def _held(operator: Operator, *, without: str) -> list[int]:
    return sorted(shard for pod, shards in operator.shards().items() if pod != without for shard in shards)
