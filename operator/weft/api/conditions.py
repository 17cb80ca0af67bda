"""The words of every status: phases, condition types, reasons, and the message of each reason, in one place.

A reason is a promise to scripts and dashboards; a message is for a person and names the mend. Functions at the end
build the standard conditions of a run and of a Workflow from its phase, keeping lastTransitionTime where a
condition's status stays the same. Conditions are plain mappings, as the API carries them: they are written on the hot
path.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypedDict


class RunPhase(StrEnum):
    """Where a run stands; derived from its conditions, for printing and selectors."""

    Queued = "Queued"
    Running = "Running"
    Suspended = "Suspended"
    Succeeded = "Succeeded"
    Failed = "Failed"
    Cancelled = "Cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens unless a rerun is asked for."""
        return self in _ENDED_RUN


class NodePhase(StrEnum):
    """Where a node stands."""

    Pending = "Pending"
    Running = "Running"
    Waiting = "Waiting"
    Succeeded = "Succeeded"
    Failed = "Failed"
    Skipped = "Skipped"
    Cancelled = "Cancelled"
    Compensated = "Compensated"

    @property
    def ended(self) -> bool:
        """Whether the node has ended."""
        return self in _ENDED_NODE


_ENDED_RUN = frozenset({RunPhase.Succeeded, RunPhase.Failed, RunPhase.Cancelled})
_ENDED_NODE = frozenset(
    {NodePhase.Succeeded, NodePhase.Failed, NodePhase.Skipped, NodePhase.Cancelled, NodePhase.Compensated}
)


class ConditionType(StrEnum):
    """The types of conditions Weft writes."""

    Succeeded = "Succeeded"
    Finished = "Finished"
    Reconciling = "Reconciling"
    Stalled = "Stalled"
    Ready = "Ready"


class Reason(StrEnum):
    """Why a run or a node is where it is."""

    # A run that is active, and how it ended.
    Queued = "Queued"
    Running = "Running"
    Suspended = "Suspended"
    Compensating = "Compensating"
    RunningFinally = "RunningFinally"
    Stopping = "Stopping"
    Succeeded = "Succeeded"
    NodeFailed = "NodeFailed"
    FinallyFailed = "FinallyFailed"
    Stopped = "Stopped"
    # A run that cannot start.
    InvalidWorkflow = "InvalidWorkflow"
    WorkflowNotFound = "WorkflowNotFound"
    InvalidParameters = "InvalidParameters"
    NamespaceTerminating = "NamespaceTerminating"
    StatusTooLarge = "StatusTooLarge"
    # A node that waits.
    WaitingForDependencies = "WaitingForDependencies"
    WaitingForParallelism = "WaitingForParallelism"
    WaitingForConcurrency = "WaitingForConcurrency"
    AwaitingApproval = "AwaitingApproval"
    WaitingForTime = "WaitingForTime"
    WaitingForResource = "WaitingForResource"
    WaitingForChild = "WaitingForChild"
    WaitingForPod = "WaitingForPod"
    BackOff = "BackOff"
    QuotaExceeded = "QuotaExceeded"
    Unschedulable = "Unschedulable"
    ImagePullFailed = "ImagePullFailed"
    # A node that was skipped.
    UpstreamSkipped = "UpstreamSkipped"
    UpstreamFailed = "UpstreamFailed"
    ConditionFalse = "ConditionFalse"
    RunFailed = "RunFailed"
    ConcurrencySkipped = "ConcurrencySkipped"
    # A node that succeeded without running, or was superseded.
    Cached = "Cached"
    ConcurrencyCancelled = "ConcurrencyCancelled"
    # An attempt or a node that failed.
    Error = "Error"
    OOMKilled = "OOMKilled"
    ExpressionError = "ExpressionError"
    DeadlineExceeded = "DeadlineExceeded"
    PendingTimeout = "PendingTimeout"
    OutputsTooLarge = "OutputsTooLarge"
    InvalidOutputs = "InvalidOutputs"
    Forbidden = "Forbidden"
    InvalidJob = "InvalidJob"
    ServiceEnded = "ServiceEnded"
    Rejected = "Rejected"
    ApprovalTimeout = "ApprovalTimeout"
    MaxIterationsExceeded = "MaxIterationsExceeded"
    TooManyItems = "TooManyItems"
    TooManyFailedItems = "TooManyFailedItems"
    GraphFailed = "GraphFailed"
    ChildFailed = "ChildFailed"
    RequestFailed = "RequestFailed"
    ResponseTooLarge = "ResponseTooLarge"
    AddressRefused = "AddressRefused"
    ResourceFailed = "ResourceFailed"
    # A disruption: not the node's fault.
    Evicted = "Evicted"
    Preempted = "Preempted"
    NodeLost = "NodeLost"
    PodDeleted = "PodDeleted"
    JobDeleted = "JobDeleted"
    # After the graph.
    Compensated = "Compensated"
    CompensationFailed = "CompensationFailed"
    # A Workflow or another resource.
    Valid = "Valid"
    Invalid = "Invalid"
    Accepted = "Accepted"
    Refused = "Refused"
    DeliveryFailed = "DeliveryFailed"
    Paused = "Paused"


DISRUPTIONS = frozenset({Reason.Evicted, Reason.Preempted, Reason.NodeLost, Reason.PodDeleted, Reason.JobDeleted})
"""Reasons paid from `retry.disruptions`: no back-off, not counted as failures."""

_MESSAGES: dict[Reason, str] = {
    Reason.Queued: "waits in queue {queue}: {active} of {limit} runs are active",
    Reason.Running: "{done} of {total} nodes done",
    Reason.Suspended: "suspended; set spec.suspend to false to go on",
    Reason.Compensating: "undoing what succeeded: {done} of {total} compensations done",
    Reason.RunningFinally: "running finally: {done} of {total} nodes done",
    Reason.Stopping: "stopping ({stop}): {running} nodes still run",
    Reason.Succeeded: "{done} of {total} nodes done",
    Reason.NodeFailed: "node {node} failed: {reason}: {message}",
    Reason.FinallyFailed: "finally node {node} failed: {reason}: {message}",
    Reason.Stopped: "stopped by {stop}",
    Reason.InvalidWorkflow: "the workflow is invalid: {problem}",
    Reason.WorkflowNotFound: "no Workflow {workflow} in namespace {namespace}; create it or correct spec.workflowRef",
    Reason.InvalidParameters: "{problem}",
    Reason.NamespaceTerminating: "namespace {namespace} is being deleted; nothing can be created in it",
    Reason.StatusTooLarge: "the status passed {limit} bytes; outputs were dropped",
    Reason.WaitingForDependencies: "waits for {nodes}",
    Reason.WaitingForParallelism: "waits for one of the run's {limit} running Pods to end",
    Reason.WaitingForConcurrency: "waits for {key}, held by {holder}",
    Reason.AwaitingApproval: "waits for approval by {missing} of {quorum} people",
    Reason.WaitingForTime: "waits until {until}",
    Reason.WaitingForResource: "waits for {kind} {name}",
    Reason.WaitingForChild: "waits for run {run}",
    Reason.WaitingForPod: "the Pod of attempt {attempt} has not started yet",
    Reason.BackOff: "attempt {attempt} failed ({reason}); the next starts at {until}",
    Reason.QuotaExceeded: "the namespace's quota refuses the Pod: {message}",
    Reason.Unschedulable: "no cluster node can run the Pod: {message}",
    Reason.ImagePullFailed: "image {image} cannot be pulled: {message}",
    Reason.UpstreamSkipped: "{nodes} did not run",
    Reason.UpstreamFailed: "{nodes} failed",
    Reason.ConditionFalse: "when is false: {when}",
    Reason.RunFailed: "not started, because node {node} failed and failurePolicy is {policy}",
    Reason.ConcurrencySkipped: "{key} is held by {holder} and concurrency.policy is Skip",
    Reason.Cached: "outputs of run {run} were reused (cache key {key})",
    Reason.ConcurrencyCancelled: "{holder} took {key} (concurrency.policy is CancelRunning)",
    Reason.Error: "main exited with code {exitCode}",
    Reason.OOMKilled: "main ran out of memory; raise resources.limits.memory or set retry.onOutOfMemory",
    Reason.ExpressionError: "{field}: {message}",
    Reason.DeadlineExceeded: "took longer than {field} ({seconds} s)",
    Reason.PendingTimeout: "the Pod did not start within pendingTimeoutSeconds ({seconds} s): {reason}: {message}",
    Reason.OutputsTooLarge: "outputs have {size} bytes, at most {limit} fit; hand larger ones on through artifacts",
    Reason.InvalidOutputs: "$WEFT_OUTPUTS is neither a JSON object nor key=value lines: {message}",
    Reason.Forbidden: "the API server refuses: {message}",
    Reason.InvalidJob: "the API server does not accept the Job: {message}",
    Reason.ServiceEnded: "the service ended (exit code {exitCode}) while {nodes} still needed it",
    Reason.Rejected: "rejected by {by}: {comment}",
    Reason.ApprovalTimeout: "{missing} of {quorum} approvals were missing after {seconds} s",
    Reason.MaxIterationsExceeded: "the condition still held after {limit} iterations (while.maxIterations)",
    Reason.TooManyItems: "forEach has {count} items, at most {limit} are allowed; use batchSize",
    Reason.TooManyFailedItems: "{failed} of {total} items failed (maxFailed {limit}); first item {index}: {message}",
    Reason.GraphFailed: "node {node} failed: {reason}: {message}",
    Reason.ChildFailed: "run {run} ended {phase}: {message}",
    Reason.RequestFailed: "{method} {url}: {message}",
    Reason.ResponseTooLarge: "the response is longer than http.maxResponseBytes ({limit})",
    Reason.AddressRefused: "{url} is not an address that Weft calls: {message}",
    Reason.ResourceFailed: "{kind} {name}: failWhen is true: {when}",
    Reason.Evicted: "the Pod was evicted: {message}",
    Reason.Preempted: "the Pod was preempted by one of higher priority: {message}",
    Reason.NodeLost: "cluster node {host} was lost",
    Reason.PodDeleted: "the Pod was deleted by somebody",
    Reason.JobDeleted: "the Job was deleted by somebody",
    Reason.Compensated: "undone after the run did not succeed",
    Reason.CompensationFailed: "the compensation of {node} failed: {reason}: {message}",
    Reason.Valid: "a run can be started",
    Reason.Invalid: "{problem}",
    Reason.Accepted: "the decision counts",
    Reason.Refused: "the decision does not count: {problem}",
    Reason.DeliveryFailed: "not delivered after {attempts} attempts: {message}",
    Reason.Paused: "paused; set spec.paused to false to go on",
}


class _Facts(dict[str, object]):
    """Facts for a message: one that nobody knew reads as unknown, for a message must never stop a run."""

    def __missing__(self, key: str) -> str:
        return "unknown"


def message_for(reason: Reason, **facts: object) -> str:
    """Give the message of a reason, with its facts filled in."""
    return _MESSAGES[reason].format_map(_Facts(facts))


class Condition(TypedDict, total=False):
    """A standard Kubernetes condition, as the API carries it."""

    type: str
    status: str
    reason: str
    message: str
    lastTransitionTime: str
    observedGeneration: int


MAX_MESSAGE = 4096


def rfc3339(moment: datetime) -> str:
    """Spell a moment as Kubernetes does: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def run_conditions(
    *,
    phase: RunPhase,
    reason: str,
    message: str,
    previous: Iterable[Mapping[str, Any]],
    now: datetime,
    generation: int,
) -> list[Condition]:
    """Give the four conditions of a run.

    Succeeded is Unknown until the end; Finished is True at every ending; Reconciling (active) and Stalled (failed) are
    for kstatus.
    """
    succeeded = "True" if phase is RunPhase.Succeeded else "False" if phase.ended else "Unknown"
    statuses = {
        ConditionType.Succeeded: succeeded,
        ConditionType.Finished: _flag(phase.ended),
        ConditionType.Reconciling: _flag(not phase.ended),
        ConditionType.Stalled: _flag(phase is RunPhase.Failed),
    }
    return _conditions(statuses, reason=reason, message=message, previous=previous, now=now, generation=generation)


def ready_condition(
    *, ready: bool, reason: str, message: str, previous: Iterable[Mapping[str, Any]], now: datetime, generation: int
) -> list[Condition]:
    """Give the condition Ready, of a Workflow, a NodeType or a NotificationChannel."""
    statuses = {ConditionType.Ready: _flag(ready)}
    return _conditions(statuses, reason=reason, message=message, previous=previous, now=now, generation=generation)


def find_condition(conditions: Iterable[Mapping[str, Any]], kind: ConditionType) -> Mapping[str, Any] | None:
    """Give the condition of a type, if there is one."""
    return next((condition for condition in conditions if condition.get("type") == kind), None)


def _flag(value: bool) -> str:
    return "True" if value else "False"


def _conditions(
    statuses: Mapping[ConditionType, str],
    *,
    reason: str,
    message: str,
    previous: Iterable[Mapping[str, Any]],
    now: datetime,
    generation: int,
) -> list[Condition]:
    before = {str(condition.get("type")): condition for condition in previous}
    text = message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"
    conditions: list[Condition] = []
    for kind, status in statuses.items():
        old = before.get(kind, {})
        unchanged = old.get("status") == status and old.get("lastTransitionTime")
        conditions.append(
            Condition(
                type=str(kind),
                status=status,
                reason=str(reason),
                message=text,
                lastTransitionTime=str(old["lastTransitionTime"]) if unchanged else rfc3339(now),
                observedGeneration=generation,
            )
        )
    return conditions
