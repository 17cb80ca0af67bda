"""Certificates and kubeconfigs: one authority, and one certificate per component, made with the openssl command.

Keys are elliptic (fast to make) and live only as long as the cluster. What a certificate may do is decided by its
subject, as Kubernetes defines it: organisation `system:masters` is the administrator, `system:nodes` a kubelet, and
so on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.settings import Settings
from hack.cluster.shell import Words, run

_CONFIGURATION = """[req]
distinguished_name = name
prompt = no
string_mask = utf8only
[name]
"""


@dataclass(frozen=True)
class Certificate:
    """One certificate: whose it is, and under which names a server with it may be reached."""

    file: str
    common_name: str
    organisation: str = ""
    server_names: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The subject as openssl takes it."""
        return f"/O={self.organisation}/CN={self.common_name}" if self.organisation else f"/CN={self.common_name}"

    @property
    def extensions(self) -> tuple[str, ...]:
        """What the certificate is for."""
        usage = "clientAuth,serverAuth" if self.server_names else "clientAuth"
        names = tuple(f"{'IP' if name[0].isdigit() else 'DNS'}:{name}" for name in self.server_names)
        return (
            "basicConstraints=critical,CA:FALSE",
            "keyUsage=critical,digitalSignature,keyEncipherment",
            f"extendedKeyUsage={usage}",
            *([f"subjectAltName={','.join(names)}"] if names else []),
        )


def certificates(settings: Settings) -> tuple[Certificate, ...]:
    """Every certificate the cluster needs."""
    service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    server = ("127.0.0.1", settings.node_address, settings.kubernetes_service, *service)
    node = f"system:node:{settings.node_name}"
    return (
        Certificate("apiserver", "kube-apiserver", "", server),
        Certificate("kubelet", node, "system:nodes", (settings.node_name, settings.node_address, "127.0.0.1")),
        Certificate("admin", "weft-admin", "system:masters"),
        Certificate("controller-manager", "system:kube-controller-manager"),
        Certificate("scheduler", "system:kube-scheduler"),
        Certificate("proxy", "system:kube-proxy"),
    )


def create(settings: Settings) -> Path:
    """Make the authority, certificates, the key of service account tokens and kubeconfigs; gives their folder."""
    folder = settings.state / "pki"
    folder.mkdir(mode=0o700)
    configuration = folder / "openssl.cnf"
    configuration.write_text(_CONFIGURATION)
    ca = Certificate("ca", f"{settings.name}-ca")
    _issue(folder, ca, ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"), signer=())
    signer = ("-CA", folder / "ca.crt", "-CAkey", folder / "ca.key")
    for certificate in certificates(settings):
        _issue(folder, certificate, certificate.extensions, signer=signer)
        server = f"https://{settings.node_address}:6443"
        text = kubeconfig(settings.name, server, folder, certificate.file)
        (folder / f"{certificate.file}.kubeconfig").write_text(text)
    run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", folder / "sa.key"])
    run(["openssl", "pkey", "-in", folder / "sa.key", "-pubout", "-out", folder / "sa.pub"])
    for key in folder.glob("*.key"):
        key.chmod(0o600)
    return folder


def _issue(folder: Path, certificate: Certificate, extensions: Iterable[str], *, signer: Words) -> None:
    additions = [word for extension in extensions for word in ("-addext", extension)]
    key, crt = folder / f"{certificate.file}.key", folder / f"{certificate.file}.crt"
    request: Words = ["openssl", "req", "-x509", "-new", "-config", folder / "openssl.cnf", "-nodes", "-days", "3650"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    run([*request, *curve, "-subj", certificate.subject, "-keyout", key, "-out", crt, *signer, *additions])


def kubeconfig(name: str, server: str, folder: Path, user: str) -> str:
    """A kubeconfig for `user`, naming certificate files in `folder` (JSON, which is YAML)."""
    cluster = {"server": server, "certificate-authority": str(folder / "ca.crt")}
    credentials = {"client-certificate": str(folder / f"{user}.crt"), "client-key": str(folder / f"{user}.key")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user, "namespace": "default"}}],
        "current-context": name,
    }
    return json.dumps(document, indent=2) + "\n"
