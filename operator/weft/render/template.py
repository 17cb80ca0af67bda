"""The Pod of a node before any attempt: built from the job's typed fields, then overlaid with its podTemplate.

The security context is the part of Pod Security's "restricted" level that a Pod can be given unasked. Not in it are
runAsNonRoot, as most public images run as root, and dropped capabilities, without which root can neither chown nor
unpack an archive: those are for Pods that have to be restricted (`render.security`).
"""

from collections.abc import Mapping
from math import ceil
from typing import Any

from weft.api.base import MAX_SECONDS
from weft.expr.kubelet import escape_kubelet
from weft.render import security
from weft.render.merge import merge
from weft.render.overlay import MAIN

OUTPUTS_PATH = "/dev/termination-log"
SAFETY_MARGIN_SECONDS = 30
"""How much longer than its timeout an attempt may run while the operator is down."""

KUEUE = "kueue.x-k8s.io/"
"""Labels of Kueue are the Job's: on the Pod they would queue it a second time."""

_OF_POD = ("serviceAccountName", "nodeSelector", "tolerations", "volumes")
_OF_MAIN = ("image", "args", "env", "envFrom", "resources", "volumeMounts", "imagePullPolicy")


def pod_template(body: Mapping[str, Any], timeout: float | None, *, restricted: bool = False) -> dict[str, Any]:
    """Give {metadata, spec} for a job's JSON; what it shares with `body` is not copied.

    `restricted`: made to pass Pod Security "restricted", where the podTemplate does not say otherwise.
    """
    labels = {key: value for key, value in (body.get("labels") or {}).items() if not key.startswith(KUEUE)}
    overlay = body.get("podTemplate") or {}
    spec = {field: body[field] for field in _OF_POD if body.get(field)}
    if not (body.get("serviceAccountName") or overlay.get("spec", {}).get("serviceAccountName")):
        spec["automountServiceAccountToken"] = False
    if timeout is not None:
        spec["activeDeadlineSeconds"] = min(ceil(timeout) + SAFETY_MARGIN_SECONDS, MAX_SECONDS)
    spec |= {
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "securityContext": security.RESTRICTED_POD if restricted else security.POD,
        "containers": [_main(body, security.RESTRICTED_CONTAINER if restricted else security.CONTAINER)],
    }
    built = {"metadata": {"labels": labels, "annotations": body.get("annotations") or {}}, "spec": spec}
    merged: dict[str, Any] = merge(built, overlay)
    return merged | {"spec": security.complete(merged["spec"], MAIN)} if restricted else merged


def main_of(containers: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the container main among several, or an empty one."""
    return next((container for container in containers if container["name"] == MAIN), {})


def _main(body: Mapping[str, Any], security_context: Mapping[str, Any]) -> dict[str, Any]:
    main = {
        "name": MAIN,
        **{field: body[field] for field in _OF_MAIN if body.get(field)},
        "terminationMessagePath": OUTPUTS_PATH,
        "terminationMessagePolicy": "File",
        "securityContext": security_context,
    }
    command = body.get("command")
    if body.get("script"):
        main["command"] = [*(command or ("sh", "-ec")), escape_kubelet(body["script"])]
    elif command:
        main["command"] = command
    return main
