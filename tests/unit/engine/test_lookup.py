"""Whether the engine has had its say on an attempt, also on one in an earlier round of a `while`."""

from typing import Any

from support.engine import Driven, drive
from weft.engine import advance
from weft.engine.lookup import settled
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
