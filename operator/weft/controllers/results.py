"""The node cache: outputs of earlier successes, found again by the key the user chose.

One ConfigMap per namespace, Workflow, node and key, whose name is their hash; the key itself stands in it for people.
It belongs to no run, for it is there to outlive them. A later success with the same key replaces it; what no success
has renewed for thirty days is swept. Keeping is a favour: where it is refused, the run goes on without, and where it
fails again and again, the run ends without.
"""

import logging
from typing import Any

import orjson

from weft.api.base import GROUP
from weft.api.node import CACHE_SECONDS
from weft.api.objects import Key, Obj, key_of, uid_of
from weft.api.paths import plain_path
from weft.api.times import milli_timestamp, moment
from weft.kube.client import Client
from weft.kube.clock import Clock
from weft.kube.errors import AlreadyExists, ApiError, BadRequest, Conflict, Forbidden, Invalid, NotFound
from weft.kube.realm import Realm
from weft.kube.resources import CONFIG_MAPS
from weft.render.names import MANAGED_BY_LABEL, NODE_LABEL, WORKFLOW_LABEL, label_value, short_hash

_log = logging.getLogger(__name__)

CACHE_LABEL = f"{GROUP}/cache"
_SHOWN = 1024
"""Characters of the key that are kept for people."""


class Results:
    """Outputs by cache key, in ConfigMaps."""

    def __init__(self, client: Client, *, clock: Clock, realm: Realm):
        """Take the namespaces to sweep."""
        self._client = client
        self._clock = clock
        self._realm = realm

    async def look_up(self, key: Key, workflow: str, node: str, cache_key: str, max_age: float | None) -> Any:
        """Give the outputs of an earlier success that is at most `max_age` seconds old, or None.

        `key` is the asking run's; `workflow` its Workflow (or what stands for it), `node` the node's path, whose
        position in loops makes no difference. A look that is refused finds nothing. Raises any other ApiError.
        """
        try:
            found = await self._client.get(CONFIG_MAPS, _name(workflow, node, cache_key), namespace=key.namespace)
        except NotFound:
            return None
        except Forbidden as error:
            _log.warning("outputs of %s of run %s/%s are not looked for: %s", node, *key, error)
            return None
        data = found.get("data") or {}
        limit = CACHE_SECONDS if max_age is None else max_age
        if CACHE_LABEL not in (found["metadata"].get("labels") or {}) or self._age(data) > limit:
            return None
        try:
            return orjson.loads(data.get("outputs", ""))
        except orjson.JSONDecodeError:
            return None  # somebody has edited it

    async def remember(
        self, key: Key, workflow: str, node: str, cache_key: str, outputs: Any, *, last: bool = False
    ) -> None:
        """Keep the outputs of a success of the run `key`, in place of any before.

        What the API server will never take is logged and let go, and at the `last` try whatever fails. Raises any
        other ApiError.
        """
        name = _name(workflow, node, cache_key)
        entry: Obj = {
            "metadata": {
                "namespace": key.namespace,
                "name": name,
                "labels": {
                    CACHE_LABEL: "true",
                    MANAGED_BY_LABEL: "weft",
                    WORKFLOW_LABEL: label_value(workflow),
                    NODE_LABEL: label_value(plain_path(node)),
                },
            },
            "data": {
                "key": cache_key[:_SHOWN],
                "outputs": orjson.dumps(outputs).decode(),
                "run": key.name,
                "time": milli_timestamp(self._clock.now()),
            },
        }
        try:
            await self._write(key.namespace, name, entry)
        except ApiError as error:
            if not (last or isinstance(error, Forbidden | Invalid | BadRequest)):
                raise
            _log.warning("outputs of %s of run %s/%s are not cached: %s", node, *key, error)

    async def _write(self, namespace: str, name: str, entry: Obj) -> None:
        try:
            await self._client.create(CONFIG_MAPS, {"apiVersion": "v1", "kind": CONFIG_MAPS.kind} | entry)
        except AlreadyExists:
            await self._client.patch(CONFIG_MAPS, name, entry, namespace=namespace)

    async def sweep(self) -> None:
        """Delete what is too old to be found. Call it now and then. Raises ApiError."""
        listed = self._realm.each(self._client, CONFIG_MAPS, label_selector=f"{CACHE_LABEL}=true")
        due = [(key_of(one), uid_of(one)) async for one in listed if self._age(one.get("data") or {}) > CACHE_SECONDS]
        for place, uid in due:
            try:
                await self._client.delete(CONFIG_MAPS, place.name, namespace=place.namespace, uid=uid)
            except Conflict:
                continue  # swept by somebody else and remembered anew

    def _age(self, data: Obj) -> float:
        try:
            kept = moment(data.get("time"))
        except ValueError:
            kept = None
        return float("inf") if kept is None else self._clock.now() - kept


def _name(workflow: str, node: str, cache_key: str) -> str:
    identity = orjson.dumps([workflow, plain_path(node), cache_key]).decode()
    return f"weft-cache-{short_hash(identity, 26)}"
