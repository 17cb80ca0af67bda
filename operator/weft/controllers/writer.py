"""The one status write of a pass: a merge patch of /status that names the version it was made from.

Progress is written at most every 200 ms and 256 KiB/s per run, an end at once. When the version has
moved on because somebody edited the spec, the patch is sent again on the new version; when the status
itself is not what we wrote, somebody else leads, and what we hold of the run is thrown away.

What is too large for the status goes into ConfigMaps before. Where these cannot be made (a quota, a policy), the status
does without them as well as it can: it is written in any case, its end above all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import orjson

from weft.api.objects import Obj, version_of
from weft.controllers.live import LiveRun
from weft.engine import budget
from weft.engine import status as engine_status
from weft.kube.client import Client
from weft.kube.clock import Clock
from weft.kube.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    NotYetAllowed,
    OutcomeUnknown,
    ServerError,
)
from weft.kube.resources import CONFIG_MAPS, WORKFLOW_RUNS
from weft.metrics import Metrics
from weft.render.names import run_labels, run_owner

_log = logging.getLogger(__name__)

CHUNK_TRIES = 4
"""So often in a row a chunk is tried that may only be late; then the status is written without it."""
LONGEST_PAUSE = 300.0
"""Between tries, while the run is active. Its end tries once more in any case."""

_TOLD = (
    "state", "nodes", "compressedNodes", "compressedNodesIn", "phase", "workflowRevision", "startTime",
    "completionTime", "rerunGeneration",
)  # fmt: skip
"""What tells one status from another; the rest follows from it, or from the time."""


REFRESHES_PER_SECOND = 5.0
"""Statuses written only because time has passed, of all runs: each costs as much as one that tells something."""


def refresh_seconds(elapsed: float, active_runs: int) -> float:
    """Give the seconds after which a status is written again because it shows how long the run takes.

    What it shows is a tenth behind by then, or ten seconds; more where many runs are active.
    """
    return seconds_among(active_runs, least=max(10.0, elapsed / 10))


def seconds_among(active_runs: int, *, least: float) -> float:
    """Give when a write comes that nobody waits for: later where so many ask for one that they crowd out the others."""
    return max(least, active_runs / REFRESHES_PER_SECOND)


class Superseded(Exception):
    """The run's status was written by somebody else: what is held of it is out of date."""


class StatusWriter:
    """Writes the statuses of runs."""

    def __init__(
        self, client: Client, *, clock: Clock, metrics: Metrics, interval: float, bytes_per_second: int,
        active_runs: Callable[[], int],
    ) -> None:  # fmt: skip
        self._client = client
        self._clock = clock
        self._metrics = metrics
        self._interval = interval
        self._rate = bytes_per_second
        self._active_runs = active_runs

    def due_at(self, live: LiveRun) -> float:
        """When the next progress may be written, on the monotonic clock."""
        return live.written_at + max(self._interval, live.written_bytes / self._rate)

    def refresh_within(self, live: LiveRun, seconds: float) -> None:
        """Write again after these seconds (where many runs are active, later), unless a status is due before."""
        later = seconds_among(self._active_runs(), least=seconds)
        live.refresh_at = min(live.refresh_at, self._clock.now() + later)

    async def write(self, live: LiveRun) -> Obj:
        """Write what the engine knows; gives the run as stored. Raises Superseded, or an ApiError."""
        await self._settle(live)
        now = self._clock.now()
        written, chunk_bytes = await self._made(live, now)
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
        live.refresh_at = now + refresh_seconds(now - live.state.start, self._active_runs())
        live.written_bytes += chunk_bytes
        live.urgent = False
        return stored

    async def _made(self, live: LiveRun, now: float) -> tuple[engine_status.Written, int]:
        """A status whose chunks are stored, and their bytes; one that does without where none can be made.

        One that the run could not be restored from is written of its end alone.
        """
        known: dict[str, Any] = {"previous": live.status, "generation": live.generation, "now": now}
        if live.state.finished or self._clock.monotonic() >= live.store_again_at:
            written = engine_status.make(live.state, **known)
            live.chunks |= written.chunks
            try:
                return written, await self._store_chunks(live)
            except ApiError as error:
                if not self._gives_up(live, error):
                    raise
            budget.take_back(live.state, live.chunks.keys())
            live.chunks.clear()
        written = engine_status.make(live.state, **known, refusal=live.refusal)
        if not written.whole and not live.state.finished:
            live.store_again_at = float("-inf")
            raise ApiError(f"the status of {live.key} needs ConfigMaps, and none can be made: {live.refusal}")
        return written, 0

    async def _store_chunks(self, live: LiveRun) -> int:
        """Store what has to be before the status; gives the bytes."""
        stored = 0
        for suffix in list(live.chunks):
            stored += await self._store_chunk(live, suffix, live.chunks[suffix])
            del live.chunks[suffix]
        live.unstored = 0
        return stored

    def _gives_up(self, live: LiveRun, error: ApiError) -> bool:
        """Whether the status is written without the chunk that was not taken; for how long is decided here, too."""
        live.unstored += 1
        final = isinstance(error, Forbidden | Invalid | BadRequest | NotFound) and not isinstance(error, NotYetAllowed)
        if not final and live.unstored < CHUNK_TRIES:
            return False
        live.refusal = error.message
        live.store_again_at = self._clock.monotonic() + min(LONGEST_PAUSE, 2.0 ** min(live.unstored, 10))
        _log.warning("%s: outputs stay in the status, no ConfigMap can be made for them: %s", live.key, error)
        return True

    async def _settle(self, live: LiveRun) -> None:
        """Find out what has become of a write that was not answered, for what a stored status names is not touched."""
        wanted = live.unanswered_status
        if wanted is None:
            return
        stored = await self._read(live, wanted)
        if _tells_the_same(stored, wanted):
            live.status = stored["status"]
        live.unanswered_status = None

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
                await self._read(live, wanted)
            except (OutcomeUnknown, ServerError):
                live.unanswered_status = wanted
                raise

    async def _read(self, live: LiveRun, wanted: dict[str, Any]) -> Obj:
        """The run as it is stored, whose version is the next to write on.

        Raises Superseded unless its status is the one we wrote last, or the one we are writing (its answer was lost).
        """
        try:
            stored = await self._client.get(WORKFLOW_RUNS, live.key.name, namespace=live.key.namespace)
        except NotFound:
            raise Superseded(f"{live.key} is gone") from None
        if stored["metadata"]["uid"] != live.ref.uid:
            raise Superseded(f"{live.key} is another run now")
        if not any(_tells_the_same(stored, ours) for ours in (live.status, wanted)):
            raise Superseded(f"the status of {live.key} was written by somebody else")
        live.version = version_of(stored)
        return stored

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


def _tells_the_same(run: Obj, status: dict[str, Any]) -> bool:
    stored = run.get("status") or {}
    return all(stored.get(key) == status.get(key) for key in _TOLD)


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
