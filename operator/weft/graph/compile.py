"""A Workflow's spec made into what the engine walks (see `compiled`), or into the list of everything wrong with it.

One pass: edges are wired, named graphs are put in the order of their calls, then every node is compiled in its scope.
Graphs are lexical: a named graph sees its own parameters, its own nodes and `run`. It is compiled once, however many
nodes run it. Defaults end here; the engine finds everything in the node.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from weft.api.bodies import Compensate
from weft.api.node import Node as NodeModel
from weft.api.nodetype import NodeTypeSpec
from weft.api.parameters import Parameter, check_declarations
from weft.api.problems import Problem
from weft.api.retry import Retry
from weft.api.workflow import Output, WorkflowSpec
from weft.expr.scope import BASE_NAMES, WHILE_NAMES
from weft.graph.bodies import RETRY_OF_TYPE, Library, compile_body
from weft.graph.calls import in_order
from weft.graph.compiled import CompiledWorkflow, Graph, Node, RetryPolicy, While
from weft.graph.declared import Declared
from weft.graph.enough import Enough, unless_enough
from weft.graph.injection import plain_defaults
from weft.graph.jobs import job_defaults
from weft.graph.modifiers import cache_key, for_each, item_names, retry_policy
from weft.graph.outputs import Givers, Names
from weft.graph.scoping import Scope, Written
from weft.graph.wiring import Wiring, wire

PENDING_TIMEOUT = 600
"""Seconds a Pod may wait to run when nobody says anything."""


class InvalidWorkflow(ValueError):
    """The workflow cannot be carried out; `problems` is everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = list(problems)


def compile_workflow(
    spec: WorkflowSpec,
    *,
    name: str = "workflow",
    node_types: Mapping[str, NodeTypeSpec] | None = None,
    raw: dict[str, Any],
) -> CompiledWorkflow:
    """The workflow, ready to run; `raw` is the same spec as JSON and is kept with it.

    `node_types` are the specs of the NodeTypes that `use` may name. Raises InvalidWorkflow.
    """
    workflow, problems, unknown = _compile(spec, name, node_types, {}, raw, "spec")
    if workflow is None or problems or unknown:
        raise InvalidWorkflow([*problems, *unknown])
    return workflow


def compile_on_trust(
    spec: WorkflowSpec, node_types: Mapping[str, NodeTypeSpec], *, at: str
) -> tuple[CompiledWorkflow | None, list[Problem]]:
    """The workflow, and what in it can only fail should it ever be evaluated; None where it cannot be carried out.

    A NodeType that is not known is no hindrance: such bodies stay of kind `use`.
    """
    problems: list[Problem] = []
    compiler = _Compiler(spec, at, node_types, {}, problems, [])
    compiler.givers = Givers(spec, node_types)
    with suppress(Enough):
        workflow = compiler.workflow("", {})
        if not problems:
            return workflow, list(compiler.doubts)
    return None, []


def check_workflow(
    spec: WorkflowSpec, *, node_types: Mapping[str, NodeTypeSpec] | None, workflows: Declared, at: str
) -> list[Problem]:
    """What `compile_workflow` would raise, and which calls of these `workflows` do not give what they ask for.

    Without `node_types` the uses of NodeTypes are taken on trust.
    """
    _, problems, unknown = _compile(spec, "", node_types, workflows, {}, at)
    return problems if node_types is None else problems + unknown


def _compile(
    spec: WorkflowSpec,
    name: str,
    node_types: Mapping[str, NodeTypeSpec] | None,
    workflows: Declared,
    raw: dict[str, Any],
    at: str,
) -> tuple[CompiledWorkflow | None, list[Problem], list[Problem]]:
    """The workflow (of use only without problems), the problems, and the uses of NodeTypes that are not there."""
    problems: list[Problem] = []
    unknown: list[Problem] = []
    try:
        return _Compiler(spec, at, node_types, workflows, problems, unknown).workflow(name, raw), problems, unknown
    except Enough:
        return None, [*problems, Problem(at, "and there is more; mend these first")], unknown


class _Compiler:
    """The compilation of one workflow: what all its graphs share."""

    def __init__(
        self,
        spec: WorkflowSpec,
        at: str,
        node_types: Mapping[str, NodeTypeSpec] | None,
        workflows: Declared,
        problems: list[Problem],
        unknown: list[Problem],
    ) -> None:
        self.spec = spec
        self.at = at
        self.problems = problems
        self.written = Written()
        self.doubts: dict[Problem, None] = {}
        self.givers: Givers | None = None
        """Only who asks for doubts has them: they cost, and the operator reads none."""
        self.library = Library(
            job_defaults(spec.defaults, f"{at}.defaults", self.problems),
            {
                graph.name: plain_defaults(graph.parameters, f"{at}.graphs[{index}].parameters", problems)
                for index, graph in enumerate(spec.graphs)
            },
            types=node_types,
            workflows=workflows,
            unknown=unknown,
        )

    def workflow(self, name: str, raw: dict[str, Any]) -> CompiledWorkflow:
        """Compile everything; complete only if no problem was found."""
        spec, at = self.spec, self.at
        for index, graph in in_order(spec, at, self.problems):
            path = f"{at}.graphs[{index}]"
            wiring = wire(graph.nodes, f"{path}.nodes", self.problems)
            self.library.graphs[graph.name] = self._graph(
                graph.name, graph.nodes, wiring, f"{path}.nodes", self.library.parameters[graph.name],
                graph.outputs, path, graph.failure_policy or spec.failure_policy, called=graph.name,
            )  # fmt: skip
        wiring = wire(spec.nodes, f"{at}.nodes", self.problems)
        parameters = plain_defaults(spec.parameters, f"{at}.parameters", self.problems)
        main = self._graph(name, spec.nodes, wiring, f"{at}.nodes", parameters, spec.outputs, at, spec.failure_policy)
        return CompiledWorkflow(
            name=name,
            main=main,
            final=self._final(wiring.positions) if spec.finally_ else None,
            timeout=spec.timeout_seconds,
            final_timeout=spec.finally_timeout_seconds,
            parallelism=spec.parallelism,
            spec=raw,
            written=self.written.size,
        )

    def _graph(
        self,
        name: str,
        models: Sequence[NodeModel],
        wiring: Wiring,
        at: str,
        parameters: tuple[Parameter, ...],
        outputs: Sequence[Output],
        outside: str,
        failure_policy: str,
        *,
        called: str | None = None,
    ) -> Graph:
        self.problems += check_declarations(parameters, f"{outside}.parameters")
        params = {parameter.name for parameter in parameters}
        whole = Scope(
            self.problems, BASE_NAMES, params, wiring.positions, outputs=self._outputs(models), graph=called,
            written=self.written, doubts=self.doubts,
        )  # fmt: skip
        nodes = [
            self._node(model, index, wiring, replace(whole, ancestors=wiring.ancestors(index)), f"{at}[{index}]")
            for index, model in enumerate(models)
        ]
        after = replace(whole, ancestors=wiring.positions)
        return Graph(
            name,
            _ranked(nodes, wiring),
            wiring.positions,
            wiring.order,
            parameters,
            tuple((o.name, after.program(o.value, f"{outside}.outputs[{i}].value")) for i, o in enumerate(outputs)),
            failure_policy,
        )

    def _final(self, main: Mapping[str, int]) -> Graph:
        """The finally nodes: each runs whatever becomes of the others, and sees the whole main graph."""
        models, at = self.spec.finally_, f"{self.at}.finally"
        wiring = wire(models, at, self.problems, main=main)
        for index, model in enumerate(models):
            if model.name in main:
                self.problems.append(
                    Problem(f"{at}[{index}].name", f"{model.name!r} is the name of a node of spec.nodes; rename one")
                )
            if model.compensate is not None:
                self.problems.append(
                    Problem(f"{at}[{index}].compensate", "compensations run before finally; what finally does stays")
                )
        params = {parameter.name for parameter in self.spec.parameters}
        seen = {**main, **wiring.positions}
        outputs = self._outputs([*self.spec.nodes, *models])
        scope = Scope(
            self.problems, BASE_NAMES, params, seen, outputs=outputs, ended=True, written=self.written,
            doubts=self.doubts,
        )  # fmt: skip
        nodes = [
            self._node(
                model, index, wiring, replace(scope, ancestors=_Either(main, wiring.ancestors(index))), f"{at}[{index}]"
            )
            for index, model in enumerate(models)
        ]
        return Graph("finally", _ranked(nodes, wiring), wiring.positions, wiring.order, failure_policy="Continue")

    def _outputs(self, models: Sequence[NodeModel]) -> dict[str, Names]:
        """What these nodes can give, those left out of which nobody knows."""
        if self.givers is None:
            return {}
        known = {model.name: self.givers.outputs_of(model) for model in models}
        return {name: outputs for name, outputs in known.items() if outputs is not None}

    def _node(self, model: NodeModel, index: int, wiring: Wiring, scope: Scope, at: str) -> Node:
        unless_enough(self.problems)
        inside = scope
        if model.for_each is not None:
            inside = scope.with_names(item_names(model.for_each, scope, f"{at}.forEach"))
        elif model.while_ is not None:
            inside = scope.with_names(WHILE_NAMES)
        body = compile_body(model, inside, at, self.library)
        kind = self._node_type(model)
        is_job = body.kind == "job"
        if model.service and body.kind not in ("job", "use"):
            scope.report(f"{at}.service", f"a service is a job, and NodeType {body.node_type!r} is {body.kind}")
        defaults = self.spec.defaults
        return Node(
            index=index,
            name=model.name,
            body=body,
            incoming=wiring.incoming[index],
            outgoing=wiring.outgoing[index],
            join_any=model.join == "Any",
            when=None if model.when is None else scope.program(model.when, f"{at}.when"),
            for_each=None if model.for_each is None else for_each(model.for_each, scope, f"{at}.forEach"),
            loop=None
            if model.while_ is None
            else While(inside.program(model.while_.condition, f"{at}.while.condition"), model.while_.max_iterations),
            retry=self._retry(model.retry, kind, is_job, inside, at),
            timeout=None
            if model.service
            else model.timeout_seconds
            or (kind.timeout_seconds if kind else None)
            or (defaults.timeout_seconds if is_job else None),
            deadline=model.deadline_seconds,
            pending_timeout=self._pending_timeout(model.pending_timeout_seconds) if is_job else None,
            allow_failure=model.allow_failure,
            service=model.service,
            compensate=None
            if model.compensate is None
            else self._compensate(model, model.compensate, index, inside, f"{at}.compensate"),
            concurrency_key=None
            if model.concurrency is None
            else inside.structure(model.concurrency.key, f"{at}.concurrency.key"),
            concurrency_limit=model.concurrency.limit if model.concurrency else 1,
            concurrency_policy=model.concurrency.policy if model.concurrency else "Queue",
            cache_key=None if model.cache is None else cache_key(model.cache.key, inside, f"{at}.cache.key"),
            cache_max_age=model.cache.max_age_seconds if model.cache else None,
        )

    def _compensate(self, model: NodeModel, undo: Compensate, index: int, inside: Scope, at: str) -> Node:
        """What undoes a node: it runs when the graph is over, and its own node is one of those that have ended."""
        scope = replace(inside, ancestors=_Either((model.name,), inside.ancestors), ended=True)
        body = compile_body(undo, scope, at, self.library)
        is_job = body.kind == "job"
        return Node(
            index=index,
            name=model.name,
            body=body,
            retry=self._retry(undo.retry, None, is_job, scope, at),
            timeout=undo.timeout_seconds or (self.spec.defaults.timeout_seconds if is_job else None),
            pending_timeout=self._pending_timeout(model.pending_timeout_seconds) if is_job else None,
        )

    def _pending_timeout(self, own: int | None) -> int:
        return own or self.spec.defaults.pending_timeout_seconds or PENDING_TIMEOUT

    def _node_type(self, model: NodeModel) -> NodeTypeSpec | None:
        return None if model.use is None else (self.library.types or {}).get(model.use.name)

    def _retry(self, own: Retry | None, kind: NodeTypeSpec | None, is_job: bool, scope: Scope, at: str) -> RetryPolicy:
        """The node's own policy, else its NodeType's, else for Jobs the one of the defaults, else none."""
        if own is not None:
            return retry_policy(own, scope, f"{at}.retry")
        if kind is not None and kind.retry is not None:
            return retry_policy(kind.retry, Scope([], RETRY_OF_TYPE, ()), f"{at}.use.name")  # told with the type
        if is_job and self.spec.defaults.retry is not None:
            return retry_policy(self.spec.defaults.retry, scope.inherited(), f"{self.at}.defaults.retry")
        return RetryPolicy()


class _Either(Collection[str]):
    """Two collections of names as one, without copying either."""

    def __init__(self, first: Collection[str], second: Collection[str]) -> None:
        self._both = (first, second)

    def __contains__(self, name: object) -> bool:
        return any(name in one for one in self._both)

    def __iter__(self) -> Any:
        return (name for one in self._both for name in one)

    def __len__(self) -> int:
        return sum(map(len, self._both))


def _ranked(nodes: list[Node], wiring: Wiring) -> list[Node]:
    for rank, position in enumerate(wiring.order):
        node = nodes[position]
        node.rank = rank
        if node.compensate is not None:
            node.compensate.rank = rank
    return nodes
