"""The same invariants when two or three replicas work side by side on their shards, and come, go, die and freeze."""

import pytest
from support.chaos.soak import report
from support.chaos.world import Knobs, simulate

SEEDS = 60
PER_TEST = 15
SHARDED = Knobs(shards=4)


@pytest.mark.parametrize("first", range(1, SEEDS + 1, PER_TEST))
def test_the_invariants_hold_with_shards(first: int) -> None:
    outcomes = [simulate(seed, SHARDED) for seed in range(first, first + PER_TEST)]
    assert [report(outcome) for outcome in outcomes if outcome.violations] == []


def test_the_shards_do_move() -> None:
    """Else the seeds above would prove nothing."""
    takers = {
        (seed, event.obj["metadata"]["name"], event.obj["spec"]["holderIdentity"])
        for seed in (3, 4)
        for event in simulate(seed, SHARDED).history
        if event.resource is not None and event.resource.kind == "Lease"
    }
    # In each seed, at least half of the four shards have moved.
    assert len([name for _, name, holder in takers if "shard" in name and holder]) >= 2 * (4 + 2)


def test_a_sharded_seed_replays_exactly() -> None:
    assert simulate(7, SHARDED).digest() == simulate(7, SHARDED).digest()
