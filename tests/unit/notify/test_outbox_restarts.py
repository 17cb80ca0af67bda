"""What the ledger is for: what was told is told once, over restarts and while it cannot be written."""

import base64
import hashlib
import time
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook
from support.clock import settle
from support.outbox import DELIVERED, REFUSED_503, World, channel, run, subscribe
from weft.kube.errors import QuotaExceeded
from weft.notify.addresses import AddressPolicy
from weft.notify.deliver import Outcome, Result, Sender
from weft.notify.events import EventKind, events_between
from weft.notify.guarded_http import GuardedHttp
from weft.notify.ledger import Delivery, NotifiedRun, State


async def test_after_a_restart_only_what_was_not_delivered_comes_again_and_with_its_id() -> None:
    world = await World(DELIVERED, REFUSED_503).started()
    world.observe(run("Failed"), [subscribe()])
    await settle()
    assert world.types() == ["run.started", "run.failed"]

    await world.restarted()
    world.observe(run("Failed"), [subscribe()])
    await world.clock.advance(60)

    assert world.types() == ["run.started", "run.failed", "run.failed"]
    assert world.sent[1][2] == world.sent[2][2]
    assert [delivery.attempts for delivery in world.ledger.kept.values()] == [1, 2]


async def test_what_happened_while_no_operator_ran_is_told_after_its_start() -> None:
    world = await World().started()
    world.observe(run(), [subscribe()])
    await settle()

    await world.restarted()
    world.observe(run("Failed", failed=["price"]), [subscribe()])
    await settle()

    assert sorted(world.types()) == ["node.failed", "run.failed", "run.started"]


async def test_a_crash_between_delivery_and_record_delivers_again_with_the_same_id() -> None:
    world = await World().started()
    world.ledger.failures = 1
    world.observe(run(), [subscribe()])
    await settle()

    await world.restarted()
    world.observe(run(), [subscribe()])
    await settle()

    assert [message_id for _, _, message_id, _ in world.sent] == [world.sent[0][2]] * 2


@pytest.mark.parametrize("state", [State.Delivered, State.Pending])
async def test_what_an_older_version_has_told_under_an_id_of_its_own_is_not_told_again(state: State) -> None:
    """It marked what happens to nodes by the rerun, too, and not by when it was."""
    world, failed = World(), run(failed=["price"], rerunGeneration=2)
    former = hashlib.sha256(b"\0".join([b"u1", b"NodeFailed", b"2", b"price"])).hexdigest()[:32]
    [event] = events_between({}, failed["status"] | {"startTime": None}, failed)
    kept = Delivery(
        run=NotifiedRun("shop", "run-u1", "u1"), channel="ops", kind=EventKind.NodeFailed, event_id=former,
        event=event.cloud_event() | {"id": former}, since=0.0, due=0.0, state=state,
    )  # fmt: skip
    world.ledger.kept[kept.key] = kept
    world.know(failed)
    await world.started()
    wanted = [subscribe("ops", "NodeFailed")]
    world.observe(failed, wanted)
    await settle()
    assert [message_id for _, _, message_id, _ in world.sent] == ([former] if state is State.Pending else [])

    world.observe(run(failed=["price", "publish"], rerunGeneration=2), wanted)
    await settle()
    assert len(world.sent) == (2 if state is State.Pending else 1), "what is new is told"


async def test_a_rerun_does_not_lose_the_failure_that_could_not_be_told() -> None:
    world = await World(REFUSED_503).started()
    world.observe(run("Failed"), [subscribe("ops", "Failed")])
    await settle()

    world.know(run(rerunGeneration=1))
    await world.restarted()
    world.observe(run(rerunGeneration=1), [subscribe("ops", "Failed")])
    await world.clock.advance(60)

    assert world.types() == ["run.failed", "run.failed"]
    assert world.ledger.states() == [State.Delivered]


async def test_while_the_ledger_is_away_nothing_is_delivered_twice() -> None:
    world = await World().started()
    world.ledger.failures = 5

    world.observe(run(), [subscribe()])
    await world.clock.advance(600)

    assert world.types() == ["run.started"]
    assert world.ledger.states() == [State.Delivered]


async def test_while_the_ledger_is_away_a_failed_try_is_not_repeated_early() -> None:
    world = await World(REFUSED_503).started()
    world.ledger.failures = 3

    world.observe(run(), [subscribe()])
    await world.clock.advance(3.9)
    assert len(world.sent) == 1
    assert world.ledger.states() == [State.Pending]
    await world.clock.advance(3)
    assert len(world.sent) == 2


async def test_what_a_full_quota_does_not_let_the_ledger_keep_is_said_in_a_line_and_rarely(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = await World().started()
    world.ledger.failure, world.ledger.failures = QuotaExceeded("exceeded quota: few-config-maps", code=403), 10_000

    world.observe(run(), [subscribe()])
    await world.clock.advance(3600)

    assert world.types() == ["run.started"]
    assert 15 < 10_000 - world.ledger.failures < 35
    assert caplog.messages[-1].startswith("notification of Started of run shop/run-u1 to channel ops: ")
    assert caplog.messages[-1].endswith(": exceeded quota: few-config-maps")
    assert not any(record.exc_info for record in caplog.records)

    world.ledger.failures = 0
    await world.clock.advance(300)
    assert world.ledger.states() == [State.Delivered]
    assert world.types() == ["run.started"]


async def test_a_full_quota_delays_no_further_try() -> None:
    world = await World(Outcome(result=Result.Retry, error="busy", retry_after=100)).started()
    world.ledger.failure, world.ledger.failures = QuotaExceeded("exceeded quota: few-config-maps", code=403), 10_000

    world.observe(run(), [subscribe()])
    await world.clock.advance(3600)

    first, second = (at for *_, at in world.sent)
    assert second - first == pytest.approx(100, abs=1)


async def test_a_real_receiver_that_refuses_twice_gets_the_signed_event_at_the_third_try_even_over_a_restart() -> None:
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
    received: list[dict[str, Any]] = []

    async def hook(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        event = Webhook(secret).verify(await request.read(), headers)
        received.append({"id": headers["webhook-id"], "event": event})
        return web.Response(status=503 if len(received) <= 2 else 204)

    async def read_secret(namespace: str, ref: object) -> str:
        return secret

    app = web.Application()
    app.router.add_post("/hook", hook)
    server = TestServer(app)
    await server.start_server()
    http = GuardedHttp(AddressPolicy(allowed=(ip_network("127.0.0.1/32"),)))
    world = World(start=time.time())
    world.send = Sender(http, read_secret=read_secret, clock=world.clock).send
    world.channels["ops"] = channel(url=f"http://127.0.0.1:{server.port}/hook")
    await world.restarted()

    world.observe(run("Failed"), [subscribe("ops", "Failed")])
    await world.ledger.saved.get()
    await settle()
    await world.clock.advance(10)
    await world.ledger.saved.get()
    await world.restarted()
    world.observe(run("Failed"), [subscribe("ops", "Failed")])
    await world.clock.advance(60)
    last = await world.ledger.saved.get()

    await http.close()
    await server.close()
    assert (last.state, last.attempts) == (State.Delivered, 3)
    assert received == [received[0]] * 3
    assert received[0]["event"]["id"] == received[0]["id"] == last.event_id
    assert received[0]["event"]["type"] == "dev.weft.run.failed"
