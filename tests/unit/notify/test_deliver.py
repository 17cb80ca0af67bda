import base64
import random
import time
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook, WebhookVerificationError
from support.clock import VirtualClock
from support.transport import ScriptedTransport, ok, status
from weft.api.notificationchannel import NotificationChannel, SecretKeyRef
from weft.kube.client import Client
from weft.kube.limiter import Limiter
from weft.metrics import Metrics
from weft.notify.addresses import AddressPolicy
from weft.notify.deliver import BACKOFF_SECONDS, Outcome, Result, Sender, backoff_seconds, judge, signature
from weft.notify.guarded_http import GuardedHttp
from weft.notify.secrets import SecretUnavailable, secret_reader

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OTHER = "whsec_" + base64.b64encode(b"fedcba9876543210fedcba9876543210").decode()
NOW = 1_795_000_000.0
BODY = b'{"id":"e1"}'


@pytest.mark.parametrize(
    ("status", "retry_after", "result", "wait"),
    [
        (200, None, Result.Delivered, 0),
        (204, "60", Result.Delivered, 0),
        (299, None, Result.Delivered, 0),
        (301, None, Result.Retry, 0),
        (400, None, Result.Retry, 0),
        (404, None, Result.Retry, 0),
        (408, None, Result.Retry, 0),
        (410, None, Result.Gone, 0),
        (429, "60", Result.Retry, 60),
        (429, " 60 ", Result.Retry, 60),
        (503, "Wed, 18 Nov 2026 11:07:40 GMT", Result.Retry, 1_795_000_060 - NOW),
        (503, "Wed, 18 Nov 2020 11:07:40 GMT", Result.Retry, 0),
        (503, "soon", Result.Retry, 0),
        (503, "-5", Result.Retry, 0),
        (503, "99999999", Result.Retry, 86_400),
        (500, None, Result.Retry, 0),
    ],
)
def test_what_an_answer_means(status: int, retry_after: str | None, result: Result, wait: float) -> None:
    outcome = judge(status, retry_after, NOW)

    assert (outcome.result, outcome.retry_after) == (result, wait)
    assert (outcome.error is None) is (result is Result.Delivered)


@pytest.mark.parametrize("attempts", range(1, 12))
def test_waits_grow_and_are_spread_by_a_fifth(attempts: int) -> None:
    base = (*BACKOFF_SECONDS, *[36_000] * 4)[attempts - 1]
    waits = [backoff_seconds(attempts, retry_after=0, rng=random.Random(seed)) for seed in range(200)]

    assert base * 0.8 <= min(waits) < base * 0.85
    assert base * 1.15 < max(waits) <= base * 1.2


def test_the_receivers_own_wish_is_a_lower_bound() -> None:
    rng = random.Random(1)

    assert backoff_seconds(1, retry_after=900, rng=rng) == 900
    assert backoff_seconds(8, retry_after=1, rng=rng) > 1


@pytest.mark.parametrize("secrets", [SECRET, SECRET.removeprefix("whsec_"), f" {SECRET}\n", f"{OTHER} {SECRET}"])
def test_a_receiver_with_the_secret_verifies_the_signature(secrets: str) -> None:
    now = time.time()
    headers = {"webhook-id": "e1", "webhook-timestamp": str(int(now))}
    headers["webhook-signature"] = signature(secrets, "e1", now, BODY)

    assert Webhook(SECRET).verify(BODY, headers) == {"id": "e1"}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY + b" ", headers)


@pytest.mark.parametrize("secrets", ["", "  ", "whsec_", "whsec_a", "whsec_é"])
def test_what_is_no_signing_secret_says_what_one_is(secrets: str) -> None:
    with pytest.raises(ValueError, match="whsec_ and base64"):
        signature(secrets, "e1", NOW, BODY)


class Receiver:
    """A webhook on loopback that gives the answers it was told to, then 204."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.requests: list[tuple[dict[str, str], bytes]] = []
        app = web.Application()
        app.router.add_post("/hook", self.take)
        self.server = TestServer(app)

    async def take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((headers, await request.read()))
        return self.answers.pop(0) if self.answers else web.Response(status=204)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/hook"


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.server.start_server()
    yield receiver
    await receiver.server.close()


def channel(**webhook: Any) -> NotificationChannel:
    return NotificationChannel.model_validate(
        {
            "apiVersion": "weft.dev/v1alpha1",
            "kind": "NotificationChannel",
            "metadata": {"namespace": "shop", "name": "ops", "uid": "c1", "generation": 1},
            "spec": {"type": "Webhook", "webhook": webhook},
        }
    )


SendOne = Callable[[NotificationChannel], Any]


@pytest_asyncio.fixture
async def send() -> AsyncIterator[SendOne]:
    secrets = {("shop", "hook", "signing"): SECRET, ("shop", "hook", "broken"): "whsec_a"}

    async def read(namespace: str, ref: SecretKeyRef) -> str:
        try:
            return secrets[namespace, ref.name, ref.key]
        except KeyError:
            raise SecretUnavailable(f"there is no Secret {ref.name}") from None

    http = GuardedHttp(AddressPolicy(allowed=(ip_network("127.0.0.1/32"),)))
    sender = Sender(http, read_secret=read, clock=VirtualClock(time.time()))

    async def send_one(to: NotificationChannel) -> Outcome:
        return await sender.send(to, "e1", BODY)

    send_one.secrets = secrets  # type: ignore[attr-defined]
    yield send_one
    await http.close()


SIGNED = {"signingSecretRef": {"name": "hook", "key": "signing"}}


async def test_a_delivery_is_a_signed_cloud_event(send: SendOne, receiver: Receiver) -> None:
    outcome = await send(channel(url=receiver.url, headers=[{"name": "X-Team", "value": "shop"}], **SIGNED))

    [(headers, body)] = receiver.requests
    assert outcome == Outcome(result=Result.Delivered)
    assert Webhook(SECRET).verify(body, headers) == {"id": "e1"}
    assert headers["webhook-id"] == "e1"
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["x-team"] == "shop"


async def test_a_channels_headers_cannot_replace_those_of_the_scheme(send: SendOne, receiver: Receiver) -> None:
    forged = [{"name": name, "value": "forged"} for name in ("Webhook-Id", "WEBHOOK-SIGNATURE", "Content-Type")]
    await send(channel(url=receiver.url, headers=forged, **SIGNED))

    [(headers, body)] = receiver.requests
    assert Webhook(SECRET).verify(body, headers) == {"id": "e1"}
    assert "forged" not in headers.values()


async def test_without_a_signing_secret_nothing_is_signed(send: SendOne, receiver: Receiver) -> None:
    await send(channel(url=receiver.url))

    [(headers, _)] = receiver.requests
    assert headers["webhook-id"] == "e1"
    assert "webhook-signature" not in headers


async def test_the_address_may_come_from_a_secret(send: SendOne, receiver: Receiver) -> None:
    send.secrets["shop", "hook", "address"] = receiver.url + "\n"  # type: ignore[attr-defined]
    outcome = await send(channel(urlFrom={"secretKeyRef": {"name": "hook", "key": "address"}}, **SIGNED))

    assert outcome.result is Result.Delivered
    assert len(receiver.requests) == 1


async def test_a_large_body_does_not_make_a_success_a_failure(send: SendOne, receiver: Receiver) -> None:
    receiver.answers = [web.Response(status=200, body=b"x" * 1_000_000)]

    assert (await send(channel(url=receiver.url, **SIGNED))).result is Result.Delivered


@pytest.mark.parametrize(
    ("webhook", "result", "error"),
    [
        ({"url": "http://169.254.169.254/latest"}, Result.Refused, "AddressRefused: 169.254.169.254 is link-local"),
        ({"url": "http://[::1]/hook"}, Result.Refused, "AddressRefused: ::1 is loopback"),
        ({"url": "http://127.0.0.1:1/hook?token=s3cret"}, Result.Retry, "ConnectionFailed: http://127.0.0.1:1: "),
        ({"url": "http://127.0.0.1:1/", "signingSecretRef": {"name": "no", "key": "k"}}, Result.Retry, "no Secret no"),
        (
            {"url": "http://127.0.0.1:1/", "signingSecretRef": {"name": "hook", "key": "broken"}},
            Result.Retry,
            "Secret hook, key broken: must hold a signing secret: whsec_ and base64",
        ),
    ],
)
async def test_why_nothing_could_be_sent(send: SendOne, webhook: dict[str, Any], result: Result, error: str) -> None:
    outcome = await send(channel(**webhook))

    assert outcome.result is result
    assert error in (outcome.error or "")
    assert "s3cret" not in (outcome.error or "")


def reader_of(transport: ScriptedTransport) -> Any:
    metrics, clock = Metrics(), VirtualClock()
    limiter = Limiter(maximum=4, metrics=metrics)
    return secret_reader(Client(transport, clock=clock, rng=random.Random(1), metrics=metrics, limiter=limiter))


async def test_secrets_are_read_from_the_channels_namespace() -> None:
    transport = ScriptedTransport([ok({"data": {"signing": base64.b64encode(SECRET.encode()).decode()}})])

    assert await reader_of(transport)("shop", SecretKeyRef(name="hook", key="signing")) == SECRET
    assert transport.requests[0].path == "/api/v1/namespaces/shop/secrets/hook"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (status(404), "there is no Secret hook in namespace shop; create it"),
        (status(403, "Forbidden"), "Secret hook cannot be read: Forbidden"),
        (ok({"data": {"other": ""}}), "Secret hook has no key signing; add it"),
        (ok({}), "Secret hook has no key signing; add it"),
        (ok({"data": {"signing": base64.b64encode(b"\xff\xfe").decode()}}), "is not text"),
    ],
)
async def test_a_secret_that_cannot_be_read_says_why(answer: Any, message: str) -> None:
    with pytest.raises(SecretUnavailable, match=message):
        await reader_of(ScriptedTransport([answer]))("shop", SecretKeyRef(name="hook", key="signing"))
