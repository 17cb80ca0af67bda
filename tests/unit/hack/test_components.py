"""Command lines of the components: nothing is offered beyond the node, and defaults are kept unless asked for."""

import ipaddress
import json
import re
from pathlib import Path

import pytest

from hack.cluster import components, kwok
from hack.cluster.settings import Settings

PROGRAMS = {
    name: Path("/bin") / name
    for name in ("containerd", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
} | {"kube-proxy": Path("/bin/kube-proxy")}


def commands(**environ: str) -> dict[str, list[str]]:
    return components.commands(Settings.from_environment(environ), PROGRAMS, Path("/pki"))


def test_components_start_in_the_order_they_are_named_in() -> None:
    assert tuple(commands()) == components.NAMES


def test_every_bind_address_is_loopback_or_the_nodes_own() -> None:
    settings = Settings.from_environment({})
    words = " ".join(word for command in commands().values() for word in command)
    bound = re.findall(r"--(?:healthz-)?bind-address=(\S+)", words)
    bound.append(json.loads(components.kubelet_configuration(settings, Path("/pki")))["address"])
    assert len(bound) == 5
    for address in bound:
        assert ipaddress.ip_address(address).is_loopback or address == settings.node_address


@pytest.mark.parametrize(
    ("environ", "flags"),
    [({}, []), ({"SCHEDULER_QPS": "500"}, ["--kube-api-qps=500", "--kube-api-burst=1000"])],
)
def test_rate_limits_are_the_defaults_unless_asked_for(environ: dict[str, str], flags: list[str]) -> None:
    found = commands(**environ)
    assert [word for word in found["scheduler"] if "kube-api" in word] == flags
    assert not any("kube-api-qps" in word for word in found["controller-manager"])


def test_fake_nodes_repel_pods_that_do_not_ask_for_them() -> None:
    node = kwok.node(3)
    metadata, spec = node["metadata"], node["spec"]
    assert isinstance(metadata, dict)
    assert isinstance(spec, dict)
    assert metadata["name"] == "kwok-3"
    assert metadata["labels"]["type"] == "kwok"
    assert spec["taints"][0]["effect"] == "NoSchedule"
