"""When a failed attempt is tried again: the `retry` of a node, of `defaults`, of a compensation and of a NodeType."""

from typing import Annotated

from pydantic import Field

from weft.api.base import Count, Expression, Model, Quantity

Number = Annotated[float, Field(ge=0, le=1_000_000)]


class Backoff(Model):
    """The wait before retry k: min(maxSeconds, initialSeconds * factor^(k-1)), times 1 +- jitter."""

    initial_seconds: Number = Field(2.0, description="Wait before the first retry.")
    factor: Annotated[float, Field(ge=1, le=1000)] = Field(2.0, description="What each further wait is multiplied by.")
    max_seconds: Number = Field(60.0, description="The longest wait.")
    jitter: Annotated[float, Field(ge=0, le=1)] = Field(
        0.2, description="Share of the wait that is left to chance, from 0 to 1, so that retries do not march in step."
    )


class OnOutOfMemory(Model):
    """More memory for the attempt that follows an OOMKilled one."""

    factor: Annotated[float, Field(ge=1, le=100)] = Field(
        2.0, description="What the memory request and limit are multiplied by."
    )
    max: Quantity | None = Field(None, description="The most memory to ask for: 8Gi.")


class Retry(Model):
    """How often and how soon a failed node is tried again. `retry: {}` means three retries."""

    limit: Count = Field(3, description="Retries after the first attempt.")
    backoff: Backoff = Field(default_factory=Backoff, description="The wait between attempts.")
    when: Expression | None = Field(
        None,
        description="CEL: retry only when true. Sees exitCode, reason, message, attempt and outputs: exitCode != 2.",
    )
    disruptions: Count = Field(
        5,
        description=(
            "Further attempts after a disruption (eviction, preemption, node loss, a Job or Pod deleted by somebody);"
            " they have no back-off and do not count as failures."
        ),
    )
    on_out_of_memory: OnOutOfMemory | None = Field(
        None, description="Raise the memory of the next attempt after OOMKilled: {factor: 2, max: 8Gi}."
    )
