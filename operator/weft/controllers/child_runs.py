"""The body `workflow`: a run of its own for each attempt, made, found again, stopped, and asked how it has ended.

Its name follows from the attempt, as a Job's does, so that it is made once whatever crashes when; a run of that name
that does not bear the attempt's identity is a stranger, and nothing of it is believed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from weft.api.base import API_VERSION
from weft.api.conditions import ConditionType, Reason, find_condition
from weft.api.objects import Obj, owner_of
from weft.controllers.attempts import Attempts
from weft.controllers.child_controls import ChildControls
from weft.controllers.jobs import TAKEN_SECONDS
from weft.controllers.live import LiveRun
from weft.controllers.patience import REFUSALS, hold, refusal, taken, wait_out
from weft.controllers.run_facts import finished
from weft.engine.actions import Start
from weft.engine.child_failure import child_failure
from weft.engine.exact import outputs_of_run
from weft.engine.observation import AttemptEnded
from weft.engine.run import MAX_CHILD_DEPTH, nested_too_deep, stopped_child
from weft.engine.state import AttemptId
from weft.kube.client import Client
from weft.kube.clock import Clock
from weft.kube.errors import AlreadyExists, NotFound
from weft.kube.resources import PODS, WORKFLOW_RUNS
from weft.render.names import (
    RUN_LABEL,
    bears_identity,
    child_annotations,
    child_labels,
    job_name,
    label_value,
    run_owner,
)
from weft.render.observe import pod_fact

POLL_SECONDS = 2.0
"""How often what a deleted child run has left behind is looked at."""


class Runs(Protocol):
    """The cache of WorkflowRuns, by name."""

    def get(self, namespace: str, name: str) -> Obj | None:
        """The run, or None."""
        ...


class ChildRuns:
    """Starts and stops child runs, and knows those that there are."""

    def __init__(
        self,
        client: Client,
        runs: Runs,
        controls: ChildControls,
        attempts: Attempts,
        *,
        remember: Callable[[Obj], None],
        clock: Clock,
    ) -> None:
        self._client = client
        self._runs = runs
        self._controls = controls
        self._attempts = attempts
        self._remember = remember
        self._clock = clock

    async def start(self, live: LiveRun, action: Start) -> None:
        """Make the attempt's run, once that of the attempt before is over."""
        now, name = self._clock.now(), job_name(live.ref, action.id)
        if self._depth(live) >= MAX_CHILD_DEPTH:
            told = nested_too_deep(action.payload["name"])
            reason = Reason.InvalidWorkflow
            self._attempts.end(live, action.id, succeeded=False, reason=reason, message=told, fatal=True)
            return
        if not await self._free(live, action):
            message = "the child run of the attempt before, or a Pod of it, has not ended yet"
            hold(live, action, Reason.PreviousPodRunning, message, now=now, seconds=POLL_SECONDS)
            return
        payload = action.payload
        parent = self._runs.get(live.key.namespace, live.key.name) or {"spec": {}}
        spec: dict[str, Any] = {"workflowRef": {"name": payload["name"]}, "parameters": payload["parameters"]}
        for inherited in ("queue", "priority"):
            if inherited in parent["spec"]:
                spec[inherited] = parent["spec"][inherited]
        body = {
            "apiVersion": API_VERSION,
            "kind": "WorkflowRun",
            "metadata": {
                "name": name,
                "namespace": live.key.namespace,
                "labels": child_labels(live.ref, action.id.path, action.id.attempt),
                "annotations": child_annotations(live.ref.uid, action.id),
                "ownerReferences": [run_owner(live.ref)],
            },
            "spec": spec,
        }
        try:
            self._remember(await self._client.create(WORKFLOW_RUNS, body))
        except AlreadyExists:
            found = await self._child(live, action.id)  # made by an earlier try, or somebody passes his off as it
            if found is None or found["spec"].get("workflowRef") != spec["workflowRef"]:
                message = f"a WorkflowRun {name} that is not this run's is in the way; delete it"
                hold(live, action, Reason.NameTaken, message, now=now, seconds=TAKEN_SECONDS)
                return
        except REFUSALS as error:
            if not wait_out(live, action, error, now=now):
                reason = refusal(error, otherwise=Reason.ChildFailed)
                self._attempts.end(live, action.id, succeeded=False, reason=reason, message=error.message, fatal=True)
            return
        taken(live, action.id, now=self._clock.now())

    async def stop(self, live: LiveRun, id_: AttemptId) -> None:
        """Stop the attempt's run; the attempt ends when its run has, or at once where there is none."""
        child = await self._child(live, id_)
        if child is None:
            self._attempts.end(live, id_, succeeded=False, reason=Reason.Stopped, message="the child run is gone")
        elif not finished(child):
            await self._controls.stop(live, child)

    def seen(self, live: LiveRun, id_: AttemptId, *, known: bool) -> AttemptEnded | None:
        """What the child run of an attempt tells; `known` says that it had been seen before."""
        child = self._known_child(live, id_)
        now = self._clock.now()
        if child is None:
            if not known or any(isinstance(action, Start) and action.id == id_ for action in live.pending):
                return None
            message = "the child run was deleted by somebody"
            return AttemptEnded(id_, now, succeeded=False, reason=Reason.JobDeleted, message=message, disruption=True)
        if not finished(child):
            return None
        status = child["status"]
        outputs = outputs_of_run(status) or None
        if status.get("phase") == "Succeeded":
            return AttemptEnded(id_, now, succeeded=True, outputs=outputs)
        why = find_condition(status.get("conditions") or (), ConditionType.Succeeded) or {}
        message = f"run {child['metadata']['name']} ended {status.get('phase')}: {why.get('message', '')}"
        started = bool(status.get("startTime"))
        reason, fatal = child_failure(why.get("reason"), status.get("nodes") or (), started=started)
        return AttemptEnded(
            id_, now, succeeded=False, reason=reason, message=message, outputs=outputs, fatal=fatal,
            stopped=stopped_child(status.get("phase"), live.state),
        )  # fmt: skip

    async def _child(self, live: LiveRun, id_: AttemptId) -> Obj | None:
        """The attempt's child run; one that was only just made is asked for, since the cache may not know it yet."""
        known = self._known_child(live, id_)
        if known is not None:
            return known
        try:
            child = await self._client.get(WORKFLOW_RUNS, job_name(live.ref, id_), namespace=live.key.namespace)
        except NotFound:
            return None
        self._remember(child)
        return child if bears_identity(child, live.ref.uid, id_) else None

    def _known_child(self, live: LiveRun, id_: AttemptId) -> Obj | None:
        """The attempt's child run, if the cache knows it. A stranger of that name is none: its outputs are not ours."""
        child = self._runs.get(live.key.namespace, job_name(live.ref, id_))
        return child if child is not None and bears_identity(child, live.ref.uid, id_) else None

    def _depth(self, live: LiveRun) -> int:
        """How many runs stand above this one, each started by the one above it; no more are counted than may be."""
        run, depth = self._runs.get(*live.key), 0
        while run is not None and depth < MAX_CHILD_DEPTH and (owner := owner_of(run, WORKFLOW_RUNS.kind)) is not None:
            run, depth = self._runs.get(live.key.namespace, owner["name"]), depth + 1
        return depth

    async def _free(self, live: LiveRun, action: Start) -> bool:
        """Whether the child run of the attempt before has ended, or is gone with all its Pods.

        Somebody may have deleted it, and its Pods end a while later. They are asked for by the name of their run, which
        is no other's.
        """
        if action.after is None:
            return True
        before = self._known_child(live, action.after)
        if before is not None:
            return finished(before)
        selector = f"{RUN_LABEL}={label_value(job_name(live.ref, action.after))}"
        pods = await self._client.list(PODS, namespace=live.key.namespace, label_selector=selector)
        return all(pod_fact(pod).ended for pod in pods)
