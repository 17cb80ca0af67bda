"""The cluster's settings: two names share nothing, and a wrong value is named."""

from pathlib import Path

import pytest

from hack.cluster.settings import ClusterError, Settings


def test_two_clusters_share_nothing_but_the_cache() -> None:
    one = Settings.from_environment({"WEFT_CLUSTER": "one", "WEFT_NETWORK": "10.84.0.0/14", "WEFT_CACHE": "/c"})
    two = Settings.from_environment({"WEFT_CLUSTER": "two", "WEFT_NETWORK": "10.88.0.0/14", "WEFT_CACHE": "/c"})
    for attribute in ("state", "run", "netns", "node_name", "kubeconfig", "node_address", "pods", "services", "lock"):
        assert getattr(one, attribute) != getattr(two, attribute)
    assert one.cache == two.cache


@pytest.mark.parametrize("network", ["10.84.0.0/14", "192.168.0.0/16", "172.16.0.0/18"])
def test_the_parts_of_the_network_do_not_overlap(network: str) -> None:
    settings = Settings.from_environment({"WEFT_NETWORK": network})
    parts = [settings.link, settings.pods, settings.services, settings.fake_pods]
    assert all(part.subnet_of(settings.network) for part in parts)
    assert not any(a.overlaps(b) for i, a in enumerate(parts) for b in parts[i + 1 :])
    assert settings.services.prefixlen >= 16
    assert settings.kubernetes_service == str(settings.services[1])
    assert {settings.host_address, settings.node_address} == {str(each) for each in settings.link.hosts()}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WEFT_CLUSTER", "Weft"),
        ("WEFT_CLUSTER", "../etc"),
        ("WEFT_CLUSTER", "muchtoolong"),
        ("WEFT_NETWORK", "8.8.0.0/14"),
        ("WEFT_NETWORK", "10.0.0.0/24"),
        ("WEFT_NETWORK", "nonsense"),
        ("SCHEDULER_QPS", "fast"),
        ("SCHEDULER_QPS", "0"),
    ],
)
def test_a_wrong_value_is_named(variable: str, value: str) -> None:
    with pytest.raises(ClusterError, match=variable):
        Settings.from_environment({variable: value})


def test_an_empty_variable_is_an_unset_one() -> None:
    settings = Settings.from_environment({"WEFT_CLUSTER": "", "SCHEDULER_QPS": "", "WEFT_STATE": ""})
    assert settings.name == "weft"
    assert settings.scheduler_qps is None


def test_places_can_be_chosen() -> None:
    settings = Settings.from_environment({"WEFT_STATE": "/data/state", "WEFT_CACHE": "/data/cache"})
    assert settings.kubeconfig == Path("/data/state/kubeconfig")
    assert settings.lock.parent == Path("/data/cache")
