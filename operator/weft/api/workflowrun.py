"""A WorkflowRun: one carrying out of a Workflow. Its spec is fixed but for four controls; its status tells the story.

The API server itself holds spec to that (transition rules). The operator writes status only, in the forms
`engine/budget` chooses; the models here read it leniently, because nodes that have ended may stand in a compact form.
"""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from weft.api.base import (
    API_VERSION,
    SERVER_DEFAULT,
    ApiVersion,
    Conditions,
    Json,
    Message,
    Model,
    NodePath,
    ObjectName,
    OpenObject,
    ResourceModel,
    Rule,
    Short,
    StatusModel,
    Timestamp,
    exactly_one,
    exactly_one_rule,
)
from weft.api.conditions import NodePhase, RunPhase
from weft.api.workflow import WorkflowSpec

Priority = Literal["High", "Normal", "Low"]
Stop = Literal["Drain", "Cancel", "Terminate"]
RerunFrom = Literal["Failed", "All", "Nodes"]


class WorkflowRef(Model):
    """The Workflow to carry out."""

    name: ObjectName = Field(description="A Workflow of the same namespace.")


class Rerun(Model):
    """Ask a finished run to do some of its nodes again."""

    generation: Annotated[int, Field(ge=1, le=1_000_000)] = Field(description="Raise it to ask for another rerun.")
    from_: RerunFrom = Field(
        "Failed",
        alias="from",
        description=(
            "Failed: every node that is not Succeeded or skipped by condition. Nodes: the nodes named and all their"
            " descendants. All: everything."
        ),
    )
    nodes: Annotated[list[NodePath], Field(max_length=1024)] = Field(
        default_factory=list, description="With from Nodes: their names; publish/upload for a node of a subgraph."
    )

    @model_validator(mode="after")
    def _names_nodes(self) -> Self:
        if (self.from_ == "Nodes") != bool(self.nodes):
            raise ValueError(_RERUN_NODES)
        return self

    @classmethod
    def rules(cls) -> list[Rule]:
        """Nodes are named exactly when they are asked for."""
        asked = "(has(self.from) && self.from == 'Nodes')"
        return [(f"{asked} == (has(self.nodes) && size(self.nodes) > 0)", _RERUN_NODES)]


_RERUN_NODES = "from Nodes names at least one node in nodes; Failed and All name none"


class RunSpec(Model):
    """What to carry out and with what. Fixed, except for suspend, stop, rerun and priority."""

    workflow_ref: WorkflowRef | None = Field(None, description="The Workflow to carry out; or give workflow.")
    workflow: WorkflowSpec | None = Field(
        None, description="A Workflow's spec, inline, instead of workflowRef (see: kubectl explain workflow.spec)."
    )
    parameters: OpenObject = Field(
        default_factory=dict, description="Values of the Workflow's parameters: {limit: 500}."
    )
    queue: ObjectName = Field(
        "default",
        json_schema_extra=SERVER_DEFAULT,
        description="The WorkflowQueue that says how many runs are active at once.",
    )
    priority: Priority = Field(
        "Normal", json_schema_extra=SERVER_DEFAULT, description="Which runs of a queue go first."
    )
    suspend: bool = Field(
        False,
        description="Start nothing new. Running Pods go on; run, deadline, approval and wait clocks stand still.",
    )
    stop: Stop | None = Field(
        None,
        description=(
            "End the run early. Drain: let running Jobs end. Cancel: stop them too. Terminate: also skip"
            " compensation and finally. May only escalate, or be cleared together with a higher rerun.generation."
        ),
    )
    rerun: Rerun | None = Field(None, description="Do a finished run's nodes again.")

    @model_validator(mode="after")
    def _one_workflow(self) -> Self:
        found = [
            name
            for name, given in (("workflowRef", self.workflow_ref), ("workflow", self.workflow))
            if given is not None
        ]
        if problem := exactly_one("a run", ["workflowRef", "workflow"], found):
            raise ValueError(problem)
        return self

    @classmethod
    def rules(cls) -> list[Rule]:
        """One workflow; all fixed but the controls; stop and rerun only go forward."""
        raised = "(has(self.rerun) && (!has(oldSelf.rerun) || self.rerun.generation > oldSelf.rerun.generation))"
        escalated = "(oldSelf.stop == 'Drain' || self.stop == 'Terminate' || self.stop == oldSelf.stop)"
        return [
            exactly_one_rule("a run", ["workflowRef", "workflow"]),
            *(_fixed(field) for field in ("workflowRef", "workflow", "parameters", "queue")),
            (
                f"!has(oldSelf.stop) || (has(self.stop) ? {escalated} : {raised})",
                "stop may only escalate (Drain, Cancel, Terminate), or be cleared with a higher rerun.generation",
            ),
            (
                f"!has(oldSelf.rerun) || (has(self.rerun) && (self.rerun == oldSelf.rerun || {raised}))",
                "rerun changes only together with a higher rerun.generation",
            ),
            (f"!{raised} || !has(self.stop)", "clear stop in the same edit: a stopped run cannot be rerun"),
        ]


def _fixed(field: str) -> Rule:
    """Give the rule that a field never changes.

    Inside an open object the API server compares only the keys that both sides have, and their number (measured on
    1.35): renaming a parameter passes. What a run has started with is safe in its revision all the same.
    """
    rule = f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
    return rule, f"{field} is immutable; create another run instead"


class NodeCounts(StatusModel):
    """How many nodes stand where."""

    pending: int = Field(0, description="Not started.")
    running: int = Field(0, description="With a running attempt.")
    waiting: int = Field(0, description="For people, for time or for a back-off.")
    succeeded: int = Field(0, description="Succeeded.")
    failed: int = Field(0, description="Failed.")
    skipped: int = Field(0, description="Skipped.")
    cancelled: int = Field(0, description="Stopped before they ended.")
    compensated: int = Field(0, description="Succeeded and undone.")


class NodeStatus(StatusModel):
    """Where one node stands; a node that has ended may leave out all but name and phase."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})

    name: Annotated[str, Field(max_length=1024)] = Field(
        "", description="Path: publish/upload for a node of a subgraph."
    )
    phase: NodePhase | None = Field(None, description="Where it stands.")
    reason: Short | None = Field(None, description="Why it stands there, in one word.")
    message: Message | None = Field(None, description="Why it stands there, for people.")
    attempts: int | None = Field(None, description="Attempts so far.")
    start_time: Timestamp | None = Field(None, description="When its first attempt started.")
    completion_time: Timestamp | None = Field(None, description="When it ended.")
    job: Short | None = Field(None, description="Job of the latest attempt.")
    run: Short | None = Field(None, description="Child run of the latest attempt, where the node runs a Workflow.")
    outputs: Json | None = Field(None, description="What it wrote.")
    exit_code: int | None = Field(None, description="Exit code of the latest attempt.")


class RunStatus(StatusModel):
    """What has become of a run so far."""

    observed_generation: int | None = Field(None, description="The generation of spec this status speaks of.")
    phase: RunPhase | None = Field(None, description="Where the run stands; derived, for printing and selectors.")
    conditions: Conditions = Field(
        default_factory=list,
        description=(
            "Succeeded (Unknown until the end), Finished (True at every ending), Reconciling (True while active) and"
            " Stalled (True when failed)."
        ),
    )
    queued_time: Timestamp | None = Field(None, description="When the operator first saw the run.")
    start_time: Timestamp | None = Field(None, description="When its first node could start.")
    completion_time: Timestamp | None = Field(None, description="When it ended.")
    duration: Annotated[str, Field(max_length=32)] | None = Field(
        None, description="From startTime to the end, or so far: 4m10s."
    )
    workflow_revision: Short | None = Field(
        None, description="The ControllerRevision that holds the spec this run was started with."
    )
    progress: Annotated[str, Field(max_length=32)] | None = Field(None, description="Nodes done of all nodes: 3/9.")
    counts: NodeCounts | None = Field(None, description="How many nodes stand where.")
    rerun_generation: int | None = Field(None, description="The rerun carried out last.")
    nodes: Annotated[list[NodeStatus], Field(max_length=100_000)] = Field(
        default_factory=list, description="Where every node stands."
    )
    compressed_nodes: Annotated[str, Field(max_length=1_000_000)] | None = Field(
        None, description="Every node, when they are too many for nodes: a list in JSON, zlib, Base64."
    )
    compressed_nodes_in: Annotated[list[Short], Field(max_length=1000)] | None = Field(
        None,
        description="What the names of the ConfigMaps end in that hold compressedNodes, when even these are too large:"
        " weft-<uid of the run>-<name>.",
    )
    outputs: OpenObject | None = Field(None, description="The run's outputs.")
    state: OpenObject | None = Field(None, description="The engine's own notes; not for reading.")


class WorkflowRun(ResourceModel):
    """One carrying out of a Workflow."""

    api_version: ApiVersion = API_VERSION
    kind: Literal["WorkflowRun"] = "WorkflowRun"
    spec: RunSpec = Field(description="What to carry out and with what.")
    # Atomic: it has one writer, and who owns which of its fields, node by node and condition by condition, is a fifth
    # of what the API server pays for each write.
    status: RunStatus | None = Field(
        None, description="What has become of it so far.", json_schema_extra={"x-kubernetes-map-type": "atomic"}
    )

    @classmethod
    def rules(cls) -> list[Rule]:
        """Only a run that has ended is rerun."""
        same = "has(oldSelf.spec.rerun) && self.spec.rerun.generation == oldSelf.spec.rerun.generation"
        ended = "has(oldSelf.status) && has(oldSelf.status.phase) && oldSelf.status.phase in "
        ended += str([str(phase) for phase in RunPhase if phase.ended])
        message = "the run is active; it can be rerun when it has ended"
        return [(f"!has(self.spec.rerun) || ({same}) || ({ended})", message, ".spec.rerun")]
