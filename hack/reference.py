"""The pages of docs/reference that code writes: settings, metrics, fields of the kinds, and the operator's rights.

Each is a function that gives a page; `pages` gives them all, for the table of generate.py. What they say stands in the
code (settings.py, metrics.py, the models of api/) or, for rights, in the chart's files/rules.yaml.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.metrics import MetricWrapperBase
from pydantic_core import PydanticUndefined
from weft.api.crd import crds
from weft.metrics import Metrics
from weft.settings import Settings, variable

REPOSITORY = Path(__file__).resolve().parent.parent
RULES = REPOSITORY / "charts" / "weft" / "files" / "rules.yaml"
WRITTEN = "<!-- Written by hack/reference.py; make generate. -->"

Schema = dict[str, Any]


def pages(folder: str) -> dict[str, str]:
    """Every page by its path."""
    rules = yaml.safe_load(RULES.read_text())
    made = {"settings": settings(), "metrics": metrics(), "crds": kinds(), "rbac": rbac(rules)}
    return {f"{folder}/{name}.md": text for name, text in made.items()}


def settings() -> str:
    """The operator's environment variables."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (PydanticUndefined, "", ()) else f"`{_shown(field.default)}`"
        rows.append((f"`{variable(name)}`", default, field.description or ""))
    return _page(
        "Settings",
        "The operator reads these environment variables once, at its start; a wrong value is reported and ends it. The"
        " chart sets them from its values; anything else goes into its `env`.",
        _table(("variable", "default", "meaning"), rows),
    )


def metrics() -> str:
    """What /metrics serves."""
    rows: list[tuple[str, ...]] = []
    for metric in vars(Metrics()).values():
        if isinstance(metric, MetricWrapperBase):
            labels = ", ".join(f"`{label}`" for label in metric._labelnames)
            name = metric._name + ("_total" if metric._type == "counter" else "")
            rows.append((f"`{name}`", str(metric._type), labels, metric._documentation))
    return _page(
        "Metrics",
        "Served by every operator at `/metrics` on its metrics port, in Prometheus' text format, beside those of the"
        " process (`process_*`). Standbys serve them too; `weft_leader` tells which one leads. No label carries a name"
        " of a run, a Workflow or a node: the number of series does not grow with the number of runs.",
        _table(("metric", "type", "labels", "meaning"), rows),
    )


def rbac(rules: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """What the operator may do and why, and what users get."""
    parts = []
    for role, title in _ROLES.items():
        rows = []
        for rule in rules[role]:
            group = rule["apiGroups"][0] or "core"
            rows.append((group, ", ".join(rule["resources"]), ", ".join(rule["verbs"]), rule["reason"]))
        parts.append(f"## {title}\n\n" + _table(("group", "resources", "verbs", "reason"), rows))
    return _page(
        "Rights",
        "What the chart's roles allow, rule by rule. They are made from `charts/weft/files/rules.yaml`, and so is this"
        " page. [Rights and admission](../rbac.md) tells how they fit together.",
        "\n\n".join(parts),
    )


_ROLES = {
    "operator": "The operator, in every namespace it works in",
    "secrets": "The operator, in the namespaces of `notify.secretNamespaces`",
    "lease": "The operator, in its own namespace",
    "policies": "The operator, cluster-wide",
    "resourceNodes": "The operator, with `resourceNodes.enabled`",
    "cleanup": "The clean-up during `helm uninstall`",
    "view": "Users with the built-in role view, edit or admin",
    "edit": "Users with the built-in role edit or admin",
    "admin": "Users with the built-in role admin",
}


def kinds() -> str:
    """Every field of every kind; what occurs again is told once."""
    parts, told = [], dict[str, str]()
    for definition in crds():
        kind, names = definition["spec"]["names"]["kind"], definition["spec"]["names"]
        schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        short = ", ".join(f"`{name}`" for name in names.get("shortNames", ()))
        rows: list[tuple[str, ...]] = []
        for part in ("spec", "status"):
            rows += _fields(kind, part, schema["properties"][part], told)
        head = f"## {kind}\n\n{schema.get('description', '')}" + (f" Short: {short}." if short else "")
        parts.append(head + "\n\n" + _table(("field", "type", "meaning"), rows))
    return _page(
        "Kinds and their fields",
        "API group `weft.dev`, version `v1alpha1`; all kinds are namespaced. `[]` is an item of a list, `{}` a value of"
        " a map, *required* a field that must be there. `kubectl explain workflow.spec.nodes` tells the same.",
        "\n\n".join(parts),
    )


def _fields(kind: str, path: str, schema: Schema, told: dict[str, str]) -> Iterator[tuple[str, ...]]:
    """A row for each field under a path; an object told before is only referred to."""
    required = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        at, inner = f"{path}.{name}", field
        while True:
            if inner.get("type") == "array":
                at, inner = f"{at}[]", inner["items"]
            elif isinstance(inner.get("additionalProperties"), dict):
                at, inner = f"{at}{{}}", inner["additionalProperties"]
            else:
                break
        before = None
        if len(inner.get("properties", {})) > 2:
            before = told.setdefault(json.dumps(_bare(inner), sort_keys=True), f"{kind} {at}")
        again = before if before != f"{kind} {at}" else None
        meaning = field.get("description", "") + (f" Fields as in `{again}`." if again else "")
        yield f"`{path}.{name}`", _type(field) + (", *required*" if name in required else ""), meaning
        if not again:
            yield from _fields(kind, at, inner, told)


def _bare(schema: Any) -> Any:
    """A schema without words and rules: what two places share."""
    if isinstance(schema, dict):
        gone = ("description", "x-kubernetes-validations")
        return {
            key: _bare(value) for key, value in schema.items() if not (key in gone and isinstance(value, str | list))
        }
    return [_bare(item) for item in schema] if isinstance(schema, list) else schema


def _type(schema: Schema) -> str:
    if "enum" in schema:
        return " \\| ".join(map(str, schema["enum"]))
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"map of {_type(schema['additionalProperties'])}"
    return str(schema.get("format") or schema.get("type") or "any JSON").replace("date-time", "time")


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _page(title: str, intro: str, body: str) -> str:
    return f"{WRITTEN}\n# {title}\n\n{intro}\n\n{body}\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    plain = text.replace("\\|", "\0").replace("|", "\\|").replace("\0", "\\|").replace("<", "&lt;")
    return " ".join(plain.split())
