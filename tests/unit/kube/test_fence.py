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
