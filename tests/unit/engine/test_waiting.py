"""What a node's entry in the status says while it waits, and what it says when it has waited too long."""

from typing import Any
from unittest.mock import patch

import pytest
from support.engine import START, Driven, drive, restored
from weft.controllers.locks import held_keys
from weft.engine import budget, restore, status
from weft.engine.actions import Acquire, LookUp
from weft.engine.observation import AttemptPending, CacheAnswer, Controls, Decision, LockAnswer
from weft.engine.snapshot import entries
from weft.engine.state import AttemptId, RunState

Words = tuple[str | None, str | None]

SECRET = 'container main cannot start: CreateContainerConfigError: secret "s" not found'
FITS = "no cluster node can run the Pod: 0/1 nodes fit"


def entry(state: RunState, name: str = "a") -> dict[str, Any]:
    return next(one for one in entries(state) if one["name"] == name)


def words(state: RunState, name: str = "a") -> Words:
    found = entry(state, name)
    return found.get("reason"), found.get("message")


def job(**fields: Any) -> Driven:
    return drive({"nodes": [{"name": "a", "job": "J", **fields}]})


def wait(run: Driven, reason: str | None, message: str = "", *, at: float | None = None) -> None:
    run.see(AttemptPending(run.attempt("a"), reason, message, run.now), at=at)


def reborn(run: Driven) -> RunState:
    state = restored(run.state, run.now)
    restore.resume(state, run.now)
    return state


def test_a_container_that_cannot_start_says_why_until_it_runs() -> None:
    run = job()
    wait(run, "ContainerCannotStart", SECRET)
    assert words(run.state) == words(reborn(run)) == ("ContainerCannotStart", SECRET)
    wait(run, None)
    assert words(run.state) == (None, None)


def test_a_pod_that_is_merely_starting_makes_nothing_to_write() -> None:
    run = job()
    run.state.dirty = False
    wait(run, "WaitingForPod", "the Pod waits for the scheduler")
    wait(run, "WaitingForPod", "the Pod is starting on cluster node n1")
    assert (words(run.state), run.state.dirty) == ((None, None), False)


def test_a_start_that_takes_long_is_shown_and_asks_for_no_status_of_its_own() -> None:
    run = job()
    wait(run, "WaitingForPod", "the Pod waits for the scheduler")
    run.state.dirty = False
    assert run.see(at=30).stale
    assert words(run.state) == ("WaitingForPod", "the Pod waits for the scheduler")
    for reason, message in (("WaitingForPod", "the Pod is starting on cluster node n1"), (None, "")):
        seen = AttemptPending(run.attempt("a"), reason, message, run.now)
        assert [run.see(seen).stale, run.see(seen).stale] == [True, False]
    assert (words(run.state), run.state.dirty) == ((None, None), False)


def test_new_words_of_the_same_reason_are_shown() -> None:
    run = job()
    wait(run, "Unschedulable", FITS)
    run.state.dirty = False
    wait(run, "Unschedulable", FITS)
    assert not run.state.dirty
    wait(run, "Unschedulable", "0/5 nodes: insufficient cpu")
    assert (words(run.state), run.state.dirty) == (("Unschedulable", "0/5 nodes: insufficient cpu"), True)


def test_a_number_that_changes_is_told_with_the_next_write_and_asks_for_none() -> None:
    run = job()
    wait(run, "QuotaExceeded", "used: pods=10, waited 1s")
    run.state.dirty = False
    wait(run, "QuotaExceeded", "used: pods=9, waited 2s")
    assert (words(run.state), run.state.dirty) == (("QuotaExceeded", "used: pods=9, waited 2s"), False)


def test_of_items_only_those_that_a_quota_refuses_are_pending() -> None:
    run = drive({"nodes": [{"name": "a", "forEach": {"range": 2}, "job": "J"}]})
    run.see(AttemptPending(run.attempt("a", 1), "QuotaExceeded", "used: pods=10", run.now, podless=True))
    for state in (run.state, reborn(run)):
        found = entry(state)
        assert (found["phase"], [item["phase"] for item in found["items"]]) == ("Running", ["Running", "Pending"])


def test_what_is_wrong_with_an_image_is_not_hidden_by_the_back_off_that_follows() -> None:
    run = job()
    wait(run, "ImagePullFailed", "image i cannot be pulled: ErrImagePull: not found")
    wait(run, "ImagePullFailed", "image i cannot be pulled: ImagePullBackOff: Back-off pulling image")
    assert words(run.state) == ("ImagePullFailed", "image i cannot be pulled: ErrImagePull: not found")
    wait(run, "ImagePullFailed", "image i cannot be pulled: ErrImagePull: unauthorized")
    assert words(run.state) == ("ImagePullFailed", "image i cannot be pulled: ErrImagePull: unauthorized")


LATE = "the Pod did not run within pendingTimeoutSeconds (30 s)"


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    ("reason", "message", "ends"),
    [
        ("WaitingForPod", "the Job is suspended", ("PendingTimeout", f"{LATE}: the Job is suspended")),
        ("WaitingForPod", "", ("PendingTimeout", LATE)),
        ("ContainerCannotStart", SECRET, ("ContainerCannotStart", f"{LATE}: {SECRET}")),
        ("Unschedulable", FITS, ("Unschedulable", f"{LATE}: {FITS}")),
        ("Unschedulable", "", ("Unschedulable", LATE)),
    ],
)
def test_a_pod_that_never_ran(reason: str, message: str, ends: Words, restart: bool) -> None:
    run = job(pendingTimeoutSeconds=30)
    wait(run, reason, message)
    if restart:
        run.state = reborn(run)
    run.see(at=30)  # it is stopped
    if restart:
        run.state = reborn(run)
    run.fail("a", at=31, reason="Stopping")
    assert words(run.state) == ends


def test_the_time_to_start_runs_on_whatever_it_is_that_it_waits_for() -> None:
    run = job(pendingTimeoutSeconds=30)
    wait(run, "Unschedulable", FITS)
    wait(run, "WaitingForPod", "the Pod is starting on cluster node n1", at=20)
    assert words(run.state) == (None, None)
    run.see(at=30)
    run.fail("a", at=31, reason="Stopping")
    assert words(run.state) == ("PendingTimeout", f"{LATE}: the Pod is starting on cluster node n1")


KEY = {"nodes": [{"name": "a", "job": "J", "concurrency": {"key": "db"}}]}
WAITS_FOR_KEY = ("WaitingForConcurrency", "waits for the concurrency key db")


def grant(run: Driven, *, granted: bool = True) -> None:
    gate = next(id_ for id_ in run.state.active if not id_.attempt)
    run.see(LockAnswer(gate, granted=granted))


def test_a_node_that_waits_for_a_key_says_for_which() -> None:
    run = drive(KEY)
    assert entry(run.state)["phase"] == "Pending"
    assert words(run.state) == words(reborn(run)) == WAITS_FOR_KEY
    grant(run)
    assert entry(run.state)["phase"] == "Running"
    assert words(run.state) == (None, None)


def test_a_loop_none_of_whose_items_has_its_key() -> None:
    run = drive({"nodes": [{**KEY["nodes"][0], "forEach": {"range": 2}}]})
    assert words(run.state) == words(reborn(run)) == WAITS_FOR_KEY
    grant(run)
    assert words(run.state) == (None, None)
    assert [item["phase"] for item in entry(run.state)["items"]] == ["Running"]


def test_a_key_that_is_taken() -> None:
    run = drive(KEY)
    grant(run, granted=False)
    assert words(run.state) == ("ConcurrencySkipped", "the concurrency key db is taken")


def test_a_node_that_is_cancelled_waits_for_no_key() -> None:
    run = drive(KEY)
    run.see(Controls(stop="Cancel"))
    assert words(run.state) == ("Stopped", None)


def test_a_node_that_is_held_back_waits_for_no_key() -> None:
    run = drive({"nodes": [*KEY["nodes"], {"name": "b", "job": "J"}]})
    run.see(Controls(stop="Drain"))
    assert words(run.state) == words(reborn(run)) == (None, None)
    run.succeed("b", at=1)
    assert words(run.state) == ("Stopped", None)


def test_a_key_between_two_rounds() -> None:
    loop = {"condition": "true", "maxIterations": 3}
    run = drive({"nodes": [{**KEY["nodes"][0], "while": loop}]})
    grant(run)
    run.succeed("a", at=1)
    assert entry(run.state)["phase"] == "Running"
    assert words(run.state) == WAITS_FOR_KEY
    grant(run)
    assert words(run.state) == (None, None)


def test_a_node_without_a_place_says_so_and_one_that_got_it_does_not() -> None:
    run = drive({"parallelism": 1, "nodes": [{"name": name, "job": "J"} for name in "ab"]})
    says = (None, "waits for the running Pod to end")
    assert words(run.state, "b") == words(reborn(run), "b") == says
    run.succeed("a", at=1)
    assert words(run.state, "b") == (None, None)


ASKS = {"nodes": [{"name": "a", "approval": {"message": "Q?", "quorum": 3}}]}


def test_the_question_stays_while_people_decide() -> None:
    run = drive(ASKS)
    assert words(run.state) == ("AwaitingApproval", "Q?")
    for person, says in (("ana", "Q? (1 of 3 approvals: ana)"), ("ben", "Q? (2 of 3 approvals: ana, ben)")):
        run.see(Decision(run.attempt("a"), person, "Approve", run.now))
        assert words(run.state) == words(reborn(run)) == ("AwaitingApproval", says)


def test_decisions_stand_alone_where_nothing_was_asked() -> None:
    run = drive({"nodes": [{"name": "a", "approval": {"quorum": 2}}]})
    run.see(Decision(run.attempt("a"), "ana", "Approve", run.now))
    assert words(run.state) == words(reborn(run)) == ("AwaitingApproval", "1 of 2 approvals: ana")


@pytest.mark.parametrize(
    ("message", "asked"), [("${{ params.p }}", '{"a":null}'), ("${{ 1 == 1 }}", "true"), ("${{ 'x' }}", "x")]
)
def test_what_is_asked_is_text_as_templates_make_it(message: str, asked: str) -> None:
    spec = {
        "parameters": [{"name": "p", "type": "object"}],
        "nodes": [{"name": "a", "approval": {"message": message}}],
    }
    assert words(drive(spec, params={"p": {"a": None}}).state) == ("AwaitingApproval", asked)


def test_a_long_question_leaves_room_for_who_has_decided() -> None:
    run = drive({"nodes": [{"name": "a", "approval": {"message": "Q" * 2000, "quorum": 2}}]})
    run.see(Decision(run.attempt("a"), "ana", "Approve", run.now))
    assert words(run.state) == words(reborn(run))
    assert (words(run.state)[1] or "").endswith("Q… (1 of 2 approvals: ana)")


def test_a_foreach_tells_of_an_item_that_cannot_start_as_long_as_there_is_one() -> None:
    run = drive(
        {"nodes": [{"name": "a", "job": "J", "pendingTimeoutSeconds": 10, "forEach": {"range": 3, "maxFailed": 2}}]}
    )
    node = run.state.main.nodes[0]
    for index, at in ((0, 1), (1, 5)):
        run.see(AttemptPending(run.attempt("a", index), "Unschedulable", f"no place for {index}", START + at), at=at)
    assert (node.reason, node.message) == ("Unschedulable", "no place for 1")
    run.see(AttemptPending(run.attempt("a", 1), None, "", START + 6), at=6)
    assert (node.reason, node.message) == ("Unschedulable", "no place for 0")
    run.see(at=11)
    run.fail("a", 0, at=12)  # stopped, as it was pending for too long
    assert node.units[0].reason == "Unschedulable"
    assert (node.reason, node.message) == (None, "")


def test_a_key_is_on_record_as_soon_as_it_is_given_though_there_is_no_place_yet() -> None:
    key = {"key": "db", "policy": "Skip"}
    nodes = [{"name": "first", "job": "J"}, {"name": "a", "job": "J", "concurrency": key, "cache": {"key": "'x'"}}]
    each = {**nodes[1], "name": "each", "forEach": {"range": 1}}
    run = drive({"parallelism": 1, "nodes": [*nodes, each]})
    for path in ("a", "each"):
        index = 0 if path == "each" else None
        gate = AttemptId(path, index, None, "main", 0)
        run.see(CacheAnswer(gate, None))
        run.see(LockAnswer(gate, granted=True))
    for _ in range(2):
        stored = status.make(run.state, previous={}, generation=1, now=run.now).status
        assert {(key, gate.path) for key, gate in held_keys(stored)} == {("db", "a"), ("db", "each")}
        run.state = restored(run.state, run.now)
        actions = restore.resume(run.state, run.now).actions
        assert not [action for action in actions if isinstance(action, Acquire | LookUp)]
    run.succeed("first", at=1)
    run.succeed("a", at=2)
    run.succeed("each", 0, at=3)
    assert run.state.outcome == "Succeeded"


def test_a_node_that_asks_its_cache_anew_before_it_waits_for_its_key() -> None:
    run = drive({"nodes": [{**KEY["nodes"][0], "cache": {"key": "'x'"}}]})
    run.see(CacheAnswer(run.state.main.nodes[0].units[0].gate, None))
    assert words(run.state) == WAITS_FOR_KEY
    run.state = reborn(run)
    found = status.make(run.state, previous={}, generation=1, now=run.now).status
    assert found["conditions"][0]["message"] == "0 of 1 nodes done"
    run.see(CacheAnswer(run.state.main.nodes[0].units[0].gate, None))
    found = status.make(run.state, previous={}, generation=1, now=run.now).status
    assert WAITS_FOR_KEY[1] in found["conditions"][0]["message"]


def test_a_question_that_was_too_long_for_a_packed_status_is_put_anew() -> None:
    run = drive(ASKS)
    run.see(Decision(run.attempt("a"), "ana", "Approve", run.now))
    before = words(run.state)
    with patch.multiple(budget, MAX_ENTRIES=0, MESSAGE_ROOM=5):
        stored = status.make(run.state, previous={}, generation=1, now=run.now).status
    run.state = restore.restore(
        run.state.workflow, run.state.context, stored, budget.read_nodes(stored, {}), start=START
    )
    restore.resume(run.state, run.now)
    assert words(run.state) == before
