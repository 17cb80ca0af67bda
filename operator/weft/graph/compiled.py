"""The graph as indexed arrays: what the engine walks.

A Workflow is compiled once per distinct content. Names become positions, `dependsOn` becomes two
lists of edges per node, expressions become programs, defaults are merged into each node. After
this nobody on the hot path touches pydantic, YAML or a string that names a node.

A named graph that is called from several places is compiled once and shared; what differs per call
(parameters, loop variables) lives in the engine's frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from weft.expr.cel import Program
from weft.expr.template import Structure, Template

SUCCEEDED, FAILED, DONE, READY = "Succeeded", "Failed", "Done", "Ready"
"""The edge outcomes that are not switch cases."""

NEVER_RETRIED = frozenset({"switch", "approval", "wait", "expr"})
"""Bodies that would fail again in the same way."""


@dataclass(slots=True, frozen=True)
class Edge:
    """One `dependsOn` entry: `target` waits for `outcome` of `source` (positions in the graph)."""

    source: int
    target: int
    outcome: str


@dataclass(slots=True, frozen=True)
class Backoff:
    """Delay before retry k: min(max_seconds, initial * factor^(k-1)), times 1 +- jitter. Seconds."""

    initial: float = 2.0
    factor: float = 2.0
    maximum: float = 60.0
    jitter: float = 0.2


@dataclass(slots=True, frozen=True)
class RetryPolicy:
    """`limit` retries after the first attempt; `disruptions` have a budget of their own."""

    limit: int = 0
    backoff: Backoff = field(default_factory=Backoff)
    when: Program | None = None
    disruptions: int = 5
    memory_factor: float | None = None
    memory_max: int | None = None


@dataclass(slots=True, frozen=True)
class ForEach:
    """`items` is a program, a literal list, or a Template/number for a range."""

    items: Program | list[Any] | None
    range: Program | int | None
    name: str
    batch_size: int | None
    max_parallel: int | None
    max_failed: int


@dataclass(slots=True, frozen=True)
class While:
    """do-while: the body runs, then `condition` is asked."""

    condition: Program
    max_iterations: int


@dataclass(slots=True, frozen=True)
class Approvers:
    """Who may decide, and for how long (seconds) this group is asked."""

    users: tuple[str, ...]
    groups: tuple[str, ...]
    timeout: float | None


@dataclass(slots=True, frozen=True)
class Approval:
    """`levels[0]` is asked first; with on_timeout Escalate the next level follows."""

    quorum: int
    levels: tuple[Approvers, ...]
    on_timeout: str
    message: Template | str


@dataclass(slots=True, frozen=True)
class Job:
    """`spec` is the merged, rendered-free body (camelCase JSON); `values` the parts with templates.

    `values` renders to {"image": str, "args": [str], "env": [{"name", "value"}...]} with only the
    keys that the body has; `memory` is what is declared of memory, in bytes: {"requests": int, "limits": int}.
    """

    spec: dict[str, Any]
    values: Structure
    memory: dict[str, int]


@dataclass(slots=True, frozen=True)
class Body:
    """One body. `kind` is its field's name; the other fields belong to the kinds named.

    job: `job`; graph: `graph`, `parameters`; workflow: `name`, `parameters`; switch: `cases`,
    `default`; approval: `approval`; wait: `seconds` | `until`; expr: `values`; http and resource:
    `request`, `success_when`, `fail_when`, `timeout`, `max_bytes`. A `use` node takes the kind of
    its NodeType's body and keeps `inputs` (its `with`) and `results` (the type's outputs).
    """

    kind: str
    job: Job | None = None
    graph: Graph | None = None
    name: str = ""
    parameters: Structure | None = None
    cases: tuple[tuple[str, Program], ...] = ()
    default: str | None = None
    approval: Approval | None = None
    seconds: Structure | None = None
    until: Structure | None = None
    values: tuple[tuple[str, Program], ...] = ()
    request: Structure | None = None
    success_when: Program | None = None
    fail_when: Program | None = None
    timeout: float | None = None
    max_bytes: int | None = None
    node_type: str | None = None
    inputs: Structure | None = None
    declared: tuple[Any, ...] = ()
    results: tuple[tuple[str, Program], ...] = ()


@dataclass(slots=True)
class Node:
    """One node: modifiers, one body, and its place in the graph."""

    index: int
    name: str
    body: Body
    rank: int = 0
    incoming: list[Edge] = field(default_factory=list)
    outgoing: list[Edge] = field(default_factory=list)
    join_any: bool = False
    when: Program | None = None
    for_each: ForEach | None = None
    loop: While | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: float | None = None
    deadline: float | None = None
    pending_timeout: float | None = None
    allow_failure: bool = False
    service: bool = False
    compensate: Node | None = None
    concurrency_key: Structure | None = None
    concurrency_limit: int = 1
    concurrency_policy: str = "Queue"
    cache_key: Structure | None = None
    cache_max_age: float | None = None

    @property
    def undoable(self) -> bool:
        """Whether what the node does, or something in its subgraph, has a compensation."""
        return self.compensate is not None or (self.body.graph is not None and self.body.graph.undoable)


@dataclass(slots=True)
class Graph:
    """A graph: nodes in written order, their ranks (topological, then written), and outputs.

    `parameters` are the declared Parameter models, checked when the graph is entered.
    `ancestors` of a node are found on demand: only dynamic references need them. `undoable`: one of its
    nodes, or of those of a graph below, has `compensate`.
    """

    name: str
    nodes: list[Node]
    by_name: dict[str, int]
    by_rank: list[int]
    parameters: tuple[Any, ...] = ()
    outputs: tuple[tuple[str, Program], ...] = ()
    failure_policy: str = "Drain"
    undoable: bool = field(init=False)

    def __post_init__(self) -> None:
        self.undoable = any(node.undoable for node in self.nodes)

    def ancestors(self, index: int) -> set[int]:
        """Positions of every node that `index` depends on, directly or through others."""
        found: set[int] = set()
        stack = [edge.source for edge in self.nodes[index].incoming]
        while stack:
            current = stack.pop()
            if current not in found:
                found.add(current)
                stack.extend(edge.source for edge in self.nodes[current].incoming)
        return found


@dataclass(slots=True)
class CompiledWorkflow:
    """A whole workflow: the main graph, the finally graph, and the limits of a run (seconds).

    `prepared` is for what upper layers make once per node and share among runs, such as Job templates; `written` are
    the characters of its expressions, which compiled take more memory than all else.
    """

    name: str
    main: Graph
    final: Graph | None
    timeout: float | None
    final_timeout: float
    parallelism: int | None
    spec: dict[str, Any]
    prepared: dict[Any, Any] = field(default_factory=dict)
    written: int = 0
