"""Nothing is written by a process whose lease has run out."""

import pytest
from support.fakeapi import FakeApi
from weft.kube.fence import Fence
from weft.kube.transport import NotSent


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
async def test_writes_pass_only_while_the_lease_holds(method: str) -> None:
    leads = True
    fence = Fence(FakeApi(), may_write=lambda namespace: leads)
    asked = {"params": {}, "headers": {}, "body": None, "content_type": None, "time_limit": 1.0}
    path = "/api/v1/namespaces/n/pods" + ("" if method == "POST" else "/p")
    if method == "DELETE":
        assert (await fence.request(method, path, **asked)).status == 404
    leads = False
    with pytest.raises(NotSent, match="lease"):
        await fence.request(method, path, **asked)


async def test_reads_always_pass() -> None:
    fence = Fence(FakeApi(), may_write=lambda namespace: False)
    asked = {"params": {}, "headers": {}, "body": None, "content_type": None, "time_limit": 1.0}
    assert (await fence.request("GET", "/api/v1/namespaces/n/pods", **asked)).status == 200


@pytest.mark.parametrize(
    ("path", "namespace"),
    [
        ("/api/v1/namespaces/n/pods/p", "n"),
        ("/apis/weft.dev/v1alpha1/namespaces/team%2Da/workflowruns/r/status", "team-a"),
        ("/api/v1/namespaces/n", "n"),
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles/namespaces", ""),
        ("/api/v1/nodes/x", ""),
    ],
)
async def test_a_write_is_asked_for_by_its_namespace(path: str, namespace: str) -> None:
    asked: list[str] = []
    fence = Fence(FakeApi(), may_write=lambda where: bool(asked.append(where)))
    rest = {"params": {}, "headers": {}, "body": None, "content_type": None, "time_limit": 1.0}
    with pytest.raises(NotSent):
        await fence.request("PATCH", path, **rest)
    assert asked == [namespace]
