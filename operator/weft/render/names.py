"""What a child object is called and how it says whose it is.

The identity of an attempt is the run's UID and (path, index, iteration, role, attempt). Hashed, it ends the Job's name,
so that making the same attempt twice is a conflict and not a second Job; in full, it stands in an annotation, so that
a conflict can be told from a stranger of that name, and a restarted operator reads from a Job which attempt it is.
Labels are for people and selectors: whatever does not fit into one is cut and gets a hash.
"""

import re
from base64 import b32encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson

from weft.api.base import API_VERSION, GROUP
from weft.api.objects import RUN_UID_ANNOTATION, Obj, annotation, is_owned_by

WORKFLOW_LABEL = f"{GROUP}/workflow"
RUN_LABEL = f"{GROUP}/run"
NODE_LABEL = f"{GROUP}/node"
ATTEMPT_LABEL = f"{GROUP}/attempt"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
IDENTITY_ANNOTATION = f"{GROUP}/identity"
STOP_ANNOTATION = f"{GROUP}/stop-reason"
"""On a Pod that Weft has stopped: why. An operator that begins after the one that did it knows nothing else of it."""
MAIN_ENDED_ANNOTATION = f"{GROUP}/main-ended"
"""On a Pod that Weft has stopped since main had ended by itself: its other containers would have kept the Pod."""

MAX_LABEL = 63
MAX_JOB_NAME = 57
"""Room for a dash and five more characters, so that the Pod's name is a DNS label too, and its host name in full."""

_HASH = 10
_NODE = 22
"""What a long run name leaves of the node's."""
_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


Identity = tuple[str, int | None, int | None, str, int]
"""An attempt within its run: path, index, iteration, role, attempt. The engine's AttemptId is one."""


@dataclass(slots=True, frozen=True)
class RunRef:
    """The run that children belong to; `workflow` is "" for an inline one."""

    namespace: str
    name: str
    uid: str
    workflow: str


def identity_text(uid: str, attempt: Identity) -> str:
    """Give the whole identity as a compact JSON array: ["run-uid","price",3,null,"main",1]."""
    return orjson.dumps([uid, *attempt]).decode()


@lru_cache(maxsize=1024)  # an object is asked for it several times in a row
def parse_identity(text: str) -> tuple[str, Identity] | None:
    """Read what `identity_text` wrote: the run's UID and the attempt; None when somebody else wrote it."""
    try:
        uid, path, index, iteration, role, attempt = orjson.loads(text)
    except (ValueError, TypeError):
        return None
    texts = all(isinstance(part, str) for part in (uid, path, role))
    numbers = type(attempt) is int and all(part is None or type(part) is int for part in (index, iteration))
    return (uid, (path, index, iteration, role, attempt)) if texts and numbers else None


def bears_identity(obj: Obj, uid: str, attempt: Identity) -> bool:
    """Say whether an object found under the attempt's name is that attempt's: same identity, owned by the run."""
    return annotation(obj, IDENTITY_ANNOTATION) == identity_text(uid, attempt) and is_owned_by(obj, uid)


def job_name(run: RunRef, attempt: Identity) -> str:
    """Give the attempt's Job name, `<run>-<node>-<hash>`: a DNS label of at most 57 characters."""
    path, index, iteration, _, _ = attempt
    position = index if index is not None else iteration
    node = _slug(path if position is None else f"{path}-{position}")
    room = MAX_JOB_NAME - _HASH - 2
    start = _slug(run.name)[: max(room - len(node), room - _NODE)].strip("-")
    end = node[-(room - len(start)) :].strip("-")  # the end of a path tells more than its beginning
    return "-".join(part for part in (start, end, short_hash(identity_text(run.uid, attempt), _HASH)) if part)


def object_name(run: RunRef, attempt: Identity, manifest: Mapping[str, Any]) -> str:
    """Give the name of the object that a `resource` node makes: the one in its manifest, or one like a Job's."""
    metadata = manifest.get("metadata")
    return (metadata.get("name") if isinstance(metadata, Mapping) else None) or job_name(run, attempt)


def label_value(text: str) -> str:
    """Give a name or a node's path as a label value: `publish/upload` is publish.upload, `price[3]/step` price.3.step.

    What is too long or has other characters is cut and ends in a hash.
    """
    dotted = text.replace("/", ".").replace("[", ".").replace("]", "")
    if not dotted or _LABEL.fullmatch(dotted):
        return dotted
    kept = re.sub(r"[^-A-Za-z0-9_.]+", "-", dotted)[: MAX_LABEL - _HASH - 1].strip("-_.")
    return f"{kept}-{short_hash(text, _HASH)}" if kept else short_hash(text, _HASH)


def run_labels(run: str, workflow: str) -> dict[str, str]:
    """Give the labels of every object that belongs to a run; `workflow` is "" for an inline one."""
    return {WORKFLOW_LABEL: label_value(workflow), RUN_LABEL: label_value(run), MANAGED_BY_LABEL: "weft"}


def child_labels(run: RunRef, path: str, attempt: int) -> dict[str, str]:
    """Give the labels of every object that belongs to a node of a run."""
    return run_labels(run.name, run.workflow) | {NODE_LABEL: label_value(path), ATTEMPT_LABEL: str(attempt)}


def child_annotations(uid: str, attempt: Identity) -> dict[str, str]:
    """Give the annotations that hold the attempt's whole identity."""
    return {IDENTITY_ANNOTATION: identity_text(uid, attempt), RUN_UID_ANNOTATION: uid}


def run_owner(run: RunRef) -> dict[str, Any]:
    """Give the ownerReference that makes the run the controller of a child."""
    return run_reference(run.name, run.uid) | {"controller": True, "blockOwnerDeletion": True}


def run_reference(name: str, uid: str) -> dict[str, Any]:
    """Give the ownerReference by which an object goes with the run."""
    return {"apiVersion": API_VERSION, "kind": "WorkflowRun", "name": name, "uid": uid}


def is_reserved(key: str) -> bool:
    """Say whether a label or annotation is Weft's own, which nobody else may set."""
    domain = key.partition("/")[0]
    return key == MANAGED_BY_LABEL or domain == GROUP or domain.endswith("." + GROUP)


def is_key(key: str) -> bool:
    """Say whether the API server takes the name in a label's or an annotation's key, after its domain."""
    domain, slash, name = key.rpartition("/")
    return bool(_LABEL.fullmatch(name)) and bool(domain) == bool(slash) and "/" not in domain


def is_label_value(value: object) -> bool:
    """Say whether the API server takes it for the value of a label."""
    return isinstance(value, str) and (not value or bool(_LABEL.fullmatch(value)))


def short_hash(text: str, length: int) -> str:
    """Give lower-case letters and digits, 5 bits each, that stand for a text."""
    return b32encode(sha256(text.encode()).digest())[:length].decode().lower()


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
