"""Notifications in the whole operator: what people are told of a channel, and what is kept of a run that is gone."""

from collections.abc import AsyncIterator

import orjson
import pytest
from support.rig import NAMESPACE, Rig
from weft.kube.resources import CONFIG_MAPS, NOTIFICATION_CHANNELS, WORKFLOW_RUNS
from weft.notify.guarded_http import Response

URL = "http://receiver.example/"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    rig.http.answers[URL] = Response(204, {}, b"")
    rig.workflow("w", "{notifications: [{channel: team}], nodes: [{name: a, job: {image: i}}]}")
    yield rig
    await rig.close()


def channel(rig: Rig, webhook: str) -> None:
    rig.apply(
        "{apiVersion: weft.dev/v1alpha1, kind: NotificationChannel, metadata: {name: team}, "
        f"spec: {{type: Webhook, webhook: {webhook}}}}}"
    )


def last_error(rig: Rig) -> str | None:
    """What the run's ledger says about its one delivery."""
    [ledger] = [each for each in rig.api.all(CONFIG_MAPS) if "notifications" in each["metadata"]["name"]]
    [entry] = map(orjson.loads, ledger["data"].values())
    error: str | None = entry.get("lastError")
    return error


def kept(rig: Rig) -> str:
    """All that the outbox has in mind."""
    assert rig.replica is not None
    return str(vars(rig.replica.operator.outbox))


async def test_of_a_run_that_is_deleted_after_its_end_nothing_is_kept(rig: Rig) -> None:
    channel(rig, f"{{url: '{URL}'}}")
    run = await rig.finish("w")
    assert rig.http.asked == [f"POST {URL}"]
    assert run["metadata"]["uid"] in kept(rig)
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "r")
    await rig.clock.advance(60)
    assert run["metadata"]["uid"] not in kept(rig)


async def test_of_a_run_that_is_deleted_while_it_is_worked_on_nothing_is_kept(rig: Rig) -> None:
    channel(rig, f"{{url: '{URL}'}}")
    rig.workflow(
        "long", "{notifications: [{channel: team, events: [Started]}], nodes: [{name: a, wait: {seconds: 600}}]}"
    )
    await rig.up()
    rig.start("long")
    await rig.wait(lambda: rig.phase() == "Running")
    await rig.clock.advance(5)
    assert rig.http.asked == [f"POST {URL}"]
    uid = rig.run()["metadata"]["uid"]
    assert uid in kept(rig)
    rig.api.remove(WORKFLOW_RUNS, NAMESPACE, "r")
    await rig.clock.advance(60)
    assert uid not in kept(rig)


async def test_a_run_that_has_ended_and_stays_is_not_told_again(rig: Rig) -> None:
    channel(rig, f"{{url: '{URL}'}}")
    await rig.finish("w")
    await rig.clock.advance(1300)
    assert rig.http.asked == [f"POST {URL}"]


async def test_a_channel_that_is_not_there_is_to_be_created(rig: Rig) -> None:
    await rig.finish("w")
    assert last_error(rig) == "there is no NotificationChannel team; create it"


async def test_a_channel_that_is_invalid_is_there_and_says_why(rig: Rig) -> None:
    channel(rig, f"{{url: '{URL}', urlFrom: {{secretKeyRef: {{name: s, key: k}}}}}}")
    await rig.finish("w")
    assert last_error(rig) == "NotificationChannel team is invalid; see its Ready condition"
    stored = rig.api.read(NOTIFICATION_CHANNELS, NAMESPACE, "team")
    assert stored is not None
    [ready] = [each for each in stored["status"]["conditions"] if each["type"] == "Ready"]
    assert ready["status"] == "False"
    assert "url and urlFrom" in ready["message"]


async def test_a_channel_that_is_mended_gets_what_waits_for_it(rig: Rig) -> None:
    channel(rig, "{}")
    await rig.finish("w")
    rig.api.edit(NOTIFICATION_CHANNELS, NAMESPACE, "team", lambda one: one["spec"]["webhook"].update(url=URL))
    await rig.clock.advance(60)
    assert rig.http.asked == [f"POST {URL}"]
