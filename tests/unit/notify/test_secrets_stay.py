"""What a Secret holds is used and never told: not in what became of a delivery, nor in a log."""

import logging
from ipaddress import ip_network
from typing import Any

import pytest
from support.clock import VirtualClock
from weft.api.notificationchannel import NotificationChannel, SecretKeyRef
from weft.notify.addresses import AddressPolicy
from weft.notify.deliver import Sender
from weft.notify.guarded_http import GuardedHttp

WORD = "hunter2"
REF = {"secretKeyRef": {"name": "s", "key": "k"}}


def channel(**webhook: Any) -> NotificationChannel:
    spec = {"type": "Webhook", "webhook": webhook}
    metadata = {"name": "c", "namespace": "n"}
    return NotificationChannel.model_validate(
        {"apiVersion": "weft.dev/v1alpha1", "kind": "NotificationChannel", "metadata": metadata, "spec": spec}
    )


@pytest.mark.parametrize(
    "secret",
    [
        f"http://127.0.0.1:9/{WORD}",  # nobody listens
        f"http://169.254.169.254/{WORD}?x={WORD}",
        f"http://{WORD}:{WORD}@127.0.0.1:9/",
        f"http://127.0.0.1:99999/{WORD}",
        f"http://127.0.0.1:9/{WORD}#{WORD} \x00",
        f"http://[{WORD}",
        f"ftp://127.0.0.1/{WORD}",
        f"{WORD}:x",
        f"{WORD}://127.0.0.1/",
        f"/{WORD}",
        WORD,
        f"http://127.0.0.1:9/\n{WORD}",
    ],
)
@pytest.mark.parametrize("field", ["urlFrom", "signingSecretRef"])
async def test_a_failed_delivery_does_not_tell(field: str, secret: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def read(namespace: str, ref: SecretKeyRef) -> str:
        return secret

    http = GuardedHttp(AddressPolicy(allowed=(ip_network("127.0.0.0/8"),)))
    sender = Sender(http, read_secret=read, clock=VirtualClock())
    signed = {"url": "http://127.0.0.1:9/", "signingSecretRef": REF["secretKeyRef"]}
    given = {"urlFrom": REF} if field == "urlFrom" else signed
    try:
        outcome = await sender.send(channel(**given), "m", b"{}")
    finally:
        await http.close()
    assert outcome.error
    assert WORD not in outcome.error
    assert WORD not in caplog.text
