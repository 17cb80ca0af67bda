import hashlib
import json
import logging
import random
from dataclasses import replace
from typing import Any

import pytest
from support.clock import VirtualClock
from support.transport import ScriptedTransport, ok, status
from weft.kube.client import Client
from weft.kube.limiter import Limiter
from weft.kube.realm import Realm
from weft.metrics import Metrics
from weft.notify.events import EventKind
from weft.notify.ledger import ConfigMapLedger, Delivery, NotifiedRun, State

EVENT_ID = "e" * 32
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": EVENT_ID,
    "source": "/apis/weft.dev/v1alpha1/namespaces/shop/workflowruns/listing-1",
    "type": "dev.weft.run.failed",
    "subject": "listing-1",
    "datacontenttype": "application/json",
    "data": {"namespace": "shop", "run": "listing-1", "uid": "u1", "workflow": "listing", "message": "price failed"},
}
PENDING = Delivery(
    run=NotifiedRun("shop", "listing-1", "u1"),
    channel="ops",
    kind=EventKind.Failed,
    event_id=EVENT_ID,
    event=EVENT,
    since=1_700_000_000.0,
    due=1_700_000_030.0,
    attempts=2,
    error="the receiver answered 503",
)
DELIVERED = replace(PENDING, state=State.Delivered, event=None, error=None)


def ledger_of(transport: ScriptedTransport, namespace: str = "") -> ConfigMapLedger:
    metrics, clock = Metrics(), VirtualClock()
    limiter = Limiter(maximum=4, metrics=metrics)
    client = Client(transport, clock=clock, rng=random.Random(1), metrics=metrics, limiter=limiter)
    realm = Realm((namespace,) if namespace else ())
    return ConfigMapLedger(client, labels=lambda run: {"weft.dev/run": run.name}, realm=realm)


async def kept(*deliveries: Delivery) -> dict[str, Any]:
    """Give the ConfigMap that saving the deliveries leads to."""
    transport = ScriptedTransport([status(404), ok(), *[ok()] * len(deliveries)])
    ledger = ledger_of(transport)
    for delivery in deliveries:
        await ledger.save(delivery)
    config_map: dict[str, Any] = transport.requests[1].body
    for request in transport.requests[2:]:
        config_map["data"] |= request.body["data"]
    return config_map


async def test_the_first_delivery_makes_a_config_map_that_goes_with_its_run() -> None:
    config_map = await kept(PENDING)

    assert config_map["metadata"] == {
        "name": "weft-notifications-u1",
        "namespace": "shop",
        "labels": {"weft.dev/run": "listing-1", "weft.dev/notifications": "true"},
        "ownerReferences": [
            {"apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun", "name": "listing-1", "uid": "u1"}
        ],
    }


async def test_later_deliveries_patch_their_entry_alone() -> None:
    transport = ScriptedTransport([ok()])

    await ledger_of(transport).save(DELIVERED)

    [request] = transport.requests
    assert (request.method, request.content_type) == ("PATCH", "application/merge-patch+json")
    assert request.path == "/api/v1/namespaces/shop/configmaps/weft-notifications-u1"
    assert list(request.body) == ["data"]
    assert list(request.body["data"]) == [DELIVERED.key]


async def test_two_at_once_make_one_config_map() -> None:
    transport = ScriptedTransport([status(404), status(409, "AlreadyExists"), ok()])

    await ledger_of(transport).save(PENDING)

    assert [request.method for request in transport.requests] == ["PATCH", "POST", "PATCH"]


@pytest.mark.parametrize("answer", [status(404), status(403, "Forbidden", causes=[{"reason": "NamespaceTerminating"}])])
async def test_where_the_namespace_goes_the_ledger_goes(answer: Any) -> None:
    transport = ScriptedTransport([status(404), answer])

    await ledger_of(transport).save(PENDING)

    assert [request.method for request in transport.requests] == ["PATCH", "POST"]


async def test_what_was_saved_is_loaded() -> None:
    other = replace(PENDING, channel="chat")
    transport = ScriptedTransport([ok({"items": [await kept(DELIVERED, other)]})])

    loaded = await ledger_of(transport).load()

    assert transport.requests[0].path == "/api/v1/configmaps"
    assert transport.requests[0].params["labelSelector"] == "weft.dev/notifications"
    assert {delivery.channel: delivery for delivery in loaded} == {
        "ops": replace(DELIVERED, since=0.0, due=0.0),
        "chat": other,
    }


async def test_one_namespace_only_if_so_set() -> None:
    transport = ScriptedTransport([ok({"items": []})])

    assert await ledger_of(transport, namespace="shop").load() == []
    assert transport.requests[0].path == "/api/v1/namespaces/shop/configmaps"


async def test_an_entry_reads_well_and_drops_the_event_at_the_end() -> None:
    pending, delivered = [json.loads((await kept(item))["data"][item.key]) for item in (PENDING, DELIVERED)]

    assert pending["nextAttemptTime"] == "2023-11-14T22:13:50Z"
    assert pending["lastError"] == "the receiver answered 503"
    assert delivered == {"id": EVENT_ID, "channel": "ops", "event": "Failed", "state": "Delivered", "attempts": 2}


async def loaded_beside(bad: dict[str, Any]) -> list[Delivery]:
    """What is loaded of a ConfigMap and of a good one that is another namespace's."""
    elsewhere = {"source": EVENT["source"].replace("shop", "other"), "data": {**EVENT["data"], "namespace": "other"}}
    other = replace(PENDING, run=PENDING.run._replace(namespace="other"), event=EVENT | elsewhere)
    loaded = list(await ledger_of(ScriptedTransport([ok({"items": [bad, await kept(other)]})])).load())
    assert loaded.pop() == other
    return loaded


def forged(spoiled: dict[str, Any]) -> dict[str, str]:
    """An entry under the key that is its own, with some fields spoiled."""
    entry = {
        "id": EVENT_ID, "channel": "chat", "event": "Failed", "state": "Pending", "attempts": 0, "body": EVENT,
        "since": "2023-11-14T22:13:20Z", "nextAttemptTime": "2023-11-14T22:13:20Z",
    } | spoiled  # fmt: skip
    key = hashlib.sha256(f"{entry['id']}.{entry['channel']}".encode()).hexdigest()[:32]
    return {key: json.dumps({name: value for name, value in entry.items() if value is not ...})}


DEEP: list[Any] = []
for _ in range(300):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "spoiled",
    [
        {"lastError": ["x"]},
        {"lastError": 1},
        {"channel": ["c"]},
        {"channel": {}},
        {"channel": ""},
        {"channel": None},
        {"event": ["Failed"]},
        {"event": "Melted"},
        {"state": {"x": 1}},
        {"state": "Lost"},
        {"state": None},
        {"id": 7},
        {"id": "x\r\ny"},
        {"id": "e" * 33},
        {"id": "x\r\ny", "body": EVENT | {"id": "x\r\ny"}},
        {"id": "E" * 32, "state": "Delivered"},
        {"attempts": "1"},
        {"attempts": True},
        {"attempts": 1.5},
        {"attempts": -1},
        {"attempts": 2**63},
        {"attempts": 10**400},
        {"attempts": None},
        {"since": 5},
        {"since": ["2023-11-14T22:13:20Z"]},
        {"since": "soon"},
        {"since": "0001-01-01T00:00:00"},
        {"since": "9999-12-31T23:59:59.999999-23:59"},
        {"nextAttemptTime": {}},
        {"since": ...},
        {"nextAttemptTime": ...},
        {"body": None},
        {"body": ...},
        {"body": ["x"]},
        {"body": {}},
        {"body": EVENT | {"data": "x"}},
        {"body": EVENT | {"data": {**EVENT["data"], "failures": DEEP}}},
        {"body": EVENT | {"data": {**EVENT["data"], "uid": "u2"}}},
        {"body": EVENT | {"data": {**EVENT["data"], "namespace": "production"}}},
        {"body": EVENT | {"data": {**EVENT["data"], "run": "release"}}},
        {"body": EVENT | {"type": "dev.weft.run.succeeded"}},
        {"body": EVENT | {"id": "f" * 32}},
        {"body": EVENT | {"source": EVENT["source"].replace("shop", "production")}},
        {"body": EVENT | {"subject": "release"}},
        {"body": EVENT | {"specversion": 1}},
    ],
    ids=lambda spoiled: str(spoiled)[:60],
)
async def test_an_entry_that_we_cannot_have_written_is_left_out(
    spoiled: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    config_map = await kept(PENDING)
    config_map["data"] |= forged(spoiled)

    assert await loaded_beside(config_map) == [PENDING]
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "shop/weft-notifications-u1" in warning.message


async def test_the_forged_entries_are_refused_for_what_is_spoiled_of_them() -> None:
    config_map = await kept(PENDING)
    config_map["data"] |= forged({})

    assert [delivery.channel for delivery in await loaded_beside(config_map)] == ["ops", "chat"]


@pytest.mark.parametrize("text", ["{", "{}", "[]", "null", "7", '"x"', "[" * 5000, '{"a":' * 5000, ""])
async def test_an_entry_that_is_none_is_left_out(text: str) -> None:
    config_map = await kept(PENDING)
    config_map["data"]["k"] = text

    assert await loaded_beside(config_map) == [PENDING]


async def test_an_entry_under_a_key_that_is_not_its_own_is_left_out() -> None:
    config_map = await kept(PENDING)
    [text] = config_map["data"].values()
    config_map["data"] = {"k": text}

    assert await loaded_beside(config_map) == []


@pytest.mark.parametrize(
    "metadata",
    [
        {"ownerReferences": []},
        {"ownerReferences": None},
        {"ownerReferences": [{"apiVersion": "v1", "kind": "Secret", "name": "listing-1", "uid": "u1"}]},
        {"ownerReferences": [{"apiVersion": "weft.dev/v1alpha1", "kind": "WorkflowRun", "name": "o", "uid": "u2"}]},
        {"ownerReferences": [{}]},
        {"ownerReferences": ["x"]},
        {"name": "mine"},
        {"name": "weft-notifications-u2"},
        {"namespace": "attacker"},
    ],
    ids=str,
)
async def test_a_config_map_that_is_not_the_ledger_of_its_run_is_left_out(
    metadata: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The events of a namespace's run that lie in another namespace are nobody's."""
    config_map = await kept(PENDING)
    config_map["metadata"] |= metadata

    assert await loaded_beside(config_map) == []
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert f"{config_map['metadata']['namespace']}/{config_map['metadata']['name']}" in warning.message


@pytest.mark.parametrize("data", [None, {}])
async def test_a_ledger_without_entries_is_no_reason_to_warn(data: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert await loaded_beside({**await kept(PENDING), "data": data}) == []
    assert caplog.records == []


def test_keys_fit_a_config_map_and_differ_by_channel() -> None:
    keys = {replace(PENDING, channel=channel).key for channel in ("a", "b", "c" * 253)}

    assert len(keys) == 3
    assert all(len(key) == 32 for key in keys)
