"""How a podTemplate is laid over the Pod that Weft builds: objects merge, null deletes, lists of named things merge.

The keys are Kubernetes' own: containers, volumes and their like by name, mounts by mountPath, ports by containerPort;
an item of a new key is added at the end, and `$patch: delete` in an item removes the one of its key. A variable or a
volume has one source, so an item of `env`, `volumes` or `resourceClaims` replaces the one of its name as a whole. Every
other list (tolerations, command, args, envFrom...) replaces the one it lies over. What may be in a podTemplate is
`render.overlay`'s to say.
"""

from typing import Any

MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "resourceClaims": ("name",),
    "schedulingGates": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "ports": ("containerPort", "protocol"),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
"""Which fields of its items a list is merged by, by the list's name. An item must have the first of them."""

DIRECTIVE, DELETE = "$patch", "delete"

_WHOLE = frozenset({"env", "volumes", "resourceClaims"})


def merge(base: Any, overlay: Any) -> Any:
    """Lay an overlay over JSON and give the result; what was given is not changed (but may be shared)."""
    return _merged(base, overlay, keep=False)


def stack(lower: Any, upper: Any) -> Any:
    """Give the one overlay that does what two do, one laid over the other: what they delete is still to be deleted."""
    return _merged(lower, upper, keep=True)


def _merged(base: Any, overlay: Any, *, keep: bool) -> Any:
    if not isinstance(overlay, dict):
        return overlay
    merged = dict(base) if isinstance(base, dict) else {}
    for name, value in overlay.items():
        if value is None and not keep:
            merged.pop(name, None)
        elif name in MERGE_KEYS and isinstance(value, list):
            merged[name] = _merge_items(name, merged.get(name), value, keep=keep)
        else:
            merged[name] = _merged(merged.get(name), value, keep=keep)
    return merged


def item_key(name: str, item: dict[str, Any]) -> tuple[Any, ...]:
    """Give what an item of the list `name` is merged by."""
    return tuple(item.get(field) for field in MERGE_KEYS[name])


def _merge_items(name: str, base: Any, overlay: list[Any], *, keep: bool) -> list[Any]:
    items = {item_key(name, item): item for item in base or ()}
    for item in overlay:
        key = item_key(name, item)
        if DIRECTIVE in item and not keep:
            items.pop(key, None)
        elif name in _WHOLE or DIRECTIVE in item or DIRECTIVE in items.get(key, ()):
            items[key] = item
        else:
            items[key] = _merged(items.get(key), item, keep=keep)
    return list(items.values())
