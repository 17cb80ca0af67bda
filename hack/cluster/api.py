"""The few questions asked of the API server while the cluster starts, with nothing but the standard library."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hack.cluster.settings import ClusterError


class Api:
    """The API server as the administrator sees it."""

    def __init__(self, server: str, pki: Path) -> None:
        self._server = server
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        # No proxy from the environment: the server is on this machine.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def get(self, path: str) -> str | None:
        """What the server answers to GET `path`; None when it does not answer or says no."""
        try:
            with self._opener.open(self._server + path, timeout=3) as response:
                text: str = response.read().decode()
                return text
        except (OSError, urllib.error.URLError):
            return None

    def ready(self) -> bool:
        """Whether the server is ready to serve."""
        return self.get("/readyz") == "ok"

    def node_ready(self, name: str) -> bool:
        """Whether node `name` has registered and is Ready."""
        node: dict[str, Any] = json.loads(self.get(f"/api/v1/nodes/{name}") or "{}")
        conditions = node.get("status", {}).get("conditions", [])
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def has_default_service_account(self) -> bool:
        """Whether Pods may be created in the namespace `default`."""
        return self.get("/api/v1/namespaces/default/serviceaccounts/default") is not None


def wait_until(what: str, question: Callable[[], bool], *, alive: Callable[[], None], seconds: float = 120) -> None:
    """Ask until the answer is yes. `alive` raises when waiting has no sense any more; so does this, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not question():
        alive()
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.1)
