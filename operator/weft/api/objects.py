"""The few questions that are asked of a Kubernetes object, which is a plain dict of JSON.

Typed models cost ten times the CPU on the hot path (see the measurements in the design), so objects stay as the JSON
parser made them. What is asked of them everywhere (key, uid, version, owner) is asked here, in one place.
"""

import re
from typing import Any, NamedTuple

from weft.api.base import GROUP

Obj = dict[str, Any]
"""A Kubernetes object as parsed JSON."""

Objects = list[Obj]
"""Several of them."""


RUN_UID_ANNOTATION = f"{GROUP}/run-uid"
"""On a child object: the UID of its run."""

LONGEST_NAME = 253
"""Of most kinds: a DNS subdomain."""


class Key(NamedTuple):
    """Where an object lives. Cluster-scoped objects have the namespace ""."""

    namespace: str
    name: str


def key_of(obj: Obj) -> Key:
    """Give the object's namespace and name."""
    metadata = obj["metadata"]
    return Key(metadata.get("namespace", ""), metadata["name"])


def uid_of(obj: Obj) -> str:
    """Give the object's UID, or "" for one that the server has not stored yet."""
    uid: str = obj["metadata"].get("uid", "")
    return uid


def version_of(obj: Obj) -> str:
    """Give the object's (or list's) resourceVersion, or ""."""
    version: str = obj.get("metadata", {}).get("resourceVersion", "")
    return version


def annotation(obj: Obj, name: str) -> str | None:
    """Give one annotation of the object, or None."""
    value: str | None = (obj["metadata"].get("annotations") or {}).get(name)
    return value


def owner_of(obj: Obj, kind: str) -> Obj | None:
    """Give the first ownerReference of that kind, or None."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("kind") == kind:
            found: Obj = reference
            return found
    return None


def is_owned_by(obj: Obj, uid: str) -> bool:
    """Say whether one of the object's owners has that UID."""
    return any(owner.get("uid") == uid for owner in obj["metadata"].get("ownerReferences") or ())


def cut_name(start: str, end: str) -> str:
    """Give the name `start` followed by `end`, cut between them where it would be too long, and valid even so."""
    return start[: LONGEST_NAME - len(end)].rstrip("-.") + end


def is_name(text: str) -> bool:
    """Say whether a text may be an object's name as far as its path goes; what a kind wants beyond is the kind's."""
    return text not in (".", "..") and "/" not in text and "%" not in text


def is_api_version(text: str) -> bool:
    """Say whether a text has the form of an `apiVersion`, so that it leads to a group's discovery and nowhere else."""
    return _API_VERSION.fullmatch(text) is not None


_API_VERSION = re.compile(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?v[a-z0-9]+")


def is_older(version: str, than: str) -> bool:
    """Say whether one resourceVersion came before another; False when they cannot be ordered (not both integers)."""
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)
