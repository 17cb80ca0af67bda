"""Looks up what an object names: in the caches, or afresh from the API server."""

from collections.abc import Callable, Iterable
from typing import Any

from weft.admission.judge import Found, Names
from weft.api.objects import Obj, key_of
from weft.kube.client import Client
from weft.kube.errors import NotFound
from weft.kube.resources import NODE_TYPES, WORKFLOWS


class Lookup:
    """Workflows and NodeTypes of a namespace, by name."""

    def __init__(
        self,
        client: Client,
        *,
        find_workflow: Callable[[str, str], Obj | None],
        find_types: Callable[[str, Iterable[str]], dict[str, Any]],
    ) -> None:
        """Take the client, and the caches' ways to find a Workflow and the specs of NodeTypes."""
        self._client = client
        self._find_workflow = find_workflow
        self._find_types = find_types

    def cached(self, names: Names) -> Found:
        """Give what the caches know, which may be a moment behind."""
        workflow = self._find_workflow(names.namespace, names.workflow) if names.workflow is not None else None
        return Found(workflow["spec"] if workflow is not None else None, self._find_types(names.namespace, names.types))

    async def fresh(self, names: Names) -> Found:
        """Give what is there now; two requests at most, however much is named. Raises ApiError."""
        workflow: Obj | None = None
        if names.workflow is not None:
            try:
                workflow = (await self._client.get(WORKFLOWS, names.workflow, namespace=names.namespace))["spec"]
            except NotFound:
                workflow = None
        listed = await self._client.list(NODE_TYPES, namespace=names.namespace) if names.types else []
        return Found(workflow, {key_of(one).name: one["spec"] for one in listed if key_of(one).name in names.types})
