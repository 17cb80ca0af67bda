"""Which namespaces demand Pod Security "restricted": by their label, looked at now and then.

A namespace that may not be read is taken for what it was, and for one that demands nothing where nobody knows: if it
does, the API server refuses the Pod, and the node says so with the API server's words. An API server that does not
answer is asked again before anything is made: a Pod by a guess might fail the node for good.
"""

import asyncio
import logging
from itertools import islice
from weakref import WeakValueDictionary

from weft.kube.client import Client
from weft.kube.clock import Clock
from weft.kube.errors import Forbidden, NotFound
from weft.kube.resources import NAMESPACES

_log = logging.getLogger(__name__)

LABEL = "pod-security.kubernetes.io/enforce"
KNOWN_SECONDS = 60.0
"""How long a namespace's label counts as known."""
FORGOTTEN_SECONDS = 3600.0
"""After so long without a Pod nothing is known of a namespace any more: it may be gone."""


class PodSecurity:
    """Says of a namespace whether its Pods have to be restricted."""

    def __init__(self, client: Client, *, everywhere: bool, clock: Clock) -> None:
        """Take whether all Pods are to be restricted, whatever their namespaces demand."""
        self._client = client
        self._everywhere = everywhere
        self._clock = clock
        self._known: dict[str, tuple[float, bool]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def restricted(self, namespace: str) -> bool:
        """Say whether Pods of the namespace have to be restricted; asks at most once in KNOWN_SECONDS.

        Raises ApiError when the API server cannot say.
        """
        if self._everywhere:
            return True
        known = self._lately(namespace)
        if known is None:
            async with self._locks.setdefault(namespace, asyncio.Lock()):
                known = self._lately(namespace)
                if known is None:
                    known = await self._look(namespace)
                    self._keep(namespace, known)
        return known

    def _keep(self, namespace: str, restricted: bool) -> None:
        now = self._clock.monotonic()
        self._known.pop(namespace, None)
        self._known[namespace] = now, restricted
        # Oldest first: a dict keeps the order of insertion.
        for oldest, (looked_at, _) in list(islice(self._known.items(), 2)):
            if now - looked_at > FORGOTTEN_SECONDS:
                del self._known[oldest]

    def _lately(self, namespace: str) -> bool | None:
        looked_at, restricted = self._known.get(namespace, (float("-inf"), False))
        return restricted if self._clock.monotonic() - looked_at < KNOWN_SECONDS else None

    async def _look(self, namespace: str) -> bool:
        try:
            found = await self._client.get(NAMESPACES, namespace)
        except (Forbidden, NotFound) as error:
            _log.warning("cannot look at the Pod Security of namespace %s: %s", namespace, error)
            _, restricted = self._known.get(namespace, (0.0, False))
            return restricted
        return (found["metadata"].get("labels") or {}).get(LABEL) == "restricted"
