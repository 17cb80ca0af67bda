"""The spec a run was started with, frozen: editing or deleting a Workflow never changes a run that has started.

Spec and the NodeTypes it uses go into a ControllerRevision, whose data the API server keeps from being changed. Its
name ends in a hash of what it holds, so a thousand runs of one Workflow share one, and making it twice is a conflict
that is compared, not a second object. It has no owner: it must outlive its Workflow. A sweep deletes those that nobody
names; one that was just handed out is spared, for the run that got it may not have written its status yet.
All runs of one revision share what it compiles to. As long as it is kept, the sweep makes a revision anew that somebody
has deleted under those who name it: no restart could restore them.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import orjson

from weft.api.objects import Key, Obj, cut_name, key_of, uid_of
from weft.controllers.compiler import Compiler, content_of
from weft.controllers.history import asked_afterwards
from weft.graph.compiled import CompiledWorkflow
from weft.kube.client import Client
from weft.kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from weft.kube.realm import Realm
from weft.kube.resources import CONTROLLER_REVISIONS
from weft.render.names import MANAGED_BY_LABEL, WORKFLOW_LABEL, label_value, short_hash

_log = logging.getLogger(__name__)

CAPACITY = 256
"""So many compiled revisions are kept."""
CAPACITY_BYTES = 8 * 1024 * 1024
"""And so much of them, as JSON in which expressions count five times: the latest always is."""
_EXPRESSIONS = 4
_HASHES = (10, 40)
"""Lengths of the hash in the name; the longer one is for the day when the shorter is taken by something else."""
_INLINE = "inline"


class RevisionNameTaken(ApiError):
    """Both names that the revision could have belong to something else in the namespace."""


class _Compiled(NamedTuple):
    """What a revision compiles to, and what else it takes to make it anew."""

    workflow: CompiledWorkflow
    node_types: dict[str, Any]
    label: str
    weight: int


class Revisions:
    """Frozen specs of all namespaces: `freeze` them, `load` them compiled, `sweep` those nobody names."""

    def __init__(self, client: Client, compiler: Compiler, *, realm: Realm):
        """Take what compiles them, and the namespaces to sweep."""
        self._client = client
        self._compiler = compiler
        self._realm = realm
        self._known: set[Key] = set()
        self._handed_out: set[Key] = set()
        self._unnamed: set[Key] = set()
        self._compiled: OrderedDict[Key, _Compiled] = OrderedDict()
        self._specs: OrderedDict[Key, dict[str, Any]] = OrderedDict()
        self._locks: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    async def freeze(
        self, namespace: str, workflow: str, spec: dict[str, Any], node_types: Mapping[str, dict[str, Any]]
    ) -> str:
        """Give the name of the revision that holds the spec, made if need be.

        `workflow` is "" for an inline one. Of `node_types` (specs by name) those that the spec uses are frozen with it.
        Raises ApiError.
        """
        content = content_of(spec, node_types)
        for length in _HASHES:
            digest = short_hash(content.text.decode(), length)
            key = Key(namespace, cut_name(workflow or _INLINE, f"-{digest}"))
            self._handed_out.add(key)
            if key in self._known:
                return key.name
            async with self._lock(key):
                if await self._create(key, label_value(workflow), content.data):
                    self._known.add(key)
                    return key.name
        raise RevisionNameTaken(f"ControllerRevision {key.name} exists and holds something else; delete it", code=409)

    async def _create(self, key: Key, label: str, data: Obj) -> bool:
        """Create the revision; False when its name belongs to something else."""
        revision = {
            "apiVersion": CONTROLLER_REVISIONS.api_version,
            "kind": CONTROLLER_REVISIONS.kind,
            "metadata": {
                "namespace": key.namespace,
                "name": key.name,
                "labels": {WORKFLOW_LABEL: label, MANAGED_BY_LABEL: "weft"},
            },
            "data": data,
            "revision": 1,
        }
        try:
            await self._client.create(CONTROLLER_REVISIONS, revision)
        except AlreadyExists:
            existing = await self._client.get(CONTROLLER_REVISIONS, key.name, namespace=key.namespace)
            return bool(existing.get("data") == data)
        return True

    async def load(self, namespace: str, name: str) -> CompiledWorkflow:
        """Give what the revision holds, ready to run.

        Raises ApiError (NotFound: somebody deleted it), and InvalidWorkflow when this operator cannot carry it out.
        """
        key = Key(namespace, name)
        if key not in self._compiled:
            async with self._lock(key):
                if key not in self._compiled:
                    self._compiled[key] = await self._compile(key)
                    self._forget_the_least_used()
        self._compiled.move_to_end(key)
        return self._compiled[key].workflow

    async def _compile(self, key: Key) -> _Compiled:
        revision = await self._read(key)
        data = revision.get("data") or {}
        types = data.get("nodeTypes") or {}
        compiled = await self._compiler.compile(data.get("workflow") or {}, types)
        workflow = replace(compiled, name=key.name.rpartition("-")[0], prepared={})
        label = (revision["metadata"].get("labels") or {}).get(WORKFLOW_LABEL, "")
        return _Compiled(workflow, types, label, len(orjson.dumps(data)) + _EXPRESSIONS * workflow.written)

    def _forget_the_least_used(self) -> None:
        weight = sum(held.weight for held in self._compiled.values())
        while len(self._compiled) > 1 and (len(self._compiled) > CAPACITY or weight > CAPACITY_BYTES):
            _, held = self._compiled.popitem(last=False)
            weight -= held.weight

    async def spec(self, namespace: str, name: str) -> dict[str, Any]:
        """Give what is asked of the revision's spec once a run is over, without compiling it. Raises ApiError."""
        key = Key(namespace, name)
        compiled = self._compiled.get(key)
        if compiled is not None:
            return asked_afterwards(compiled.workflow.spec)
        if key not in self._specs:
            self._specs[key] = asked_afterwards(((await self._read(key)).get("data") or {}).get("workflow") or {})
            if len(self._specs) > CAPACITY:
                self._specs.popitem(last=False)
        return self._specs[key]

    async def _read(self, key: Key) -> Obj:
        try:
            return await self._client.get(CONTROLLER_REVISIONS, key.name, namespace=key.namespace)
        except NotFound:
            self._known.discard(key)  # somebody deleted it: the next run makes it again
            raise

    def doubt(self, namespace: str) -> None:
        """Make the namespace's revisions anew, or find them, when they are asked for: they may have gone with it."""
        self._known = {key for key in self._known if key.namespace != namespace}

    def _lock(self, key: Key) -> asyncio.Lock:
        """Give the lock under which a revision is made, compiled or deleted."""
        return self._locks.setdefault(key, asyncio.Lock())

    async def sweep(self, in_use: Callable[[], Collection[Key]]) -> None:
        """Delete the revisions that have had no name in two sweeps running; `in_use` is asked after they were listed.

        Those in use that somebody has deleted are made anew, as far as they are at hand. Call it now and then, and only
        once everything that names revisions is known. Raises ApiError.
        """
        ours, known, compiled = f"{MANAGED_BY_LABEL}=weft,{WORKFLOW_LABEL}", set(self._known), set(self._compiled)
        listed = self._realm.each(self._client.of_metadata(), CONTROLLER_REVISIONS, label_selector=ours)
        found = {key_of(each): uid_of(each) async for each in listed}
        gone = (known | compiled) - found.keys()  # somebody deleted them
        self._known -= gone
        named = in_use()
        spared, self._handed_out = self._handed_out, set()
        unnamed = {key: uid for key, uid in found.items() if key not in named}
        due, self._unnamed = self._unnamed & unnamed.keys() - spared, unnamed.keys() - spared
        for key in sorted(due):
            async with self._lock(key):
                if key not in self._handed_out:
                    await self._delete(key, unnamed[key])
        for key in sorted(gone & compiled & set(named)):
            await self._make_anew(key)

    async def _make_anew(self, key: Key) -> None:
        held = self._compiled[key]
        try:
            async with self._lock(key):
                if await self._create(key, held.label, {"workflow": held.workflow.spec, "nodeTypes": held.node_types}):
                    self._known.add(key)
        except ApiError as error:
            _log.warning("ControllerRevision %s/%s was deleted and is not made anew: %s", *key, error)

    async def _delete(self, key: Key, uid: str) -> None:
        self._known.discard(key)
        self._compiled.pop(key, None)
        self._specs.pop(key, None)
        try:
            await self._client.delete(CONTROLLER_REVISIONS, key.name, namespace=key.namespace, uid=uid)
        except Conflict:
            return  # deleted and made again meanwhile: another revision, with a life of its own


def revisions_named(runs: Iterable[Obj], workflows: Iterable[Obj]) -> set[Key]:
    """Give the revisions that runs and Workflows name in their statuses."""
    named = [(run, (run.get("status") or {}).get("workflowRevision")) for run in runs]
    named += [(workflow, (workflow.get("status") or {}).get("revision")) for workflow in workflows]
    return {Key(key_of(obj).namespace, name) for obj, name in named if name}
