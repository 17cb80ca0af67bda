import json
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

PENDING = Delivery(
    run=NotifiedRun("shop", "listing-1", "u1"),
    channel="ops",
    kind=EventKind.Failed,
    event_id="e1",
    event={"id": "e1", "data": {"run": "listing-1"}},
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
    assert delivered == {"id": "e1", "channel": "ops", "event": "Failed", "state": "Delivered", "attempts": 2}


@pytest.mark.parametrize(
    "spoiled", [{"data": {"k": "{"}}, {"data": {"k": "{}"}}, {"metadata": {"ownerReferences": []}}]
)
async def test_a_spoiled_config_map_does_not_spoil_the_others(spoiled: dict[str, Any]) -> None:
    good = await kept(PENDING)
    bad = {**good, **spoiled, "metadata": {**good["metadata"], **spoiled.get("metadata", {})}}

    assert await ledger_of(ScriptedTransport([ok({"items": [bad, good]})])).load() == [PENDING]


def test_keys_fit_a_config_map_and_differ_by_channel() -> None:
    keys = {replace(PENDING, channel=channel).key for channel in ("a", "b", "c" * 253)}

    assert len(keys) == 3
    assert all(len(key) == 32 for key in keys)
