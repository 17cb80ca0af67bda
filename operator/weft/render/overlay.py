"""What a Job's author may not set, because Weft's promises rest on it; refused with a mend, never ignored.

One attempt is one Pod that is never restarted, whose container `main` gives exit code and outputs: so restartPolicy,
finalizers, ownerReferences, Weft's labels and variables and main's termination message are Weft's. Neither may a label
be one that the API server would refuse with the whole Job. Asked when a Workflow is compiled, so that `render.job` can
rely on it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from weft.render.merge import DELETE, DIRECTIVE, MERGE_KEYS, item_key
from weft.render.names import is_key, is_label_value, is_reserved

MAIN = "main"
RESERVED_ENV = frozenset({"WEFT_OUTPUTS", "WEFT_RUN", "WEFT_NAMESPACE", "WEFT_NODE", "WEFT_ATTEMPT", "WEFT_INDEX"})

Problems = Iterator[tuple[str, str]]

_OF_MAIN = {
    "terminationMessagePath": "main's outputs are its termination message, at the path in $WEFT_OUTPUTS; remove it",
    "terminationMessagePolicy": "main's outputs are read from the file $WEFT_OUTPUTS; remove it",
    "restartPolicy": "an attempt never restarts; remove it and set the node's retry",
}
_NO_ITEM = "removes an item of a list that is merged by key, nothing else; null removes a field"

_LABEL_TEXT = "at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends"


def job_problems(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give (path in the job body, message) for all that is Weft's to set, and for lists that cannot be merged."""
    found = [*_metadata("", body), *_env("env", body.get("env"))]
    for field in ("volumes", "volumeMounts"):
        found += _lists(field, field, body.get(field))
    overlay = overlay_problems(body["podTemplate"]) if body.get("podTemplate") is not None else []
    return found + [(f"podTemplate.{path}".rstrip("."), message) for path, message in overlay]


def overlay_problems(pod_template: Any) -> list[tuple[str, str]]:
    """Give (path in the podTemplate, message) for everything in the overlay that cannot be merged or may not be set."""
    return list(_template(pod_template))


def _template(template: Any) -> Problems:
    if not isinstance(template, dict):
        yield "", "must be an object with metadata and spec"
        return
    for key, part in template.items():
        if key not in ("metadata", "spec"):
            yield key, "unknown field; a podTemplate has metadata and spec"
        elif not isinstance(part, dict):
            yield key, "must be an object"
    metadata, spec = template.get("metadata"), template.get("spec")
    if isinstance(metadata, dict):
        for key in metadata.keys() - {"labels", "annotations"}:
            yield f"metadata.{key}", "cannot be set; a Pod's name, owner and finalizers are Weft's, remove it"
        yield from _metadata("metadata.", metadata)
    if isinstance(spec, dict):
        yield from _spec(spec)


def _metadata(prefix: str, metadata: Mapping[str, Any]) -> Problems:
    for field in ("labels", "annotations"):
        values = metadata.get(field, {})
        if not isinstance(values, dict):
            yield f"{prefix}{field}", "must be an object"
            continue
        for key, value in values.items():
            if is_reserved(key):
                yield f'{prefix}{field}["{key}"]', "is set by Weft; use a name of your own"
            elif "${{" in f"{key}{value}":
                continue  # the compiler says where templates may stand
            elif not is_key(key):
                yield f'{prefix}{field}["{key}"]', f"the name must be {_LABEL_TEXT}"
            elif field == "labels" and value is not None and not is_label_value(value):
                yield f'{prefix}{field}["{key}"]', f"must be {_LABEL_TEXT}, got {value!r}; annotations take any text"


def _spec(spec: dict[str, Any]) -> Problems:
    if "restartPolicy" in spec:
        yield "spec.restartPolicy", "an attempt never restarts; remove it and set the node's retry"
    yield from _lists("spec", "spec", spec)
    if "containers" in spec and not isinstance(spec["containers"], list):
        yield "spec.containers", f"must be a list; the container {MAIN} cannot be removed"
        return
    for position, container in enumerate(spec.get("containers", ())):
        if isinstance(container, dict) and container.get("name") == MAIN:
            yield from _main(f"spec.containers[{position}]", container)


def _main(path: str, container: dict[str, Any]) -> Problems:
    if DIRECTIVE in container:
        yield f"{path}.{DIRECTIVE}", f"the container {MAIN} cannot be removed"
    for field, message in _OF_MAIN.items():
        if field in container:
            yield f"{path}.{field}", message
    if "env" in container and not isinstance(container["env"], list):
        yield f"{path}.env", f"must be a list; the variables Weft sets cannot be removed from {MAIN}"
    else:
        yield from _env(f"{path}.env", container.get("env"))


def _env(path: str, env: Any) -> Problems:
    for position, variable in enumerate(env or ()):
        if isinstance(variable, dict) and variable.get("name") in RESERVED_ENV:
            yield f"{path}[{position}].name", f"{variable['name']} is set by Weft; use a name of your own"


def _lists(path: str, field: str, value: Any) -> Problems:
    """Hold every list that is merged by key, however deep, to having that key in every item, once.

    `$patch` means something in such an item alone: elsewhere it would be taken for a field of the Pod, which has none.
    """
    if isinstance(value, dict):
        if DIRECTIVE in value:
            yield f"{path}.{DIRECTIVE}", _NO_ITEM
        for name, part in value.items():
            yield from _lists(f"{path}.{name}", name, part)
    if not isinstance(value, list):
        return
    seen: set[tuple[Any, ...]] = set()
    for position, item in enumerate(value):
        at = f"{path}[{position}]"
        if field not in MERGE_KEYS:
            yield from _lists(at, "", item)
            continue
        key = MERGE_KEYS[field][0]
        if not isinstance(item, dict) or not isinstance(item.get(key), str | int):
            yield at, f"must be an object with {key}; the list is merged by it"
            continue
        if item_key(field, item) in seen:
            yield at, f"a second item with {key} {item[key]}; each may be there once"
        if item.get(DIRECTIVE, DELETE) != DELETE:
            yield f"{at}.{DIRECTIVE}", f"must be {DELETE}, got {item[DIRECTIVE]!r}"
        seen.add(item_key(field, item))
        for name, part in item.items():
            yield from _lists(f"{at}.{name}", name, part)
