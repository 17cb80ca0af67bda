"""Fields in the open parts of a job that no Pod has: typos, and fields of a container in the Pod.

They vanish without a word, as the API server drops from a Job what it does not know. A newer one may know more, so that
this is no error. Only names are looked at; what they hold is the API server's to judge.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from weft.api.base import ResourceModel
from weft.api.job import JobSettings
from weft.api.nodetype import NodeType
from weft.api.problems import Location, Problem, path_text
from weft.expr.cel import suggestion
from weft.graph.placed import placed, spec_of
from weft.graph.podschema import FIELDS, KUBERNETES
from weft.render.merge import DIRECTIVE

_TOLD = f"Pods have no such field as of Kubernetes {KUBERNETES}, and the API server drops what it does not know"


def unknown_fields(resource: ResourceModel | None) -> Iterator[Problem]:
    """Give a note for each such field of all jobs, compensations and defaults that a resource has."""
    for settings, at in _settings(resource):
        for location, value, kind in _open_parts(settings):
            for where, hint in _unknown(value, kind, location):
                yield Problem(path_text(where, at), f"{_TOLD}{hint}")


def _settings(resource: ResourceModel | None) -> Iterator[tuple[JobSettings, str]]:
    """What is said of Jobs, and where it stands."""
    if isinstance(resource, NodeType) and resource.spec.job is not None:
        yield resource.spec.job, "spec.job"
    found = spec_of(resource)
    if found is None:
        return
    spec, at = found
    yield spec.defaults, f"{at}.defaults"
    for one in placed(spec, at):
        if one.owner.job is not None:
            yield one.owner.job, f"{one.at}.job"


def _open_parts(settings: JobSettings) -> Iterator[tuple[Location, Any, str]]:
    """Where each stands, what it holds, and what it is in a Pod."""
    for index, variable in enumerate(settings.env):
        yield ("env", index, "valueFrom"), variable.value_from, "V1EnvVarSource"
    yield ("envFrom",), settings.env_from, "V1EnvFromSource"
    yield ("volumes",), settings.volumes, "V1Volume"
    yield ("volumeMounts",), settings.volume_mounts, "V1VolumeMount"
    yield ("tolerations",), settings.tolerations, "V1Toleration"
    yield ("podTemplate",), settings.pod_template, "V1PodTemplateSpec"


def _unknown(value: Any, kind: str, location: Location) -> Iterator[tuple[Location, str]]:
    """Where an object, or one of a list, has a field that its kind has not, and which may be meant."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown(item, kind, (*location, index))
    elif isinstance(value, dict):
        fields = FIELDS[kind]
        for name, inner in value.items():
            if name not in fields and name != DIRECTIVE:
                yield (*location, name), suggestion(name, fields)
            elif fields.get(name):
                yield from _unknown(inner, fields[name], (*location, name))
