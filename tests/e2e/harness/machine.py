"""The node that the cluster is made of: its components, killed as machines kill them.

Only the native node (hack/cluster) can be treated so: its components are processes of this machine. What must be there
to judge a death, and is not there otherwise, is added by a restart: an API server that writes down who writes.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hack.cluster.api import Api, wait_until
from hack.cluster.native import NativeNode
from hack.cluster.network import inside
from hack.cluster.settings import Settings

SERVERS = ("containerd", "etcd", "apiserver")
"""The components that wait for nobody; all others are clients of the API server."""
ETCD = "http://127.0.0.1:2379/v3/kv"

_WRITERS = {
    "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "users": ["system:serviceaccount:weft-system:weft"],
         "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
        {"level": "None"},
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Write:
    """One write of the operator, as the API server has recorded it."""

    at: float
    source: str
    verb: str
    path: str
    code: int


class Machine:
    """Kills and restarts the components of the native node; times are seconds of the wall clock, as Kubernetes' are."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._node = NativeNode(settings)
        self._api = Api(f"https://{settings.node_address}:6443", settings.state / "pki")

    @classmethod
    def of_this_cluster(cls) -> Machine | None:
        """The node behind KUBECONFIG; None when it is made of something else (kind)."""
        settings = Settings.from_environment()
        ours = settings.kubeconfig == Path(os.environ["KUBECONFIG"])
        return cls(settings) if ours and not (settings.state / "kind").exists() else None

    def kill(self, component: str) -> float:
        """SIGKILL a component; gives the moment."""
        self._node.processes.kill(component)
        return time.time()

    def start(self, component: str) -> None:
        """Start a component that was killed, and wait until the whole node is well again."""
        self._node.processes.start_again(component)
        self.wait_ready()

    def reconnect(self) -> None:
        """Start the API server's clients anew, so that what comes next finds a cluster at its best.

        A client that cannot reach its API server waits longer after every try, up to a minute (client-go's reflectors:
        0.8 s, doubled up to 30 s, and as much again by chance), and forgets that only after two good minutes. With a
        few restarts close together, namespaces go without a service account, and Deployments unheeded, for 97 s.
        """
        processes = self._node.processes
        clients = [name for name in processes.names() if name not in SERVERS]
        for name in clients:
            processes.stop(name)
        for name in clients:
            processes.start_again(name)
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until every component lives and the API server is ready."""
        wait_until("API server ready", self._api.ready, alive=self._node.processes.check_alive)

    def forget_history(self) -> None:
        """While the API server is dead: let etcd go on and forget, so that no watch can be continued afterwards.

        A watch begins again where it was; one that was told of everything could do so even with a new API server.
        """
        key = base64.b64encode(b"/weft-e2e/time-goes-on").decode()
        revision = self._etcd("put", {"key": key, "value": ""})["header"]["revision"]
        self._etcd("compaction", {"revision": revision, "physical": True})

    @contextmanager
    def audited(self) -> Iterator[Path]:
        """An API server that writes down every write of the operator; the file is for `writes`."""
        policy, log = self._settings.state / "audit-policy.json", self._settings.logs / "audit.log"
        policy.write_text(json.dumps(_WRITERS))
        log.unlink(missing_ok=True)
        flags = [f"--audit-policy-file={policy}", f"--audit-log-path={log}"]
        plain = self._node.processes.command("apiserver")
        self._restart_api_server([*plain, *flags])
        try:
            yield log
        finally:
            self._restart_api_server(plain)

    def _restart_api_server(self, command: list[str]) -> None:
        words = command[len(inside(self._settings)) :]  # start_process puts them there again
        self._node.processes.stop("apiserver")
        self._node.start_process("apiserver", words)
        self.wait_ready()
        self.reconnect()

    def _etcd(self, call: str, body: dict[str, Any]) -> Any:
        """Call etcd's JSON gateway, which listens in the node's network only."""
        program = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], sys.argv[2].encode()).read().decode())"
        words = [*inside(self._settings), sys.executable, "-c", program, f"{ETCD}/{call}", json.dumps(body)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True, env={"no_proxy": "*"})
        return json.loads(done.stdout)


def writes(log: Path) -> list[Write]:
    """The operator's writes that an audit log tells of, in order."""
    found = []
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        at = datetime.fromisoformat(entry["requestReceivedTimestamp"]).timestamp()
        code = entry["responseStatus"]["code"]
        found.append(Write(at, entry["sourceIPs"][0], entry["verb"], entry["requestURI"], code))
    return sorted(found, key=lambda write: write.at)
