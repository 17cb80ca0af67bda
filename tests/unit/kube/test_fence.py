"""Nothing is written by a process whose lease has run out."""

from collections.abc import Callable
from typing import Any

import pytest
from support.fakeapi import FakeApi
from weft.kube.fence import Fence
from weft.kube.transport import NotSent, Response


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


async def test_a_write_is_asked_for_again_when_it_leaves() -> None:
    leads = True

    class Slow(FakeApi):
        async def request(self, *args: Any, may_leave: Callable[[], bool] | None = None, **rest: Any) -> Response:
            nonlocal leads
            leads = False  # the process has slept while its connection was made
            assert may_leave is not None
            assert not may_leave()
            return Response(200)

    fence = Fence(Slow(), may_write=lambda namespace: leads)
    asked = {"params": {}, "headers": {}, "body": b"{}", "content_type": None, "time_limit": 1.0}
    await fence.request("PATCH", "/api/v1/namespaces/n/pods/p", **asked)
    assert not leads


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
