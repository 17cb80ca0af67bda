"""How the Secrets that channels name are read: at every attempt, so that a changed Secret counts at the next one."""

import base64
from collections.abc import Awaitable, Callable

from weft.api.notificationchannel import SecretKeyRef
from weft.kube.client import Client
from weft.kube.errors import ApiError, NotFound
from weft.kube.resources import SECRETS


class SecretUnavailable(Exception):
    """A Secret that cannot be read; the text says which and why, and may be shown."""


ReadSecret = Callable[[str, SecretKeyRef], Awaitable[str]]
"""Gives the text under a key of a namespace's Secret; raises SecretUnavailable."""


def secret_reader(client: Client) -> ReadSecret:
    """Give a reader that asks the API server."""

    async def read(namespace: str, ref: SecretKeyRef) -> str:
        try:
            secret = await client.get(SECRETS, ref.name, namespace=namespace)
        except NotFound:
            raise SecretUnavailable(f"there is no Secret {ref.name} in namespace {namespace}; create it") from None
        except ApiError as error:
            raise SecretUnavailable(f"Secret {ref.name} cannot be read: {error.reason or error.code}") from error
        encoded = (secret.get("data") or {}).get(ref.key)
        if encoded is None:
            raise SecretUnavailable(f"Secret {ref.name} has no key {ref.key}; add it")
        try:
            return base64.b64decode(encoded).decode()
        except ValueError:
            raise SecretUnavailable(f"Secret {ref.name}, key {ref.key}: is not text") from None

    return read
