"""A history to read: when, who, what was done to which object, and what changed in the nodes of a run."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from support.storage import Event
from weft.api.objects import Obj, annotation
from weft.kube.resources import EVENTS, JOBS, LEASES, PODS, WORKFLOW_RUNS
from weft.render.names import IDENTITY_ANNOTATION


class Note(NamedTuple):
    """Something that is no change of an object; `position` is the length of the history then."""

    at: float
    actor: str
    text: str
    position: int


def tell_story(history: list[Event], notes: list[Note]) -> str:
    """One line per happening, in order."""
    lines, rest = [], list(notes)
    for position, event in enumerate(history):
        while rest and rest[0].position <= position:
            lines.append(_line(rest[0].at, rest[0].actor, rest.pop(0).text))
        if event.resource not in (None, LEASES, EVENTS):
            lines.append(_line(event.at, event.actor, f"{event.type} {_what(event)}"))
            lines += [_line(event.at, "", f"    {change}") for change in _changes(event)]
    lines += [_line(note.at, note.actor, note.text) for note in rest]
    return "\n".join(lines)


def _line(at: float, actor: str, text: str) -> str:
    return f"{at:9.3f} {actor:10} {text}"


def _what(event: Event) -> str:
    assert event.resource is not None
    obj = event.obj
    text = f"{event.resource.kind} {obj['metadata']['name']} v{event.version}"
    if event.resource in (JOBS, PODS):
        text += f" {annotation(obj, IDENTITY_ANNOTATION) or 'a stranger'}"
    if event.resource is PODS:
        text += f" {(obj.get('status') or {}).get('phase')} {(obj.get('status') or {}).get('reason') or ''}"
        text += f" finalizers={obj['metadata'].get('finalizers')} deadline={obj['spec'].get('activeDeadlineSeconds')}"
    if obj["metadata"].get("deletionTimestamp"):
        text += " (being deleted)"
    if event.resource is JOBS:
        text += f" {[one['type'] for one in (obj.get('status') or {}).get('conditions') or ()]}"
    if event.old is not None and event.old.get("spec") != obj.get("spec") and event.resource not in (JOBS, PODS):
        text += f" spec {_difference(event.old.get('spec') or {}, obj.get('spec') or {})}"
    return text


def _changes(event: Event) -> Iterator[str]:
    if event.resource is not WORKFLOW_RUNS:
        return
    then, now = ((obj or {}).get("status") or {} for obj in (event.old, event.obj))
    for field in ("phase", "rerunGeneration", "completionTime", "observedGeneration", "state"):
        if then.get(field) != now.get(field):
            yield f"{field}: {then.get(field)} -> {now.get(field)}"
    before = {node["name"]: node for node in then.get("nodes") or ()}
    for node in now.get("nodes") or ():
        if node != before.get(node["name"]):
            yield f"node {node}"


def _difference(old: Obj, new: Obj) -> dict[str, Any]:
    return {key: new.get(key) for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)}
