"""The queues: who may start, in which order, and what gives a place back."""

import random
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.manifests import queue, run
from weft.api.objects import Key, Obj, uid_of
from weft.controllers.catalog import Catalog
from weft.controllers.queues import Count, Queues, Verdict
from weft.kube.resources import WORKFLOW_RUNS

DEFAULT = Key("ns", "default")
STARTED: dict[str, Any] = {"phase": "Running", "startTime": "2026-01-01T00:00:00Z"}


class Line:
    """Queues, with what they told; the runs that they hear of stand in a catalog."""

    def __init__(self, **limits: Any) -> None:
        self.woken: list[str] = []
        self.counted: set[Key] = set()
        self.catalog = Catalog(monotonic=lambda: 0.0)
        self.versions = 1
        self.queues = Queues(
            wake=lambda key: self.woken.append(key.name),
            counted=self.counted.add,
            find_run=self.catalog.run,
            child_runs=self.catalog.child_runs,
        )
        self.catalog.subscribe(WORKFLOW_RUNS, self.queues.on_run)
        if limits:
            self.limit(**limits)

    def limit(self, name: str = "default", **spec: Any) -> None:
        self.queues.on_queue("MODIFIED", queue(name, **spec), None)

    def hear(self, name: str, *, event: str = "MODIFIED", **fields: Any) -> None:
        """The catalog is told of a run as it is now."""
        self.versions += 1
        self.catalog.apply(WORKFLOW_RUNS, event, run(name, version=str(self.versions), **fields))

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
    line.hear("parent")
    assert line.ask("parent")
    assert line.queues.begins(run("parent"))
    line.hear("child", owner="uid-parent")
    assert line.ask("child", owner="uid-parent"), "also before the status tells that its parent has begun"
    line.hear("parent", **STARTED)
    line.queues.started(run("parent", **STARTED))
    assert line.ask("child", owner="uid-parent")
    assert line.queues.begins(run("child", owner="uid-parent"))
    line.hear("child", owner="uid-parent", **STARTED)
    line.queues.started(run("child", owner="uid-parent", **STARTED))
    assert line.ask("grandchild", owner="uid-child", suspend=True), "it begins, and is suspended then"
    line.queues.restore([run("other", owner="uid-parent", **STARTED), run("third", owner="uid-parent")])
    assert line.count == (1, 0)


OVER = STARTED | {"phase": "Failed", "completionTime": "2026-01-01T00:01:00Z"}


@pytest.mark.parametrize(
    ("parents", "why"),
    [
        ({}, "the parent is not known"),
        ({"parent": {}}, "the parent waits itself"),
        ({"parent": {"suspend": True, "phase": "Suspended"}}, "the parent has not started"),
        ({"parent": OVER}, "the parent is over"),
        ({"parent": OVER | {"rerun": {"generation": 1}}}, "the parent's rerun waits"),
        ({"child": {"owner": "uid-child"}, "parent": {"owner": "uid-child"}}, "they own each other"),
        ({"parent": {"owner": "uid-nobody", **STARTED}}, "the parent has no place and no known parent"),
        ({"parent": {"owner": "uid-first", **STARTED}, "first": {}}, "the parent's parent waits"),
    ],
)
@pytest.mark.parametrize("restarted", [False, True])
def test_who_only_says_so_is_no_child_run(parents: dict[str, Obj], why: str, *, restarted: bool) -> None:
    line = Line(paused=True)
    for name, fields in parents.items():
        line.hear(name, **fields)
    child = run("child", owner="uid-parent")
    if restarted:
        line.queues.restore([child])
    assert line.why("child", owner="uid-parent").startswith("queue default is paused"), why
    assert line.count == Count(active=0, queued=1)
    line.limit()
    assert line.ask("child", owner="uid-parent"), "and its turn comes like any other's"
    assert line.queues.begins(child)
    line.hear("child", owner="uid-parent", **STARTED)
    assert line.count == Count(active=1, queued=0)
    line.hear("child", owner="uid-parent", **OVER)
    assert line.count == Count(active=0, queued=0)


def test_a_run_that_owns_itself_is_one_of_its_own() -> None:
    line = Line(maxActiveRuns=1)
    assert line.ask("first")
    line.hear("self", owner="uid-self")
    assert not line.ask("self", owner="uid-self")
    line.hear("self", owner="uid-self", **STARTED)
    line.queues.restore(line.catalog.runs)
    assert line.count == Count(active=2, queued=0), "after a restart its place is still counted"


def test_a_parent_of_another_namespace_is_none() -> None:
    line = Line(maxActiveRuns=1)
    elsewhere = run("parent", **STARTED)
    elsewhere["metadata"]["namespace"] = "other"
    line.catalog.apply(WORKFLOW_RUNS, "ADDED", elsewhere)
    assert line.ask("first")
    assert not line.ask("child", owner="uid-parent")


@pytest.mark.parametrize("order", list(permutations(("root", "middle", "leaf"))))
def test_in_whatever_order_runs_are_told_of_a_child_run_is_taken_for_one(order: tuple[str, ...]) -> None:
    """A cache may lag: the child is heard of, asks and stands in line before its parent is known, or its parent's."""
    line = Line(maxActiveRuns=1)
    assert line.ask("other")
    leaf = {"owner": "uid-middle"}
    told: dict[str, Obj] = {"root": STARTED, "middle": STARTED | {"owner": "uid-root"}, "leaf": leaf}
    for name in order:
        line.hear(name, **told[name])
        asks = name == "leaf" or "leaf" in line.woken
        line.woken.clear()
        assert (asks and line.ask("leaf", **leaf)) == (name == order[-1])
    assert line.queues.begins(run("leaf", **leaf))
    assert line.count == Count(active=1, queued=0), "it does not stand in line any more"
    line.queues.ended("uid-other")
    assert line.woken == []


def test_a_child_that_stood_in_line_is_woken_when_its_parent_begins() -> None:
    line = Line(maxActiveRuns=1)
    assert line.ask("other")
    line.hear("parent")
    line.hear("child", owner="uid-parent", suspend=True)
    line.hear("ended", owner="uid-parent", **OVER)
    assert not line.ask("parent")
    assert not line.ask("child", owner="uid-parent")
    line.hear("parent", **STARTED)
    assert line.woken == ["child"]
    line.hear("parent", **STARTED)
    assert line.woken == ["child"], "once is enough"
    assert line.ask("child", owner="uid-parent")
    assert line.count == Count(active=1, queued=1)


def test_a_child_is_woken_when_its_parent_is_given_a_place_of_its_own() -> None:
    """It is active, and its own parent is gone: one waited for the other's end."""
    line = Line(maxActiveRuns=1)
    parent = STARTED | {"owner": "uid-gone"}
    line.hear("parent", **parent)
    assert line.ask("other")
    line.hear("child", owner="uid-parent")
    assert not line.ask("child", owner="uid-parent")
    line.queues.started(run("parent", **parent))
    assert line.woken == ["child"]
    assert line.ask("child", owner="uid-parent")


def test_a_child_that_has_begun_goes_on_when_its_parent_has_ended() -> None:
    line = Line(maxActiveRuns=1)
    line.hear("parent", **STARTED)
    line.hear("child", owner="uid-parent")
    line.queues.started(run("parent", **STARTED))
    assert line.ask("child", owner="uid-parent")
    assert line.queues.begins(run("child", owner="uid-parent"))
    line.hear("parent", **OVER)
    assert line.ask("other")
    line.queues.started(run("child", owner="uid-parent", **STARTED))
    assert line.count == Count(active=1, queued=0), "it takes nobody's place"
    assert line.ask("child", owner="uid-parent")
    assert line.queues.begins(run("child", owner="uid-parent")), "also when it is read anew"


def test_a_child_whose_parent_ends_before_it_begins_stands_in_line() -> None:
    line = Line(maxActiveRuns=1)
    line.hear("parent", **STARTED)
    assert line.ask("child", owner="uid-parent")
    line.hear("parent", **OVER)
    assert not line.queues.begins(run("child", owner="uid-parent"))
    assert line.ask("other")
    assert not line.ask("child", owner="uid-parent")


def test_what_a_rerun_child_has_started_passes_by_on_the_childs_own_place() -> None:
    """Its parent is over, so it took a place of its own; who waited for the parent's would wait for ever."""
    line = Line(maxActiveRuns=1)
    line.hear("parent", **OVER)
    again = OVER | {"owner": "uid-parent", "rerun": {"generation": 1}}
    line.hear("child", **again)
    assert line.ask("child", **again)
    assert line.queues.begins(run("child", **again))
    line.hear("grandchild", owner="uid-child")
    assert line.ask("grandchild", owner="uid-child")
    assert line.count == Count(active=1, queued=0)


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
    queues = Queues(
        wake=lambda key: told.append(f"uid-{key.name}"),
        counted=lambda key: None,
        find_run=lambda key: None,
        child_runs=lambda key: [],
    )
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
