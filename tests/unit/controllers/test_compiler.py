"""Workflows are compiled once for each content, beside the event loop, and what is kept of them has a bound."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from support.rig import Rig
from weft.controllers.compiler import Compiler, Compiling
from weft.graph.compile import InvalidWorkflow
from weft.kube.clock import spawn
from weft.kube.resources import WORKFLOW_RUNS

T = TypeVar("T")

SPEC = {"nodes": [{"name": "a", "use": {"name": "t"}}], "parameters": [{"name": "p"}]}
TYPES = {"t": {"job": {"image": "i"}}, "other": {"job": {"image": "i"}}}


class Aside:
    """Counts the work that it is given, and does it once it may."""

    def __init__(self) -> None:
        self.given = 0
        self.may = asyncio.Event()
        self.may.set()

    async def __call__(self, work: Callable[[], T]) -> T:
        self.given += 1
        await self.may.wait()
        return work()


@pytest.fixture
def aside() -> Aside:
    return Aside()


@pytest.fixture
def compiler(aside: Aside) -> Compiler:
    return Compiler(aside, spawn=spawn)


def plain(image: str) -> dict[str, Any]:
    return {"nodes": [{"name": "a", "job": {"image": image}}]}


async def test_the_same_content_is_compiled_once(compiler: Compiler, aside: Aside) -> None:
    first, *others = await asyncio.gather(*(compiler.compile(dict(SPEC), TYPES) for _ in range(10)))
    assert all(each is first for each in others)
    assert aside.given == 1
    assert [parameter.name for parameter in first.main.parameters] == ["p"]


async def test_types_that_it_does_not_use_make_no_difference(compiler: Compiler, aside: Aside) -> None:
    await compiler.compile(SPEC, TYPES)
    await compiler.compile(SPEC, {"t": TYPES["t"]})
    assert aside.given == 1
    other = await compiler.compile(SPEC, {"t": {"job": {"image": "newer"}}})
    assert aside.given == 2
    assert other.main.nodes[0].body.job is not None


@pytest.mark.parametrize(
    ("spec", "types", "problem"),
    [
        ({"nodes": [{"name": "a"}]}, {}, r"^spec\.nodes\[0\]"),
        (plain("i") | {"nodes": [{"name": "a", "dependsOn": ["a"], "job": {"image": "i"}}]}, {}, "a -> a"),
        (SPEC, {}, r"^spec\.nodes\[0\]\.use\.name: .*'t'"),
        (SPEC, {"t": {"job": 1}}, r"^NodeType t: spec\.job"),
        ({}, {}, r"^spec\.nodes: "),
    ],
)
async def test_what_is_wrong_is_told_every_time_and_found_once(
    compiler: Compiler, aside: Aside, spec: Any, types: Any, problem: str
) -> None:
    for _ in range(2):
        with pytest.raises(InvalidWorkflow, match=problem):
            await compiler.compile(spec, types)
    assert aside.given == 1


async def test_who_gives_up_takes_it_from_nobody(compiler: Compiler, aside: Aside) -> None:
    aside.may.clear()
    impatient, patient = (asyncio.create_task(compiler.compile(SPEC, TYPES)) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    aside.may.set()
    assert (await patient).main.nodes[0].name == "a"


async def test_what_is_kept_has_a_bound(compiler: Compiler, aside: Aside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.controllers.compiler.CAPACITY_BYTES", 200)
    for image in ("one", "two", "one", "three", "one"):
        await compiler.compile(plain(image), {})
    assert aside.given == 3  # the one that was asked for last is kept
    await compiler.compile(plain("two"), {})
    assert aside.given == 4
    giant = plain("g" * 300)
    for _ in range(2):
        await compiler.compile(giant, {})
    assert aside.given == 5  # the newest is always kept


async def test_who_cannot_wait_comes_again(compiler: Compiler, aside: Aside) -> None:
    aside.may.clear()
    with pytest.raises(Compiling) as raised:
        compiler.compiled(SPEC, TYPES)
    aside.may.set()
    await raised.value.done
    assert compiler.compiled(SPEC, TYPES) is await compiler.compile(SPEC, TYPES)
    assert aside.given == 1


async def test_a_bug_ends_at_those_who_ask_for_that_workflow() -> None:
    async def broken(work: Callable[[], T]) -> T:
        raise TypeError("a bug")

    compiler = Compiler(broken, spawn=spawn)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="cannot be compiled") as raised:
            await compiler.compile(SPEC, TYPES)
        assert isinstance(raised.value.__cause__, TypeError)


async def test_runs_of_a_workflow_that_takes_long_hold_up_nobody_else() -> None:
    rig = Rig(workers=2)
    await rig.up()
    rig.workflow("known", plain("i"))
    await rig.clock.advance(3)
    assert rig.replica is not None
    rig.replica.compiling = 60.0
    rig.workflow("giant", plain("g"))
    for number in range(5):
        rig.start("giant", f"giant-{number}")
    rig.start("known", "quick")
    await rig.wait(lambda: rig.ended("quick"), seconds=5)
    assert rig.phase("giant-0") == "None"
    await rig.wait(lambda: all(rig.ended(f"giant-{number}") for number in range(5)), seconds=70)
    assert {rig.phase(f"giant-{number}") for number in range(5)} == {"Succeeded"}
    await rig.close()


async def test_one_that_is_deleted_meanwhile_begins_nothing() -> None:
    rig = Rig()
    await rig.up()
    assert rig.replica is not None
    rig.replica.compiling = 10.0
    rig.workflow("w", plain("i"))
    rig.start("w")
    await rig.clock.advance(5)
    rig.api.remove(WORKFLOW_RUNS, "n", "r")
    await rig.clock.advance(10)
    assert not rig.jobs_made()
    await rig.close()
