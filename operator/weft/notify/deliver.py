"""One attempt to deliver one event to one webhook: find out where, sign, send, judge the answer.

The body is signed by the Standard Webhooks scheme: `webhook-id` is the event's id, the same at every attempt, so that a
receiver can drop what it has seen; `webhook-timestamp` is the attempt's time. A Secret may hold several signing
secrets, separated by white space: each signs, so a secret can be changed without a gap.

`judge` is the table of what an answer means and `backoff_seconds` that of when to try again; both are pure. Nothing
here counts attempts or remembers: see `outbox`. Errors are fit for a status and a log: no secret, no path, no query.
"""

import email.utils
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import standardwebhooks
from standardwebhooks.webhooks import EmptyWebhookSecretError

from weft.api.notificationchannel import NotificationChannel, Webhook
from weft.kube.clock import Clock
from weft.notify.events import CONTENT_TYPE
from weft.notify.guarded_http import FailureReason, GuardedHttp, RequestFailed
from weft.notify.secrets import ReadSecret, SecretUnavailable

BACKOFF_SECONDS = (5, 30, 120, 600, 1800, 7200, 18_000, 36_000)
JITTER = 0.2
MAX_RETRY_AFTER_SECONDS = 86_400


class Result(StrEnum):
    """What became of an attempt."""

    Delivered = "Delivered"
    Retry = "Retry"
    Refused = "Refused"
    Gone = "Gone"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of an attempt, why, and how long the receiver asks us to wait."""

    result: Result
    error: str | None = None
    retry_after: float = 0.0


def judge(status: int, retry_after: str | None, now: float) -> Outcome:
    """Say what an answer means: 2xx is success, 410 ends the channel, all else, redirects too, is tried again."""
    if 200 <= status < 300:
        return Outcome(result=Result.Delivered)
    if status == 410:
        return Outcome(result=Result.Gone, error="the receiver answered 410 Gone")
    wait = _retry_after_seconds(retry_after, now) if retry_after else 0.0
    return Outcome(result=Result.Retry, error=f"the receiver answered {status}", retry_after=wait)


def backoff_seconds(attempts: int, *, retry_after: float, rng: random.Random) -> float:
    """Give the wait after that many failed attempts: jittered, and never shorter than the receiver asked for."""
    base = BACKOFF_SECONDS[min(attempts, len(BACKOFF_SECONDS)) - 1]
    return max(base * rng.uniform(1 - JITTER, 1 + JITTER), retry_after)


def signature(secrets: str, message_id: str, now: float, body: bytes) -> str:
    """Sign `body` with every secret in `secrets`; raise ValueError when there is none or one is no signing secret."""
    moment = datetime.fromtimestamp(int(now), UTC)
    try:
        signers = [standardwebhooks.Webhook(secret) for secret in secrets.split()]
    except (ValueError, EmptyWebhookSecretError):
        signers = []
    if not signers:
        raise ValueError("must hold a signing secret: whsec_ and base64")
    return " ".join(signer.sign(message_id, moment, body.decode()) for signer in signers)


class Sender:
    """Makes attempts; holds the client, and how to read Secrets and the clock."""

    def __init__(self, http: GuardedHttp, *, read_secret: ReadSecret, clock: Clock) -> None:
        self._http = http
        self._read_secret = read_secret
        self._clock = clock

    async def send(self, channel: NotificationChannel, message_id: str, body: bytes) -> Outcome:
        """Send a CloudEvent to a channel of type Webhook once and give what became of it."""
        now = self._clock.now()
        try:
            url = await self._url(channel)
            headers = await self._headers(channel, message_id, now, body)
        except SecretUnavailable as error:
            return Outcome(result=Result.Retry, error=str(error))
        try:
            seconds = channel.spec.timeout_seconds
            answer = await self._http.request(
                "POST", url, headers=headers, body=body, timeout_seconds=seconds, max_bytes=None
            )
        except RequestFailed as failed:
            refused = failed.reason is FailureReason.AddressRefused
            return Outcome(result=Result.Refused if refused else Result.Retry, error=f"{failed.reason}: {failed}")
        return judge(answer.status, answer.headers.get("retry-after"), now)

    async def _url(self, channel: NotificationChannel) -> str:
        webhook = _webhook(channel)
        if webhook.url_from is None:
            return webhook.url or ""
        return (await self._read_secret(channel.metadata.namespace, webhook.url_from.secret_key_ref)).strip()

    async def _headers(self, channel: NotificationChannel, message_id: str, now: float, body: bytes) -> dict[str, str]:
        """Give the channel's own headers under those that make a CloudEvent and a Standard Webhook."""
        webhook = _webhook(channel)
        headers = {header.name.lower(): header.value for header in webhook.headers}
        headers |= {"content-type": CONTENT_TYPE, "webhook-id": message_id, "webhook-timestamp": str(int(now))}
        if ref := webhook.signing_secret_ref:
            secrets = await self._read_secret(channel.metadata.namespace, ref)
            try:
                headers["webhook-signature"] = signature(secrets, message_id, now, body)
            except ValueError as error:
                raise SecretUnavailable(f"Secret {ref.name}, key {ref.key}: {error}") from None
        return headers


def _webhook(channel: NotificationChannel) -> Webhook:
    if channel.spec.webhook is None:
        raise ValueError(f"channel {channel.metadata.name} has no webhook")
    return channel.spec.webhook


def _retry_after_seconds(text: str, now: float) -> float:
    """Read a Retry-After header, in seconds or as a date, up to a day; 0 when it says nothing sensible."""
    if text.strip().isdecimal():
        seconds = float(text)
    else:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - now
        except (ValueError, TypeError):
            return 0.0
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)
