import random

import pytest
from support.clock import VirtualClock
from support.transport import ScriptedTransport, ok
from weft.kube.client import Client
from weft.kube.discovery import Discovery
from weft.kube.errors import Invalid, NotFound
from weft.kube.limiter import Limiter
from weft.kube.resources import Resource
from weft.kube.transport import Response
from weft.metrics import Metrics

APPS = ok(
    {
        "kind": "APIResourceList",
        "resources": [
            {"name": "deployments", "kind": "Deployment", "namespaced": True},
            {"name": "deployments/scale", "kind": "Scale", "namespaced": True},
            {"name": "deployments/status", "kind": "Deployment", "namespaced": True},
        ],
    }
)
CORE = ok({"resources": [{"name": "nodes", "kind": "Node", "namespaced": False}]})


def discovery(*answers):
    metrics = Metrics()
    transport = ScriptedTransport(list(answers))
    limiter = Limiter(maximum=1, metrics=metrics)
    client = Client(transport, clock=VirtualClock(), rng=random.Random(1), metrics=metrics, limiter=limiter)
    return Discovery(client), transport


async def test_a_kind_is_asked_for_once():
    known, transport = discovery(APPS)
    for _ in range(2):
        assert await known.resource("apps/v1", "Deployment") == Resource("apps", "v1", "deployments", "Deployment")
    assert [request.path for request in transport.requests] == ["/apis/apps/v1"]


async def test_the_core_group_has_a_path_of_its_own():
    known, transport = discovery(CORE)
    assert await known.resource("v1", "Node") == Resource("", "v1", "nodes", "Node", namespaced=False)
    assert transport.requests[0].path == "/api/v1"


async def test_a_kind_that_is_not_served_is_asked_for_again_next_time():
    known, _ = discovery(CORE, APPS)
    with pytest.raises(NotFound, match="serves no kind Deployment in apps/v1"):
        await known.resource("apps/v1", "Deployment")
    assert (await known.resource("apps/v1", "Deployment")).plural == "deployments"


@pytest.mark.parametrize("version", ["nope.io/v1", "apps/v9"])
async def test_a_group_or_version_that_is_not_served_is_told_like_a_kind(version):
    """The API server answers with a text: `404 page not found`."""
    known, _ = discovery(Response(404, b"404 page not found\n"), APPS)
    with pytest.raises(NotFound, match=f"the API server serves no kind Deployment in {version}$"):
        await known.resource(version, "Deployment")
    assert (await known.resource(version, "Deployment")).plural == "deployments"


async def test_a_subresources_kind_is_none_to_create():
    known, _ = discovery(APPS)
    with pytest.raises(NotFound):
        await known.resource("apps/v1", "Scale")


@pytest.mark.parametrize(
    "api_version",
    [
        "../../api/v1/namespaces/kube-system/secrets",
        "../../api/v1/namespaces/kube-system/secrets/there",
        "a/b/v1",
        "apps/..",
        "../v1",
        "a..b/../v1",
        "apps/v1?x=",
        "apps/v1#",
        "apps%2f..%2f../v1",
        "Apps/v1",
        "apps./v1",
        "apps/1",
        "/v1",
        "apps/",
        "apps/v1\n",
        "",
    ],
)
async def test_what_is_no_api_version_reaches_no_path(api_version):
    """It is asked for as the operator itself, and a template may have made it."""
    known, transport = discovery()
    with pytest.raises(Invalid, match="is no apiVersion"):
        await known.resource(api_version, "Secret")
    assert transport.requests == []


@pytest.mark.parametrize("api_version", ["v1", "apps/v1", "batch/v2alpha1", "cert-manager.io/v1", "a1.b-c.d/v1beta2"])
async def test_api_versions_as_they_are_written(api_version):
    known, _ = discovery(APPS)
    assert (await known.resource(api_version, "Deployment")).api_version == api_version
