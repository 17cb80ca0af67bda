"""How a run comes into memory: begun for the first time, or restored from its status.

A run begins when its Workflow is there and valid, its parameters fit, and its queue lets it. What it
begins with is frozen in a ControllerRevision before anything is created, so nothing that happens to
the Workflow afterwards changes the run. What cannot begin ends at once, with the reason; so does a run that cannot be
restored, since somebody has deleted what it was begun with or this version does not take it any more: its Jobs and Pods
are let go as those of any that has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from weft.api.conditions import Reason, RunPhase, message_for
from weft.api.objects import Key, Obj, key_of, uid_of, version_of
from weft.api.parameters import check_parameters
from weft.api.problems import summary
from weft.api.times import milli_timestamp, moment
from weft.controllers.compiler import Compiler
from weft.controllers.live import LiveRun
from weft.controllers.queues import Verdict
from weft.controllers.revisions import Revisions
from weft.controllers.run_facts import rerun_asked, workflow_of
from weft.controllers.writer import load_chunks
from weft.engine import restore
from weft.engine.advance import Result
from weft.engine.budget import read_nodes
from weft.engine.observation import Controls
from weft.engine.state import RunContext, RunState
from weft.graph.compile import InvalidWorkflow
from weft.graph.types import used_types
from weft.kube.client import Client
from weft.kube.clock import Clock
from weft.kube.errors import NotFound
from weft.kube.resources import NODE_TYPES, WORKFLOWS, Resource
from weft.render.names import RunRef

BUDGET = 200
"""Units started in one pass: a wide graph shares the loop with its own first results."""
WORKFLOW_GRACE_SECONDS = 30.0
"""How long a run waits for a Workflow or a NodeType that is not there, from when it first missed it, since they may be
applied in any order, or replaced just when its turn comes; and for its revision."""


@dataclass(slots=True, frozen=True)
class Refusal:
    """The run does not begin: `phase` Failed for good, Queued for now (looked at again at `again_at`)."""

    phase: RunPhase
    reason: str
    message: str
    again_at: float | None = None


_STOPPED = Refusal(RunPhase.Cancelled, Reason.Stopped, "stopped before it began")


@dataclass(slots=True, frozen=True)
class Loaded:
    """A run in memory, and what to do first; None for a new one, whose start has to be put on record before."""

    live: LiveRun
    result: Result | None


class Loader:
    """Begins and restores runs."""

    def __init__(
        self,
        client: Client,
        compiler: Compiler,
        revisions: Revisions,
        *,
        find_workflow: Callable[[str, str], Obj | None],
        find_node_types: Callable[[str, Iterable[str]], dict[str, dict[str, Any]]],
        ask_queue: Callable[[Obj], Verdict],
        clock: Clock,
    ) -> None:
        self._client = client
        self._compiler = compiler
        self._revisions = revisions
        self._find_workflow = find_workflow
        self._find_node_types = find_node_types
        self._ask_queue = ask_queue
        self._clock = clock
        self._missed: dict[Key, tuple[str, float]] = {}  # by run: its UID, since when something cannot be found

    async def load(self, run: Obj) -> Loaded | Refusal:
        """Bring a run that has not finished into memory. Raises Compiling: ask again when that is done."""
        loaded = await self._load(run)
        if isinstance(loaded, Loaded) or not (loaded.again_at is not None or loaded.phase.ended):
            self.forget(key_of(run))  # not before an end is written: it would be put off when it cannot be
        return loaded

    def forget(self, key: Key) -> None:
        """Forget since when the run of that name misses something: it does not, its end is written, or it is gone."""
        self._missed.pop(key, None)

    async def _load(self, run: Obj) -> Loaded | Refusal:
        status = run.get("status") or {}
        if status.get("startTime") and status.get("workflowRevision"):
            rerun = (status.get("state") or {}).get("stage") == "Finished"  # it stands in line like a new run
            if rerun and (refusal := self._in_line(run)) is not None:
                return refusal
            return await self._restore(run, status)
        return await self._begin(run, status)

    async def _begin(self, run: Obj, status: dict[str, Any]) -> Loaded | Refusal:
        now = self._clock.now()
        namespace, name = key_of(run)
        spec = run["spec"]
        if spec.get("stop"):
            return _STOPPED
        if spec.get("workflow") is not None:
            workflow_name, raw = "", spec["workflow"]
        else:
            workflow_name = spec["workflowRef"]["name"]
            found = self._find_workflow(namespace, workflow_name)
            found = found or await self._ask_for(WORKFLOWS, namespace, workflow_name)
            if found is None:
                message = message_for(Reason.WorkflowNotFound, workflow=workflow_name, namespace=namespace)
                return self._missing(run, Reason.WorkflowNotFound, message)
            raw = found["spec"]
        types, unknown = await self._node_types(namespace, used_types(raw))
        if unknown:
            return self._missing(run, Reason.InvalidWorkflow, _no_types(unknown))
        try:
            declared = self._compiler.compiled(raw, types)
        except InvalidWorkflow as error:
            return Refusal(RunPhase.Failed, Reason.InvalidWorkflow, _invalid(error))
        params, wrong = check_parameters(declared.main.parameters, spec.get("parameters") or {})
        if wrong:
            return Refusal(RunPhase.Failed, Reason.InvalidParameters, "; ".join(wrong))
        if (refusal := self._in_line(run)) is not None:
            return refusal
        revision = await self._revisions.freeze(namespace, workflow_name, raw, types)
        workflow = await self._revisions.load(namespace, revision)
        ref = RunRef(namespace, name, uid_of(run), workflow_name)
        context = RunContext(name=name, namespace=namespace, uid=ref.uid, params=params, entropy=ref.uid)
        state = RunState(workflow, context, start=round(now, 3))
        # A rerun of what never began is its first run, and not one more after it.
        state.generation = rerun_asked(run)
        queued = status.get("queuedTime") or milli_timestamp(now)
        return Loaded(self._live(run, ref, state, revision, status, queued), None)

    def _in_line(self, run: Obj) -> Refusal | None:
        """Why the run, or its rerun, does not begin now although it could; None when it does."""
        if run["spec"].get("stop"):
            return _STOPPED
        verdict = self._ask_queue(run)
        if verdict.admitted:
            return None
        if run["spec"].get("suspend"):
            return Refusal(RunPhase.Suspended, Reason.Suspended, verdict.message)
        return Refusal(RunPhase.Queued, Reason.Queued, verdict.message)

    async def _node_types(self, namespace: str, wanted: set[str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
        """The specs of the NodeTypes that are there, and the names of those that are not."""
        types = self._find_node_types(namespace, wanted)
        for name in sorted(wanted - types.keys()):
            if (found := await self._ask_for(NODE_TYPES, namespace, name)) is not None:
                types[name] = found["spec"]
        return types, sorted(wanted - types.keys())

    async def _ask_for(self, kind: Resource, namespace: str, name: str) -> Obj | None:
        """What no watch has told of yet: it may have been applied together with the run."""
        try:
            return await self._client.get(kind, name, namespace=namespace)
        except NotFound:
            return None

    def _missing(self, run: Obj, reason: Reason, message: str) -> Refusal:
        """The run waits for something that is not there, for a while; whoever sees it appear wakes the run."""
        if run["spec"].get("suspend"):
            return Refusal(RunPhase.Suspended, Reason.Suspended, message)
        until = self._waits_until(run)
        if self._clock.now() < until:
            return Refusal(RunPhase.Queued, reason, message, again_at=until)
        return Refusal(RunPhase.Failed, reason, message)

    def _waits_until(self, run: Obj) -> float:
        """How long the run waits for what is missing.

        From when it was first missed, not from when the run was queued: it may have stood in line for hours since. One
        of the same name that was deleted has not missed it.
        """
        missed = self._missed.get(key_of(run))
        if missed is None or missed[0] != uid_of(run):
            missed = self._missed[key_of(run)] = uid_of(run), self._clock.now()
        return missed[1] + WORKFLOW_GRACE_SECONDS

    async def _restore(self, run: Obj, status: dict[str, Any]) -> Loaded | Refusal:
        namespace, name = key_of(run)
        revision = status["workflowRevision"]
        try:
            workflow = await self._revisions.load(namespace, revision)
            chunks = await load_chunks(self._client, namespace, uid_of(run), status)
        except InvalidWorkflow as error:  # an older version took it
            return Refusal(RunPhase.Failed, Reason.InvalidWorkflow, f"it cannot go on: {_invalid(error)}")
        except NotFound as error:
            # A Workflow that still holds the spec makes the revision anew; and a proxy's page tells nothing of it.
            if self._clock.now() < self._waits_until(run) or error.reason != "NotFound":
                raise
            message = f"what it was started with, or its outputs so far, were deleted: {error.message}; start it anew"
            return Refusal(RunPhase.Failed, Reason.Error, message)
        params, problems = check_parameters(workflow.main.parameters, run["spec"].get("parameters") or {})
        if problems:
            return Refusal(RunPhase.Failed, Reason.InvalidParameters, "; ".join(problems))
        workflow_name = workflow_of(run) or ""
        ref = RunRef(namespace, name, uid_of(run), workflow_name)
        context = RunContext(name=name, namespace=namespace, uid=ref.uid, params=params, entropy=ref.uid)
        start = moment(status["startTime"]) or self._clock.now()
        state = restore.restore(workflow, context, status, read_nodes(status, chunks), start=start)
        state.restarts += 1
        result = restore.resume(state, self._clock.now(), budget=BUDGET)
        live = self._live(run, ref, state, revision, status, status.get("queuedTime") or status["startTime"])
        return Loaded(live, result)

    def _live(
        self, run: Obj, ref: RunRef, state: RunState, revision: str, status: dict[str, Any], queued: str
    ) -> LiveRun:
        workflow = state.workflow
        return LiveRun(
            key=Key(ref.namespace, ref.name),
            ref=ref,
            state=state,
            revision=revision,
            frozen=workflow.spec,
            status=status,
            version=version_of(run),
            generation=run["metadata"].get("generation", 1),
            queued_time=queued,
            templates=workflow.prepared,
        )


def controls_of(run: Obj) -> Controls:
    """What the user wants of the run now."""
    return Controls(suspend=bool(run["spec"].get("suspend")), stop=run["spec"].get("stop"))


def _invalid(error: InvalidWorkflow) -> str:
    return message_for(Reason.InvalidWorkflow, problem=summary(error.problems))


def _no_types(names: Sequence[str]) -> str:
    problem = f"there is no NodeType {', '.join(names)} in the namespace; create it or correct `use`"
    return message_for(Reason.InvalidWorkflow, problem=problem)
