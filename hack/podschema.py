"""The fields of a Pod, as a module of operator/weft/graph, from the models of Kubernetes' official client.

The core imports no client, whose 700 models take half a second to load, so that the names of its fields are written
down. `make check` fails when the client that is pinned knows others: `make generate`.
"""

from __future__ import annotations

import json
import re
from typing import Any

import kubernetes
from kubernetes.client import models

FILE = "operator/weft/graph/podschema.py"
ROOT = "V1PodTemplateSpec"

_HEAD = '''"""The fields of a Pod's template, with the type of each that holds objects; "" ends the walk.

Written by hack/podschema.py; make generate.
"""

from collections.abc import Mapping

KUBERNETES = "{version}"
"""The release that has these fields; a cluster of a newer one may have more."""

FIELDS: Mapping[str, Mapping[str, str]] = {{
{types}}}
'''


def module() -> str:
    """The text of the module: the client's major version is the minor one of Kubernetes."""
    found: dict[str, dict[str, str]] = {}
    waiting = [ROOT]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _fields(getattr(models, name))
            waiting += filter(None, found[name].values())
    types = "".join(_entry(name, found[name]) for name in sorted(found))
    return _HEAD.format(version=f"1.{kubernetes.__version__.split('.')[0]}", types=types)


def _fields(model: Any) -> dict[str, str]:
    """By a field's name on the wire, the model of its value or of the items of its list, if it has one."""
    return {model.attribute_map[name]: _model_in(kind) for name, kind in sorted(model.openapi_types.items())}


def _model_in(kind: str) -> str:
    """A map has none: its keys are the user's own names."""
    match = re.fullmatch(r"(?:[Ll]ist\[)?(\w+)]?", kind)
    return match[1] if match is not None and hasattr(models, match[1]) else ""


def _entry(name: str, fields: dict[str, str]) -> str:
    lines = "".join(f"        {json.dumps(field)}: {json.dumps(kind)},\n" for field, kind in fields.items())
    return f"    {json.dumps(name)}: {{\n{lines}    }},\n"
