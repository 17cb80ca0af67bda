"""The words of every status: phases, condition types, reasons, and the message of each reason, in one place.

A reason is a promise to scripts and dashboards; a message is for a person and names the mend. Functions at the end
build the standard conditions of a run and of a Workflow from its phase, keeping lastTransitionTime where a
condition's status stays the same; `now` is in epoch seconds. Conditions are plain mappings, as the API carries them:
they are written on the hot path.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, TypedDict

from weft.api.times import timestamp


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
    AdmissionEnforced = "AdmissionEnforced"


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
    # A node that waits.
    WaitingForConcurrency = "WaitingForConcurrency"
    AwaitingApproval = "AwaitingApproval"
    WaitingForTime = "WaitingForTime"
    WaitingForPod = "WaitingForPod"
    BackOff = "BackOff"
    QuotaExceeded = "QuotaExceeded"
    ApiServerError = "ApiServerError"
    NameTaken = "NameTaken"
    PreviousPodRunning = "PreviousPodRunning"
    Unschedulable = "Unschedulable"
    ImagePullFailed = "ImagePullFailed"
    ContainerCannotStart = "ContainerCannotStart"
    MainEnded = "MainEnded"
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
    Rejected = "Rejected"
    ApprovalTimeout = "ApprovalTimeout"
    MaxIterationsExceeded = "MaxIterationsExceeded"
    TooManyItems = "TooManyItems"
    RunTooLarge = "RunTooLarge"
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
    # What the API server holds people to.
    PoliciesInForce = "PoliciesInForce"
    PoliciesMissing = "PoliciesMissing"
    PoliciesUnknown = "PoliciesUnknown"


DISRUPTIONS = frozenset({Reason.Evicted, Reason.Preempted, Reason.NodeLost, Reason.PodDeleted, Reason.JobDeleted})
"""Reasons paid from `retry.disruptions`: no back-off, not counted as failures."""

_MESSAGES: dict[Reason, str] = {
    Reason.Queued: "waits in queue {queue}: {active} of {limit} runs are active",
    Reason.Running: "{done} of {total} nodes done",
    Reason.Suspended: "suspended; set spec.suspend to false to go on",
    Reason.Compensating: "undoing what succeeded, compensations left: {left}; {message}",
    Reason.Stopping: "stopping ({stop}), nodes that have not ended yet: {left}",
    Reason.Stopped: "stopped by the user ({stop})",
    Reason.InvalidWorkflow: "the workflow is invalid: {problem}",
    Reason.WorkflowNotFound: "no Workflow {workflow} in namespace {namespace}; create it or correct spec.workflowRef",
    Reason.Unschedulable: "no cluster node can run the Pod: {message}",
    Reason.ImagePullFailed: "image {image} cannot be pulled: {message}",
    Reason.ContainerCannotStart: "container {container} cannot start: {message}",
    Reason.MainEnded: "main has ended; the other containers are being stopped: {others}",
    Reason.WaitingForConcurrency: "waits for the concurrency key {key}",
    Reason.ConditionFalse: "when is false: {when}",
    Reason.ConcurrencySkipped: "the concurrency key {key} is taken",
    Reason.Cached: "outputs of an earlier success with the same key",
    Reason.Error: "main exited with code {exitCode}",
    Reason.OOMKilled: "main ran out of memory; raise resources.limits.memory or set retry.onOutOfMemory",
    Reason.DeadlineExceeded: "took longer than {field} ({seconds} s)",
    Reason.PendingTimeout: "the Pod did not run within pendingTimeoutSeconds ({seconds} s): {message}",
    Reason.Rejected: "rejected by {by}",
    Reason.ApprovalTimeout: "nobody decided in time; {quorum} approvals were needed",
    Reason.MaxIterationsExceeded: "while.condition still holds after {limit} iterations: {condition}",
    Reason.TooManyItems: "forEach has {count} items, {limit} is the most; give each item more to do",
    Reason.RunTooLarge: (
        "{path} asks for {more} nodes and items, which would make {count} in this run; {limit} is the most: give each"
        " item more to do, or hand parts to child runs (workflow)"
    ),
    Reason.Evicted: "the Pod was evicted: {message}",
    Reason.Preempted: "the Pod was preempted by one of higher priority: {message}",
    Reason.NodeLost: "cluster node {host} was lost",
    Reason.PodDeleted: "the Pod was deleted by somebody",
    Reason.JobDeleted: "the Job was deleted by somebody",
    Reason.Accepted: "the decision counts",
    Reason.Refused: "the decision does not count: {problem}",
    Reason.PoliciesInForce: "Approvals are their authors' own, and who writes a graph may create Pods",
    Reason.PoliciesMissing: (
        "{what}, since these ValidatingAdmissionPolicies are not in force: {policies}; the chart installs them with"
        " admission.policies.enabled"
    ),
    Reason.PoliciesUnknown: (
        "whether the ValidatingAdmissionPolicies {policies} are in force cannot be told: the operator may not read them"
    ),
}
"""Of the reasons whose message is always of one form; the others are said where they are found."""


class _Facts(dict[str, object]):
    """Facts for a message: one that nobody knew reads as unknown, for a message must never stop a run."""

    def __missing__(self, key: str) -> str:
        return "unknown"


def message_for(reason: Reason, **facts: object) -> str:
    """Give the message of a reason that has a form, with its facts filled in."""
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


def shortened(message: str, most: int = MAX_MESSAGE) -> str:
    """Give a message of at most so many characters, with an ellipsis where the rest was."""
    return message if len(message) <= most else message[: most - 1] + "…"


def run_conditions(
    *,
    phase: RunPhase,
    reason: str,
    message: str,
    previous: Iterable[Mapping[str, Any]],
    now: float,
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
    *, ready: bool, reason: str, message: str, previous: Iterable[Mapping[str, Any]], now: float, generation: int
) -> list[Condition]:
    """Give the condition Ready, of a Workflow, a NodeType or a NotificationChannel."""
    statuses = {ConditionType.Ready: _flag(ready)}
    return _conditions(statuses, reason=reason, message=message, previous=previous, now=now, generation=generation)


def admission_condition(
    reason: Reason, message: str, *, previous: Iterable[Mapping[str, Any]], now: float, generation: int
) -> list[Condition]:
    """Give the condition AdmissionEnforced: whether the API server holds people to what the operator cannot see."""
    status = {Reason.PoliciesInForce: "True", Reason.PoliciesMissing: "False"}.get(reason, "Unknown")
    statuses = {ConditionType.AdmissionEnforced: status}
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
    now: float,
    generation: int,
) -> list[Condition]:
    before = {str(condition.get("type")): condition for condition in previous}
    text = shortened(message)
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
                lastTransitionTime=str(old["lastTransitionTime"]) if unchanged else timestamp(now),
                observedGeneration=generation,
            )
        )
    return conditions
