"""What the author of a manifest should know although it is no error: it can be carried out, but hardly as it was meant.

The cluster may add what is missing (a webhook gives images and volumes), and a setting that does nothing harms nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from weft.api.base import ResourceModel
from weft.api.nodetype import NodeType, NodeTypeSpec
from weft.api.problems import Problem, parse
from weft.api.workflow import Workflow
from weft.api.workflowrun import WorkflowRun
from weft.graph.foreign import foreign_templates
from weft.graph.idle import SHOWN, idle_settings
from weft.graph.images import without_image
from weft.graph.placed import spec_of
from weft.graph.podfields import unknown_fields
from weft.graph.room import without_room

_MODELS: dict[str, type[ResourceModel]] = {
    "NodeType": NodeType,
    "Workflow": Workflow,
    "WorkflowRun": WorkflowRun,
}


def notes_on(manifest: Mapping[str, Any], types: Mapping[str, NodeTypeSpec]) -> list[Problem]:
    """Give the notes on a manifest that is right in all else.

    `types` are the NodeTypes that are known; others are taken on trust.
    """
    model = _MODELS.get(str(manifest.get("kind")))
    resource = None if model is None else parse(model, manifest)[0]
    everywhere = [*islice(unknown_fields(resource), SHOWN), *foreign_templates(manifest)]
    found = spec_of(resource)
    if found is None:
        return everywhere
    settings = [*without_image(*found, types), *idle_settings(*found, types)]
    return [*settings, *islice(without_room(*found), SHOWN), *everywhere]
