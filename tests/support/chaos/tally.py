"""What happened in a history, by kind and how often: shows that the storm leaves nothing out."""

import re
from collections import Counter
from collections.abc import Iterable

from support.chaos.story import Note
from support.storage import Event
from weft.kube.resources import EVENTS, JOBS, LEASES, PODS, WORKFLOW_RUNS

_DETAIL = re.compile(r"(: (GET|POST|PATCH|DELETE|PUT) .*| for -?[\d.]+ s$| by -?[\d.]+ s$)")


def tally(history: Iterable[Event], notes: Iterable[Note]) -> Counter[str]:
    """Count faults, deeds of people, ends of nodes and of runs."""
    found = Counter(f"world: {_kind(note.text)}" for note in notes if note.actor != "world")
    for event in history:
        if event.resource in (None, LEASES, EVENTS):
            continue
        if event.actor in ("user", "collector"):
            found[f"{event.actor}: {event.type} {event.resource.kind}"] += 1
        if event.resource is PODS and event.type == "MODIFIED":
            found[f"pod: {_pod(event)}"] += 1
        elif event.resource is WORKFLOW_RUNS and event.type == "MODIFIED":
            found.update(_news(event))
        elif event.resource in (JOBS, WORKFLOW_RUNS) and event.type == "DELETED" and event.actor.startswith("op-"):
            found[f"operator: deletes {event.resource.kind}"] += 1
    return found


def _kind(text: str) -> str:
    return re.sub(r"^op-\d+ hears nothing of \w+", "a process hears nothing of a kind", _DETAIL.sub("", text))


def _pod(event: Event) -> str:
    status = event.obj.get("status") or {}
    waits = next((one["state"].get("waiting", {}).get("reason") for one in status.get("containerStatuses", ())), None)
    why = next((one.get("reason") for one in status.get("conditions", ()) if one["type"] == "PodScheduled"), None)
    return " ".join(filter(None, (status.get("phase"), status.get("reason") or waits or why)))


def _news(event: Event) -> Iterable[str]:
    then, now = ((obj or {}).get("status") or {} for obj in (event.old, event.obj))
    if now.get("phase") != then.get("phase"):
        yield f"run: {now.get('phase')}"
    if (now.get("rerunGeneration") or 0) > (then.get("rerunGeneration") or 0):
        yield "run: again"
    before = {node["name"]: node for node in then.get("nodes") or ()}
    for node in now.get("nodes") or ():
        old = before.get(node["name"], {})
        if (node["phase"], node.get("reason")) != (old.get("phase"), old.get("reason")):
            yield f"node: {node['phase']} {node.get('reason') or ''}".strip()
