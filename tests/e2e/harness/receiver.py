"""A real HTTP server in a Pod, for notifications and http nodes: it can refuse, echo, and tell what it has received."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from e2e.harness.place import Cluster

PORT = 8000

_SERVER = """
import base64, collections, http.server, json, threading
received, tries, lock = [], collections.Counter(), threading.Lock()

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path, _, query = self.path.partition("?")
        if path == "/received":
            with lock:
                return self.answer(200, json.dumps(received).encode())
        with lock:
            key = self.headers.get("webhook-id") or self.headers.get("idempotency-key") or ""
            tries[path, key] += 1
            count = tries[path, key]
            headers = {name.lower(): value for name, value in self.headers.items()}
            entry = {"method": self.command, "path": path, "headers": headers, "body": base64.b64encode(body).decode()}
            refuse = path.startswith("/twice-503") and count <= 2
            received.append(entry | {"status": 503 if refuse else 200})
        if refuse:
            return self.answer(503)
        if path.startswith("/status/"):
            return self.answer(int(path.rpartition("/")[2]))
        if path == "/json":
            values = dict(pair.split("=") for pair in query.split("&") if pair)
            return self.answer(200, json.dumps({key: int(value) for key, value in values.items()}).encode())
        return self.answer(201, body)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def log_message(self, *words):
        pass

http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""


@dataclass
class Receiver:
    """The Pod `receiver` in a namespace of its own."""

    cluster: Cluster
    namespace: str
    image: str
    address: str = ""

    def start(self) -> None:
        """Run the server and wait until it answers."""
        container = {
            "name": "main", "image": self.image, "imagePullPolicy": "IfNotPresent",
            "command": ["python3", "-c", _SERVER],
            "readinessProbe": {"httpGet": {"path": "/received", "port": PORT}, "periodSeconds": 1},
        }  # fmt: skip
        pod = {
            "metadata": {"name": "receiver"},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
        }
        # Shortly after the API server was restarted, a new namespace goes without for a while.
        self.cluster.kubectl("wait", "-n", self.namespace, "--for=create", "--timeout=60s", "serviceaccount/default")
        self.cluster.api.post(self._pods, pod)
        self.cluster.kubectl("wait", "-n", self.namespace, "--for=condition=Ready", "--timeout=60s", "pod/receiver")
        ip: str = self.cluster.api.get(f"{self._pods}/receiver")["status"]["podIP"]
        self.address = f"{ip}:{PORT}"

    def url(self, path: str) -> str:
        """The URL of a path, as the operator sees it. Paths that begin with /twice-503 refuse each message twice."""
        return f"http://{self.address}{path}"

    def received(self, path: str) -> list[dict[str, Any]]:
        """The requests to a path so far; bodies as bytes."""
        found = json.loads(self.cluster.api.text(f"{self._pods}/receiver:{PORT}/proxy/received"))
        return [{**each, "body": base64.b64decode(each["body"])} for each in found if each["path"] == path]

    @property
    def _pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"
