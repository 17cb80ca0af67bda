"""What a node does, compiled: one function per body. Adding a body is one function here and a line in `_BODIES`.

The bodies of NodeTypes are compiled here too, once per type: in them there are the type's own parameters and `run`,
nothing of the graph that uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from weft.api.bodies import (
    MAX_WAIT,
    ApprovalBody,
    GraphBody,
    HttpBody,
    OneBody,
    People,
    ResourceBody,
    SwitchBody,
    UseBody,
    WaitBody,
    WorkflowBody,
)
from weft.api.job import JobBody
from weft.api.nodetype import NodeTypeSpec
from weft.api.objects import is_api_version, is_name
from weft.api.parameters import Parameter, check_declarations, check_parameters
from weft.api.problems import Problem
from weft.expr.cel import Program, suggestion
from weft.expr.scope import RESOURCE_NAMES
from weft.expr.template import Template, is_templated
from weft.expr.url import UrlText
from weft.graph.compiled import Approval, Approvers, Body, Graph
from weft.graph.declared import Declared
from weft.graph.injection import plain, plain_defaults
from weft.graph.jobs import JobDefaults, compile_job
from weft.graph.modifiers import retry_policy
from weft.graph.scoping import Scope, structure

HTTP_NAMES = frozenset({"response", "status", "body", "headers"})
TYPE_NAMES = frozenset({"params", "run"})
RETRY_OF_TYPE = frozenset({"run"})
"""Beside how the attempt ended; the engine asks `retry.when` outside the body, where `params` are another's."""


@dataclass(slots=True)
class Library:
    """What bodies refer to by name: graphs and NodeTypes, those already compiled among them.

    `types` is None when nobody could say which NodeTypes there are; `unknown` collects the uses of types that are not
    there, apart from the other problems. `workflows` are those whose declarations are known.
    """

    defaults: JobDefaults
    parameters: Mapping[str, tuple[Parameter, ...]]
    graphs: dict[str, Graph] = field(default_factory=dict)
    types: Mapping[str, NodeTypeSpec] | None = None
    workflows: Declared = field(default_factory=dict)
    unknown: list[Problem] = field(default_factory=list)
    compiled_types: dict[str, Body] = field(default_factory=dict)


def compile_body(owner: OneBody, scope: Scope, at: str, library: Library) -> Body:
    """The body of a node, a compensation or a NodeType that stands at the path `at`."""
    kind = owner.body_kind
    return _BODIES[kind](getattr(owner, kind), scope, f"{at}.{kind}", library)


def compile_type(spec: NodeTypeSpec, problems: list[Problem], at: str, defaults: JobDefaults) -> Body:
    """The body and the results of a NodeType that stands at the path `at`."""
    declared = plain_defaults(spec.parameters, f"{at}.parameters", problems)
    problems += check_declarations(declared, f"{at}.parameters")
    params = {parameter.name for parameter in declared}
    scope = Scope(problems, TYPE_NAMES, params)
    body = compile_body(spec, scope, at, Library(defaults.without_templates(), {}))
    after = Scope(problems, frozenset({"params", "outputs"}), params)
    results: list[tuple[str, Program]] = []
    for index, output in enumerate(spec.outputs):
        text = f'outputs[?"{output.name}"].orValue(null)' if output.value is None else output.value
        results.append((output.name, after.program(text, f"{at}.outputs[{index}].value")))
    if spec.retry is not None:
        retry_policy(spec.retry, Scope(problems, RETRY_OF_TYPE, ()), f"{at}.retry")
    return replace(body, declared=declared, results=tuple(results))


def check_arguments(
    declared: tuple[Parameter, ...], given: Mapping[str, Any], scope: Scope, at: str, *, field: str
) -> None:
    """Hold the parameters of a call against their declaration, as far as they are written out."""
    later = {name for name, value in given.items() if is_templated(value)}
    names = {parameter.name for parameter in declared}
    known = [parameter for parameter in declared if parameter.name not in later]
    fixed = {name: value for name, value in given.items() if name not in later or name not in names}
    for message in check_parameters(known, fixed)[1]:
        scope.report(f"{at}.{field}", message)


def _job(body: JobBody, scope: Scope, at: str, library: Library) -> Body:
    return Body("job", job=compile_job(body, scope, at, library.defaults))


def _graph(body: GraphBody, scope: Scope, at: str, library: Library) -> Body:
    declared = library.parameters.get(body.name)
    if declared is None:
        there_are = f" (there are {', '.join(library.parameters)})" if library.parameters else "; spec.graphs is empty"
        scope.report(
            f"{at}.name",
            f"there is no graph named {body.name!r}{suggestion(body.name, library.parameters) or there_are}",
        )
    else:
        check_arguments(declared, body.parameters, scope, at, field="parameters")
    parameters = scope.structure(body.parameters, f"{at}.parameters")
    return Body("graph", graph=library.graphs.get(body.name), parameters=parameters)


def _workflow(body: WorkflowBody, scope: Scope, at: str, library: Library) -> Body:
    declared = library.workflows.get(body.name)
    if declared is not None:
        check_arguments(declared, body.parameters, scope, at, field="parameters")
    return Body("workflow", name=body.name, parameters=scope.structure(body.parameters, f"{at}.parameters"))


def _switch(body: SwitchBody, scope: Scope, at: str, library: Library) -> Body:
    cases = [(case.name, scope.program(case.when, f"{at}.cases[{i}].when")) for i, case in enumerate(body.cases)]
    return Body("switch", cases=tuple(cases), default=body.default)


def _expr(body: dict[str, str], scope: Scope, at: str, library: Library) -> Body:
    return Body("expr", values=tuple((name, scope.program(text, f"{at}.{name}")) for name, text in body.items()))


def _approval(body: ApprovalBody, scope: Scope, at: str, library: Library) -> Body:
    def asked(people: People | None, timeout: float | None, path: str) -> Approvers:
        people = people or People()
        plain(people.users, f"{path}.users", scope.problems)
        plain(people.groups, f"{path}.groups", scope.problems)
        return Approvers(tuple(people.users), tuple(people.groups), timeout)

    levels = [asked(body.from_, body.timeout_seconds, f"{at}.from")]
    if body.on_timeout == "Escalate":
        levels += [
            asked(level.from_, level.timeout_seconds, f"{at}.escalation[{i}].from")
            for i, level in enumerate(body.escalation)
        ]
    elif body.escalation:
        told = f"is never asked, since onTimeout is {body.on_timeout}; write onTimeout: Escalate"
        scope.report(f"{at}.escalation", told)
    people = {user for level in levels for user in level.users}
    if all(level.users and not level.groups for level in levels) and len(people) < body.quorum:
        who = f"only {', '.join(sorted(people)[:5])} {'is' if len(people) == 1 else 'are'} asked"
        scope.report(f"{at}.quorum", f"{body.quorum} approvals cannot be reached: {who}; ask more people, or a group")
    message = scope.template(body.message or "", f"{at}.message")
    return Body("approval", approval=Approval(body.quorum, tuple(levels), body.on_timeout, message))


def _wait(body: WaitBody, scope: Scope, at: str, library: Library) -> Body:
    if body.seconds is not None:
        if isinstance(body.seconds, str) and not is_templated(body.seconds):
            _check_seconds(body.seconds, scope, f"{at}.seconds")
        return Body("wait", seconds=scope.structure(body.seconds, f"{at}.seconds"))
    until = body.until or ""
    if not is_templated(until) and not _is_moment(until):
        _not_fixed(scope, f"{at}.until", until, "a moment such as 2026-12-24T18:00:00Z")
    return Body("wait", until=scope.structure(until, f"{at}.until"))


def _check_seconds(text: str, scope: Scope, path: str) -> None:
    try:
        seconds = float(text)
    except ValueError:
        _not_fixed(scope, path, text, "a number of seconds")
        return
    if not 0 <= seconds <= MAX_WAIT:
        scope.report(path, f"must be a number of seconds, at most {MAX_WAIT} (ten years), got {text!r}")


def _not_fixed(scope: Scope, path: str, text: str, wanted: str) -> None:
    scope.report(path, f"{text!r} is not {wanted}; an expression is written ${{{{ {text} }}}}")


def _is_moment(text: str) -> bool:
    try:
        return bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:  # brackets that hold no address
        return False


def _http(body: HttpBody, scope: Scope, at: str, library: Library) -> Body:
    if not is_templated(body.url):
        if not body.url.lower().startswith(("http://", "https://")):
            scope.report(f"{at}.url", f"must begin with http:// or https://, got {body.url!r}")
        elif not _has_host(body.url):
            scope.report(f"{at}.url", f"must name a host, as https://shop.example/orders does, got {body.url!r}")
    headers = [
        {"name": header.name, "value": scope.template(header.value, f"{at}.headers[{i}].value")}
        for i, header in enumerate(body.headers)
    ]
    url = scope.template(body.url, f"{at}.url")
    if isinstance(url, Template):
        url = UrlText.of(url)
    request = {"url": url, "method": body.method, "headers": headers}
    if body.body is not None:
        request["body"] = scope.structure(body.body, f"{at}.body").root
    when = body.success_when
    return Body(
        "http",
        request=structure(request),
        success_when=None if when is None else scope.with_names(HTTP_NAMES).program(when, f"{at}.successWhen"),
        timeout=body.timeout_seconds,
        max_bytes=body.max_response_bytes,
    )


def _resource(body: ResourceBody, scope: Scope, at: str, library: Library) -> Body:
    version, metadata = body.manifest["apiVersion"], body.manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not is_templated(version) and not is_api_version(str(version)):
        scope.report(f"{at}.manifest.apiVersion", f"{version!r} is no apiVersion such as apps/v1")
    if isinstance(name, str) and not is_templated(name) and not is_name(name):
        scope.report(f"{at}.manifest.metadata.name", f"{name!r} is no name of an object")
    seen = scope.with_names(RESOURCE_NAMES)
    conditions = {
        field: None if text is None else seen.program(text, f"{at}.{field}")
        for field, text in (("successWhen", body.success_when), ("failWhen", body.fail_when))
    }
    return Body(
        "resource",
        request=scope.structure(body.manifest, f"{at}.manifest"),
        success_when=conditions["successWhen"],
        fail_when=conditions["failWhen"],
    )


def _use(body: UseBody, scope: Scope, at: str, library: Library) -> Body:
    inputs = scope.structure(body.with_, f"{at}.with")
    spec = (library.types or {}).get(body.name)
    if spec is None:
        known = library.types or {}
        message = f"there is no NodeType named {body.name!r}{suggestion(body.name, known)}"
        if library.types is None:
            message = f"NodeType {body.name!r} is not known here"
        library.unknown.append(Problem(f"{at}.name", message))
        return Body("use", node_type=body.name, inputs=inputs)
    if body.name not in library.compiled_types:
        problems: list[Problem] = []
        try:
            library.compiled_types[body.name] = compile_type(spec, problems, "spec", library.defaults)
        finally:
            scope.problems.extend(Problem(f"{at}.name", f"in NodeType {body.name!r}: {one}") for one in problems)
    kind = library.compiled_types[body.name]
    check_arguments(kind.declared, body.with_, scope, at, field="with")
    return replace(kind, node_type=body.name, inputs=inputs)


_BODIES: dict[str, Callable[[Any, Scope, str, Library], Body]] = {
    "job": _job,
    "graph": _graph,
    "workflow": _workflow,
    "switch": _switch,
    "expr": _expr,
    "approval": _approval,
    "wait": _wait,
    "http": _http,
    "resource": _resource,
    "use": _use,
}
