"""Why a Pod that has a cluster node does not start: asked for where it takes long, since only its Events tell.

To ask is dear, for an API server reads all Events of the namespace to find those of one Pod. So only a Pod that has
been starting for GRACE_SECONDS is asked about, and ever more rarely again; there is one request at a time and one in a
second at most, and the run goes first that has been served least lately. It changes what is shown, and nothing else:
where the API server refuses or fails, what was shown stays, and nothing of that namespace is asked for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from weft.api.objects import Key, Obj, key_of, uid_of
from weft.controllers.gather import job_of
from weft.controllers.live import LiveRun
from weft.engine.state import AttemptId
from weft.kube.client import Client
from weft.kube.clock import Clock
from weft.kube.errors import ApiError
from weft.kube.resources import EVENTS
from weft.kube.store import ChildStore, RunKey
from weft.render.hindrance import hindrance
from weft.render.observe import is_starting, pod_fact

_log = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
"""Between two requests."""
AGAIN_SECONDS = 60.0
"""Until the same Pod is asked about again, once its Events have told something."""
SILENT_SECONDS = 5.0
"""The same while they tell nothing, doubled each time: a busy kubelet tells late."""
REST_SECONDS = 300.0
"""Until anything of a namespace is asked for again whose Events may not be read, or cannot."""


@dataclass(slots=True)
class _Slow:
    """An attempt whose Pod takes long to start, and when it is to be asked about (monotonic)."""

    live: LiveRun
    id: AttemptId
    due: float
    again: float = SILENT_SECONDS  # until then, should its Events tell nothing


class SlowStarts:
    """Asks for the Events of Pods that take long to start, from `run`."""

    def __init__(
        self,
        client: Client,
        store: ChildStore,
        *,
        find_live: Callable[[RunKey], LiveRun | None],
        wake: Callable[[Key], None],
        clock: Clock,
    ) -> None:
        self._client = client
        self._store = store
        self._find_live = find_live
        self._wake = wake
        self._clock = clock
        self._slow: dict[tuple[RunKey, AttemptId], _Slow] = {}
        self._resting: dict[str, float] = {}  # namespaces of which nothing is asked, until when
        self._filled = asyncio.Event()

    def take_over(self, live: LiveRun, *, now: float) -> None:
        """Ask about those attempts of the run that have been starting for long by now (epoch seconds)."""
        while live.starting:
            id_, due = next(iter(live.starting.items()))
            if due > now:
                return
            del live.starting[id_]
            known = self._slow.get((live.run_key, id_))
            if known is None or known.live is not live:
                self._slow[live.run_key, id_] = _Slow(live, id_, self._clock.monotonic())
                self._filled.set()

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            if not self._slow:
                self._filled.clear()
                await self._filled.wait()
            found = self._next()
            if found is not None:
                await self._look_into(*found)
            await self._clock.sleep(PAUSE_SECONDS)

    def _next(self) -> tuple[_Slow, Obj] | None:
        """Whom to ask about now, and its Pod; those that have started meanwhile, or are over, are dropped."""
        now = self._clock.monotonic()
        self._resting = {namespace: until for namespace, until in self._resting.items() if until > now}
        awake = (slow for slow in self._slow.values() if slow.live.key.namespace not in self._resting)
        due = [slow for slow in awake if slow.due <= now]
        for slow in sorted(due, key=lambda slow: (slow.live.looked_into, slow.due)):
            pod = self._pod_of(slow)
            if pod is not None:
                return slow, pod
            del self._slow[slow.live.run_key, slow.id]
        return None

    def _pod_of(self, slow: _Slow) -> Obj | None:
        """The Pod that is still starting, if any is."""
        live = slow.live
        if self._find_live(live.run_key) is not live or slow.id not in live.state.active:
            return None
        job = job_of(live, self._store, slow.id)
        pods = self._store.pods_of(job) if job is not None else ()
        return next((pod for pod in pods if is_starting(pod, pod_fact(pod))), None)

    async def _look_into(self, slow: _Slow, pod: Obj) -> None:
        """Ask, and have the run look at its Pod anew if there is something else to tell."""
        live, (namespace, name) = slow.live, key_of(pod)
        now = self._clock.monotonic()
        slow.due, live.looked_into = now + AGAIN_SECONDS, now
        try:
            selector = f"involvedObject.uid={uid_of(pod)}"
            page = await self._client.page(EVENTS, namespace=namespace, field_selector=selector)
            cause = hindrance(page.get("items") or ())
        except ApiError as error:
            self._rest(namespace)
            _log.warning("cannot ask for the Events of Pod %s/%s: %s", namespace, name, error)
        except Exception:  # of a single one; the others are asked about
            self._rest(namespace)
            _log.exception("cannot read the Events of Pod %s/%s", namespace, name)
        else:
            if not cause:
                slow.due, slow.again = now + slow.again, min(AGAIN_SECONDS, 2 * slow.again)
            if live.causes.get(slow.id) != cause:
                live.causes[slow.id] = cause
                live.look_at("Pod", name)
                self._wake(live.key)

    def _rest(self, namespace: str) -> None:
        self._resting[namespace] = self._clock.monotonic() + REST_SECONDS
