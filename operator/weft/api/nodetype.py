"""A NodeType: a body with parameters, written once and used by many nodes (`use: {name, with}`).

It is inlined into the spec a run is frozen with, so that editing it never changes a run that has started.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from weft.api.base import (
    API_VERSION,
    ApiVersion,
    Conditions,
    Expression,
    Model,
    ResourceModel,
    Seconds,
    StatusModel,
    ValueName,
    unique_names,
)
from weft.api.bodies import OneBody
from weft.api.parameters import Parameters
from weft.api.retry import Retry


class NodeTypeOutput(Model):
    """One output of the nodes that use the type."""

    name: ValueName = Field(description="Name of the output.")
    value: Expression | None = Field(
        None,
        description="CEL over params and the body's outputs: outputs.count * 2. Default: the output of that name.",
    )
    description: Annotated[str, Field(max_length=4096)] | None = Field(None, description="What it holds.")


class NodeTypeSpec(OneBody):
    """Parameters, exactly one body and outputs. In the body, params are the type's own."""

    description: Annotated[str, Field(max_length=4096)] | None = Field(None, description="What the type is for.")
    parameters: Parameters = Field(default_factory=list, description="What `with` must give.")
    outputs: Annotated[
        list[NodeTypeOutput],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "map"}),
        AfterValidator(unique_names),
    ] = Field(default_factory=list, description="Outputs of a node of this type. Without any, the body's own.")
    retry: Retry | None = Field(None, description="Retry of nodes that have none of their own.")
    timeout_seconds: Seconds | None = Field(None, description="How long one attempt may take, unless the node says so.")

    @classmethod
    def _what(cls) -> str:
        return "a NodeType"


class NodeTypeStatus(StatusModel):
    """What the operator says of a NodeType."""

    observed_generation: int | None = Field(None, description="The generation of spec this status speaks of.")
    conditions: Conditions = Field(
        default_factory=list,
        description="Ready: whether nodes can use it. AdmissionEnforced: as of a Workflow.",
    )


class NodeType(ResourceModel):
    """A body with parameters, written once and used by many nodes."""

    api_version: ApiVersion = API_VERSION
    kind: Literal["NodeType"] = "NodeType"
    spec: NodeTypeSpec = Field(description="Parameters, exactly one body and outputs.")
    status: NodeTypeStatus | None = Field(None, description="What the operator says of it.")
