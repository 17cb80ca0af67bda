"""A `job` body compiled: defaults merged in, the texts with templates set apart from the rest.

`args` and env values come out as text in which the kubelet expands only what the author wrote; see `injection` for
what is refused. A job of a NodeType sees the type's parameters, not the Workflow's: of the defaults it inherits what
is not templated.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from weft.api.job import EnvVar, JobBody
from weft.api.problems import Problem
from weft.api.quantity import parse_quantity
from weft.api.workflow import Defaults
from weft.expr.template import Template, is_templated
from weft.graph.compiled import Job
from weft.graph.injection import check_job, plain
from weft.graph.scoping import KubeletText, Scope, structure
from weft.graph.scripts import check_script
from weft.render.merge import merge, stack
from weft.render.overlay import job_problems
from weft.render.template import main_of

_NOT_JOB = ("retry", "timeoutSeconds", "pendingTimeoutSeconds")
_TEMPLATES = ("image", "args", "env")
_CHECKED_ELSEWHERE = ("command", "script")


@dataclass(frozen=True, slots=True)
class JobDefaults:
    """What jobs inherit: `spec` as JSON, and where it stands."""

    spec: dict[str, Any] = field(default_factory=dict)
    env: tuple[EnvVar, ...] = ()
    at: str = ""

    def without_templates(self) -> JobDefaults:
        """What a NodeType's job inherits."""
        env = tuple(variable for variable in self.env if variable.expr is None and not is_templated(variable.value))
        spec = {**self.spec, "env": [variable.to_wire() for variable in env]}
        if is_templated(spec.get("image")):
            del spec["image"]
        return JobDefaults(spec, env, self.at)


def job_defaults(defaults: Defaults, at: str, problems: list[Problem]) -> JobDefaults:
    """The part of a Workflow's defaults that is about Jobs; reports what is wrong with it by itself."""
    wire = {key: value for key, value in defaults.to_wire().items() if key not in _NOT_JOB}
    return JobDefaults(_settled(wire, at, problems), tuple(defaults.env), at)


def compile_job(body: JobBody, scope: Scope, at: str, defaults: JobDefaults) -> Job:
    """The job that stands at the path `at`."""
    own = _settled(body.to_wire(), at, scope.problems)
    spec = merge(defaults.spec, own)
    if "podTemplate" in own:  # it is still to be laid over the Pod: what it deletes there must not be forgotten here
        spec["podTemplate"] = stack(defaults.spec.get("podTemplate"), own["podTemplate"])
    inherited = scope.inherited()
    variables = {
        variable.name: (variable, inherited, f"{defaults.at}.env[{i}]") for i, variable in enumerate(defaults.env)
    }
    variables |= {variable.name: (variable, scope, f"{at}.env[{i}]") for i, variable in enumerate(body.env)}
    texts = {name: _text(variable) for name, (variable, _, _) in variables.items()}
    containers: list[dict[str, Any]] = spec.get("podTemplate", {}).get("spec", {}).get("containers", [])
    main = main_of(containers)
    check_script(body, main, at, scope.problems)
    check_job(body, main, texts, at, scope.problems)
    values: dict[str, Any] = {}
    if "image" in spec:
        place, path = (scope, at) if "image" in own else (inherited, defaults.at)
        values["image"] = place.template(spec["image"], f"{path}.image")
    if body.args:
        values["args"] = [scope.kubelet_text(text, f"{at}.args[{i}]") for i, text in enumerate(body.args)]
    env = [
        {"name": name, "value": _value(variable, path, place)}
        for name, (variable, place, path) in variables.items()
        if variable.value is not None or variable.expr is not None
    ]
    if env:
        values["env"] = env
    return Job(spec, structure(values), _memory(spec, main))


def _settled(wire: dict[str, Any], at: str, problems: list[Problem]) -> dict[str, Any]:
    """The settings at the path `at` as they are merged: refused where they touch what is Weft's, and where templates
    mean nothing held to be plain, with the literal `$${{` undone.
    """
    if found := job_problems(wire):
        problems += [Problem(f"{at}.{path}", message) for path, message in found]
        return {key: value for key, value in wire.items() if key in _TEMPLATES}
    for index, variable in enumerate(wire.get("env", ())):
        plain(variable.get("valueFrom"), f"{at}.env[{index}].valueFrom", problems)
    return {
        key: value if key in _TEMPLATES else plain(value, f"{at}.{key}", [] if key in _CHECKED_ELSEWHERE else problems)
        for key, value in wire.items()
    }


def _text(variable: EnvVar) -> str | None:
    """The text of a variable as written; None if an expression gives it, "" if a source in the cluster does."""
    return None if variable.expr is not None else variable.value or ""


def _value(variable: EnvVar, path: str, scope: Scope) -> Template | str:
    if variable.expr is None:
        return scope.kubelet_text(variable.value or "", f"{path}.value")
    return KubeletText(variable.expr, (scope.program(variable.expr, f"{path}.expr"),))


def _memory(spec: dict[str, Any], main: dict[str, Any]) -> dict[str, int]:
    """The memory that the container main declares, in bytes; what is no quantity the API server refuses."""
    over = {"resources": main["resources"]} if "resources" in main else {}
    resources = merge({"resources": spec.get("resources") or {}}, over).get("resources")
    found = {}
    for kind in ("requests", "limits"):
        declared = resources.get(kind) if isinstance(resources, dict) else None
        if isinstance(declared, dict) and "memory" in declared:
            with suppress(ValueError):
                found[kind] = parse_quantity(declared["memory"])
    return found
