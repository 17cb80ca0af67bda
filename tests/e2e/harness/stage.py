"""Scenarios, and the stage they are played on, many at a time.

A scenario is a function that takes a namespace, starts a run, does what a user would do, and asserts what a user would
see. The same scenario is played in calm, with the operator killed at random moments, and with the built-in Job
controller doing the work; each performance is one test. All performances of a round share a namespace and run at the
same time, a few at once, since most of their time is waiting.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from e2e.harness.operator import Operator
from e2e.harness.place import Place

Play = Callable[[Place], None]

AT_ONCE = 12
"""Performances at one time: enough to fill the waiting, few enough that Pods of a small machine start in seconds."""
AT_ONCE_KILLED = 20
"""And where they wait for an operator to come back, too."""


MOST_KILLS = 10
"""In a round; in one with many scenarios, one for every three."""
MOST_ROUNDS = 3
CALMLY, QUICKLY = (2.0, 9.0), (0.0, 1.0)
"""Seconds between an operator that leads again and its next death."""


@dataclass(frozen=True)
class Scenario:
    """A scenario and the rounds it is played in, besides the calm one."""

    name: str
    play: Play
    killed: bool
    builtin: bool


SCENARIOS: dict[str, Scenario] = {}


def scenario(*, killed: bool = True, builtin: bool = False) -> Callable[[Play], Play]:
    """Enter a function into the table: with the operator killed in the middle, with the built-in Job controller."""

    def enter(play: Play) -> Play:
        name = play.__name__.replace("_", "-")
        assert name not in SCENARIOS, f"two scenarios are called {name}"
        SCENARIOS[name] = Scenario(name, play, killed, builtin)
        return play

    return enter


def spec(nodes: list[dict[str, Any]], **rest: Any) -> dict[str, Any]:
    """A Workflow's spec with the defaults of the tests: busybox, and Pods that are stopped at once."""
    defaults = {
        "image": "busybox:1",
        "imagePullPolicy": "IfNotPresent",
        "podTemplate": {"spec": {"terminationGracePeriodSeconds": 0}},
        **rest.pop("defaults", {}),
    }
    return {"defaults": defaults, "nodes": nodes, **rest}


def node(name: str, script: str = "true", *, after: Iterable[str] = (), **rest: Any) -> dict[str, Any]:
    """A node: a Job of a script, or with another body among `rest`."""
    bodies = ("graph", "workflow", "switch", "approval", "wait", "expr", "http", "resource", "use", "job")
    made: dict[str, Any] = {"name": name}
    if not any(body in rest for body in bodies):
        made["job"] = {"script": script}
        if "env" in rest:
            made["job"]["env"] = [{"name": key, "value": value} for key, value in rest.pop("env").items()]
    return {**made, **({"dependsOn": list(after)} if after else {}), **rest}


@contextmanager
def performed(place: Place, names: Iterable[str], at_once: int = AT_ONCE) -> Iterator[dict[str, Future[None]]]:
    """Play scenarios, and give how each of them ends."""
    with ThreadPoolExecutor(at_once, thread_name_prefix="stage") as pool:
        futures = {name: pool.submit(SCENARIOS[name].play, place) for name in names}
        yield futures
        for future in futures.values():
            future.cancel()


def performed_and_killed(
    make_place: Callable[[], Place], names: Iterable[str], operator: Operator
) -> dict[str, Future[None]]:
    """Play scenarios to their end while the operator is killed again and again, in the middle of each of them.

    Those that came and went between two deaths are played again, with less time in between. The seed of the moments
    is printed, to do it again.
    """
    seed = random.randrange(1_000_000)
    print(f"the moments of killing have seed {seed}")
    moments = random.Random(seed)
    ended: dict[str, Future[None]] = {}
    spared, pause = list(names), CALMLY
    for _ in range(MOST_ROUNDS):
        if spared:
            with performed(make_place(), spared, AT_ONCE_KILLED) as futures:
                spared = _kill_now_and_then(operator, futures, lambda pause=pause: moments.uniform(*pause))
            ended |= futures
        pause = QUICKLY
    return ended | {name: _spared() for name in spared}


def _spared() -> Future[None]:
    """The result of a scenario that no kill has met: it is skipped, and says why, and does not pass for another."""
    result: Future[None] = Future()
    skipped = pytest.skip.Exception(f"it came and went between two deaths of the operator, {MOST_ROUNDS} times")
    result.set_exception(skipped)
    return result


def _kill_now_and_then(operator: Operator, futures: dict[str, Future[None]], pause: Callable[[], float]) -> list[str]:
    """Kill again and again while scenarios are played; gives those that went well without seeing it."""
    kills, playing, spared = 0, set(futures.values()), set(futures)
    most = max(MOST_KILLS, len(futures) // 3)
    while playing and kills < most:
        playing = wait(playing, timeout=pause()).not_done
        if playing:
            spared -= {name for name, future in futures.items() if future.running()}
            operator.kill()
            kills += 1
            operator.wait_ready()
    wait(futures.values())
    spared -= {name for name, future in futures.items() if future.exception() is not None}
    print(f"killed {kills} times, the last time at {time.strftime('%X')}; spared: {sorted(spared)}")
    return sorted(spared)
