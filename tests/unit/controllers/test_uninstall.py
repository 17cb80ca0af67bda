"""Before the operator goes, its finalizers do."""

from support.fakeapi import FakeApi
from weft.api.objects import Obj
from weft.controllers.uninstall import strip_finalizers
from weft.kube.resources import PODS
from weft.render.pod import TRACKING_FINALIZER


def pod(namespace: str, name: str, *finalizers: str, ours: bool = True) -> Obj:
    labels = {"app.kubernetes.io/managed-by": "weft"} if ours else {}
    metadata = {"namespace": namespace, "name": name, "labels": labels, "finalizers": list(finalizers)}
    return {"kind": "Pod", "metadata": metadata, "spec": {}}


async def test_only_our_finalizers_on_our_pods_are_taken_off() -> None:
    api = FakeApi()
    api.add(pod("one", "a", TRACKING_FINALIZER, "somebody/else"))
    api.add(pod("two", "b", TRACKING_FINALIZER))
    api.add(pod("two", "plain"))
    api.add(pod("two", "foreign", TRACKING_FINALIZER, ours=False))
    assert await strip_finalizers(api.client(), ["one"]) == 1
    assert await strip_finalizers(api.client()) == 1
    assert await strip_finalizers(api.client()) == 0
    left = {each["metadata"]["name"]: each["metadata"].get("finalizers") for each in api.all(PODS)}
    assert left["a"] == ["somebody/else"]
    assert not left["b"]
    assert left["foreign"] == [TRACKING_FINALIZER]


async def test_a_pod_that_only_our_finalizer_held_is_gone() -> None:
    api = FakeApi()
    api.add(pod("ns", "a", TRACKING_FINALIZER))
    api.remove(PODS, "ns", "a")
    assert len(api.all(PODS)) == 1
    await strip_finalizers(api.client())
    assert api.all(PODS) == []
