"""The namespaces that somebody looks after: all of them or those that are named, and of these the ones of one shard."""

from dataclasses import dataclass

from weft.kube.client import Client
from weft.kube.objects import Objects, key_of
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
        return [
            obj
            for namespace in self.namespaces or ("",)
            for obj in await client.list(resource, namespace=namespace, label_selector=label_selector)
            if self.has(key_of(obj).namespace)
        ]
