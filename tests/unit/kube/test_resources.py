import pytest
from weft.kube.errors import Invalid
from weft.kube.resources import JOBS, NAMESPACES, PODS


@pytest.mark.parametrize(
    ("resource", "where", "path"),
    [
        (PODS, {}, "/api/v1/pods"),
        (PODS, {"namespace": "ns"}, "/api/v1/namespaces/ns/pods"),
        (PODS, {"namespace": "ns", "name": "a"}, "/api/v1/namespaces/ns/pods/a"),
        (JOBS, {"namespace": "ns", "name": "a", "subresource": "status"}, "/apis/batch/v1/namespaces/ns/jobs/a/status"),
        (NAMESPACES, {"name": "ns"}, "/api/v1/namespaces/ns"),
        (PODS, {"namespace": "a?b", "name": "a#b?c"}, "/api/v1/namespaces/a%3Fb/pods/a%23b%3Fc"),
        (PODS, {"name": "...", "namespace": "a..b"}, "/api/v1/namespaces/a..b/pods/..."),
    ],
)
def test_paths_are_the_api_servers_and_names_cannot_break_out(resource, where, path):
    assert resource.path(**where) == path


@pytest.mark.parametrize("name", [".", "..", "a/b", "../x", "/", "a%2Fb", "%2e%2e"])
def test_what_would_lead_elsewhere_is_no_name(name):
    with pytest.raises(Invalid, match="is no name"):
        PODS.path(namespace="ns", name=name)
    with pytest.raises(Invalid, match="is no name"):
        PODS.path(namespace=name)


def test_the_core_group_has_no_slash_in_its_api_version():
    assert (PODS.api_version, JOBS.api_version) == ("v1", "batch/v1")
