"""Runs under way that an older version has begun: its statuses are read as it meant them."""

from typing import Any

import orjson
import pytest
from support.engine import START, Driven, drive
from weft.engine import restore, status
from weft.engine.actions import Start
from weft.engine.state import RunState

UNDONE: dict[str, Any] = {
    "nodes": [
        {
            "name": "a",
            "while": {"condition": "iteration < 2", "maxIterations": 5},
            "job": "J",
            "compensate": {"job": "J"},
        },
        {"name": "b", "forEach": {"range": 2}, "job": "J", "compensate": {"job": "J"}},
        {"name": "bad", "dependsOn": ["a", "b"], "job": "J"},
    ]
}
GIB = 1 << 30


def taken_over(run: Driven, as_older: dict[str, Any]) -> None:
    """Another process goes on with the run, from a status in which these fields of node entries read otherwise."""
    stored = orjson.loads(orjson.dumps(status.make(run.state, previous={}, generation=1, now=run.now).status))
    for entry in stored["nodes"]:
        for unit in (entry, *entry.get("items", ())):
            for field in as_older.keys() & unit.keys():
                older = as_older[field](unit)
                del unit[field]
                unit |= older
    state: RunState = restore.restore(run.state.workflow, run.state.context, stored, stored["nodes"], start=START)
    run.state = state
    run.actions += restore.resume(state, run.now).actions


def only_that_one_was_lost(unit: dict[str, Any]) -> dict[str, Any]:
    done = [each for each in unit.get("done", ()) if each[0] not in unit["lost"]]
    return {"lost": True} | ({"done": done} if done else {})


def test_what_is_left_to_undo_is_undone_though_one_compensation_has_failed() -> None:
    run = drive(UNDONE)
    for at, index in ((1, 0), (2, 1)):
        run.succeed("b", index, at=at)
    for at in (3, 4, 5):
        run.succeed("a", at=at)
    run.fail("bad", at=6)
    run.fail("a", at=7)  # the last round cannot be undone
    taken_over(run, {"lost": only_that_one_was_lost})
    undone = []
    for at in range(8, 12):
        taken_over(run, {"lost": only_that_one_was_lost})
        [undo] = run.state.active
        undone.append((undo.path, undo.index, undo.iteration))
        (run.fail if undo.index == 1 else run.succeed)(undo.path, undo.index, at=at)
    assert undone == [("a", None, 1), ("a", None, 0), ("b", 1, None), ("b", 0, None)]
    assert run.state.finished


@pytest.mark.parametrize("kills", [1, 2, 3])
def test_memory_that_was_raised_stays_raised(kills: int) -> None:
    job = {"image": "i", "resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}}
    retry = {"limit": 9, "backoff": {"initialSeconds": 1}, "onOutOfMemory": {"factor": 2, "max": "6Gi"}}
    run = drive({"nodes": [{"name": "a", "job": job, "retry": retry}]})
    for number in range(kills):
        run.fail("a", at=10 * number, reason="OOMKilled")
        if number < kills - 1:
            run.see(at=10 * number + 5)
    granted = min(6, 2 * 2**kills)
    taken_over(run, {"memoryRaises": lambda unit: {"memory": granted * GIB}})
    run.see(at=10 * kills + 5)
    last = [action for action in run.actions if isinstance(action, Start)][-1]
    assert last.memory is not None
    assert last.memory["limits"] == granted * GIB


SEEN = "nodes.a.phase != 'Succeeded'"
WAITS: dict[str, Any] = {
    "parallelism": 1,
    "nodes": [
        {"name": "a", "job": "J"},
        {"name": "b", "dependsOn": ["a:Done", "c"], "join": "Any", "when": SEEN, "job": "J"},
        {"name": "c", "expr": {"x": "1"}},
        {"name": "each", "forEach": {"range": 2}, "job": "J"},
    ],
}
"""While `a` has the only place, the others wait for it. Asked once more when `a` has ended, `b` would be skipped."""


@pytest.mark.parametrize("word", ["asked", "begun"])
def test_a_node_that_waits_for_a_place_is_not_asked_again_by_whichever_word_it_is_told(word: str) -> None:
    run = drive(WAITS)
    taken_over(run, {"asked": lambda unit: {word: True}})
    for path, index in (("a", None), ("each", 0), ("each", 1)):
        run.succeed(path, index, at=1)
    assert run.attempt("b").attempt == 1


def test_only_what_has_items_is_told_to_have_begun_for_the_sake_of_versions_that_know_no_other() -> None:
    run = drive(WAITS)
    found = status.make(run.state, previous={}, generation=1, now=run.now).status["nodes"]
    assert [entry["name"] for entry in found if "begun" in entry] == ["each"]
