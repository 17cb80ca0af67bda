"""Invariant 4 again: never over a run's parallelism, a queue's places or the holders of a concurrency key."""

from collections import defaultdict
from collections.abc import Iterator

from support.checker.reading import Attempt, Specs, attempt_of, node_of, owned, pod_over, status_of
from support.storage import Event
from weft.api.objects import Obj, key_of, uid_of
from weft.kube.resources import JOBS, PODS, WORKFLOW_QUEUES, WORKFLOW_RUNS

LAG_SECONDS = 40.0
"""For so long the operator may not have heard that a queue has become smaller."""


def check_limits(history: list[Event], specs: Specs) -> Iterator[str]:
    """Walk through the history once."""
    runs: dict[str, Obj] = {}
    live: dict[str, Attempt] = {}
    jobs: set[str] = set()
    # By namespace, since when the queue `default` has how many.
    places: dict[str, list[tuple[float, float]]] = defaultdict(lambda: [(0.0, float("inf"))])
    for event in history:
        if event.resource is WORKFLOW_QUEUES and event.obj["metadata"]["name"] == "default":
            limit = event.obj["spec"].get("maxActiveRuns") if event.type != "DELETED" else None
            has = places[key_of(event.obj).namespace]
            if has == [(0.0, float("inf"))] and event.at == 0.0:
                has.clear()
            has.append((event.at, float("inf") if limit is None else float(limit)))
        elif event.resource is WORKFLOW_RUNS:
            runs[uid_of(event.obj)] = event.obj
            if event.type == "DELETED":
                del runs[uid_of(event.obj)]
            elif _active(event.obj) and not _active(event.old or {}):
                yield from _queue(event, runs, places[key_of(event.obj).namespace])
        elif event.resource is JOBS:
            (jobs.discard if event.type == "DELETED" else jobs.add)(uid_of(event.obj))
        elif event.resource is PODS and (attempt := attempt_of(event.obj)) is not None:
            if event.type == "DELETED" or pod_over(event.obj):
                live.pop(uid_of(event.obj), None)
            elif uid_of(event.obj) not in live and (
                _of_a_job_there(event.obj, jobs) or status_of(event.obj).get("phase") == "Running"
            ):
                live[uid_of(event.obj)] = attempt
                yield from _pods(event, attempt, runs, live, specs)


def _of_a_job_there(pod: Obj, jobs: set[str]) -> bool:
    """A Pod whose creation arrived when its Job was deleted holds nothing, as long as it does not run."""
    return any(owner["uid"] in jobs for owner in pod["metadata"].get("ownerReferences") or ())


def _active(run: Obj) -> bool:
    status = status_of(run)
    at_work = status.get("phase") in ("Running", "Suspended") and not status.get("completionTime")
    return bool(status.get("startTime")) and at_work and not owned(run)


def _queue(event: Event, runs: dict[str, Obj], places: list[tuple[float, float]]) -> Iterator[str]:
    namespace = key_of(event.obj).namespace
    active = [key_of(run).name for run in runs.values() if _active(run) and key_of(run).namespace == namespace]
    ends = [at for at, _ in places[1:]] + [float("inf")]
    limit = max(limit for (_, limit), end in zip(places, ends, strict=True) if end > event.at - LAG_SECONDS)
    if len(active) > limit:
        yield f"4: at {event.at:.3f} {event.actor} lets {active} be active in a queue of {limit:.0f}"


def _pods(
    event: Event, attempt: Attempt, runs: dict[str, Obj], live: dict[str, Attempt], specs: Specs
) -> Iterator[str]:
    run = runs.get(attempt.run)
    spec = specs.of(run) if run is not None else None
    if spec is None:
        return
    running = [other for other in live.values() if other.run == attempt.run]
    limit = spec.get("parallelism")
    if limit is not None and len(running) > limit:
        yield f"4: at {event.at:.3f} {event.actor}: over parallelism {limit}: {list(map(str, running))}"
    ours = _key(attempt, runs, specs)
    if ours is None:
        return
    holders = [(other, _key(other, runs, specs)) for other in live.values()]
    same = [(other, key[1]) for other, key in holders if key is not None and key[0] == ours[0]]
    if len(same) > max(limit for _, limit in same):
        yield f"4: at {event.at:.3f} {event.actor}: over the limit of key {ours[0]}: {[str(one) for one, _ in same]}"


def _key(attempt: Attempt, runs: dict[str, Obj], specs: Specs) -> tuple[str, int] | None:
    run = runs.get(attempt.run)
    spec = specs.of(run) if run is not None else None
    node = node_of(spec, attempt.path) if spec is not None and attempt.role == "main" else None
    found = (node or {}).get("concurrency")
    return (found["key"], found.get("limit", 1)) if found else None
