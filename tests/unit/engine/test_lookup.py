"""Whether the engine has had its say on an attempt, also on one in an earlier round of a `while`."""

from typing import Any

import pytest
from support.engine import Driven, drive, restored
from weft.engine import advance
from weft.engine.lookup import reckon, settled
from weft.engine.state import AttemptId


def looped(**fields: Any) -> Driven:
    graphs = [{"name": "g", "nodes": [{"name": "x", "job": "J", **fields}]}]
    loop = {"name": "a", "while": {"condition": "iteration < 1", "maxIterations": 5}, "graph": {"name": "g"}}
    return drive({"nodes": [loop, {"name": "bad", "dependsOn": ["a"], "job": "J"}], "graphs": graphs})


def main(path: str, attempt: int = 1) -> AttemptId:
    return AttemptId(path, None, None, "main", attempt)


def undo(path: str, attempt: int = 1) -> AttemptId:
    return AttemptId(path, None, None, "compensate", attempt)


def test_an_attempt_in_an_earlier_round_is_settled_and_one_in_a_later_is_not() -> None:
    for run in (looped(), looped(compensate={"job": "J"})):
        assert not settled(run.state, main("a[0]/x"))
        run.succeed("a[0]/x", at=1)
        assert settled(run.state, main("a[0]/x"))
        assert not settled(run.state, main("a[1]/x"))
        assert not settled(run.state, main("a[2]/x"))


def test_a_compensation_in_an_earlier_round_is_awaited_until_the_run_has_ended() -> None:
    run = looped(compensate={"job": "J"})
    run.succeed("a[0]/x", at=1)
    run.succeed("a[1]/x", at=2)
    run.fail("bad", at=3)
    assert run.state.active.keys() == {undo("a[1]/x")}
    assert not settled(run.state, undo("a[0]/x"))  # it comes next; after a crash its Pod may be there already
    run.succeed("a[1]/x", at=4)
    assert run.state.active.keys() == {undo("a[0]/x")}
    run.succeed("a[0]/x", at=5)
    assert run.state.finished
    assert settled(run.state, undo("a[0]/x"))


def test_numbers_of_compensations_in_earlier_rounds_are_not_used_again() -> None:
    run = looped(compensate={"job": "J"})
    for offset, number in ((0, 1), (10, 2)):
        run.succeed("a[0]/x", at=offset + 1)
        run.succeed("a[1]/x", at=offset + 2)
        run.fail("bad", at=offset + 3)
        for path in ("a[1]/x", "a[0]/x"):
            assert run.attempt(path) == undo(path, number)
            run.succeed(path, at=offset + 4)
        advance.restart(run.state, generation=number, mode="All", nodes=(), now=run.now + 1)
        assert settled(run.state, undo("a[0]/x", number))


def undone_by_a_graph(**more: Any) -> Driven:
    """Both what a does and what undoes it are graphs, with a node of the same name; then another node fails."""
    graphs = [{"name": name, "nodes": [{"name": "x", "job": "J"}]} for name in ("does", "undoes")]
    node = {"name": "a", "graph": {"name": "does"}, "compensate": {"graph": {"name": "undoes"}}, **more}
    return drive({"nodes": [node, {"name": "bad", "dependsOn": ["a"], "job": "J"}], "graphs": graphs})


def test_what_a_compensations_graph_does_is_awaited_from_before_the_failure_until_it_is_undone() -> None:
    run = undone_by_a_graph()
    run.succeed("a/x", at=1)
    assert not settled(run.state, main("a.compensate/x"))  # a crash may have hidden that bad has failed
    run.fail("bad", at=2)
    assert run.state.active.keys() == {main("a.compensate/x")}
    assert not settled(run.state, main("a.compensate/x", 2))
    run.succeed("a.compensate/x", at=3)
    assert run.state.finished
    assert settled(run.state, main("a.compensate/x"))


def test_of_several_compensations_by_a_graph_each_is_awaited_until_its_own_end() -> None:
    run = undone_by_a_graph(forEach={"items": "[1, 2]"})
    run.succeed("a[0]/x", at=1)
    run.succeed("a[1]/x", at=2)
    run.fail("bad", at=3)
    assert run.state.active.keys() == {main("a[1].compensate/x")}
    assert not settled(run.state, main("a[0].compensate/x"))
    run.succeed("a[1].compensate/x", at=4)
    assert run.state.active.keys() == {main("a[0].compensate/x")}
    assert settled(run.state, main("a[1].compensate/x"))
    assert not settled(run.state, main("a[0].compensate/x", 2))


def test_a_compensation_is_awaited_until_its_own_end_not_the_runs() -> None:
    run = looped(compensate={"job": "J"})
    run.succeed("a[0]/x", at=1)
    run.succeed("a[1]/x", at=2)
    run.fail("bad", at=3)
    assert not settled(run.state, undo("a[1]/x", 2))  # it may be tried once more
    run.succeed("a[1]/x", at=4)
    assert settled(run.state, undo("a[1]/x"))


@pytest.mark.parametrize("stray", [main("a.compensate/x", 3), undo("a", 3)], ids=["in-its-graph", "itself"])
def test_a_stray_compensation_takes_its_number_with_it(stray: AttemptId) -> None:
    run = undone_by_a_graph()
    run.succeed("a/x", at=1)
    run.fail("bad", at=2)
    run.succeed("a.compensate/x", at=3)
    reckon(run.state, stray)  # made before a crash; the engine has decided otherwise since
    advance.restart(run.state, generation=1, mode="All", nodes=(), now=run.now + 1)
    assert run.state.active.keys() == {main("a/x", 2)}, "what it does is numbered by itself"
    run.succeed("a/x", at=5)
    run.fail("bad", at=6)
    assert run.state.active.keys() == {main("a.compensate/x", 4)}
    assert settled(run.state, main("a.compensate/x", 3))


def test_a_stray_in_the_graph_of_the_compensation_in_hand_is_counted_there() -> None:
    graphs = [{"name": "undoes", "nodes": [{"name": "x", "job": "J"}, {"name": "y", "job": "J"}]}]
    node = {"name": "a", "job": "J", "compensate": {"graph": {"name": "undoes"}}}
    run = drive({"nodes": [node, {"name": "bad", "dependsOn": ["a"], "job": "J"}], "graphs": graphs})
    run.succeed("a", at=1)
    run.fail("bad", at=2)
    run.succeed("a.compensate/x", at=3)
    assert settled(run.state, main("a.compensate/x", 2))
    reckon(run.state, main("a.compensate/x", 2))
    run.succeed("a.compensate/y", at=4)
    advance.restart(run.state, generation=1, mode="All", nodes=(), now=run.now + 1)
    run.succeed("a", at=5)
    run.fail("bad", at=6)
    assert run.state.active.keys() == {main("a.compensate/x", 3), main("a.compensate/y", 3)}


def test_a_stray_compensation_of_one_item_takes_its_number_with_it_while_another_is_undone() -> None:
    node = {"name": "a", "job": "J", "forEach": {"items": "[1, 2]"}, "compensate": {"job": "J"}}
    run = drive({"nodes": [node, {"name": "bad", "dependsOn": ["a"], "job": "J"}]})
    stray = AttemptId("a", 1, None, "compensate", 3)
    run.succeed("a", index=0, at=1)
    run.succeed("a", index=1, at=2)
    run.fail("bad", at=3)
    run.succeed("a", index=1, at=4)
    assert run.state.active.keys() == {AttemptId("a", 0, None, "compensate", 1)}
    assert settled(run.state, stray)
    reckon(run.state, stray)
    run.succeed("a", index=0, at=5)
    advance.restart(run.state, generation=1, mode="All", nodes=(), now=run.now + 1)
    run.succeed("a", index=0, at=7)
    run.succeed("a", index=1, at=8)
    run.fail("bad", at=9)
    assert run.state.active.keys() == {AttemptId("a", 1, None, "compensate", 4)}


def test_a_stray_of_an_earlier_round_takes_its_number_with_it_but_does_not_number_the_round_in_hand() -> None:
    run = looped(retry={"limit": 1, "backoff": {"initialSeconds": 1}})
    run.succeed("a[0]/x", at=1)
    stray = main("a[0]/x", 3)
    assert settled(run.state, stray)
    reckon(run.state, stray)
    run.fail("a[1]/x", at=2)
    run.see(at=10)
    assert run.state.active.keys() == {main("a[1]/x", 2)}
    run.fail("a[1]/x", at=11)
    advance.restart(run.state, generation=1, mode="All", nodes=(), now=run.now + 1)
    assert run.state.active.keys() == {main("a[0]/x", 4)}


@pytest.mark.parametrize(
    "more",
    [{}, {"forEach": {"range": 2}}, {"while": {"condition": "iteration < 1", "maxIterations": 5}}],
    ids=["plain", "item", "iteration"],
)
@pytest.mark.parametrize("body", ["job", "graph"])
def test_a_stray_of_what_was_not_to_begin_takes_its_number_with_it(body: str, more: Any) -> None:
    """The process that began it has died, and its heir has seen something else first."""
    graphs = [{"name": "g", "nodes": [{"name": "x", "job": "J"}]}]
    node = {"name": "a", "dependsOn": ["first"], body: "J" if body == "job" else {"name": "g"}, **more}
    run = drive({"nodes": [{"name": "first", "job": "J"}, node], "graphs": graphs})
    run.fail("first", at=1)
    assert (run.state.finished, run.state.main.nodes[1].phase) == (True, "Skipped")
    if body == "graph":
        stray = main("a[0]/x" if more else "a/x")
    else:
        stray = AttemptId("a", 0 if "forEach" in more else None, 0 if "while" in more else None, "main", 1)
    reckon(run.state, stray)
    run.state = restored(run.state, run.now)
    advance.restart(run.state, generation=1, mode="All", nodes=(), now=run.now + 1)
    run.succeed("first", at=5)
    assert stray._replace(attempt=2) in run.state.active
    assert stray not in run.state.active
