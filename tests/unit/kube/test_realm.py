"""The namespaces that somebody looks after, and what is listed in them."""

import orjson
import pytest
from support.asked import Asked
from support.fakeapi import FakeApi
from weft.kube.realm import Realm
from weft.kube.resources import CONFIG_MAPS
from weft.kube.shards import shard_of
from weft.kube.transport import Response

LABELS = {"app": "a"}


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi()
    for namespace in ("one", "two", "three"):
        for name in ("a", "b"):
            metadata = {"namespace": namespace, "name": name, "labels": LABELS}
            api.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
        api.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": "other"}})
    return api


async def test_only_what_is_in_its_namespaces_and_its_shard_is_listed(api: FakeApi) -> None:
    async def listed(realm: Realm) -> list[str]:
        found = await realm.list(api.client(), CONFIG_MAPS, label_selector="app=a")
        return [f"{obj['metadata']['namespace']}/{obj['metadata']['name']}" for obj in found]

    everywhere = ["one/a", "one/b", "two/a", "two/b", "three/a", "three/b"]
    assert await listed(Realm()) == everywhere
    assert await listed(Realm(("three", "one"))) == ["three/a", "three/b", "one/a", "one/b"]
    of_shards = [await listed(Realm((), shard, 2)) for shard in (0, 1)]
    assert sorted(of_shards[0] + of_shards[1]) == sorted(everywhere)
    assert {shard_of(place.partition("/")[0], 2) for place in of_shards[0]} == {0}


async def test_a_page_is_gone_through_before_the_next_is_read(api: FakeApi) -> None:
    def page(asked: Asked) -> Response:
        """What the API server in memory gives at once, in three parts."""
        place = int(asked.params.get("continue", 0))
        items = [{"metadata": {"namespace": "one", "name": f"{place}.{number}"}} for number in (0, 1)]
        return Response(200, orjson.dumps({"metadata": {"continue": str(place + 1) * (place < 2)}, "items": items}))

    api.before.append(page)
    met = [
        (obj["metadata"]["name"], len(api.requests))
        async for obj in Realm().each(api.client(), CONFIG_MAPS, label_selector="app=a")
    ]
    assert met == [("0.0", 1), ("0.1", 1), ("1.0", 2), ("1.1", 2), ("2.0", 3), ("2.1", 3)]
