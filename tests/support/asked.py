"""A request as the API server in memory sees it: taken apart, and the selectors it asks with."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from weft.api.objects import Obj
from weft.kube import resources
from weft.kube.resources import Resource

RESOURCES = {
    (resource.api_version, resource.plural): resource
    for resource in vars(resources).values()
    if isinstance(resource, Resource)
}
BY_KIND = {resource.kind: resource for resource in RESOURCES.values()}
_PATH = re.compile(
    r"(?:/api/(?P<core>v1)|/apis/(?P<group>[^/]+/[^/]+))(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[^/]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<subresource>[^/]+))?)?"
)


@dataclass(frozen=True)
class Asked:
    """One request, taken apart. A watch has the method WATCH."""

    method: str
    path: str
    resource: Resource
    namespace: str
    name: str
    subresource: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    content_type: str | None = None
    actor: str = ""


def take_apart(
    method: str,
    path: str,
    params: dict[str, str],
    headers: dict[str, str],
    body: Any,
    content_type: str | None,
    actor: str,
) -> Asked | None:
    """Give a request by its parts; None when it is for nothing that this API server knows."""
    match = _PATH.fullmatch(path)
    found = match and RESOURCES.get((match["core"] or match["group"], match["plural"]))
    if match is None or found is None:
        return None
    namespace, name, subresource = (unquote(match[part] or "") for part in ("namespace", "name", "subresource"))
    assert subresource in ("", "status"), f"this API server does not know the subresource {subresource}"
    return Asked(method, path, found, namespace, name, subresource, params, headers, body, content_type, actor)


def selected(obj: Obj, asked: Asked) -> bool:
    """Say whether an object is in the request's namespace and fits its selectors."""
    metadata = obj["metadata"]
    if asked.namespace and metadata.get("namespace", "") != asked.namespace:
        return False
    fields = {"metadata.name": metadata["name"], "metadata.namespace": metadata.get("namespace", "")}
    if "involvedObject" in obj:
        fields["involvedObject.uid"] = obj["involvedObject"].get("uid", "")
    return _fits(asked.params.get("labelSelector", ""), metadata.get("labels") or {}) and _fits(
        asked.params.get("fieldSelector", ""), fields
    )


def _fits(selector: str, values: Mapping[str, str]) -> bool:
    for term in filter(None, selector.split(",")):
        match = re.fullmatch(r"(!?)([^=! (]+)(!=|==|=|)([^ (]*)", term)
        assert match, f"this API server does not know the selector {selector}"
        absent, name, sign, value = match.groups()
        if not sign and (name in values) == bool(absent):
            return False
        if sign and (values.get(name) == value) == (sign == "!="):
            return False
    return True
