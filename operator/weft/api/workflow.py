"""A Workflow: the graph of work a user writes, and the `Ready` the operator answers it with."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from weft.api.base import (
    API_VERSION,
    ApiVersion,
    Conditions,
    Count,
    Expression,
    Model,
    Name,
    ObjectName,
    ResourceModel,
    Seconds,
    SecondsOrZero,
    Short,
    StatusModel,
    ValueName,
    unique_names,
)
from weft.api.job import JobSettings
from weft.api.node import MAX_NODES, Node
from weft.api.parameters import Parameters
from weft.api.retry import Retry

FailurePolicy = Literal["Cancel", "Drain", "Continue"]
NotificationEvent = Literal["Started", "Succeeded", "Failed", "Cancelled", "NodeFailed", "ApprovalRequested"]

MAX_GRAPHS = 100
MAX_GRAPH_NODES = 500


class Defaults(JobSettings):
    """What every Job node inherits unless it says otherwise."""

    retry: Retry | None = Field(None, description="Retry of nodes that have none of their own.")
    timeout_seconds: Seconds | None = Field(None, description="How long one attempt may take.")
    pending_timeout_seconds: Seconds | None = Field(
        None, description="How long a Pod may wait to run: unschedulable, pulling its image, or refused by quota."
    )


class Output(Model):
    """One output of a graph."""

    name: ValueName = Field(description="Name of the output.")
    value: Expression = Field(description="CEL over the graph's nodes: nodes.publish.outputs.listed.")


Outputs = Annotated[
    list[Output],
    Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "map"}),
    AfterValidator(unique_names),
]


class Graph(Model):
    """A named subgraph, run in place by a node's `graph`. Calls between graphs are acyclic and at most 8 deep."""

    name: Name = Field(description="Name, as in graph: {name: ...}.")
    parameters: Parameters = Field(default_factory=list, description="What the graph must be given, as its own params.")
    failure_policy: FailurePolicy | None = Field(
        None, description="What an uncaught failure does here. Default: the Workflow's."
    )
    nodes: Annotated[list[Node], Field(min_length=1, max_length=MAX_GRAPH_NODES), AfterValidator(unique_names)] = Field(
        description="The graph's nodes."
    )
    outputs: Outputs = Field(default_factory=list, description="Outputs of the node that runs the graph.")


class HistoryLimits(Model):
    """How many finished runs are kept."""

    succeeded: Count | None = Field(None, description="Succeeded runs to keep; without it, all.")
    failed: Count | None = Field(None, description="Failed and cancelled runs to keep; without it, all.")


class JobRetention(Model):
    """Which Jobs are kept when a run has ended."""

    keep: Literal["All", "Failed", "None"] = Field(
        "Failed", description="All, only Failed ones, or None. Kept Jobs go when their run goes."
    )


class Notification(Model):
    """Whom to tell, and of what."""

    channel: ObjectName = Field(description="A NotificationChannel of the same namespace.")
    events: Annotated[list[NotificationEvent], Field(min_length=1, max_length=6)] = Field(
        default=["Succeeded", "Failed", "Cancelled"], description="The events to tell of."
    )


class WorkflowSpec(Model):
    """The graph of work and how a run of it behaves."""

    description: Annotated[str, Field(max_length=4096)] | None = Field(None, description="What the Workflow is for.")
    parameters: Parameters = Field(
        default_factory=list, description="What a run must be given; checked when it starts."
    )
    defaults: Defaults = Field(
        default_factory=Defaults, description="What every Job node inherits unless it says otherwise."
    )
    timeout_seconds: Seconds | None = Field(None, description="How long the graph may take; without it, for ever.")
    finally_timeout_seconds: Seconds = Field(600, description="How long compensations and finally nodes may take.")
    parallelism: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None, description="Running Pods of one run, each item counted; without it, no limit of the run's own."
    )
    failure_policy: FailurePolicy = Field(
        "Drain",
        description=(
            "What an uncaught failure does. Cancel: stop running nodes. Drain: start nothing new. Continue: run"
            " every node that still can. The run fails in each case."
        ),
    )
    nodes: Annotated[list[Node], Field(min_length=1, max_length=MAX_NODES), AfterValidator(unique_names)] = Field(
        description=(
            "The graph's nodes. Each waits for those in its dependsOn; one without starts at once. Ready nodes start in"
            " topological, then written order."
        )
    )
    finally_: Annotated[list[Node], Field(max_length=MAX_GRAPH_NODES), AfterValidator(unique_names)] = Field(
        default_factory=list,
        alias="finally",
        description="Nodes that run after the graph, whatever its outcome; they see run.outcome and run.failures.",
    )
    graphs: Annotated[
        list[Graph],
        Field(max_length=MAX_GRAPHS, json_schema_extra={"x-kubernetes-list-type": "map"}),
        AfterValidator(unique_names),
    ] = Field(default_factory=list, description="Named subgraphs, run by a node's graph: {name: ...}.")
    outputs: Outputs = Field(default_factory=list, description="Outputs of a run, found in its status.outputs.")
    ttl_seconds_after_finished: SecondsOrZero | None = Field(
        None, description="How long a finished run is kept; without it, for ever."
    )
    history_limits: HistoryLimits = Field(default_factory=HistoryLimits, description="How many finished runs are kept.")
    jobs: JobRetention = Field(default_factory=JobRetention, description="Which Jobs are kept when a run has ended.")
    notifications: Annotated[list[Notification], Field(max_length=32)] = Field(
        default_factory=list, description="Whom to tell of what happens to a run."
    )


class WorkflowStatus(StatusModel):
    """What the operator says of a Workflow."""

    observed_generation: int | None = Field(None, description="The generation of spec this status speaks of.")
    conditions: Conditions = Field(
        default_factory=list,
        description=(
            "Ready: whether a run can be started; if not, the path of the error and its mend. AdmissionEnforced:"
            " whether the API server holds people to what the operator cannot see."
        ),
    )
    revision: Short | None = Field(
        None, description="The ControllerRevision that holds the spec, as a run started now would get it."
    )


class Workflow(ResourceModel):
    """A graph of work; each WorkflowRun carries it out once."""

    api_version: ApiVersion = API_VERSION
    kind: Literal["Workflow"] = "Workflow"
    spec: WorkflowSpec = Field(description="The graph of work and how a run of it behaves.")
    status: WorkflowStatus | None = Field(None, description="What the operator says of it.")
