"""The namespaces that somebody looks after: all of them or those that are named, and of these the ones of one shard."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from weft.api.objects import Obj, Objects, key_of
from weft.kube.client import Client, items_of
from weft.kube.resources import Resource
from weft.kube.shards import shard_of


@dataclass(frozen=True, slots=True)
class Realm:
    """So many shards, and one of them; no namespaces named: all."""

    namespaces: tuple[str, ...] = ()
    shard: int = 0
    shards: int = 1

    def has(self, namespace: str) -> bool:
        """Say whether the shard is that of the namespace."""
        return shard_of(namespace, self.shards) == self.shard

    async def list(self, client: Client, resource: Resource, *, label_selector: str) -> Objects:
        """List a resource in these namespaces. Raises ApiError."""
        return [obj async for obj in self.each(client, resource, label_selector=label_selector)]

    async def each(self, client: Client, resource: Resource, *, label_selector: str) -> AsyncGenerator[Obj, None]:
        """Give them one by one: there may be more than should be in memory at once. Raises ApiError."""
        for namespace in self.namespaces or ("",):
            async for page in client.pages(resource, namespace=namespace, label_selector=label_selector):
                for obj in items_of(page, resource):
                    if self.has(key_of(obj).namespace):
                        yield obj
