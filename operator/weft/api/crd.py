"""The CustomResourceDefinitions, generated from the models: `weft crds` prints them, `crds/` holds them.

A kind is one entry of `KINDS`: its model, its names, what kubectl prints of it and selects it by. Schemas come from
`schema.py`. The inline workflow of a WorkflowRun goes without descriptions: they stand in the Workflow's own CRD, and
saying them twice would bring the file near the size that client-side apply can carry.
"""

from dataclasses import dataclass
from typing import Any

import yaml

from weft.api.approval import Approval
from weft.api.base import GROUP, VERSION, ResourceModel
from weft.api.nodetype import NodeType
from weft.api.notificationchannel import NotificationChannel
from weft.api.schema import Schema, structural_schema, without_descriptions
from weft.api.workflow import Workflow
from weft.api.workflowqueue import WorkflowQueue
from weft.api.workflowrun import WorkflowRun


@dataclass(frozen=True)
class Column:
    """A column of kubectl's table; a wide one is printed with -o wide only."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False
    description: str = ""

    def to_wire(self) -> dict[str, Any]:
        """Give the column as the CRD spells it."""
        wire = {"name": self.name, "type": self.type, "jsonPath": self.path}
        if self.description:
            wire["description"] = self.description
        return {**wire, "priority": 1} if self.wide else wire


@dataclass(frozen=True)
class Kind:
    """One kind: its model, what it is called, what kubectl prints of it and by which fields it selects."""

    model: type[ResourceModel]
    plural: str
    short_names: tuple[str, ...]
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Give the kind's name: WorkflowRun."""
        return self.model.__name__


def _condition(kind: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


_AGE = Column("Age", ".metadata.creationTimestamp", "date")
_READY = (
    Column("Ready", _condition("Ready", "status")),
    Column("Reason", _condition("Ready", "reason")),
    _AGE,
    Column("Message", _condition("Ready", "message"), wide=True),
)

KINDS: tuple[Kind, ...] = (
    Kind(Workflow, "workflows", ("wfd",), _READY),
    Kind(
        WorkflowRun,
        "workflowruns",
        ("wfr",),
        (
            Column("Workflow", ".spec.workflowRef.name"),
            Column("Status", ".status.phase"),
            Column("Progress", ".status.progress", description="Nodes done of all nodes."),
            Column("Reason", _condition("Succeeded", "reason")),
            Column("Duration", ".status.duration"),
            _AGE,
            Column("Priority", ".spec.priority", wide=True),
            Column("Queue", ".spec.queue", wide=True),
            Column("Message", _condition("Succeeded", "message"), wide=True),
        ),
        selectable=(".status.phase", ".spec.workflowRef.name", ".spec.queue"),
    ),
    Kind(
        Approval,
        "approvals",
        ("wfa",),
        (
            Column("Run", ".spec.run.name"),
            Column("Node", ".spec.node"),
            Column("Decision", ".spec.decision"),
            Column("By", ".spec.by"),
            Column("Accepted", ".status.accepted", "boolean"),
            _AGE,
            Column("Message", ".status.message", wide=True),
        ),
        selectable=(".spec.run.name",),
    ),
    Kind(
        WorkflowQueue,
        "workflowqueues",
        ("wfq",),
        (
            Column("Active", ".status.active", "integer"),
            Column("Max", ".spec.maxActiveRuns", "integer"),
            Column("Queued", ".status.queued", "integer"),
            Column("Paused", ".spec.paused", "boolean"),
            _AGE,
        ),
    ),
    Kind(NodeType, "nodetypes", ("wfnt",), _READY),
    Kind(
        NotificationChannel,
        "notificationchannels",
        ("wfnc",),
        (Column("Type", ".spec.type"), *_READY, Column("Last delivery", ".status.lastDeliveryTime", "date", wide=True)),
    ),
)


def crds() -> list[dict[str, Any]]:
    """Give every CustomResourceDefinition, one per kind, always in the same order."""
    return [crd(kind) for kind in KINDS]


def crd(kind: Kind) -> dict[str, Any]:
    """Give the CustomResourceDefinition of one kind."""
    selectable = {"selectableFields": [{"jsonPath": path} for path in kind.selectable]} if kind.selectable else {}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}", "labels": {"app.kubernetes.io/part-of": "weft"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": list(kind.short_names),
                "categories": [GROUP.split(".")[0]],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _root_schema(kind.model)},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [column.to_wire() for column in kind.columns],
                    **selectable,
                }
            ],
        },
    }


def to_yaml(definition: dict[str, Any]) -> str:
    """Give a CustomResourceDefinition as YAML, the same text every time."""
    return yaml.dump(definition, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)


def file_name(definition: dict[str, Any]) -> str:
    """Give the name of the file in crds/ that holds a CustomResourceDefinition."""
    return f"{GROUP}_{definition['spec']['names']['plural']}.yaml"


class _Plain(yaml.SafeDumper):
    """YAML without anchors: schemas are shared in memory, but kubectl's readers should see each in full."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _root_schema(model: type[ResourceModel]) -> Schema:
    whole = structural_schema(model)
    spec = whole["properties"]["spec"]
    if model is WorkflowRun:
        inline = spec["properties"]["workflow"]
        bare = {"description": inline["description"], **without_descriptions(inline)}
        spec = {**spec, "properties": {**spec["properties"], "workflow": bare}}
    root: Schema = {
        "type": "object",
        "description": whole["description"],
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "maxLength": 253, "description": f"{GROUP}/{VERSION}"},
            "kind": {"type": "string", "maxLength": 63, "description": model.__name__},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": whole["properties"]["status"],
        },
    }
    if rules := whole.get("x-kubernetes-validations"):
        root["x-kubernetes-validations"] = rules
    return root
