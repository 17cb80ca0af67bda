"""What one event costs the planner: no cluster is needed.

The engine alone is driven through whole runs, one Pod's end at a time, and the CPU time of `advance` is divided by the
number of events. The figure has to stay flat from a hundred nodes to ten thousand.
"""

from __future__ import annotations

import gc
import random
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from weft.api.workflow import WorkflowSpec
from weft.engine import advance
from weft.engine.actions import Action, Start
from weft.engine.observation import AttemptEnded
from weft.engine.state import RunContext
from weft.graph.compile import compile_workflow
from weft.graph.compiled import CompiledWorkflow

from bench.harness.bench import Bench

GRAPHS = ("chain", "fanout", "random")
SIZES = (100, 1000, 10_000)
REACH = 50
"""A node of the random graph depends on nodes at most so far before it."""


def workflow(graph: str, nodes: int, *, seed: int) -> CompiledWorkflow:
    """A compiled workflow of Job nodes: a chain, one node and all others after it, or random edges."""
    chance = random.Random(seed)
    spec = {"nodes": [_node(graph, number, chance) for number in range(nodes)]}
    return compile_workflow(WorkflowSpec.model_validate(spec), name=graph, node_types={}, raw=spec)


def _node(graph: str, number: int, chance: random.Random) -> dict[str, Any]:
    node: dict[str, Any] = {"name": f"n{number}", "job": {"image": "i"}}
    if number and graph == "random":
        sources = {chance.randrange(max(0, number - REACH), number) for _ in range(chance.randrange(4))}
    else:
        sources = {0 if graph == "fanout" else number - 1} if number else set()
    return node | ({"dependsOn": [f"n{source}" for source in sorted(sources)]} if sources else {})


def cost_per_event(compiled: CompiledWorkflow) -> float:
    """Microseconds of CPU that `advance` takes for one event, over a whole run in which every node succeeds."""
    state, begun = advance.begin(compiled, RunContext(name="bench", uid="bench"), 0.0)
    flying = deque(_started(begun.actions))
    events, spent, now = 0, 0, 0.0
    while flying:
        now += 0.001
        seen = AttemptEnded(flying.popleft().id, now, succeeded=True, exit_code=0)
        before = time.thread_time_ns()
        result = advance.advance(state, [seen], now)
        spent += time.thread_time_ns() - before
        events += 1
        flying.extend(_started(result.actions))
    if state.outcome != "Succeeded" or events != len(compiled.main.nodes):
        raise RuntimeError(f"the run ended {state.outcome} after {events} events")
    return spent / events / 1000


def _started(actions: list[Action]) -> Iterator[Start]:
    return (action for action in actions if isinstance(action, Start))


async def planner(bench: Bench) -> None:
    """A line for each graph and size."""
    for graph in GRAPHS:
        for nodes in SIZES:
            compiled = workflow(graph, nodes, seed=bench.report.seed)
            gc.collect()
            bench.report.add("planner_us_per_event", cost_per_event(compiled), unit="us", shape=graph, nodes=nodes)
