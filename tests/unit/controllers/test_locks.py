"""Concurrency keys: who gets one, in which order, and that none is ever lost."""

import random
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.controllers.locks import Answer, Holder, Locks, held_keys
from weft.engine.state import AttemptId
from weft.kube.store import RunKey


def holder(name: str, path: str = "deploy", **position: Any) -> Holder:
    place = {"index": None, "iteration": None} | position
    return Holder(RunKey("ns", name), AttemptId(path, place["index"], place["iteration"], "main", 0))


class Table:
    """Locks of one key, with what they told; holders are named by their run."""

    def __init__(self) -> None:
        self.granted: list[str] = []
        self.lost: list[str] = []
        self.locks = Locks(
            granted=lambda each: self.granted.append(each.run.uid), lost=lambda each: self.lost.append(each.run.uid)
        )

    def acquire(self, name: str, *, limit: int = 1, policy: str = "Queue") -> str:
        return self.locks.acquire("ns", "prod", limit=limit, policy=policy, holder=holder(name))

    def release(self, *names: str) -> None:
        for name in names:
            self.locks.release(holder(name), "ns", "prod")

    @property
    def holding(self) -> str:
        return "".join(each.run.uid for each in self.locks.holders("ns", "prod"))


@pytest.fixture
def table() -> Table:
    return Table()


def test_waiters_are_served_in_turn(table: Table) -> None:
    assert [table.acquire(name, limit=2) for name in "abcd"] == ["Granted", "Granted", "Queued", "Queued"]
    table.release("b")
    table.release("a")
    assert (table.granted, table.holding) == (["c", "d"], "cd")


def test_keys_of_other_namespaces_and_other_names_are_apart() -> None:
    locks = Locks(granted=print, lost=print)
    for namespace, key in (("ns", "a"), ("ns", "b"), ("other", "a")):
        assert locks.acquire(namespace, key, limit=1, policy="Queue", holder=holder(f"{namespace}-{key}")) == "Granted"


def test_skip_is_refused_when_it_is_full_or_others_wait(table: Table) -> None:
    table.acquire("a", limit=2)
    assert table.acquire("b", limit=1, policy="Queue") == Answer.Queued
    assert table.acquire("c", limit=2, policy="Skip") == Answer.Refused
    table.release("a", "b")
    assert table.acquire("c", policy="Skip") == Answer.Granted


def test_a_wide_asker_does_not_pass_a_narrow_one(table: Table) -> None:
    table.acquire("a", limit=3)
    table.acquire("narrow", limit=1)
    assert table.acquire("wide", limit=3) == Answer.Queued
    table.release("narrow")
    assert table.granted == ["wide"]


def test_cancel_running_waits_for_the_oldest_to_give_the_key_back(table: Table) -> None:
    table.acquire("a", limit=2)
    table.acquire("b", limit=2)
    assert table.acquire("c", limit=2, policy="CancelRunning") == Answer.Queued
    assert (table.lost, table.holding) == (["a"], "ab")
    table.release("a")
    assert (table.granted, table.holding) == (["c"], "bc")


def test_each_cancelling_waiter_makes_another_holder_stop(table: Table) -> None:
    for name in "ab":
        table.acquire(name, limit=2)
    for name in "cde":
        table.acquire(name, limit=2, policy="CancelRunning")
    assert table.lost == ["a", "b"]
    table.release("a")
    assert (table.granted, table.lost) == (["c"], ["a", "b", "c"])


def test_one_that_waits_for_an_end_takes_no_second_victim(table: Table) -> None:
    table.acquire("a", limit=2)
    table.acquire("b", limit=2)
    table.acquire("c", limit=2, policy="CancelRunning")
    table.release("c")
    table.acquire("d", limit=2, policy="CancelRunning")
    assert table.lost == ["a"]


def test_asking_again_changes_nothing(table: Table) -> None:
    assert [table.acquire("a"), table.acquire("a")] == [Answer.Granted] * 2
    assert [table.acquire("b", policy="CancelRunning") for _ in range(2)] == [Answer.Queued] * 2
    assert table.lost == ["a"]
    table.release("a", "a")
    assert table.holding == "b"


def test_a_loop_that_went_round_still_holds_its_key() -> None:
    table = Table()
    first, later = holder("a", iteration=0), holder("a", iteration=3)
    table.locks.acquire("ns", "prod", limit=1, policy="Queue", holder=first)
    assert table.locks.acquire("ns", "prod", limit=1, policy="Queue", holder=later) == Answer.Granted
    table.locks.release(later, "ns", "prod")
    assert table.holding == ""


def test_forgetting_a_run_frees_what_it_held_and_awaited() -> None:
    table = Table()
    for path in ("one", "two"):
        table.locks.acquire("ns", "prod", limit=1, policy="Queue", holder=holder("a", path))
    table.acquire("b")
    table.locks.forget(holder("a").run, used=())
    assert (table.granted, table.holding) == (["b"], "b")
    table.locks.forget(holder("nobody").run, used=())


def test_restored_holders_keep_others_out_whatever_the_limit(table: Table) -> None:
    for name in "ab":
        table.locks.restore("ns", "prod", holder(name))
    assert table.acquire("c") == Answer.Queued
    table.release("a")
    assert table.granted == []
    table.release("b")
    assert table.granted == ["c"]


def test_the_status_tells_which_keys_are_held() -> None:
    status = {
        "nodes": [
            {"name": "scrape", "phase": "Succeeded"},
            {"name": "deploy", "phase": "Running", "stage": "Active", "lock": "prod", "iteration": 2},
            {"name": "asks", "phase": "Pending", "stage": "Gated", "lock": "prod"},
            {
                "name": "price[1]/load",
                "phase": "Running",
                "items": [
                    {"index": 0, "phase": "Succeeded"},
                    {"index": 4, "phase": "Running", "stage": "Backoff", "lock": "db"},
                ],
            },
        ]
    }
    assert list(held_keys(status)) == [
        ("prod", AttemptId("deploy", None, 2, "main", 0)),
        ("db", AttemptId("price[1]/load", 4, None, "main", 0)),
    ]


POLICIES = ("Queue", "Skip", "CancelRunning")


@given(seed=st.integers(0, 10**6), steps=st.integers(1, 120))
def test_whatever_happens_limits_hold_and_nobody_is_lost(seed: int, steps: int) -> None:
    rng = random.Random(seed)
    names = [f"{run}{path}" for run in "abcd" for path in "xyz"]
    limits = {"k": rng.randint(1, 3), "l": 1}
    holding: dict[str, list[str]] = defaultdict(list)
    waiting: dict[str, list[str]] = defaultdict(list)
    stopping: set[tuple[str, str]] = set()
    key_of: dict[str, str] = {}

    def who(name: str) -> Holder:
        return holder(name[0], name[1])

    def name_of(each: Holder) -> str:
        return each.run.uid + each.gate.path

    def granted(each: Holder) -> None:
        name = name_of(each)
        key = key_of[name]
        assert waiting[key].pop(0) == name, "not in turn"
        holding[key].append(name)

    def lost(each: Holder) -> None:
        name = name_of(each)
        assert name in holding[key_of[name]]
        stopping.add((key_of[name], name))

    locks = Locks(granted=granted, lost=lost)

    def leave(name: str) -> None:
        key = key_of.pop(name)
        stopping.discard((key, name))
        for members in (holding[key], waiting[key]):
            if name in members:
                members.remove(name)

    for _ in range(steps):
        name = rng.choice(names)
        if name in key_of:
            if rng.random() < 0.2:
                for mine in [each for each in key_of if each[0] == name[0]]:
                    leave(mine)
                locks.forget(who(name).run, used=())
            else:
                key = key_of[name]
                leave(name)
                locks.release(who(name), "ns", key)
        else:
            key = key_of[name] = rng.choice(list(limits))
            waiting[key].append(name)
            answer = locks.acquire("ns", key, limit=limits[key], policy=rng.choice(POLICIES), holder=who(name))
            if answer is Answer.Granted:
                waiting[key].pop()
                holding[key].append(name)
            elif answer is Answer.Refused:
                waiting[key].pop()
                del key_of[name]
        for key, limit in limits.items():
            assert len(holding[key]) <= limit
            assert not waiting[key] or len(holding[key]) == limit, "somebody waits for a free key"
            assert [name_of(each) for each in locks.holders("ns", key)] == holding[key]
    for name in list(key_of):
        if name in key_of:
            key = key_of[name]
            leave(name)
            locks.release(who(name), "ns", key)
    assert not any(holding.values())
    assert locks.holders("ns", "k") == ()
