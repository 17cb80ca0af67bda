"""An Approval: one person's decision on one approval node, written once by that person.

It is bound to the run's UID, the node's path, its iteration and the rerun generation, so that a decision can never
count for another question. That `by` and `groups` are the writer's own is held by a ValidatingAdmissionPolicy: the
operator sees only the object, not who sent it.
"""

from typing import Annotated, Literal

from pydantic import Field

from weft.api.base import (
    API_VERSION,
    ApiVersion,
    Count,
    Message,
    Model,
    NodePath,
    ObjectName,
    ResourceModel,
    Rule,
    Short,
    StatusModel,
)


class ApprovalRun(Model):
    """The run the decision is for: its name, and its UID, since names are used again."""

    name: ObjectName = Field(description="Name of the WorkflowRun.")
    uid: Annotated[str, Field(min_length=1, max_length=128)] = Field(description="UID of the WorkflowRun.")


class ApprovalSpec(Model):
    """One decision. It cannot be changed; to think again is a matter for the run (stop, rerun)."""

    run: ApprovalRun = Field(description="The run the decision is for.")
    node: NodePath = Field(description="Path of the approval node: publish/sign-off for a node of a subgraph.")
    iteration: Count | None = Field(None, description="Iteration of the `while` around it, if there is one.")
    index: Count | None = Field(None, description="Item of the `forEach` around it, if there is one.")
    rerun_generation: Count = Field(
        0, description="The run's rerun.generation the decision is for; 0 before any rerun."
    )
    decision: Literal["Approve", "Reject"] = Field(description="Approve or Reject.")
    by: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="Who decides: must be the user who creates this object (kubectl auth whoami)."
    )
    groups: Annotated[list[Short], Field(max_length=256)] = Field(
        default_factory=list,
        description="Groups the decision is made for, where the node asks for groups: must be groups of that user.",
    )
    comment: Annotated[str, Field(max_length=4096)] | None = Field(
        None, description="Why, for those who read it later."
    )

    @classmethod
    def rules(cls) -> list[Rule]:
        """Write-once."""
        return [("self == oldSelf", "an Approval is written once; it cannot be changed")]


class ApprovalStatus(StatusModel):
    """Whether the decision counts."""

    accepted: bool | None = Field(None, description="Whether the decision counts.")
    reason: Short | None = Field(None, description="Why, in one word.")
    message: Message | None = Field(None, description="Why, for people.")


class Approval(ResourceModel):
    """One person's decision on one approval node of one run."""

    api_version: ApiVersion = API_VERSION
    kind: Literal["Approval"] = "Approval"
    spec: ApprovalSpec = Field(description="The decision.")
    status: ApprovalStatus | None = Field(None, description="Whether it counts.")
