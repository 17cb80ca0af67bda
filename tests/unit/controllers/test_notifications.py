"""Notifications in the whole operator: what people are told of a channel, and what is kept of a run that is gone."""

import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from support.rig import NAMESPACE, Fate, Rig
from weft.api.objects import Obj
from weft.kube.resources import CONFIG_MAPS, EVENTS, NOTIFICATION_CHANNELS, WORKFLOW_RUNS, WORKFLOWS
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


async def test_a_rerun_does_not_tell_again_of_a_failure_that_it_did_not_touch(rig: Rig) -> None:
    channel(rig, f"{{url: '{URL}'}}")
    rig.behave = lambda node, attempt: Fate(code=1 if node == "al" else 0)
    rig.workflow(
        "f",
        "{notifications: [{channel: team, events: [NodeFailed]}], nodes: "
        "[{name: al, allowFailure: true, job: {image: i}}, {name: b, job: {image: i}}]}",
    )
    await rig.finish("f")
    assert len(rig.http.asked) == 1
    rig.edit(rerun={"generation": 1, "from": "Nodes", "nodes": ["b"]})
    await rig.clock.advance(20)
    assert rig.run()["status"]["rerunGeneration"] == 1
    assert len(rig.http.asked) == 1
    await rig.down()
    await rig.up()
    await rig.clock.advance(20)
    assert len(rig.http.asked) == 1, "nor after a restart"
    rig.edit(rerun={"generation": 2, "from": "Nodes", "nodes": ["al"]})
    await rig.clock.advance(20)
    assert len(rig.http.asked) == 2


def warnings(rig: Rig, reason: str) -> list[str]:
    """What `kubectl describe` shows of a reason, on the run."""
    found = [event for event in rig.api.all(EVENTS) if event["reason"] == reason]
    assert {(event["type"], event["involvedObject"]["kind"]) for event in found} <= {("Warning", "WorkflowRun")}
    return [event["message"] for event in found]


async def test_people_see_on_the_run_that_a_channel_is_missing(rig: Rig) -> None:
    wanted = "{notifications: [{channel: team, events: [Started, Succeeded]}], "
    rig.workflow("n", f"{wanted} nodes: [{{name: a, wait: {{seconds: 1}}}}]}}")
    await rig.finish("n")
    await rig.clock.advance(1000)
    assert warnings(rig, "NotificationFailed") == ["channel team: there is no NotificationChannel team; create it"]


async def test_people_see_on_the_run_that_a_notification_was_given_up_and_no_secret(rig: Rig) -> None:
    channel(rig, "{url: 'http://receiver.example/hook/t0ken'}")
    rig.http.answers["http://receiver.example/hook/t0ken"] = Response(410, {}, b"")
    await rig.finish("w")
    assert warnings(rig, "NotificationFailed") == [
        "channel team: Succeeded was given up after 1 attempt: the receiver answered 410 Gone"
    ]


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


async def test_an_edit_of_the_workflow_tells_nobody_of_runs_that_have_ended(rig: Rig) -> None:
    """Whom a run tells is frozen with it, also for an operator that has just started."""
    channel(rig, f"{{url: '{URL}'}}")
    rig.workflow("quiet", "nodes: [{name: a, job: {image: i}}]")
    await rig.finish("quiet", "old")
    rig.api.edit(WORKFLOWS, NAMESPACE, "quiet", lambda obj: obj["spec"].update(notifications=[{"channel": "team"}]))
    await rig.down()
    await rig.up()
    await rig.clock.advance(30)
    assert rig.http.asked == []
    await rig.finish("quiet", "new")
    await rig.clock.advance(5)
    assert rig.http.asked == [f"POST {URL}"]


async def test_a_run_that_never_began_tells_of_its_end(rig: Rig) -> None:
    channel(rig, f"{{url: '{URL}'}}")
    await rig.up()
    rig.start("w", parameters={"unknown": 1})
    await rig.wait(rig.ended, seconds=5)
    await rig.clock.advance(5)
    assert rig.phase() == "Failed"
    assert rig.http.asked == [f"POST {URL}"]


async def test_a_run_whose_news_cannot_be_read_keeps_no_others_from_being_told(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    channel(rig, f"{{url: '{URL}'}}")
    broken = {"notifications": [{"channel": 7}], "nodes": [{"name": "a", "wait": {"seconds": 1}}]}
    metadata = {"name": "broken", "namespace": NAMESPACE}
    spec = {"workflow": broken, "suspend": True}
    rig.api.add({"apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun", "metadata": metadata, "spec": spec})
    await rig.finish("w")
    await rig.down()
    await rig.up()
    await rig.clock.advance(5)
    assert rig.replica is not None
    assert rig.replica.leading
    assert "run n/broken: nobody is notified" in caplog.text


async def test_a_run_that_was_refused_is_no_news_when_its_workflow_asks_for_news_later(rig: Rig) -> None:
    channel(rig, f"{{url: '{URL}'}}")
    rig.workflow("quiet", "{parameters: [{name: p, type: integer}], nodes: [{name: a, job: {image: i}}]}")
    await rig.finish("quiet")
    assert rig.phase() == "Failed"
    wanted = [{"channel": "team", "events": ["Failed"]}]
    rig.api.edit(WORKFLOWS, NAMESPACE, "quiet", lambda workflow: workflow["spec"].update(notifications=wanted))
    await rig.down()
    await rig.up()
    await rig.clock.advance(60)
    assert rig.http.asked == []


class Receivers:
    """Stand for GuardedHttp: keep what is sent; those named slow take all the time that there is."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.sent: list[tuple[str, Obj, Any]] = []

    async def request(self, method: str, url: str, **sent: Any) -> Response:
        if "slow" in url:
            await self._rig.clock.sleep(sent["timeout_seconds"])
            return Response(503, {}, b"")
        self.sent.append((url, orjson.loads(sent["body"]), sent["headers"].get("webhook-signature")))
        return Response(204, {}, b"")

    async def close(self) -> None:
        return None

    def told(self) -> list[tuple[str, Any]]:
        return [(body["type"].removeprefix("dev.weft."), body["data"].get("message")) for _, body, _ in self.sent]


@pytest.fixture
def receivers(rig: Rig) -> Receivers:
    receivers = Receivers(rig)
    rig.http = receivers  # type: ignore[assignment]
    return receivers


def forge(rig: Rig, namespace: str, uid: str, **entry: Any) -> None:
    """Make a ConfigMap that looks like a ledger."""
    entry = {"id": "0" * 32, "channel": "team", "attempts": 0} | entry
    key = hashlib.sha256(f"{entry['id']}.{entry['channel']}".encode()).hexdigest()[:32]
    metadata = {
        "name": f"weft-notifications-{uid}", "namespace": namespace, "labels": {"weft.dev/notifications": "true"},
        "ownerReferences": [{"apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun", "name": "r", "uid": uid}],
    }  # fmt: skip
    data = {key: orjson.dumps(entry).decode()}
    rig.api.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


@pytest.mark.parametrize(
    "spoiled", [{"lastError": ["x"]}, {"channel": ["c"]}, {"attempts": {}}, {"since": [], "body": []}], ids=str
)
async def test_no_config_map_keeps_an_operator_from_leading(rig: Rig, spoiled: dict[str, Any]) -> None:
    channel(rig, f"{{url: '{URL}'}}")
    forge(rig, "attacker", "u1", event="Failed", state="Pending", **spoiled)
    await rig.finish("w")
    assert rig.replica is not None
    assert rig.replica.leading
    assert rig.http.asked == [f"POST {URL}"]


@pytest.mark.parametrize("of_the_run", [False, True])
async def test_nobody_has_a_text_of_his_own_signed_by_a_ledger(
    rig: Rig, receivers: Receivers, of_the_run: bool
) -> None:
    secret = base64.b64encode(b"whsec_" + base64.b64encode(b"x" * 32)).decode()
    rig.apply(f"{{apiVersion: v1, kind: Secret, metadata: {{name: s}}, data: {{k: {secret}}}}}")
    channel(rig, f"{{url: '{URL}', signingSecretRef: {{name: s, key: k}}}}")
    rig.workflow("long", "{nodes: [{name: a, wait: {seconds: 600}}]}")
    await rig.up()
    rig.start("long")
    await rig.clock.advance(5)
    await rig.down()
    uid = rig.run()["metadata"]["uid"] if of_the_run else "zz"
    body = {
        "specversion": "1.0", "id": "0" * 32, "type": "dev.weft.run.succeeded", "subject": "r",
        "source": f"/apis/weft.dev/v1alpha1/namespaces/{NAMESPACE}/workflowruns/r",
        "datacontenttype": "application/json",
        "data": {"namespace": NAMESPACE, "run": "r", "uid": uid, "message": "forged"},
    }  # fmt: skip
    moment = "2026-01-01T00:00:00Z"
    times = {"since": moment, "nextAttemptTime": moment}
    forge(rig, NAMESPACE, uid, event="Succeeded", state="Pending", body=body, **times)
    await rig.up()
    await rig.clock.advance(60)
    assert receivers.sent == []


async def test_no_other_namespace_has_ones_news_suppressed(rig: Rig, receivers: Receivers) -> None:
    channel(rig, f"{{url: '{URL}'}}")
    await rig.finish("w")
    await rig.clock.advance(5)
    uid = rig.run()["metadata"]["uid"]
    [told] = [body for _, body, _ in receivers.sent]
    [ledger] = [each for each in rig.api.all(CONFIG_MAPS) if "notifications" in each["metadata"]["name"]]
    await rig.down()
    rig.api.remove(CONFIG_MAPS, NAMESPACE, ledger["metadata"]["name"])
    forge(rig, "attacker", uid, id=told["id"], event="Succeeded", state="Delivered")
    await rig.up()
    await rig.clock.advance(60)
    assert [body["id"] for _, body, _ in receivers.sent] == [told["id"]] * 2


async def test_a_tenant_with_many_slow_receivers_keeps_nobody_else_waiting(rig: Rig, receivers: Receivers) -> None:
    names = [f"c{number}" for number in range(8)]
    for name in names:
        place = f"metadata: {{name: {name}, namespace: other}}"
        rig.apply(
            f"{{apiVersion: weft.dev/v1alpha1, kind: NotificationChannel, {place}, "
            f"spec: {{type: Webhook, timeoutSeconds: 300, webhook: {{url: 'http://slow-{name}.example/'}}}}}}"
        )
    wanted = [{"channel": name, "events": ["Started", "Succeeded"]} for name in names]
    spec = {"workflow": {"notifications": wanted, "nodes": [{"name": "a", "expr": {"x": "1"}}]}}
    await rig.up()
    for number in range(4):
        metadata = {"name": f"x{number}", "namespace": "other"}
        rig.api.add({"apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun", "metadata": metadata, "spec": spec})
    await rig.clock.advance(5)
    channel(rig, f"{{url: '{URL}'}}")
    await rig.finish("w")
    await rig.clock.advance(1)
    assert receivers.told() == [("run.succeeded", "1 of 1 nodes done")]


async def test_no_parameter_and_no_output_goes_out_by_a_message(rig: Rig, receivers: Receivers) -> None:
    channel(rig, f"{{url: '{URL}'}}")
    told = "notifications: [{channel: team, events: [Failed, NodeFailed]}]"
    rig.workflow(
        "p", f"{{parameters: [{{name: token, pattern: '^tok$'}}], {told}, nodes: [{{name: a, job: {{image: i}}}}]}}"
    )
    rig.workflow("o", f"{{{told}, nodes: [{{name: a, job: {{image: i}}}}]}}")
    rig.workflow("c", f"{{{told}, nodes: [{{name: a, workflow: {{name: p, parameters: {{token: hunter2}}}}}}]}}")
    gives = "outputs: [{name: n, value: '{}[params.token]'}]"
    rig.workflow("e", f"{{parameters: [{{name: token}}], nodes: [{{name: a, wait: {{seconds: 1}}}}], {gives}}}")
    rig.workflow("d", f"{{{told}, nodes: [{{name: a, workflow: {{name: e, parameters: {{token: hunter2}}}}}}]}}")
    rig.behave = lambda node, attempt: Fate(text="the password is hunter2")
    await rig.up()
    rig.start("p", "rp", parameters={"token": "hunter2"})
    rig.start("o", "ro")
    rig.start("c", "rc")
    rig.start("d", "rd")
    await rig.clock.advance(60)
    for name in ("rp", "ro", "rc", "rd"):
        assert "hunter2" in str(rig.run(name)["status"]), name
    assert sorted(receivers.told()) == [
        ("node.failed", "see the run's status"),
        ("node.failed", "see the run's status"),
        ("node.failed", "see the run's status"),
        ("run.failed", "a failed (ChildFailed…; see the run's status"),
        ("run.failed", "a failed (InvalidOutputs…; see the run's status"),
        ("run.failed", "a failed (InvalidParameters…; see the run's status"),
        ("run.failed", "see the run's status"),
        ("run.failed", "see the run's status"),
    ]
