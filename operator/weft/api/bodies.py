"""What a node does: the bodies other than `job`, one model each.

A body that starts a Pod is in `job.py`. Which bodies a node, a compensation or a NodeType may have is said by the
three classes at the end; each holds exactly one.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from weft.api.base import (
    MAX_EXPRESSION,
    NULL_IS_ABSENT,
    Expression,
    Json,
    Model,
    Name,
    ObjectName,
    OpenObject,
    Rule,
    Seconds,
    Short,
    Text,
    ValueName,
    exactly_one,
    exactly_one_rule,
    int_or_string,
    unique_names,
)
from weft.api.job import JobBody
from weft.api.retry import Retry

Arguments = Annotated[dict[str, Json], Field(max_length=64)]
Url = Annotated[str, Field(min_length=1, max_length=8192)]

MAX_WAIT = 10 * 366 * 86400
"""Longest wait in seconds: ten years."""

_WAIT = int_or_string(low=0, high=MAX_WAIT, longest=MAX_EXPRESSION)


class GraphBody(Model):
    """Run a named subgraph of this Workflow in place."""

    name: Name = Field(description="A graph of spec.graphs.")
    parameters: OpenObject = Field(default_factory=dict, description="Values of the graph's parameters; templates.")


class WorkflowBody(Model):
    """Start another Workflow as a child run and wait for it; its outputs are this node's."""

    name: ObjectName = Field(description="A Workflow of the same namespace.")
    parameters: OpenObject = Field(default_factory=dict, description="Values of its parameters; templates.")


class SwitchCase(Model):
    """One way to go on, chosen when its condition is true."""

    name: Name = Field(
        description="Name of the case; nodes follow it with dependsOn: ['<node>:<case>']."
        " Lower-case, so it cannot be Succeeded, Failed, Done or Ready."
    )
    when: Expression = Field(description="CEL: true chooses this case.")


class SwitchBody(Model):
    """Choose one of several ways: the first case that is true, else the default, else none."""

    cases: Annotated[
        list[SwitchCase],
        Field(min_length=1, max_length=64, json_schema_extra={"x-kubernetes-list-type": "map"}),
        AfterValidator(unique_names),
    ] = Field(description="The cases, asked in order.")
    default: Name | None = Field(
        None, description="The case chosen when no other is true; one of the cases or a name of its own."
    )


class People(Model):
    """Who may decide: the authenticated users named, and the members of the groups."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    users: Annotated[list[Short], Field(max_length=256)] = Field(default_factory=list, description="User names.")
    groups: Annotated[list[Short], Field(max_length=256)] = Field(default_factory=list, description="Group names.")

    def somebody(self, else_: str = "") -> Self:
        """Give these people, or raise ValueError: a list that a template has left empty must not mean everybody."""
        if not self.users and not self.groups:
            raise ValueError(f"names nobody: list users or groups{else_}")
        return self


class Escalation(Model):
    """Who is asked next, and for how long."""

    from_: People = Field(alias="from", description="Who may decide from now on.")
    timeout_seconds: Seconds | None = Field(None, description="How long they have before the next escalation.")

    @field_validator("from_")
    @classmethod
    def _names_somebody(cls, people: People) -> People:
        return people.somebody()


class ApprovalBody(Model):
    """Wait for people: `quorum` approvals succeed, one rejection fails. Outputs: decision, by, at."""

    quorum: Annotated[int, Field(ge=1, le=256)] = Field(1, description="Approvals needed, each from another person.")
    from_: People | None = Field(
        None, alias="from", description="Who may decide; without it, everyone who may create an Approval here."
    )
    timeout_seconds: Seconds | None = Field(None, description="How long to wait; without it, for ever.")
    on_timeout: Literal["Approve", "Reject", "Escalate"] = Field(
        "Reject", description="What the end of timeoutSeconds means. Escalate asks the next of `escalation`."
    )
    message: Text | None = Field(
        None, description="What is asked; a template: Publish ${{ nodes.scrape.outputs.count }} items?"
    )
    escalation: Annotated[list[Escalation], Field(max_length=16)] = Field(
        default_factory=list, description="Who is asked after a timeout, in order; the last timeout rejects."
    )

    @field_validator("from_")
    @classmethod
    def _names_somebody(cls, people: People | None) -> People | None:
        return None if people is None else people.somebody(", or leave it out, and everybody may decide")

    @model_validator(mode="after")
    def _escalates_to_somebody(self) -> Self:
        if self.on_timeout == "Escalate" and (self.timeout_seconds is None or not self.escalation):
            raise ValueError("onTimeout Escalate needs timeoutSeconds and at least one escalation")
        return self

    @classmethod
    def rules(cls) -> list[Rule]:
        """Escalate only to somebody."""
        return [
            (
                "!has(self.onTimeout) || self.onTimeout != 'Escalate'"
                " || (has(self.timeoutSeconds) && has(self.escalation) && size(self.escalation) > 0)",
                "onTimeout Escalate needs timeoutSeconds and at least one escalation",
            )
        ]


class WaitBody(Model):
    """Let time pass: a number of seconds, or until a moment."""

    seconds: Annotated[int | str, _WAIT[0], _WAIT[1]] | None = Field(
        None, description="How long to wait; a number or a template: ${{ params.delay }}."
    )
    until: Expression | None = Field(
        None, description="The moment to wait for, RFC 3339 (2026-12-24T18:00:00Z); a template."
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        found = [name for name in ("seconds", "until") if getattr(self, name) is not None]
        if problem := exactly_one("wait", ["seconds", "until"], found):
            raise ValueError(problem)
        return self

    @classmethod
    def rules(cls) -> list[Rule]:
        """A duration or a moment."""
        return [exactly_one_rule("wait", ["seconds", "until"])]


class Header(Model):
    """One HTTP header."""

    name: Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", max_length=256)] = Field(
        description="Name of the header."
    )
    value: Annotated[str, Field(max_length=8192)] = Field(description="Its value; a template.")


class HttpBody(Model):
    """Ask an HTTP server. Outputs: status, body."""

    url: Url = Field(
        description="Address, http or https; a template. Link-local and cluster-internal control addresses are refused."
    )
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = Field("GET", description="Method.")
    headers: Annotated[list[Header], Field(max_length=64)] = Field(
        default_factory=list, description="Headers; templates."
    )
    body: Json | None = Field(None, description="What is sent; a string as it is, anything else as JSON; templates.")
    timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(30, description="How long one request may take.")
    success_when: Expression | None = Field(
        None, description="CEL over status and body: true succeeds. Default: any status from 200 to 299."
    )
    max_response_bytes: Annotated[int, Field(ge=0, le=262_144)] = Field(
        65_536, description="How much of the response is read; a longer one fails the node."
    )


class ResourceBody(Model):
    """Create a Kubernetes object in the run's namespace and wait for it."""

    manifest: OpenObject = Field(description="The object, whole, with apiVersion and kind; templates in its strings.")
    success_when: Expression | None = Field(
        None, description="CEL over `object`: true succeeds. Default: as soon as it is created."
    )
    fail_when: Expression | None = Field(None, description="CEL over `object`: true fails.")

    @field_validator("manifest")
    @classmethod
    def _is_an_object(cls, manifest: dict[str, Any]) -> dict[str, Any]:
        missing = [key for key in ("apiVersion", "kind") if not manifest.get(key)]
        if missing:
            raise ValueError(f"needs {' and '.join(missing)}")
        return manifest


class UseBody(Model):
    """Do what a NodeType says."""

    name: ObjectName = Field(description="A NodeType of the same namespace.")
    with_: OpenObject = Field(default_factory=dict, alias="with", description="Values of its parameters; templates.")


class OneBody(Model):
    """Something with exactly one body: the bodies every such thing may have."""

    job: JobBody | None = Field(None, description="Run a container to its end, as a Kubernetes Job.")
    http: HttpBody | None = Field(None, description="Ask an HTTP server; no Pod.")
    resource: ResourceBody | None = Field(None, description="Create a Kubernetes object and wait for it; no Pod.")
    expr: Annotated[dict[ValueName, Expression], Field(min_length=1, max_length=64), NULL_IS_ABSENT] | None = Field(
        None, description="Compute values by CEL; no Pod. Its keys are its outputs: {total: params.a + params.b}."
    )

    @classmethod
    def body_kinds(cls) -> list[str]:
        """Give the names of the bodies this may have."""
        return ["job", "http", "resource", "expr"]

    @property
    def body_kind(self) -> str:
        """Give the name of the body this has."""
        return next(kind for kind in self.body_kinds() if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _has_one_body(self) -> Self:
        found = [kind for kind in self.body_kinds() if getattr(self, kind) is not None]
        if problem := exactly_one(self._what(), self.body_kinds(), found):
            raise ValueError(problem)
        return self

    @classmethod
    def _what(cls) -> str:
        return "it"

    @classmethod
    def rules(cls) -> list[Rule]:
        """Exactly one body."""
        return [exactly_one_rule(cls._what(), cls.body_kinds())]


class Compensate(OneBody):
    """How to undo a node that succeeded, when the run fails or is stopped by Drain or Cancel later on."""

    graph: GraphBody | None = Field(None, description="Run a named subgraph.")
    workflow: WorkflowBody | None = Field(None, description="Start another Workflow as a child run.")
    timeout_seconds: Seconds | None = Field(None, description="How long one attempt may take.")
    retry: Retry | None = Field(None, description="When a failed attempt is tried again.")

    @classmethod
    def body_kinds(cls) -> list[str]:
        """Give the names of the bodies a compensation may have."""
        return [*super().body_kinds(), "graph", "workflow"]

    @classmethod
    def _what(cls) -> str:
        return "a compensation"
