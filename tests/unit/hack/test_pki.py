"""Certificates: who each is for, by which names servers are known, and that real ones verify."""

import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from hack.cluster import pki
from hack.cluster.settings import Settings

NAMES = {"apiserver", "kubelet", "admin", "controller-manager", "scheduler", "proxy"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_environment({"WEFT_STATE": str(tmp_path), "WEFT_CACHE": str(tmp_path / "cache")})


def test_subjects_give_the_rights_that_kubernetes_knows_by_name(settings: Settings) -> None:
    subjects = {each.file: each.subject for each in pki.certificates(settings)}
    assert subjects["admin"] == "/O=system:masters/CN=weft-admin"
    assert subjects["kubelet"] == f"/O=system:nodes/CN=system:node:{settings.node_name}"
    assert subjects["scheduler"] == "/CN=system:kube-scheduler"
    assert sum("system:masters" in subject for subject in subjects.values()) == 1


def test_the_api_server_is_known_by_every_address_it_is_called_by(settings: Settings) -> None:
    (server,) = [each for each in pki.certificates(settings) if each.file == "apiserver"]
    names = next(extension for extension in server.extensions if extension.startswith("subjectAltName="))
    assert f"IP:{settings.node_address}" in names
    assert f"IP:{settings.kubernetes_service}" in names
    assert "DNS:kubernetes.default.svc" in names


def test_clients_cannot_pose_as_servers(settings: Settings) -> None:
    usages = {each.file: any("serverAuth" in ext for ext in each.extensions) for each in pki.certificates(settings)}
    assert {file for file, server in usages.items() if server} == {"apiserver", "kubelet"}


def test_a_kubeconfig_names_server_authority_and_client(settings: Settings) -> None:
    document = json.loads(pki.kubeconfig("weft", "https://10.0.0.2:6443", Path("/pki"), "admin"))
    assert document["clusters"][0]["cluster"] == {
        "server": "https://10.0.0.2:6443",
        "certificate-authority": "/pki/ca.crt",
    }
    assert document["users"][0]["user"] == {"client-certificate": "/pki/admin.crt", "client-key": "/pki/admin.key"}
    assert document["current-context"] == document["contexts"][0]["name"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_real_certificates_verify_and_keys_are_private(settings: Settings) -> None:
    folder = pki.create(settings)
    for name in NAMES:
        verify = ["openssl", "verify", "-CAfile", str(folder / "ca.crt"), str(folder / f"{name}.crt")]
        assert subprocess.run(verify, capture_output=True, check=False).returncode == 0
        assert (folder / f"{name}.kubeconfig").exists()
    keys = list(folder.glob("*.key"))
    assert len(keys) == len(NAMES) + 2  # the authority's, and that of service account tokens
    assert all(stat.S_IMODE(key.stat().st_mode) == 0o600 for key in keys)
    assert "PUBLIC KEY" in (folder / "sa.pub").read_text()
