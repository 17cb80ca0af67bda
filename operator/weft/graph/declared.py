"""What the Workflows that are known ask to be given: runs and `workflow` nodes are held to it before they start.

The webhook knows the Workflow that a run names, `weft validate` those of its files; all others are taken on trust.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from weft.api.base import StatusModel
from weft.api.parameters import Parameter, Parameters
from weft.api.problems import parse

Declared = Mapping[str, tuple[Parameter, ...]]
"""The parameters of Workflows by the Workflow's name."""

NONE_KNOWN: Declared = {}


class _Asked(StatusModel):
    """Of a Workflow's spec the part that says what it must be given, whatever is wrong with the rest."""

    parameters: Parameters = Field(default_factory=list)


def declared_by(specs: Mapping[str, Any]) -> Declared:
    """Give what the Workflows (their specs by name) declare; one that cannot be read says so itself and is left out."""
    asked = {name: parse(_Asked, spec)[0] for name, spec in specs.items()}
    return {name: tuple(one.parameters) for name, one in asked.items() if one is not None}
