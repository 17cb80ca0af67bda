"""What stays when a run has ended, and who is told."""

from __future__ import annotations

import json

from e2e.harness.api import Obj
from e2e.harness.place import Place, Run
from e2e.harness.stage import node, scenario, spec
from standardwebhooks import Webhook


@scenario()
def notification(place: Place) -> None:
    """A receiver that refuses twice gets the event the third time: the same id, signed, a CloudEvent."""
    secret = "whsec_c2VjcmV0LW9mLXRoZS1lbmQtdG8tZW5kLXRlc3Rz"
    place.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "signing"}, "stringData": {"key": secret}})
    receiver, path = place.cluster.receiver, f"/twice-503/{place.name}"
    webhook = {"url": receiver.url(path), "signingSecretRef": {"name": "signing", "key": "key"}}
    place.create("NotificationChannel", "team", {"type": "Webhook", "webhook": webhook})
    wanted = [{"channel": "team", "events": ["Failed"]}]
    run = place.start("notified", spec([node("bad", "exit 4")], notifications=wanted)).finish("Failed")
    place.wait_for(
        lambda: any(each["status"] == 200 for each in receiver.received(path)), "the notification has not arrived"
    )
    tries = receiver.received(path)
    assert [each["status"] for each in tries] == [503, 503, 200]
    assert len({each["headers"]["webhook-id"] for each in tries}) == 1
    for each in tries:
        Webhook(secret).verify(each["body"].decode(), each["headers"])
    event = json.loads(tries[-1]["body"])
    assert (event["specversion"], event["type"]) == ("1.0", "dev.weft.run.failed")
    assert event["id"] == tries[-1]["headers"]["webhook-id"]
    assert (event["data"]["run"], event["data"]["namespace"]) == (run.name, place.name)
    assert event["data"]["failures"][0]["node"] == "bad"


@scenario(killed=False)  # a death may cost a channel what it counted in the last seconds
def delivery_status(place: Place) -> None:
    """The status of a channel tells of what was delivered, and of what was given up and why."""
    paths = {"reachable": f"/reachable/{place.name}", "broken": f"/status/{place.name}/503"}
    for name, path in paths.items():
        webhook = {"url": place.cluster.receiver.url(path)}
        place.create("NotificationChannel", name, {"type": "Webhook", "webhook": webhook, "retryForSeconds": 0})
    wanted = [{"channel": name} for name in paths]
    run = place.start("counted", spec([node("a", expr={"x": "1"})], notifications=wanted)).finish()
    reachable, broken = (
        place.wait_for(lambda name=name: _deliveries(place, name), f"the status of channel {name} tells of no delivery")
        for name in paths
    )
    assert (reachable["delivered"], reachable["failed"]) == (1, 0)
    assert (broken["delivered"], broken["failed"]) == (0, 1)
    assert broken["lastFailureMessage"] == "the receiver answered 503"
    for time in (reachable["lastDeliveryTime"], broken["lastFailureTime"]):
        assert time >= run.obj["metadata"]["creationTimestamp"]
    assert ("lastFailureTime" in reachable, "lastDeliveryTime" in broken) == (False, False)
    assert [one["status"] for one in broken["conditions"]] == ["True"]


@scenario()
def time_to_live(place: Place) -> None:
    """A finished run goes ttlSecondsAfterFinished after its end, and all that it owned with it."""
    run = place.start("short-lived", spec([node("a")], ttlSecondsAfterFinished=3, jobs={"keep": "All"})).finish()
    place.wait(lambda: place.gone("Run", run.name), f"{run.name} stays")
    place.wait(lambda: all(place.gone("Job", job["metadata"]["name"]) for job in run.jobs()), "its Jobs stay")


@scenario()
def history_limits(place: Place) -> None:
    """Of finished runs the newest are kept, counted apart: succeeded, and all others."""
    body = spec([node("a", expr={"x": "1 / params.n"})], parameters=[{"name": "n", "type": "integer", "default": 1}],
                historyLimits={"succeeded": 1, "failed": 1})  # fmt: skip
    place.create("Workflow", "history", body)
    failed = [place.start("history", parameters={"n": 0}).finish("Failed") for _ in range(2)]
    good = [place.start("history").finish() for _ in range(3)]
    place.wait(lambda: place.gone("Run", failed[0].name), "the older failed run stays")
    place.wait(lambda: all(place.gone("Run", run.name) for run in good[:2]), "older succeeded runs stay")
    assert not place.gone("Run", failed[1].name)
    assert not place.gone("Run", good[2].name)


@scenario()
def kept_jobs(place: Place) -> None:
    """jobs.keep says whose Jobs stay when the run has ended; Failed unless it is said."""
    nodes = [node("good"), node("bad", "exit 1", allowFailure=True)]
    kept = {"All": ["bad", "good"], "Failed": ["bad"], "None": []}
    runs = {keep: place.start(f"keep-{keep.lower()}", spec(nodes, jobs={"keep": keep})) for keep in kept}
    for keep, names in kept.items():
        run = runs[keep].finish()

        def left(run: Run = run) -> list[str]:
            jobs = [job for job in run.jobs() if not place.gone("Job", job["metadata"]["name"])]
            return sorted(job["metadata"]["labels"]["weft.dev/node"] for job in jobs)

        place.wait(lambda left=left, names=names: left() == names, f"keep: {keep} leaves {left()}")
        run.until(lambda run, names=names: _ended(run, names), "a Job that stays has no end")


def _deliveries(place: Place, channel: str) -> Obj | None:
    """The status of a channel once it tells of a delivery."""
    status: Obj = json.loads(place.kubectl("get", "notificationchannel", channel, "-o", "json")).get("status") or {}
    return status if "delivered" in status else None


def _ended(run: Run, names: list[str]) -> bool:
    jobs = [job for job in run.jobs() if job["metadata"]["labels"]["weft.dev/node"] in names]
    return all(job.get("status", {}).get("conditions") for job in jobs)
