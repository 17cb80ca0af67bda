import pytest
from weft.kube.resources import JOBS, NAMESPACES, PODS


@pytest.mark.parametrize(
    ("resource", "where", "path"),
    [
        (PODS, {}, "/api/v1/pods"),
        (PODS, {"namespace": "ns"}, "/api/v1/namespaces/ns/pods"),
        (PODS, {"namespace": "ns", "name": "a"}, "/api/v1/namespaces/ns/pods/a"),
        (JOBS, {"namespace": "ns", "name": "a", "subresource": "status"}, "/apis/batch/v1/namespaces/ns/jobs/a/status"),
        (NAMESPACES, {"name": "ns"}, "/api/v1/namespaces/ns"),
        (PODS, {"namespace": "../../x", "name": "a/b?c"}, "/api/v1/namespaces/..%2F..%2Fx/pods/a%2Fb%3Fc"),
    ],
)
def test_paths_are_the_api_servers_and_names_cannot_break_out(resource, where, path):
    assert resource.path(**where) == path


def test_the_core_group_has_no_slash_in_its_api_version():
    assert (PODS.api_version, JOBS.api_version) == ("v1", "batch/v1")
