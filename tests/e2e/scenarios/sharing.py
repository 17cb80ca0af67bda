"""Keys that runs share: who is cancelled, how many hold one, what a deleted run leaves, and how old a result may be."""

from __future__ import annotations

from e2e.harness.place import Place, Run
from e2e.harness.stage import node, scenario, spec


@scenario()
def concurrency_cancel_running(place: Place) -> None:
    """With CancelRunning the newcomer takes the key, and the holder is cancelled first: never both at once."""
    shared = {"key": "newest", "policy": "CancelRunning"}
    place.create("Workflow", "newest", spec([node("work", "sleep ${SECONDS_TO_SLEEP}", concurrency=shared,
                                                  env={"SECONDS_TO_SLEEP": "${{ params.seconds }}"})],
                                            parameters=[{"name": "seconds", "type": "integer"}]))  # fmt: skip
    older = place.start("newest", parameters={"seconds": 120})
    older.running_pod("work")
    newer = place.start("newest", parameters={"seconds": 1})
    older.finish("Failed")
    older.reaches("work", "Cancelled", "ConcurrencyCancelled")
    newer.finish()
    ended = older.pods("work")[0]["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"]
    assert ended <= newer.pods("work")[0]["metadata"]["creationTimestamp"]


@scenario()
def concurrency_limit(place: Place) -> None:
    """As many as the limit says hold a key at once, the items of one run and of another alike."""
    shared = {"key": "pair", "limit": 2}
    body = spec([node("work", "sleep 2", concurrency=shared, forEach={"range": 3})])
    runs = [place.start("pair", body), place.start("pair")]
    for run in runs:
        run.finish()
    assert _most_at_once(runs) == 2


@scenario()
def concurrency_of_a_deleted_run(place: Place) -> None:
    """A key is never lost with its holder: when its run is deleted, the next in turn gets it."""
    shared = {"key": "orphaned"}
    holder = place.start("orphan-holder", spec([node("work", "sleep 120", concurrency=shared)]))
    holder.running_pod("work")
    waiter = place.start("orphan-waiter", spec([node("work", concurrency=shared)]))
    waiter.until(lambda run: run.node("work").get("phase") in ("Pending", "Waiting"), "it does not wait")
    assert not waiter.jobs()
    holder.delete()
    waiter.finish()
    place.wait(lambda: place.gone("Run", holder.name), "the deleted run stays")


@scenario()
def cache_too_old(place: Place) -> None:
    """A result older than maxAgeSeconds is not used again."""
    script = 'echo "at=$(cat /proc/sys/kernel/random/uuid)" > $WEFT_OUTPUTS'
    cached = {"key": "'same'", "maxAgeSeconds": 2}
    nodes = [node("later", wait={"seconds": 4}), node("work", script, after=["later"], cache=cached)]
    first = place.start("too-old", spec(nodes)).finish()
    second = place.start("too-old").finish()
    assert second.node("work").get("reason") != "Cached"
    assert second.node("work")["outputs"] != first.node("work")["outputs"]


def _most_at_once(runs: list[Run]) -> int:
    """How many Pods of these runs overlapped, by when their containers ran."""
    moments = []
    for pod in (pod for run in runs for pod in run.pods()):
        ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        moments += [(ended["startedAt"], 1, 1), (ended["finishedAt"], 0, -1)]  # in one second an end comes first
    most = now = 0
    for _, _, step in sorted(moments):
        now += step
        most = max(most, now)
    return most
