"""Workflows compiled: each content once, however many ask for it, and beside the event loop.

A graph of thousands of nodes takes seconds to compile, in which the loop would carry out no run and renew no Lease. And
it is asked for three times before its first run begins: for `Ready`, for the run's parameters, and as the frozen spec.
So it is told by its content, whoever holds it, and what came of it is kept: ready to run, or everything wrong with it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from weft.api.depth import TOO_DEEP, is_too_deep
from weft.api.problems import Problem
from weft.graph.compile import InvalidWorkflow
from weft.graph.compiled import CompiledWorkflow
from weft.graph.types import compile_with_types, used_types
from weft.kube.clock import Aside, Spawn

CAPACITY_BYTES = 2 * 1024 * 1024
"""So much of content, as JSON, is kept compiled, which takes some forty times of it; the latest always is."""

_Outcome = CompiledWorkflow | tuple[Problem, ...] | Exception


@dataclass(frozen=True)
class Content:
    """A spec with those NodeTypes that it uses, and both as text that is the same wherever they came from."""

    data: dict[str, Any]
    text: bytes


class Compiling(Exception):
    """It is being compiled: come again when `done` is."""

    def __init__(self, done: asyncio.Task[Any]) -> None:
        super().__init__("the Workflow is being compiled")
        self.done = done


class Compiler:
    """Compiles specs. What it gives is shared by all who ask, and has no name of its own."""

    def __init__(self, aside: Aside, *, spawn: Spawn) -> None:
        """Take what keeps long work from the event loop."""
        self._aside = aside
        self._spawn = spawn
        self._outcomes: OrderedDict[bytes, asyncio.Task[_Outcome]] = OrderedDict()

    async def compile(self, spec: dict[str, Any], node_types: Mapping[str, dict[str, Any]]) -> CompiledWorkflow:
        """Compile a spec (JSON that nobody has checked yet) with NodeTypes (their specs by name).

        Raises InvalidWorkflow.
        """
        task = self._task(spec, node_types)
        await asyncio.wait({task})  # who is cancelled here leaves the task to others
        return _result(task)

    def compiled(self, spec: dict[str, Any], node_types: Mapping[str, dict[str, Any]]) -> CompiledWorkflow:
        """Do the same for those that cannot wait. Raises Compiling, and InvalidWorkflow."""
        task = self._task(spec, node_types)
        if not task.done():
            raise Compiling(task)
        return _result(task)

    def _task(self, spec: dict[str, Any], node_types: Mapping[str, dict[str, Any]]) -> asyncio.Task[_Outcome]:
        content = content_of(spec, node_types)
        if content.text not in self._outcomes:
            self._outcomes[content.text] = self._spawn(self._compile(content.data), name="compile")
            while len(self._outcomes) > 1 and sum(map(len, self._outcomes)) > CAPACITY_BYTES:
                self._outcomes.popitem(last=False)
        self._outcomes.move_to_end(content.text)
        return self._outcomes[content.text]

    async def _compile(self, data: dict[str, Any]) -> _Outcome:
        def work() -> _Outcome:
            try:
                return compile_with_types(data["workflow"], data["nodeTypes"])
            except InvalidWorkflow as error:
                return tuple(error.problems)

        try:
            return await self._aside(work)
        except Exception as error:  # a bug, whose harm ends at the runs of this Workflow
            return error


def content_of(spec: dict[str, Any], node_types: Mapping[str, dict[str, Any]]) -> Content:
    """Give what makes a run of the spec what it is; of `node_types` (specs by name) those that it uses.

    Raises InvalidWorkflow for what cannot be written as text.
    """
    used = {name: node_types[name] for name in sorted(used_types(spec)) if name in node_types}
    data = {"workflow": spec, "nodeTypes": used}
    try:
        return Content(data, orjson.dumps(data, option=orjson.OPT_SORT_KEYS))
    except orjson.JSONEncodeError:
        named = {"spec": spec} | {f"NodeType {name}": node_type for name, node_type in used.items()}
        deep = [Problem(at, TOO_DEEP) for at, one in named.items() if is_too_deep(one)]
        if not deep:
            raise
        raise InvalidWorkflow(deep) from None


def _result(task: asyncio.Task[_Outcome]) -> CompiledWorkflow:
    outcome = task.result()
    if isinstance(outcome, Exception):
        raise RuntimeError("the Workflow cannot be compiled, nor be said to be wrong: a bug") from outcome
    if isinstance(outcome, CompiledWorkflow):
        return outcome
    raise InvalidWorkflow(outcome)
