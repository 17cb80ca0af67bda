"""A scenario: what the world does while a workflow is simulated.

How long attempts take and how they end (`events`, the first match wins), who approves what (`approvals`), and what the
user does to the run (`actions`). Everything is optional; without a scenario every attempt succeeds after one second.
Times are seconds from the run's start.

What an event means depends on the node's body; see `outcome`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from weft.api.base import Json, Model, NodePath, Short
from weft.api.problems import Problem, parse

MAX_TIME = 100 * 366 * 86400

Time = Annotated[float, Field(ge=0, le=MAX_TIME)]
"""Seconds: at most a hundred years."""
Position = Annotated[int, Field(ge=0)]

Ending = Literal[
    "Error", "OOMKilled", "Evicted", "Preempted", "NodeLost", "PodDeleted", "JobDeleted",
    "ImagePullFailed", "Unschedulable", "QuotaExceeded",
]  # fmt: skip
"""Reasons an attempt can meet: the last three keep its Pod from running."""


class Default(Model):
    """What happens where no event says otherwise."""

    duration_seconds: Time = Field(1.0, description="How long an attempt takes.")


class Event(Model):
    """How attempts of one node go; without attempt, index and iteration, all of them."""

    node: NodePath = Field(description="The node: price, or publish/upload in a subgraph or a child run.")
    index: Position | None = Field(None, description="The item: of the node's own forEach or the innermost around it.")
    iteration: Position | None = Field(
        None, description="The round of the node's own while or the innermost around it."
    )
    attempt: Annotated[int, Field(ge=1)] | None = Field(None, description="The attempt; 1 is the first.")
    role: Literal["main", "compensate"] = Field("main", description="The node's own work, or its compensation.")
    duration_seconds: Time | None = Field(None, description="How long it takes; with a pending reason, stays pending.")
    ready_seconds: Time = Field(0.0, description="How long a service takes to become ready.")
    exit_code: Annotated[int, Field(ge=0, le=255)] | None = Field(None, description="Any but 0 is a failure.")
    reason: Ending | None = Field(None, description="Why it fails, or does not run.")
    message: Short | None = Field(None, description="What the failure says.")
    outputs: Json | None = Field(None, description="What it writes; a string is taken as the raw text of a job.")


class Decision(Model):
    """Somebody approves or rejects."""

    node: NodePath = Field(description="The approval.")
    index: Position | None = Field(None, description="The item of the innermost forEach around it; without it, all.")
    iteration: Position | None = Field(None, description="The round of the innermost while around it.")
    at: Time = Field(0.0, description="When. A decision made before it is asked for counts as soon as it is.")
    by: Annotated[str, Field(min_length=1, max_length=253)] = Field("approver", description="Who.")
    decision: Literal["Approve", "Reject"] = Field("Approve", description="What.")


class Rerun(Model):
    """A rerun, as in a run's spec."""

    generation: Annotated[int, Field(ge=1)] | None = Field(None, description="Passed over: they count by themselves.")
    from_: Literal["Failed", "All", "Nodes"] = Field("Failed", alias="from", description="What is done again.")
    nodes: list[NodePath] = Field(default_factory=list, description="With from Nodes: their names.")

    @model_validator(mode="after")
    def _names_nodes(self) -> Self:
        if (self.from_ == "Nodes") != bool(self.nodes):
            raise ValueError("from Nodes names at least one node in nodes; Failed and All name none")
        return self


class Action(Model):
    """What the user does to the run."""

    at: Time = Field(description="When. A rerun comes when the run has ended, if that is later.")
    suspend: bool | None = Field(None, description="true suspends the run, false resumes it.")
    stop: Literal["Drain", "Cancel", "Terminate"] | None = Field(None, description="Stops the run.")
    rerun: Rerun | None = Field(None, description="Failed, All, Nodes with `nodes` beside it, or {from, nodes}.")

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("rerun"), str):
            return data
        rest = {key: value for key, value in data.items() if key not in ("rerun", "nodes")}
        named = {"nodes": data["nodes"]} if "nodes" in data else {}
        return {**rest, "rerun": {"from": data["rerun"], **named}}

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        if sum(part is not None for part in (self.suspend, self.stop, self.rerun)) != 1:
            raise ValueError("an action has exactly one of suspend, stop, rerun")
        return self


class Scenario(Model):
    """What the world does."""

    default: Default = Field(default_factory=Default, description="What happens where no event says otherwise.")
    events: list[Event] = Field(default_factory=list, description="How attempts go; the first match wins.")
    approvals: list[Decision] = Field(default_factory=list, description="Who decides what, and when.")
    actions: list[Action] = Field(default_factory=list, description="What the user does to the run, and when.")


def parse_scenario(document: Any) -> tuple[Scenario | None, list[Problem]]:
    """Read a scenario from a YAML document (None: an empty file); give it, or None and every problem."""
    return parse(Scenario, {} if document is None else document)


class Events:
    """The events by node, so that finding the first match costs what the node has, not what the scenario has."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._by_node: dict[tuple[str, str], list[Event]] = {}
        for event in events:
            self._by_node.setdefault((event.node, event.role), []).append(event)

    def first(self, *, node: str, role: str, index: int | None, iteration: int | None, attempt: int) -> Event | None:
        """Give the first event that speaks of this attempt, if there is one."""
        for event in self._by_node.get((node, role), ()):
            if (
                event.index in (None, index)
                and event.iteration in (None, iteration)
                and event.attempt in (None, attempt)
            ):
                return event
        return None
