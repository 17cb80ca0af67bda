"""Writes who is in a WorkflowQueue into its status, at most once a second for each queue."""

import random
from collections.abc import Callable

from weft.api.objects import Key, key_of
from weft.controllers.catalog import Catalog, write_status
from weft.controllers.queues import Count
from weft.kube.client import Client
from weft.kube.clock import Clock, Spawn
from weft.kube.resources import WORKFLOW_QUEUES
from weft.kube.workqueue import WorkQueue
from weft.metrics import Metrics

PAUSE_SECONDS = 1.0


class QueueStatus:
    """Give `counted` to the Queues; call `start` once it is restored."""

    def __init__(
        self,
        client: Client,
        catalog: Catalog,
        *,
        count: Callable[[Key], Count],
        clock: Clock,
        rng: random.Random,
        spawn: Spawn,
        metrics: Metrics,
    ):
        """Take who knows the WorkflowQueues and who knows the numbers."""
        self._client = client
        self._catalog = catalog
        self._count = count
        self._clock = clock
        self._work: WorkQueue[Key] = WorkQueue(
            "queue-status", self._write, workers=2, clock=clock, rng=rng, spawn=spawn, metrics=metrics
        )

    def start(self) -> None:
        """Start the workers and look at every queue once."""
        self._work.start()
        for queue in self._catalog.queues:
            self.counted(key_of(queue))

    async def shutdown(self) -> None:
        """Finish what is due and stop."""
        await self._work.shutdown()

    def counted(self, key: Key) -> None:
        """Take in that the numbers of a queue, or its spec, have changed."""
        self._work.add_after(key, self._clock.now() + PAUSE_SECONDS)

    async def _write(self, key: Key) -> None:
        queue = self._catalog.queues.get(*key)
        if queue is None:
            return
        active, queued = self._count(key)
        generation = queue["metadata"].get("generation", 1)
        wanted = {"observedGeneration": generation, "active": active, "queued": queued}
        if (queue.get("status") or {}) | wanted == queue.get("status"):
            return
        await write_status(self._client, self._catalog, WORKFLOW_QUEUES, key, wanted)
