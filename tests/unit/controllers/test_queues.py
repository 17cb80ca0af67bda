"""The queues: who may start, in which order, and what gives a place back."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.manifests import queue, run
from weft.controllers.queues import Count, Queues, Verdict
from weft.kube.objects import Key, Obj, uid_of

DEFAULT = Key("ns", "default")
STARTED: dict[str, Any] = {"phase": "Running", "startTime": "2026-01-01T00:00:00Z"}


class Line:
    """Queues, with what they told."""

    def __init__(self, **limits: Any) -> None:
        self.woken: list[str] = []
        self.counted: set[Key] = set()
        self.queues = Queues(wake=lambda key: self.woken.append(key.name), counted=self.counted.add)
        if limits:
            self.limit(**limits)

    def limit(self, name: str = "default", **spec: Any) -> None:
        self.queues.on_queue("MODIFIED", queue(name, **spec), None)

    def ask(self, name: str, **fields: Any) -> bool:
        return self.queues.ask(run(name, **fields)).admitted

    def why(self, name: str, **fields: Any) -> str:
        return self.queues.ask(run(name, **fields)).message

    @property
    def count(self) -> tuple[int, int]:
        return self.queues.count(DEFAULT)


def test_the_default_queue_needs_no_object_and_has_no_limit() -> None:
    line = Line()
    assert all(line.ask(name) for name in "abcde")
    assert line.count == Count(active=5, queued=0)


def test_another_queue_must_exist() -> None:
    line = Line()
    assert line.why("a", queue="gpu") == "there is no WorkflowQueue gpu in namespace ns; create it"
    line.limit("gpu", maxActiveRuns=1)
    assert line.woken == ["a"]
    assert line.ask("a", queue="gpu")


def test_a_full_queue_says_so_and_the_next_is_woken_when_a_place_is_free() -> None:
    line = Line(maxActiveRuns=2)
    assert [line.ask(name) for name in "abc"] == [True, True, False]
    assert line.why("c") == "waits in queue default: 2 of 2 runs are active"
    line.queues.ended("uid-a")
    assert (line.woken, line.count) == (["c"], (2, 0))
    assert line.ask("c")
    assert not line.ask("d")


def test_a_queue_without_limit_and_a_paused_one() -> None:
    line = Line()
    assert line.ask("a")
    line.limit(paused=True)
    assert line.why("b") == "queue default is paused; set spec.paused of the WorkflowQueue to false to go on"
    line.limit()
    assert line.ask("b")


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
    line = Line(maxActiveRuns=1)
    assert line.ask("holder")
    assert not any(line.ask(**each) for each in waiting)
    line.queues.ended("uid-holder")
    assert line.woken == [first]


def test_a_raised_priority_counts_when_the_run_asks_again() -> None:
    line = Line(maxActiveRuns=1)
    assert [line.ask(name) for name in "xab"] == [True, False, False]
    assert not line.ask("b", priority="High")
    line.queues.ended("uid-x")
    assert line.woken == ["b"]


def test_a_priority_may_change_as_often_as_it_likes() -> None:
    line = Line(maxActiveRuns=1)
    assert [line.ask(name) for name in "xab"] == [True, False, False]
    for round_ in range(501):
        assert not line.ask("b", priority="High" if round_ % 2 else "Low")
    line.queues.ended("uid-x")
    line.queues.ended("uid-a")
    assert line.woken == ["a", "b"]
    assert line.count == (1, 0)


def test_raising_the_limit_and_deleting_the_queue_let_runs_in() -> None:
    line = Line(maxActiveRuns=1)
    assert [line.ask(name) for name in "abcd"] == [True, False, False, False]
    line.limit(maxActiveRuns=2)
    assert (line.count, line.ask("b")) == ((2, 2), True)
    line.queues.on_queue("DELETED", queue(), queue())
    assert line.count == (4, 0)


def test_those_who_still_wait_are_told_of_a_change() -> None:
    line = Line(paused=True)
    assert not line.ask("a")
    line.queues.on_queue("MODIFIED", queue(maxActiveRuns=1, paused=True), queue(paused=True))
    assert line.woken == ["a"]
    line.queues.on_queue("MODIFIED", queue(paused=True), queue(paused=True))
    assert line.woken == ["a"], "only its status has changed"


def test_child_runs_pass_by_and_do_not_count() -> None:
    line = Line(maxActiveRuns=1)
    assert line.ask("parent")
    assert line.ask("child", owner="uid-parent")
    line.queues.restore([run("other", owner="uid-parent", **STARTED), run("third", owner="uid-parent")])
    assert line.count == (1, 0)


def test_a_deleted_or_ended_run_gives_its_place_back() -> None:
    line = Line(maxActiveRuns=1)
    started = run("a", **STARTED)
    line.queues.started(started)
    assert [line.ask(name) for name in "bcd"] == [False] * 3
    line.queues.on_run("DELETED", run("b"), run("b"))
    line.queues.on_run("MODIFIED", run("a", **STARTED | {"phase": "Succeeded"}), started)
    assert line.woken == ["c"]
    line.queues.on_run("DELETED", run("c"), run("c"))
    assert line.woken == ["c", "d"]


def test_a_run_that_has_started_keeps_its_place_though_its_status_says_nothing_yet() -> None:
    line = Line(maxActiveRuns=1)
    assert line.ask("a")
    line.queues.started(run("a"))
    line.queues.on_run("MODIFIED", run("a", suspend=True), run("a"))
    assert not line.ask("b")
    assert line.ask("a", suspend=True)


@pytest.mark.parametrize("control", [{"suspend": True}, {"stop": "Cancel"}])
def test_a_run_that_is_held_back_before_it_started_takes_no_place(control: dict[str, Any]) -> None:
    line = Line(maxActiveRuns=1)
    assert line.ask("a")
    assert not line.ask("b")
    line.queues.on_run("MODIFIED", run("a", **control), run("a"))
    assert line.woken == ["b"]
    assert line.queues.ask(run("a", **control)).message
    assert line.count == (1, 0)


def test_a_rerun_asks_again() -> None:
    line = Line(maxActiveRuns=1)
    assert line.ask("other")
    again = run("a", phase="Failed", startTime="x", rerun={"generation": 1})
    assert not line.queues.ask(again).admitted
    line.queues.on_run("MODIFIED", again, again)
    line.queues.ended("uid-other")
    assert line.woken == ["a"]
    assert line.queues.ask(again) == Verdict(True)
    line.queues.on_run("MODIFIED", run("a", phase="Failed", rerun={"generation": 1}, rerunGeneration=1), again)
    assert line.count == (0, 0)


def test_after_a_restart_places_and_order_are_as_before() -> None:
    line = Line(maxActiveRuns=2)
    line.queues.restore(
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
    assert (line.count, line.woken) == ((2, 2), [])
    line.queues.ended("uid-active")
    assert line.woken == ["high"]


def test_what_was_counted_is_told() -> None:
    line = Line(maxActiveRuns=1)
    line.counted.clear()
    line.ask("a")
    assert line.counted == {DEFAULT}


@given(seed=st.integers(0, 10**6), steps=st.integers(1, 150))
def test_whatever_happens_limits_hold_and_no_place_stays_empty(seed: int, steps: int) -> None:
    rng = random.Random(seed)
    runs: dict[str, Obj] = {}
    waiting: set[str] = set()
    active: set[str] = set()
    limit, paused = 1, False
    told: list[str] = []
    queues = Queues(wake=lambda key: told.append(f"uid-{key.name}"), counted=lambda key: None)
    queues.configure(DEFAULT, {"maxActiveRuns": 1})

    def turn(uid: str) -> tuple[int, str]:
        return _RANK[runs[uid]["spec"]["priority"]], runs[uid]["metadata"]["name"]

    def ask(uid: str) -> None:
        admitted = queues.ask(runs[uid]).admitted
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
            queues.ended(uid)
        else:
            limit, paused = rng.randint(1, 4), rng.random() < 0.2
            queues.configure(DEFAULT, {"maxActiveRuns": limit, "paused": paused})
        for uid in told:
            ask(uid)
        told.clear()
        if asker:
            ask(asker)
        assert queues.count(DEFAULT) == (len(active), len(waiting))
        assert paused or not waiting or len(active) >= limit, "a place stays empty"


_RANK = {"High": 0, "Normal": 1, "Low": 2}
