"""A WorkflowQueue: how many runs of a namespace are active at once.

A run names its queue (`default` unless it says so). The queue `default` has no limit as long as it does not exist; a
run that names another queue waits until that does.
"""

from typing import Annotated, Literal

from pydantic import Field

from weft.api.base import API_VERSION, ApiVersion, Model, ResourceModel, StatusModel

Limit = Annotated[int, Field(ge=1, le=1_000_000)]


class WorkflowQueueSpec(Model):
    """The limits of a queue. Runs are started by priority, then in the order they were created."""

    max_active_runs: Limit | None = Field(None, description="Runs that are active at once; without it, no limit.")
    paused: bool = Field(False, description="Start no further run; active ones go on.")


class WorkflowQueueStatus(StatusModel):
    """Who is in the queue."""

    observed_generation: int | None = Field(None, description="The generation of spec this status speaks of.")
    active: int | None = Field(None, description="Runs that are active.")
    queued: int | None = Field(None, description="Runs that wait.")


class WorkflowQueue(ResourceModel):
    """How many runs of a namespace are active at once."""

    api_version: ApiVersion = API_VERSION
    kind: Literal["WorkflowQueue"] = "WorkflowQueue"
    spec: WorkflowQueueSpec = Field(description="The limits of the queue.")
    status: WorkflowQueueStatus | None = Field(None, description="Who is in it.")
