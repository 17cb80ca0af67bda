"""Invariants 1 and 2: one Job per attempt, never two Pods of an item, and what has succeeded is not run again.

A Pod that succeeded although the operator had told it to stop has succeeded: its work is done.
"""

from collections import defaultdict
from collections.abc import Iterator

from support.checker.reading import (
    ENDED,
    FINALIZER,
    Attempt,
    Specs,
    asked_generation,
    attempt_of,
    by_operator,
    finished,
    node_of,
    nodes_of,
    pod_over,
    repeats,
    status_of,
)
from support.storage import Event
from weft.api.objects import Obj, uid_of
from weft.kube.resources import JOBS, PODS, WORKFLOW_RUNS

REFUSED = ("QuotaExceeded", "Forbidden", "NameTaken", "PreviousPodRunning", "ApiServerError")
"""What a node is pending for when its Job was not made, or may not have been."""


def check_attempts(history: list[Event], specs: Specs) -> Iterator[str]:
    """Walk through the history once."""
    runs: dict[str, Obj] = {}
    jobs: dict[Attempt, Event] = {}  # the last sight of each attempt's Job
    told: set[Attempt] = set()  # attempts that a status has told of
    recorded: set[Attempt] = set()  # and those whose success it has told of
    live: dict[tuple[str, str, int | None], dict[str, Attempt]] = defaultdict(dict)
    late: set[str] = set()  # UIDs of Pods whose creation arrived when their Job was gone: they must not run
    done: dict[tuple[object, ...], tuple[int, int, int]] = {}  # unit: (attempt that succeeded, rerun asked, rerun told)
    suspects: dict[str, list[tuple[int, str]]] = defaultdict(list)  # by run, until its status tells of its rerun
    for event in history:
        if event.resource is WORKFLOW_RUNS:
            runs[uid_of(event.obj)] = event.obj
            if event.type == "DELETED":
                del runs[uid_of(event.obj)]  # nothing of it goes on record any more, and its Pods are let go
            if event.old is not None and status_of(event.obj) != status_of(event.old):
                now = _told_generation(event.obj)
                yield from (text for then, text in suspects.pop(uid_of(event.obj), ()) if then == now)
            if event.type == "MODIFIED" and finished(event.obj) and not finished(event.old or {}):
                for pods in [pods for item, pods in live.items() if item[0] == uid_of(event.obj) and pods]:
                    running = list(map(str, pods.values()))
                    yield f"1: {event.obj['metadata']['name']} has ended while Pods run: {running}"
            mine = [attempt for attempt in jobs if attempt.run == uid_of(event.obj)]
            told |= {attempt for attempt in mine if _tells_of(attempt, event.obj)}
            recorded |= {attempt for attempt in mine if _tells_of_end(attempt, event.obj)}
            continue
        attempt = attempt_of(event.obj) if event.resource in (JOBS, PODS) else None
        if attempt is None:
            continue
        run = runs.get(attempt.run)
        if event.resource is JOBS:
            if event.type == "ADDED":
                yield from _second_job(event, attempt, jobs.get(attempt), told=attempt in told)
                number, asked, rerun = done.get(attempt.unit, (attempt.number, 0, 0))
                if run is not None and number < attempt.number and asked == asked_generation(run):
                    text = f"2: attempt {number} had succeeded before, at {event.at:.3f} {event.actor} makes {attempt}"
                    suspects[attempt.run].append((rerun, text))
            jobs[attempt] = event
            continue
        let_go = by_operator(event) and _untracked(event)
        if let_go and run is not None and not finished(run) and _awaited(attempt, run):
            yield f"2: at {event.at:.3f} {event.actor} lets the Pod of {attempt} go before its end is on record"
        pods = live[attempt.item]
        uid = uid_of(event.obj)
        arrived = event.type == "ADDED"
        if arrived and _its_job_is_gone(event.obj, jobs.get(attempt)):
            late.add(uid)
        if uid in late:
            if not event.obj["spec"].get("nodeName"):
                continue
            late.discard(uid)
            arrived = True
        if arrived and pods:
            yield f"1: at {event.at:.3f} two Pods of one item: {attempt} beside {list(map(str, pods.values()))}"
        if event.type == "DELETED" and not by_operator(event) and attempt not in recorded:
            done.pop(attempt.unit, None)  # somebody took the result away before anybody could read it
        if event.type == "DELETED" or pod_over(event.obj):
            pods.pop(uid, None)
        else:
            pods[uid] = attempt
        ended_well = (event.obj.get("status") or {}).get("phase") == "Succeeded"
        if ended_well and event.type == "MODIFIED" and attempt.unit not in done:
            spec = specs.of(run) if run is not None else None
            node = node_of(spec, attempt.path) if spec is not None else None
            once = run is not None and spec is not None and not (node or {}).get("service")
            if once and not repeats(spec, attempt.path):
                done[attempt.unit] = attempt.number, asked_generation(run), _told_generation(run)
    yield from (text for texts in suspects.values() for _, text in texts)


def _its_job_is_gone(pod: Obj, job: Event | None) -> bool:
    owner = next((each["uid"] for each in pod["metadata"].get("ownerReferences") or () if each["kind"] == "Job"), None)
    return owner is not None and job is not None and (job.type == "DELETED" or uid_of(job.obj) != owner)


def _second_job(event: Event, attempt: Attempt, last: Event | None, *, told: bool) -> Iterator[str]:
    """A Job that somebody deleted before any status told of its attempt may be made again; no other."""
    if last is not None and (told or last.type != "DELETED" or by_operator(last)):
        yield f"1: at {event.at:.3f} {event.actor} makes a second Job of {attempt}"


def _told_generation(run: Obj) -> int:
    return int(status_of(run).get("rerunGeneration") or 0)


def _entry(attempt: Attempt, run: Obj) -> Obj | None:
    node = nodes_of(status_of(run)).get(attempt.path)
    if node is not None and attempt.index is not None:
        return next((item for item in node.get("items") or () if item["index"] == attempt.index), {})
    return node


def _tells_of_end(attempt: Attempt, run: Obj) -> bool:
    node = _entry(attempt, run)
    if node is None:
        return False
    if attempt.role != "main":
        return node.get("phase") == "Compensated"
    return node.get("phase") == "Succeeded" or node.get("iteration", 0) > (attempt.iteration or 0)


def _tells_of(attempt: Attempt, run: Obj) -> bool:
    node = _entry(attempt, run)
    if node is None or attempt.role != "main":
        return node is not None
    made = node.get("attempts", 0) - node.get("spent", 0)
    made -= node.get("unmade", False) or node.get("pending") in REFUSED  # it is told that this one is still to be made
    iteration = node.get("iteration", 0) - (attempt.iteration or 0)
    return iteration > 0 or (iteration == 0 and int(made) >= attempt.number)


def _awaited(attempt: Attempt, run: Obj) -> bool:
    """Whether the status does not yet tell how the attempt has ended."""
    node = _entry(attempt, run)
    if not node:
        return _comes_later(attempt, status_of(run))
    if attempt.role != "main" or node["phase"] in ENDED:
        return False
    if attempt.number <= node.get("base", 0):
        return False  # of an earlier round of what is around it, whose end is told by the round
    iteration = node.get("iteration", 0) - (attempt.iteration or 0)
    made = node.get("attempts", 0) - node.get("spent", 0)
    in_flight = made == attempt.number and node.get("stage") in ("Active", "Stopping")
    return iteration < 0 or (iteration == 0 and (made < attempt.number or in_flight))


def _comes_later(attempt: Attempt, status: Obj) -> bool:
    """Whether it belongs to a compensation's graph that no status has told of yet, and no rerun has done with."""
    begun = (status.get("state") or {}).get("stage") == "Main" and not status.get("rerunGeneration")
    return ".compensate/" in attempt.path and begun


def _untracked(event: Event) -> bool:
    """Whether our finalizer was taken off."""
    before = (event.old or {}).get("metadata", {}).get("finalizers") or ()
    return FINALIZER in before and FINALIZER not in (event.obj["metadata"].get("finalizers") or ())
