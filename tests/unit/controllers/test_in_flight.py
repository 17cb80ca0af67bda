"""Bounds of what is in flight: of a namespace, of all, and whose turn is next."""

import asyncio
from collections.abc import Callable

from weft.controllers.in_flight import InFlight


class Crowd:
    """Everybody who has asked for room; `inside` in the order of entering, until `go`."""

    def __init__(self, of_a_namespace: int, of_all: int) -> None:
        self.rooms = InFlight(of_a_namespace, of_all)
        self.inside: list[str] = []
        self._doors: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, *names: str) -> None:
        for name in names:
            self._doors[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._be(name))
        await settled()

    async def _be(self, name: str) -> None:
        async with self.rooms.room(name[0]):
            self.inside.append(name)
            await self._doors[name].wait()
        self.inside.remove(name)

    async def go(self, *names: str) -> None:
        for name in names:
            self._doors[name].set()
        await settled()

    async def give_up(self, *names: str) -> None:
        for name in names:
            self.tasks[name].cancel()
        await settled()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_namespace_at_its_bound_holds_up_no_other() -> None:
    crowd = Crowd(2, 10)
    await crowd.ask("a1", "a2", "a3", "a4", "b1")
    assert crowd.inside == ["a1", "a2", "b1"]
    await crowd.go("a1")
    assert crowd.inside == ["a2", "b1", "a3"]
    await crowd.go("b1")
    assert crowd.inside == ["a2", "a3"]


async def test_of_all_there_are_only_so_many_and_namespaces_take_turns() -> None:
    crowd = Crowd(3, 3)
    await crowd.ask("a1", "a2", "a3", "a4", "a5", "a6", "b1", "b2", "c1")
    assert crowd.inside == ["a1", "a2", "a3"]
    entered = []
    for leaving in ("a1", "a2", "a3", "a4", "b1", "c1"):
        before = set(crowd.inside)
        await crowd.go(leaving)
        entered += [name for name in crowd.inside if name not in before]
    assert entered == ["a4", "b1", "c1", "a5", "b2", "a6"]


async def test_who_gives_up_leaves_no_hole() -> None:
    crowd = Crowd(1, 2)
    await crowd.ask("a1", "a2", "a3", "b1", "b2")
    await crowd.give_up("a2", "b1")  # one who waits, one who is in
    assert crowd.inside == ["a1", "b1", "b2"]  # b1 never said goodbye
    await crowd.go("a1")
    assert "a3" in crowd.inside


async def test_who_gives_up_in_the_moment_of_being_let_in_gives_the_room_back() -> None:
    crowd = Crowd(1, 1)
    await crowd.ask("a1", "a2", "b1")
    crowd._doors["a1"].set()
    await until_not(lambda: "a1" in crowd.inside)
    crowd.tasks["a2"].cancel()
    await settled()
    assert crowd.inside == ["b1"]


async def until_not(condition: Callable[[], bool]) -> None:
    """Go on only until the condition ends: in that same turn of the loop the next one's turn has come."""
    for _ in range(100):
        if not condition():
            return
        await asyncio.sleep(0)
