"""What a Pod needs to pass Pod Security "restricted" where the namespace, or the operator's setting, demands it.

Most public images want to be root, which that level forbids, so such a Pod runs as a user of no name, and its volumes
are that group's. All of it lies under the author's podTemplate, which may say otherwise: `runAsUser: null` leaves it to
the image.
"""

from typing import Any

NOBODY = 65532
"""The user and group of such a Pod: that of distroless images, and of the operator itself."""

POD = {"seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER = {"allowPrivilegeEscalation": False}
"""What every Pod gets, unless its podTemplate says otherwise: what no image can miss."""

RESTRICTED_POD = {
    "runAsNonRoot": True,
    "runAsUser": NOBODY,
    "runAsGroup": NOBODY,
    "fsGroup": NOBODY,
    "fsGroupChangePolicy": "OnRootMismatch",
    **POD,
}
RESTRICTED_CONTAINER = {**CONTAINER, "capabilities": {"drop": ["ALL"]}}


def complete(spec: dict[str, Any], main: str) -> dict[str, Any]:
    """Give a Pod's spec in which the author's own containers have what they leave out and would be refused for, too."""
    return spec | {
        kind: [one if one.get("name") == main else _completed(one) for one in spec[kind]]
        for kind in ("containers", "initContainers")
        if kind in spec
    }


def _completed(container: dict[str, Any]) -> dict[str, Any]:
    return {**container, "securityContext": RESTRICTED_CONTAINER | (container.get("securityContext") or {})}
