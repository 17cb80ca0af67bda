"""Real users: client certificates that the cluster itself signs, whatever it is made of."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.harness.api import Api, Obj
from e2e.harness.place import WEFT, Cluster, Place, Run
from support.certificates import signing_request

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


@dataclass(frozen=True)
class Person:
    """Somebody who calls the API server with a certificate of his own."""

    name: str
    api: Api

    def create(self, place: Place, kind: str, spec: Obj, **metadata: Any) -> Obj:
        """Create one of Weft's resources; raises Refused."""
        body = {"apiVersion": WEFT, "kind": kind, "metadata": metadata or {"generateName": "x-"}, "spec": spec}
        return self.api.post(_path(place, f"{kind.lower()}s"), body)

    def change(self, place: Place, plural: str, name: str, patch: Obj) -> Obj:
        """Merge a patch into one of Weft's resources (or `name/status`); raises Refused."""
        return self.api.patch(f"{_path(place, plural)}/{name}", patch)

    def decide(self, run: Run, node: str, *, by: str | None = None, groups: tuple[str, ...] = ()) -> Obj:
        """Approve, in his own name or another; raises Refused."""
        spec: Obj = {"run": {"name": run.name, "uid": run.uid}, "node": node, "decision": "Approve"}
        spec |= {"by": by or self.name} | ({"groups": list(groups)} if groups else {})
        return self.create(run.place, "Approval", spec)


def enroll(cluster: Cluster, folder: Path, name: str, *groups: str) -> Person:
    """Have the cluster sign a certificate for a user of that name, a member of these groups."""
    home = folder / name
    home.mkdir()
    subject = "".join(f"/O={group}" for group in groups) + f"/CN={name}"
    spec = {
        "request": base64.b64encode(signing_request(home, subject).encode()).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
        "expirationSeconds": 3600,
    }
    request = f"weft-e2e-{name}-{secrets.token_hex(3)}"
    cluster.api.post(REQUESTS, {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
                                "metadata": {"name": request}, "spec": spec})  # fmt: skip
    try:
        cluster.kubectl("certificate", "approve", request)
        cluster.kubectl("wait", f"csr/{request}", "--for=jsonpath={.status.certificate}", "--timeout=60s")
        signed = base64.b64decode(cluster.api.get(f"{REQUESTS}/{request}")["status"]["certificate"])
    finally:
        cluster.api.delete(f"{REQUESTS}/{request}")
    (home / "client.crt").write_bytes(signed)
    return Person(name, Api(certificate=home / "client.crt", key=home / "client.key"))


def _path(place: Place, plural: str) -> str:
    return f"/apis/{WEFT}/namespaces/{place.name}/{plural}"
