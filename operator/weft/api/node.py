"""A node of a graph: modifiers (when it runs, how often, what its failure means) plus exactly one body (what it does).

The bodies stand in `bodies.py` and `job.py`, retries in `retry.py`; here are the other modifiers and the node itself.
Rules that need only the node are held here and, as CEL, by the API server; rules about other nodes (ancestors,
cycles, cases) are `graph/validate`'s.
"""

from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, field_validator, model_validator

from weft.api.base import (
    DNS_NAME,
    MAX_EXPRESSION,
    Expression,
    Json,
    Model,
    Name,
    Rule,
    Seconds,
    ValueName,
    int_or_string,
    whole_or_text,
)
from weft.api.bodies import ApprovalBody, Compensate, GraphBody, OneBody, SwitchBody, UseBody, WaitBody, WorkflowBody
from weft.api.retry import Retry

MAX_ITEMS = 100_000
"""Of one forEach: each is a unit of its own, in memory and in the status."""
MAX_NODES = 10_000
"""Of a graph; one node may wait for all the others."""
BODIES = ["job", "graph", "workflow", "switch", "approval", "wait", "expr", "http", "resource", "use"]
LOOPING_BODIES = ["job", "graph", "workflow", "http", "resource", "expr", "use"]

EdgeText = Annotated[
    str, Field(pattern=DNS_NAME.removesuffix("$") + r"(:[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?)?$", max_length=127)
]
"""`node` or `node:outcome`; see `split_edge`."""

_RANGE = int_or_string(low=0, high=MAX_ITEMS, longest=MAX_EXPRESSION)
_check_range = whole_or_text(low=0, high=MAX_ITEMS, longest=MAX_EXPRESSION)


class ForEach(Model):
    """Run the body once per item of a list; the node's outputs are lists in item order."""

    items: Json | None = Field(
        None, description="The items: a CEL expression (nodes.scrape.outputs.batches), a list, or {range: n}."
    )
    range: Annotated[int | str, _RANGE[0], _RANGE[1]] | None = Field(
        None, description="Instead of items: so many items, 0 to n-1; a number or a CEL expression."
    )
    as_: ValueName = Field("item", alias="as", description="What expressions call the item.")
    batch_size: Annotated[int, Field(ge=1, le=MAX_ITEMS)] | None = Field(
        None, description="Hand out the items in lists of this many."
    )
    max_parallel: Annotated[int, Field(ge=1, le=MAX_ITEMS)] | None = Field(
        None, description="Items that run at once; without it, only the run's parallelism counts."
    )
    max_failed: Annotated[int, Field(ge=0, le=MAX_ITEMS)] = Field(
        0, description="Items that may fail; one more cancels the rest and fails the node."
    )

    @field_validator("items")
    @classmethod
    def _is_a_list(cls, items: Any) -> Any:
        if isinstance(items, dict) and set(items) == {"range"}:
            return {"range": _check_range(items["range"])}
        if not isinstance(items, list | str):
            raise ValueError(f"must be a CEL expression, a list or {{range: n}}, got {items!r}")
        if isinstance(items, list) and len(items) > MAX_ITEMS:
            raise ValueError(f"must have at most {MAX_ITEMS} items, got {len(items)}")
        return items

    @model_validator(mode="after")
    def _items_or_range(self) -> Self:
        if (self.items is None) == (self.range is None):
            raise ValueError("forEach has exactly one of items and range")
        return self

    @property
    def source(self) -> str | list[Any] | dict[str, int | str]:
        """Give what the items come from, whichever way it was written: CEL, a list, or {"range": int or CEL}."""
        if self.range is not None:
            return {"range": self.range}
        return cast(str | list[Any] | dict[str, int | str], self.items)


class While(Model):
    """Run the body, then ask the condition; go on as long as it is true."""

    condition: Expression = Field(
        description="CEL, with the body's outputs as `previous` and the count as `iteration`."
    )
    max_iterations: Annotated[int, Field(ge=1, le=100_000)] = Field(
        100, description="Passing this many iterations fails the node."
    )


class Concurrency(Model):
    """Share a limit with the nodes of all runs in the namespace that name the same key."""

    key: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="What is shared; a template: deploy-${{ params.region }}."
    )
    limit: Annotated[int, Field(ge=1, le=MAX_ITEMS)] = Field(1, description="Holders at once.")
    policy: Literal["Queue", "Skip", "CancelRunning"] = Field(
        "Queue", description="When it is full: wait in turn, skip this node, or cancel the oldest holder."
    )


CACHE_SECONDS = 30 * 86_400.0
"""How long a result is kept, whatever `maxAgeSeconds` says."""


class Cache(Model):
    """Reuse the outputs of an earlier success with the same key, in this namespace and of this Workflow's node."""

    key: Expression = Field(
        description="What makes two results the same: CEL (params.day, or [params.day, item]) or, where text is mixed"
        " with it, a template (v2-${{ params.day }})."
    )
    max_age_seconds: Seconds | None = Field(
        None, description="How old a result may be; none is kept longer than 30 days."
    )


class Node(OneBody):
    """One step of a graph: modifiers plus exactly one body."""

    name: Name = Field(description="Name of the node, unique in its graph; lower-case letters, digits and '-'.")
    depends_on: Annotated[list[EdgeText], Field(max_length=MAX_NODES)] = Field(
        default_factory=list,
        description=(
            "What this node waits for: 'node' or 'node:outcome'; outcome is Succeeded (default), Failed, Done, Ready"
            " (a service's) or a case of a switch."
        ),
    )
    join: Literal["All", "Any"] = Field(
        "All",
        description="All: run when every edge is decided and none is broken. Any: run at the first edge that is met.",
    )
    when: Expression | None = Field(None, description="CEL, asked once when the join is met: false skips the node.")
    for_each: ForEach | None = Field(None, description="Run the body once per item.")
    while_: While | None = Field(None, alias="while", description="Run the body again as long as a condition holds.")
    retry: Retry | None = Field(None, description="When a failed attempt is tried again. {} means three retries.")
    timeout_seconds: Seconds | None = Field(None, description="How long one attempt may take.")
    deadline_seconds: Seconds | None = Field(
        None, description="How long all attempts and their back-offs may take together."
    )
    pending_timeout_seconds: Seconds | None = Field(
        None, description="How long a job's Pod may wait to run: unschedulable, pulling its image, refused by quota."
    )
    allow_failure: bool = Field(False, description="The failure of this node does not fail the graph.")
    compensate: Compensate | None = Field(
        None, description="How to undo this node after it succeeded, when the run fails or is stopped later on."
    )
    service: bool = Field(
        False,
        description=(
            "The node runs beside others and is stopped, Succeeded, when all its dependents have ended; they may wait"
            " for '<node>:Ready'. No attempt timeout."
        ),
    )
    concurrency: Concurrency | None = Field(None, description="Share a limit with nodes of other runs.")
    cache: Cache | None = Field(None, description="Reuse the outputs of an earlier success.")
    graph: GraphBody | None = Field(None, description="Run a named subgraph in place.")
    workflow: WorkflowBody | None = Field(None, description="Start another Workflow as a child run and wait for it.")
    switch: SwitchBody | None = Field(None, description="Choose one of several ways. Output: case.")
    approval: ApprovalBody | None = Field(None, description="Wait for people. Outputs: decision, by, at.")
    wait: WaitBody | None = Field(None, description="Let time pass; no Pod.")
    use: UseBody | None = Field(None, description="Do what a NodeType says.")

    @classmethod
    def body_kinds(cls) -> list[str]:
        """Give the names of the bodies a node may have."""
        return BODIES

    @classmethod
    def _what(cls) -> str:
        return "a node"

    @model_validator(mode="after")
    def _modifiers_fit(self) -> Self:
        if self.for_each is not None and self.while_ is not None:
            raise ValueError(_LOOPS)
        if (self.for_each is not None or self.while_ is not None) and self.body_kind not in LOOPING_BODIES:
            raise ValueError(_NO_LOOP)
        unfit = (self.for_each, self.while_, self.cache) != (None, None, None)
        if self.service and (self.body_kind not in ("job", "use") or unfit):
            raise ValueError(_SERVICE)
        return self

    @classmethod
    def rules(cls) -> list[Rule]:
        """One body; loops only where they mean something; services only on Jobs."""
        loops = "has(self.forEach) || has(self.__while__)"
        return [
            *super().rules(),
            ("!(has(self.forEach) && has(self.__while__))", _LOOPS),
            (f"!({loops}) || !(has(self.switch) || has(self.approval) || has(self.wait))", _NO_LOOP),
            (
                "!has(self.service) || !self.service"
                f" || ((has(self.job) || has(self.use)) && !({loops} || has(self.cache)))",
                _SERVICE,
            ),
        ]


_LOOPS = "forEach and while cannot be used together; put one of them on a node of a subgraph"
_NO_LOOP = (
    "forEach and while work on job, graph, workflow, http, resource, expr and use, not on switch, approval or wait"
)
_SERVICE = "a service is a job (or use of one) without forEach, while and cache"


def split_edge(text: str) -> tuple[str, str]:
    """Split an entry of dependsOn into node and outcome; the outcome is Succeeded unless written."""
    node, _, outcome = text.partition(":")
    return node, outcome or "Succeeded"
