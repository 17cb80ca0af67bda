"""Admission by queue: who may start, in which order, and what gives a place back."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.manifests import queue, run
from weft.controllers.queues import Admission, Count, Verdict
from weft.kube.objects import Key, Obj, uid_of

DEFAULT = Key("ns", "default")
STARTED: dict[str, Any] = {"phase": "Running", "startTime": "2026-01-01T00:00:00Z"}


class Queues:
    """An Admission, with what it told."""

    def __init__(self, **limits: Any) -> None:
        self.woken: list[str] = []
        self.counted: set[Key] = set()
        self.admission = Admission(wake=lambda key: self.woken.append(key.name), counted=self.counted.add)
        if limits:
            self.limit(**limits)

    def limit(self, name: str = "default", **spec: Any) -> None:
        self.admission.on_queue("MODIFIED", queue(name, **spec), None)

    def ask(self, name: str, **fields: Any) -> bool:
        return self.admission.ask(run(name, **fields)).admitted

    def why(self, name: str, **fields: Any) -> str:
        return self.admission.ask(run(name, **fields)).message

    @property
    def count(self) -> tuple[int, int]:
        return self.admission.count(DEFAULT)


def test_the_default_queue_needs_no_object_and_has_no_limit() -> None:
    queues = Queues()
    assert all(queues.ask(name) for name in "abcde")
    assert queues.count == Count(active=5, queued=0)


def test_another_queue_must_exist() -> None:
    queues = Queues()
    assert queues.why("a", queue="gpu") == "there is no WorkflowQueue gpu in namespace ns; create it"
    queues.limit("gpu", maxActiveRuns=1)
    assert queues.woken == ["a"]
    assert queues.ask("a", queue="gpu")


def test_a_full_queue_says_so_and_the_next_is_woken_when_a_place_is_free() -> None:
    queues = Queues(maxActiveRuns=2)
    assert [queues.ask(name) for name in "abc"] == [True, True, False]
    assert queues.why("c") == "waits in queue default: 2 of 2 runs are active"
    queues.admission.ended("uid-a")
    assert (queues.woken, queues.count) == (["c"], (2, 0))
    assert queues.ask("c")
    assert not queues.ask("d")


def test_a_queue_without_limit_and_a_paused_one() -> None:
    queues = Queues()
    assert queues.ask("a")
    queues.limit(paused=True)
    assert queues.why("b") == "queue default is paused; set spec.paused of the WorkflowQueue to false to go on"
    queues.limit()
    assert queues.ask("b")


@pytest.mark.parametrize(
    ("waiting", "first"),
    [
        ([{"name": "a", "priority": "Low"}, {"name": "b"}, {"name": "c", "priority": "High"}], "c"),
        ([{"name": "a", "priority": "Low"}, {"name": "b"}], "b"),
        ([{"name": "a", "created": "2026-01-02T00:00:00Z"}, {"name": "b", "created": "2026-01-01T00:00:00Z"}], "b"),
        ([{"name": "b"}, {"name": "a"}], "a"),
    ],
)
def test_the_order_is_priority_then_age_then_name(waiting: list[dict[str, Any]], first: str) -> None:
    queues = Queues(maxActiveRuns=1)
    assert queues.ask("holder")
    assert not any(queues.ask(**each) for each in waiting)
    queues.admission.ended("uid-holder")
    assert queues.woken == [first]


def test_a_raised_priority_counts_when_the_run_asks_again() -> None:
    queues = Queues(maxActiveRuns=1)
    assert [queues.ask(name) for name in "xab"] == [True, False, False]
    assert not queues.ask("b", priority="High")
    queues.admission.ended("uid-x")
    assert queues.woken == ["b"]


def test_a_priority_may_change_as_often_as_it_likes() -> None:
    queues = Queues(maxActiveRuns=1)
    assert [queues.ask(name) for name in "xab"] == [True, False, False]
    for round_ in range(501):
        assert not queues.ask("b", priority="High" if round_ % 2 else "Low")
    queues.admission.ended("uid-x")
    queues.admission.ended("uid-a")
    assert queues.woken == ["a", "b"]
    assert queues.count == (1, 0)


def test_raising_the_limit_and_deleting_the_queue_let_runs_in() -> None:
    queues = Queues(maxActiveRuns=1)
    assert [queues.ask(name) for name in "abcd"] == [True, False, False, False]
    queues.limit(maxActiveRuns=2)
    assert (queues.count, queues.ask("b")) == ((2, 2), True)
    queues.admission.on_queue("DELETED", queue(), queue())
    assert queues.count == (4, 0)


def test_those_who_still_wait_are_told_of_a_change() -> None:
    queues = Queues(paused=True)
    assert not queues.ask("a")
    queues.admission.on_queue("MODIFIED", queue(maxActiveRuns=1, paused=True), queue(paused=True))
    assert queues.woken == ["a"]
    queues.admission.on_queue("MODIFIED", queue(paused=True), queue(paused=True))
    assert queues.woken == ["a"], "only its status has changed"


def test_child_runs_pass_by_and_do_not_count() -> None:
    queues = Queues(maxActiveRuns=1)
    assert queues.ask("parent")
    assert queues.ask("child", owner="uid-parent")
    queues.admission.restore([run("other", owner="uid-parent", **STARTED), run("third", owner="uid-parent")])
    assert queues.count == (1, 0)


def test_a_deleted_or_ended_run_gives_its_place_back() -> None:
    queues = Queues(maxActiveRuns=1)
    started = run("a", **STARTED)
    queues.admission.started(started)
    assert [queues.ask(name) for name in "bcd"] == [False] * 3
    queues.admission.on_run("DELETED", run("b"), run("b"))
    queues.admission.on_run("MODIFIED", run("a", **STARTED | {"phase": "Succeeded"}), started)
    assert queues.woken == ["c"]
    queues.admission.on_run("DELETED", run("c"), run("c"))
    assert queues.woken == ["c", "d"]


def test_a_run_that_has_started_keeps_its_place_though_its_status_says_nothing_yet() -> None:
    queues = Queues(maxActiveRuns=1)
    assert queues.ask("a")
    queues.admission.started(run("a"))
    queues.admission.on_run("MODIFIED", run("a", suspend=True), run("a"))
    assert not queues.ask("b")
    assert queues.ask("a", suspend=True)


@pytest.mark.parametrize("control", [{"suspend": True}, {"stop": "Cancel"}])
def test_a_run_that_is_held_back_before_it_started_takes_no_place(control: dict[str, Any]) -> None:
    queues = Queues(maxActiveRuns=1)
    assert queues.ask("a")
    assert not queues.ask("b")
    queues.admission.on_run("MODIFIED", run("a", **control), run("a"))
    assert queues.woken == ["b"]
    assert queues.admission.ask(run("a", **control)).message
    assert queues.count == (1, 0)


def test_a_rerun_asks_again() -> None:
    queues = Queues(maxActiveRuns=1)
    assert queues.ask("other")
    again = run("a", phase="Failed", startTime="x", rerun={"generation": 1})
    assert not queues.admission.ask(again).admitted
    queues.admission.on_run("MODIFIED", again, again)
    queues.admission.ended("uid-other")
    assert queues.woken == ["a"]
    assert queues.admission.ask(again) == Verdict(True)
    queues.admission.on_run("MODIFIED", run("a", phase="Failed", rerun={"generation": 1}, rerunGeneration=1), again)
    assert queues.count == (0, 0)


def test_after_a_restart_places_and_order_are_as_before() -> None:
    queues = Queues(maxActiveRuns=2)
    queues.admission.restore(
        [
            run("low", priority="Low"),
            run("active", **STARTED),
            run("suspended", phase="Suspended", startTime="x", suspend=True),
            run("done", phase="Succeeded", startTime="x"),
            run("high", priority="High"),
            run("never", suspend=True),
            run("again", phase="Suspended", startTime="x", completionTime="y", suspend=True),  # a rerun that waits
        ]
    )
    assert (queues.count, queues.woken) == ((2, 2), [])
    queues.admission.ended("uid-active")
    assert queues.woken == ["high"]


def test_what_was_counted_is_told() -> None:
    queues = Queues(maxActiveRuns=1)
    queues.counted.clear()
    queues.ask("a")
    assert queues.counted == {DEFAULT}


@given(seed=st.integers(0, 10**6), steps=st.integers(1, 150))
def test_whatever_happens_limits_hold_and_no_place_stays_empty(seed: int, steps: int) -> None:
    rng = random.Random(seed)
    runs: dict[str, Obj] = {}
    waiting: set[str] = set()
    active: set[str] = set()
    limit, paused = 1, False
    told: list[str] = []
    admission = Admission(wake=lambda key: told.append(f"uid-{key.name}"), counted=lambda key: None)
    admission.configure(DEFAULT, {"maxActiveRuns": 1})

    def turn(uid: str) -> tuple[int, str]:
        return _RANK[runs[uid]["spec"]["priority"]], runs[uid]["metadata"]["name"]

    def ask(uid: str) -> None:
        admitted = admission.ask(runs[uid]).admitted
        if admitted and uid in waiting:
            assert uid == min(waiting, key=turn), "out of turn"
            waiting.discard(uid)
            active.add(uid)
        assert admitted == (uid in active)

    for _ in range(steps):
        choice = rng.random()
        asker = ""
        if choice < 0.5:
            new = run(f"r{rng.randint(0, 30):02}", priority=rng.choice(list(_RANK)))
            asker = uid_of(new)
            runs[asker] = new
            if asker not in active:
                waiting.add(asker)
        elif choice < 0.9 and runs:
            uid = rng.choice(sorted(runs))
            del runs[uid]
            waiting.discard(uid)
            active.discard(uid)
            admission.ended(uid)
        else:
            limit, paused = rng.randint(1, 4), rng.random() < 0.2
            admission.configure(DEFAULT, {"maxActiveRuns": limit, "paused": paused})
        for uid in told:
            ask(uid)
        told.clear()
        if asker:
            ask(asker)
        assert admission.count(DEFAULT) == (len(active), len(waiting))
        assert paused or not waiting or len(active) >= limit, "a place stays empty"


_RANK = {"High": 0, "Normal": 1, "Low": 2}
