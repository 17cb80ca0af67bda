"""The one status write of a pass: a merge patch of /status that names the version it was made from.

Progress is written at most every 200 ms and 256 KiB/s per run, an end at once. When the version has
moved on because somebody edited the spec, the patch is sent again on the new version; when the status
itself is not what we wrote, somebody else leads, and what we hold of the run is thrown away.
"""

from __future__ import annotations

from typing import Any

import orjson

from weft.controllers.live import LiveRun
from weft.engine import budget
from weft.engine import status as engine_status
from weft.kube.client import Client
from weft.kube.clock import Clock
from weft.kube.errors import AlreadyExists, Conflict, NotFound
from weft.kube.objects import Obj, version_of
from weft.kube.resources import CONFIG_MAPS, WORKFLOW_RUNS
from weft.metrics import Metrics
from weft.render.names import run_labels, run_owner

_TOLD = (
    "state", "nodes", "compressedNodes", "compressedNodesIn", "phase", "workflowRevision", "startTime",
    "completionTime", "rerunGeneration",
)  # fmt: skip
"""What tells one status from another; the rest follows from it, or from the time."""


class Superseded(Exception):
    """The run's status was written by somebody else: what is held of it is out of date."""


class StatusWriter:
    """Writes the statuses of runs."""

    def __init__(
        self, client: Client, *, clock: Clock, metrics: Metrics, interval: float, bytes_per_second: int
    ) -> None:
        self._client = client
        self._clock = clock
        self._metrics = metrics
        self._interval = interval
        self._rate = bytes_per_second

    def due_at(self, live: LiveRun) -> float:
        """When the next progress may be written, on the monotonic clock."""
        return live.written_at + max(self._interval, live.written_bytes / self._rate)

    async def write(self, live: LiveRun) -> Obj:
        """Write what the engine knows; gives the run as stored. Raises Superseded, or an ApiError."""
        now = self._clock.now()
        written = engine_status.make(live.state, previous=live.status, generation=live.generation, now=now)
        live.chunks |= written.chunks
        chunk_bytes = 0
        for suffix in list(live.chunks):
            chunk_bytes += await self._store_chunk(live, suffix, live.chunks[suffix])
            del live.chunks[suffix]
        status = written.status
        status["workflowRevision"] = live.revision
        status["queuedTime"] = live.queued_time
        live.state.dirty = False
        try:
            stored = await self._patch(live, status)
        except BaseException:
            live.state.dirty = True
            raise
        live.status, live.version = stored["status"], version_of(stored)
        live.written_at = self._clock.monotonic()
        live.refresh_at = now + max(10.0, (now - live.state.start) / 10)
        live.written_bytes += chunk_bytes
        live.urgent = False
        return stored

    async def _patch(self, live: LiveRun, wanted: dict[str, Any]) -> Obj:
        patch = merge_patch(live.status, wanted)
        while True:
            body = {"metadata": {"resourceVersion": live.version}, "status": patch}
            live.written_bytes = len(orjson.dumps(body))
            self._metrics.status_bytes.inc(live.written_bytes)
            try:
                return await self._client.patch_status(WORKFLOW_RUNS, live.key.name, body, namespace=live.key.namespace)
            except NotFound:
                raise Superseded(f"{live.key} is gone") from None
            except Conflict:
                stored = await self._client.get(WORKFLOW_RUNS, live.key.name, namespace=live.key.namespace)
                if stored["metadata"]["uid"] != live.ref.uid:
                    raise Superseded(f"{live.key} is another run now") from None
                if not self._is_ours(live, stored, wanted):
                    raise Superseded(f"the status of {live.key} was written by somebody else") from None
                live.version = version_of(stored)

    def _is_ours(self, live: LiveRun, stored: Obj, wanted: dict[str, Any]) -> bool:
        """Whether the stored status is the one we wrote last, or the one we are writing (its answer was lost)."""
        status = stored.get("status") or {}
        return any(all(status.get(key) == ours.get(key) for key in _TOLD) for ours in (live.status, wanted))

    async def _store_chunk(self, live: LiveRun, suffix: str, data: dict[str, Any]) -> int:
        """Store a chunk; gives its bytes."""
        name, text = chunk_name(live.ref.uid, suffix), orjson.dumps(data).decode()
        config_map: Obj = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "namespace": live.key.namespace,
                "labels": run_labels(live.key.name, live.ref.workflow),
                "ownerReferences": [run_owner(live.ref)],
            },
            "immutable": True,
            "data": {"outputs.json": text},
        }
        try:
            await self._client.create(CONFIG_MAPS, config_map)
        except AlreadyExists:  # by an earlier try whose status was not written: outputs may differ by now
            await self._client.delete(CONFIG_MAPS, name, namespace=live.key.namespace)
            await self._client.create(CONFIG_MAPS, config_map)
        return len(text)


def chunk_name(run_uid: str, suffix: str) -> str:
    """The name of the ConfigMap that holds a chunk of a run's outputs."""
    return f"weft-{run_uid}-{suffix}"


async def load_chunks(
    client: Client, namespace: str, run_uid: str, status: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """The chunks that a written status refers to."""
    chunks: dict[str, dict[str, Any]] = {}
    while missing := sorted(budget.chunk_names(status, chunks)):
        for suffix in missing:
            stored = await client.get(CONFIG_MAPS, chunk_name(run_uid, suffix), namespace=namespace)
            chunks[suffix] = orjson.loads(stored["data"]["outputs.json"])
    return chunks


def merge_patch(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """What has to be merged into `old` to give `new` (RFC 7396): changes, and null for what is gone."""
    patch: dict[str, Any] = {}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            inner = merge_patch(before, value)
            if inner:
                patch[key] = inner
        elif value != before:
            patch[key] = value
    for key in old.keys() - new.keys():
        patch[key] = None
    return patch
